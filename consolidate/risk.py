"""Plans within a stated risk: packed by profile, checked on the samples, repaired where a host is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from consolidate.demand import History
from consolidate.demand.replay import Replay, replay
from consolidate.model.demand import Demand, Demands
from consolidate.model.fleet import Fleet
from consolidate.model.placement import Placement
from consolidate.model.policy import Policy
from consolidate.solve.search import Progress
from consolidate.solve.solve import Effort, Result, solve

REPAIRS = 6
"""Rounds of repair; every one raises what the hosts over their risk must reserve."""
RAISE_PERMILLE = 100


@dataclass(frozen=True, eq=False)
class Checked:
    """A result, the demand it reserves, and how it would have fared on the samples it was sized on."""

    result: Result
    demands: Demands
    replay: Replay
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
    repairs = 0
    while True:
        result = solve(fleet, demands, policy.objective, seed, effort, progress)
        replayed = replay(history, fleet, demands, result.placement, policy.sizing)
        risky = hosts_over(replayed, policy.sizing.risk)
        if not risky or repairs == REPAIRS:
            return Checked(result, demands, replayed, repairs)
        repairs += 1
        progress(f"repairing {len(risky)} hosts that are over their risk", result.score.cost)
        demands = _raised(demands, result.placement, risky)


def hosts_over(replayed: Replay, risk: float) -> dict[str, tuple[str, ...]]:
    """Hosts that lacked a resource in more than a share of the intervals, and which."""
    if not replayed.share.size:
        return {}
    rates = (replayed.share > 1).mean(axis=2)
    return {
        host: tuple(name for name, rate in zip(replayed.dimensions, row, strict=True) if rate > risk)
        for host, row in zip(replayed.hosts, rates, strict=True)
        if (row > risk).any()
    }


def _raised(demands: Demands, placement: Placement, risky: Mapping[str, tuple[str, ...]]) -> Demands:
    """Raise what the workloads of risky hosts reserve of the resource that was lacking."""
    raised = dict(demands)
    for name, assignment in placement.assignments.items():
        demand = demands[name]
        if assignment.host in risky and isinstance(demand, Demand):
            amounts = {
                dimension: slots + (slots * RAISE_PERMILLE + 999) // 1000
                if dimension in risky[assignment.host]
                else slots
                for dimension, slots in demand.amounts.items()
            }
            raised[name] = replace(demand, amounts=amounts)
    return raised


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
    return (
        f"Replayed on the {days:.1f} days it was sized on{repairs}: a host lacks something in "
        f"{replayed.violation_rate:.3%} of the time{worst}. `consolidate backtest` judges it on days it has not seen."
    )
