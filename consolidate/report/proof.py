"""How good a plan is, in sentences that claim nothing more than was proven."""

from __future__ import annotations

from consolidate.plan.plan import Plan, Proof
from consolidate.report.words import count, format_money, format_watts

_SCOPE = {"cost": " (hosts without electricity)", "watts": " (hosts when idle)"}
"""What the solver's objective counts, where it differs from the totals."""


def format_objective(proof: Proof, amount: int, currency: str) -> str:
    """An amount in the unit that the proof counts in."""
    match proof.objective:
        case "hosts":
            return count(amount, "host")
        case "cost":
            return f"{format_money(amount / 100, currency)} a month"
        case "watts":
            return format_watts(amount / 1000)
    return f"{amount:,} {proof.objective}"


def proof_sentence(plan: Plan) -> str:
    """How good the plan is, and nothing more than was proven."""
    proof = plan.proof
    used = format_objective(proof, proof.cost, plan.currency)
    scope = _SCOPE.get(proof.objective, "")
    if proof.gap == 0:
        return f"{used} used{scope}, proven optimal"
    hosts = proof.objective == "hosts"
    needed = f"{proof.lower_bound:,}" if hosts else format_objective(proof, proof.lower_bound, plan.currency)
    return f"{used} used{scope}, {needed} needed at least"


def proof_short(plan: Plan) -> str:
    """The proof for a small place."""
    proof = plan.proof
    if proof.gap == 0:
        return f"{proof_sentence(plan)} ({proof.kind} bound)"
    amounts = (format_objective(proof, amount, plan.currency) for amount in (proof.cost, proof.gap))
    return "{} used, gap {}, {} bound".format(*amounts, proof.kind)


def proof_basis(plan: Plan) -> str:
    """The kind of the bound, and what is left open."""
    proof = plan.proof
    basis = f"{proof.kind} bound: {proof.because}"
    if proof.gap == 0:
        return basis
    return f"gap {format_objective(proof, proof.gap, plan.currency)}; {basis}"
