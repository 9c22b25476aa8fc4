"""Plans within a stated risk: packed by profile, checked on the samples, repaired where a host is over."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from consolidate.demand import History
from consolidate.demand.replay import Replay, replay
from consolidate.errors import InfeasibleError
from consolidate.model.demand import SLOT_COUNTS, Demand, Demands
from consolidate.model.fleet import Fleet
from consolidate.model.isolation import demand_on
from consolidate.model.placement import Placement
from consolidate.model.policy import Policy
from consolidate.model.rules import Pin
from consolidate.solve.evaluate import evaluate
from consolidate.solve.search import Progress
from consolidate.solve.solve import Effort, Result, solve

_SLOTS = max(SLOT_COUNTS)
ANEW = 3
"""Rounds of repair that pack everything again. Others meet then, so hosts that were within their risk may be over it;
but what is raised is spread over the fleet, and what it is spread over lacks less on days that nobody has seen."""
REPAIRS = 9
"""Rounds of all. From the fourth on, what runs on hosts within their risk stays there, so that they come to an end."""
LEAST_RAISE_PERMILLE = 100
"""So that a host that is hardly over is not repaired by its smallest workload alone."""


@dataclass(frozen=True, eq=False)
class Checked:
    """A result, the demand it reserves, and how it would have fared on the samples it was sized on."""

    result: Result
    demands: Demands
    replay: Replay
    over: Mapping[str, Mapping[str, float]]
    """Hosts that are over their risk for all repairs, as ``hosts_over`` has them."""
    repairs: int


def solve_within_risk(
    history: History,
    fleet: Fleet,
    demands: Demands,
    policy: Policy,
    seed: int,
    effort: Effort,
    progress: Progress,
) -> Checked:
    """Solve, replay the history, and raise the demand on every host that lacked something too often; again.

    The chance constraint is on each host and resource: at most ``policy.sizing.risk`` of the intervals.
    """

    def check(result: Result, demands: Demands, repairs: int) -> Checked:
        replayed = replay(history, fleet, demands, result.placement, policy.sizing)
        return Checked(result, demands, replayed, hosts_over(replayed, policy.sizing.risk), repairs)

    checked = check(solve(fleet, demands, policy.objective, seed, effort, progress), demands, 0)
    while checked.over and checked.repairs < REPAIRS:
        progress(f"repairing {len(checked.over)} hosts that are over their risk", checked.result.score.cost)
        raised = _raised(fleet, checked.demands, checked.result.placement, checked.over)
        anew = checked.repairs < ANEW
        tied = fleet if anew else _keeping(fleet, checked.result.placement, checked.over)
        try:
            result = solve(tied, raised, policy.objective, seed, effort, progress)
        except InfeasibleError:  # there are no more hosts, or none is large enough for what is alone on its own
            break
        if not anew:  # ties are no rules of the fleet's: the bound without them holds, and the more so as demand rose
            score = evaluate(fleet, raised, result.placement, policy.objective)
            result = replace(checked.result, placement=result.placement, score=score)
        checked = check(result, raised, checked.repairs + 1)
    return checked


def _keeping(fleet: Fleet, placement: Placement, over: Container[str]) -> Fleet:
    """The fleet with what runs on hosts within their risk tied to them."""
    kept: dict[str, list[str]] = {}
    for name, one in placement.assignments.items():
        if one.host not in over:
            kept.setdefault(one.host, []).append(name)
    ties = (Pin(f"kept on {host}", tuple(names), (host,)) for host, names in kept.items())
    return replace(fleet, rules=(*fleet.rules, *ties))


def hosts_over(replayed: Replay, risk: float) -> dict[str, dict[str, float]]:
    """Hosts that lacked a resource in more than a share of the intervals; of each, what would have sufficed.

    That is the quantile of the load that the risk allows, as a share of what the host has, and so above 1.
    """
    count = replayed.share.shape[2]
    allowed = math.floor(risk * count + 1e-9)
    if not replayed.share.size or allowed >= count:
        return {}
    enough = np.partition(replayed.share, count - 1 - allowed, axis=2)[:, :, count - 1 - allowed]
    return {
        host: {name: share for name, share in zip(replayed.dimensions, row, strict=True) if share > 1}
        for host, row in zip(replayed.hosts, enough.tolist(), strict=True)
        if max(row) > 1
    }


def _raised(fleet: Fleet, demands: Demands, placement: Placement, over: Mapping[str, Mapping[str, float]]) -> Demands:
    """Raise what the workloads of hosts over their risk reserve, until it adds up to what they needed together."""
    reserved = _reserved(fleet, demands, placement, over)
    raised = dict(demands)
    for name, assignment in placement.assignments.items():
        demand, lacking = demands[name], over.get(assignment.host, {})
        if lacking and isinstance(demand, Demand):
            factors = {one: lacking[one] / reserved[assignment.host, one] for one in lacking}
            amounts = {
                dimension: _times(slots, factors[dimension]) if dimension in factors else slots
                for dimension, slots in demand.amounts.items()
            }
            raised[name] = replace(demand, amounts=amounts)
    return raised


def _reserved(
    fleet: Fleet, demands: Demands, placement: Placement, over: Mapping[str, Mapping[str, float]]
) -> dict[tuple[str, str], float]:
    """Of hosts and resources: what is reserved in the busiest slot, as a share of what the host has."""
    totals = {(host, name): np.zeros(_SLOTS, np.int64) for host, lacking in over.items() for name in lacking}
    for workload in fleet.workloads:
        assignment, demand = placement.assignments.get(workload.name), demands[workload.name]
        if assignment is not None and assignment.host in over and isinstance(demand, Demand):
            names = tuple(over[assignment.host])
            amounts = demand_on(fleet, workload, demand, assignment.isolation, names, _SLOTS)
            for name, slots in zip(names, amounts, strict=True):
                totals[assignment.host, name] += slots
    capacity = {host.name: host.without_headroom for host in fleet.hosts if host.name in over}
    return {
        (host, name): max(int(slots.max()), 1) / max(capacity[host].get(name), 1)
        for (host, name), slots in totals.items()
    }


def _times(slots: NDArray[np.int64], factor: float) -> NDArray[np.int64]:
    """Raised by a factor, at least by the least step; rounded up."""
    permille = max(math.ceil((factor - 1) * 1000), LEAST_RAISE_PERMILLE)
    return slots + (slots * permille + 999) // 1000


def worst_host(replayed: Replay) -> tuple[str, float]:
    """The host that lacked something most often, and how often."""
    rates = replayed.over.mean(axis=1) if replayed.over.size else np.zeros(0)
    if not len(rates):
        return "", 0.0
    return replayed.hosts[int(rates.argmax())], float(rates.max())


def told(checked: Checked) -> str:
    """How the plan would have fared, in a sentence; empty where there is no history."""
    replayed = checked.replay
    if not replayed.share.size:
        return ""
    days = replayed.share.shape[2] * replayed.interval_s / 86400
    host, rate = worst_host(replayed)
    worst = f"; {host} most often ({rate:.2%})" if rate else ""
    repairs = f" after {checked.repairs} rounds of repair" if checked.repairs else ""
    over = f" Over the policy's risk, for all repairs: {len(checked.over)} of the hosts in use." if checked.over else ""
    return (
        f"Replayed on the {days:.1f} days it was sized on{repairs}: a host lacks something in "
        f"{replayed.violation_rate:.3%} of the time{worst}.{over} `consolidate backtest` judges it on days it has not "
        "seen."
    )
