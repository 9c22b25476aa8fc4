"""What is missing where something does not fit: the amounts behind every refusal."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.errors import InfeasibleError
from consolidate.model.demand import Unknown
from consolidate.model.fleet import Isolation, Workload
from consolidate.model.isolation import choose_isolation
from consolidate.model.placement import Placement
from consolidate.model.rules import Affinity, AntiAffinity, Ban, FailureReserve, Licence, Pin, Rule, Spread
from consolidate.solve.conflict import Conflict
from consolidate.solve.evaluate import Score
from consolidate.solve.feasibility import Feasibility, least_demand
from consolidate.solve.loads import UNLIMITED, Needs
from consolidate.solve.problem import compile_problem
from consolidate.units import count, format_amount, format_slot

_FEW = 5
"""Names that a sentence may list."""


@dataclass(frozen=True)
class Shortage:
    """The closest a workload comes to fitting on another host."""

    workload: str
    host: str
    dimension: str
    amount: int
    when: str
    """Slot in which it is missing; empty where it always is."""

    def __str__(self) -> str:
        amount = format_amount(self.dimension, self.amount)
        when = f" ({self.when})" if self.when else ""
        return f"{self.workload} needs {amount} more than {self.host} has left{when}"


class Room:
    """What each host of a placement has left, to be tried out and taken."""

    def __init__(self, needs: Needs, placement: Placement) -> None:
        """Sum up the loads once."""
        self.needs = needs
        self.limits = np.maximum(needs.limits, 1)
        self.free = needs.free(placement)

    def copy(self) -> Room:
        """A second room to try things out in."""
        twin = copy.copy(self)
        twin.free = self.free.copy()
        return twin

    def take(self, workload: Workload, among: Sequence[int]) -> Shortage | None:
        """Put a workload on the host that keeps most room; None where that worked or it may run on none of them.

        Otherwise say what is missing where the least is missing.
        """
        best: tuple[float, int, NDArray[np.int64]] | None = None
        for isolation, hosts in self._able(workload, among).items():
            need = self.needs.of(workload, isolation)
            assert need is not None  # nobody asks for the room of an unknown demand
            shares = ((need - self.free[hosts]).max(axis=2) / self.limits[hosts]).max(axis=1)
            at = int(shares.argmin())
            if best is None or shares[at] < best[0]:
                best = (float(shares[at]), hosts[at], need)
        if best is None:
            return None
        share, host, need = best
        lacking = need - self.free[host]
        if share > 0:
            row = int((lacking.max(axis=1) / self.limits[host]).argmax())
            slot = int(lacking[row].argmax())
            varies = bool((lacking[row] != lacking[row, slot]).any())
            amount = int(lacking[row, slot])
            when = format_slot(slot, self.needs.slots) if varies else ""
            name = self.needs.fleet.hosts[host].name
            return Shortage(workload.name, name, self.needs.dimensions[row], amount, when)
        self.free[host] -= need
        return None

    def can_run(self, workload: Workload, among: Sequence[int]) -> bool:
        """Whether some host offers it an isolation at all."""
        return bool(self._able(workload, among))

    def _able(self, workload: Workload, among: Sequence[int]) -> dict[Isolation, list[int]]:
        able: dict[Isolation, list[int]] = {}
        for index in among:
            isolation = choose_isolation(self.needs.fleet, workload, self.needs.fleet.hosts[index])
            if isolation is not None:
                able.setdefault(isolation, []).append(index)
        return able


class ConflictError(InfeasibleError):
    """No placement exists; the conflict is the proof's subject, the sentence is about it."""

    def __init__(self, sentence: str, conflict: Conflict) -> None:
        super().__init__(sentence)
        self.conflict = conflict


def infeasible_json(error: InfeasibleError) -> dict[str, object]:
    """The sentence, and what of the fleet it is about where that is proved."""
    if not isinstance(error, ConflictError):
        return {"infeasible": str(error), "proved": False}
    conflict = error.conflict
    return {
        "infeasible": str(error),
        "proved": True,
        "rules": list(conflict.rules),
        "workloads": list(conflict.workloads),
        "dimensions": list(conflict.dimensions),
        "minimal": conflict.minimal,
    }


def explain_unplaced(needs: Needs, unplaced: Sequence[str]) -> str:
    """One sentence where nothing is proved: what was left over, and which rules it is under."""
    some = _listed(unplaced)
    names = ", ".join(repr(rule.name) for rule in needs.fleet.rules if set(rule.workloads) & set(unplaced))
    if not names:
        return f"no placement was found: there is no room for {some} beside the others; add hosts or lower the headroom"
    return f"no placement was found: {some} found no room that keeps {names}; relax a rule or add hosts"


def explain_conflict(needs: Needs, conflict: Conflict) -> str:
    """One sentence on what cannot hold together, with the amounts and what would help."""
    fleet = needs.fleet
    if not fleet.hosts:
        return f"there is no host to place {_listed(list(conflict.workloads)) or 'anything'} on; add hosts"
    rules = [rule for rule in fleet.rules if rule.name in conflict.rules]
    workloads = [workload for workload in fleet.workloads if workload.name in conflict.workloads]
    if not workloads:  # a spread that nothing else is needed to break
        return _explain_spread(needs, rules)
    if len(workloads) == 1 and not rules and len(conflict.dimensions) == 1:
        shortage = Room(needs, Placement({})).take(workloads[0], range(len(fleet.hosts)))
        if shortage is not None:
            return (
                f"{shortage} even when that host is empty; shrink the workload, lower the headroom, "
                "or add a larger host"
            )
    clauses = [_rule_clause(rule, conflict.workloads, len(fleet.hosts)) for rule in rules]
    clauses += _host_clauses(needs, workloads)
    clauses += _room_clauses(needs, conflict)
    names = _listed([workload.name for workload in workloads])
    head = f"{names} can be placed nowhere" if len(workloads) == 1 else f"{names} cannot all be placed"
    return f"{head}: {', '.join(clauses)}; {_remedy(needs, conflict, workloads)}"


def _explain_spread(needs: Needs, rules: Sequence[Rule]) -> str:
    """That a spread wants more domains than there are, or than it has workloads that run somewhere."""
    rule = next(rule for rule in rules if isinstance(rule, Spread))
    domains = len({host.domain for host in needs.fleet.hosts})
    wants = f"rule {rule.name!r} wants {count(rule.domains, 'failure domain')}"
    if rule.domains > domains:
        return f"{wants}, the hosts have {domains}; lower what it wants, or add hosts in another"
    placed = {workload.name for workload in Feasibility(needs.fleet, needs.demands).placed}
    members, nowhere = ([name for name in rule.workloads if (name in placed) is so] for so in (True, False))
    short = f"{wants}, but only {count(len(members), 'workload')} to be in them"
    if not nowhere:
        return f"{short}; lower what it wants"
    cause = "runs nowhere and is" if len(nowhere) == 1 else "run nowhere and are"
    return (
        f"{short}, since {_listed(nowhere)} {cause} of unknown demand; lower what it wants, or measure what is unknown"
    )


def _rule_clause(rule: Rule, among: Sequence[str], hosts: int) -> str:
    """What a rule asks of some of its workloads, in a fleet of so many hosts."""
    some = _those([name for name in rule.workloads if name in among], among)
    match rule:
        case Affinity():
            asks = f"keeps {some} together"
        case AntiAffinity():
            asks = f"lets {rule.max_per_host} of {some} share one of {count(hosts, 'host')}"
        case Spread():
            asks = f"spreads {_those(rule.workloads, among)} over {count(rule.domains, 'failure domain')}"
        case Licence():
            asks = f"licenses {some} for {count(rule.max_hosts, 'host')}"
        case Pin():
            asks = f"pins {some} to {_listed(rule.hosts)}"
        case Ban():
            asks = f"bans {some} from {_listed(rule.hosts)}"
        case FailureReserve():
            asks = f"wants room for {some} where any host fails"
    return f"{rule.name!r} {asks}"


def _host_clauses(needs: Needs, workloads: Sequence[Workload]) -> list[str]:
    """Who stays where it is, and who cannot run on every host."""
    fleet, clauses = needs.fleet, []
    may_use: dict[tuple[str, ...], list[str]] = {}
    for workload in workloads:
        demand = needs.demands[workload.name]
        if isinstance(demand, Unknown):
            clauses.append(f"{workload.name} keeps {workload.host} to itself since its demand is unknown")
        elif not workload.movable and workload.host is not None:
            clauses.append(f"{workload.name} may not leave {workload.host}")
        else:
            able = tuple(host.name for host in fleet.hosts if choose_isolation(fleet, workload, host) is not None)
            may_use.setdefault(able, []).append(workload.name)
    for able, names in may_use.items():
        some = _those(names, [workload.name for workload in workloads], "they")
        if not able:
            clauses.append(f"no host shares the kernel of {_listed(names)} or offers a virtual machine that may run it")
        elif len(able) < len(fleet.hosts):
            where = _listed(able) if len(able) <= _FEW else f"{len(able)} of {len(fleet.hosts)} hosts"
            clauses.append(f"{some} can run on {where} only")
    return clauses


def _room_clauses(needs: Needs, conflict: Conflict) -> list[str]:
    """What the workloads take at least at the worst time, and what the hosts they may use have."""
    alone = Feasibility(needs.fleet, needs.demands).needs(frozenset(conflict.without))
    arrays = compile_problem(alone).arrays
    able = (arrays.variant >= 0).any(axis=0)
    if (arrays.variant < 0).all(axis=1).any():
        return []
    clauses = []
    for name in conflict.dimensions:
        row = alone.dimensions.index(name)
        load = least_demand(arrays)[:, row].sum(axis=0)
        slot, limits = int(load.argmax()), arrays.capacity[able, row]
        when = f" ({format_slot(slot, alone.slots)})" if (load != load[slot]).any() else ""
        need, limited = format_amount(name, int(load[slot])), limits[limits < UNLIMITED]
        most = format_amount(name, int(limited.max(initial=0)))
        if len(limits) == 1:
            clauses.append(f"{_noun(name)} {need} is needed{when} where the only host they may use has {most}")
        elif len(limited) == len(limits):
            total = format_amount(name, int(limits.sum()))
            unshared = "" if load[slot] > limits.sum() else ", and no way to share them out fits"
            clauses.append(
                f"{_noun(name)} {need} is needed{when} where the {len(limits)} hosts they may use have {total} "
                f"together, one at most {most}{unshared}"
            )
    return clauses


def _remedy(needs: Needs, conflict: Conflict, workloads: Sequence[Workload]) -> str:
    """What would help, as alternatives."""
    ways = []
    if conflict.rules:
        ways.append("relax the rule" if len(conflict.rules) == 1 else "relax one of the rules")
    if any(isinstance(needs.demands[workload.name], Unknown) for workload in workloads):
        ways.append("measure what is unknown")
    if any(not workload.movable for workload in workloads):
        ways.append("let what stays move")
    if conflict.dimensions:
        ways.append("shrink a workload")
        ways.append("lower the headroom")
    ways.append(
        "add a host" if conflict.dimensions or conflict.rules else "allow another isolation, or add such a host"
    )
    return ways[0] if len(ways) == 1 else ", ".join(ways[:-1]) + f", or {ways[-1]}"


def _noun(dimension: str) -> str:
    """A dimension as a word before an amount of it."""
    return {"cpu_milli": "CPU of", "memory_bytes": "memory of"}.get(dimension, "room for")


def _those(names: Sequence[str], among: Sequence[str], pronoun: str = "them") -> str:
    """Some of a sentence's workloads; by a pronoun where it is all of several."""
    return pronoun if len(among) > 1 and set(among) <= set(names) else _listed(names)


def _listed(names: Sequence[str], most: int = _FEW) -> str:
    """Names for a sentence: ``a, b and c``, ``a, b, c, d, e and 7 more``."""
    shown = list(names[:most]) + ([f"{len(names) - most} more"] if len(names) > most else [])
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]])) if shown else ""


def explain_broken(score: Score) -> str:
    """One sentence on a rule that no placement was found to keep."""
    first = score.violations[0]
    amount = format_amount(first.unit, first.amount)
    more = f" (and {len(score.violations) - 1} more)" if len(score.violations) > 1 else ""
    return (
        f"no placement was found that keeps every rule: {first.rule!r} stays broken at {first.subject}, by {amount}"
        f"{more}; relax it, or add hosts"
    )
