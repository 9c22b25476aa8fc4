"""How sure a plan is: stars for what each workload's size rests on, and how much hangs on the least known ones.

Stars, each with the least days of history and the least share of it that was measured:

    5   28 days, 95 %: every hour of the week was seen four times
    4   14 days, 90 %: twice, as a weekly profile needs
    3    7 days, 80 %: once
    2    1 day, 50 %: a daily profile; also what is stated in the fleet file, which somebody vouches for
    1   less; also what is sized by its limit, since too little was measured
    0   unknown
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from consolidate.demand.subset import fleet_without
from consolidate.errors import InfeasibleError
from consolidate.model.demand import Demand, Demands, Unknown
from consolidate.model.fleet import Fleet
from consolidate.model.policy import Objective
from consolidate.solve.solve import Effort, Result, solve

STARS = ((5, 28.0, 0.95), (4, 14.0, 0.90), (3, 7.0, 0.80), (2, 1.0, 0.50))
"""(stars, least days, least coverage), the best first."""
STATED, LIMIT, UNKNOWN = 2, 1, 0
MOST = 5
WEAK_DAYS = 7.0
RESTS_ON = 0.95
"""A plan has the stars that this share of what it reserves has at least."""
_WEIGHED = ("cpu_milli", "memory_bytes")


@dataclass(frozen=True)
class Confidence:
    """What a plan rests on."""

    stars_by_workload: Mapping[str, int]
    plan_stars: int
    """Stars that 95 % of the CPU and of the memory that is reserved has at least."""
    weakest: tuple[str, ...]
    """The placed workloads with the fewest stars, the largest reserved CPU first; none where all have the most."""
    hosts: int
    """That the plan uses."""
    weak: tuple[str, ...]
    """Placed workloads with less than a week of measurements, in the order of the fleet; stated ones are not among
    them."""
    hosts_without_weak: int | None
    """That a plan without the weak ones needs; None where there is none."""


def stars(demand: Demand | Unknown) -> int:
    """0 to 5 for what a workload's size rests on, by the table above."""
    if isinstance(demand, Unknown):
        return UNKNOWN
    if demand.source == "stated":
        return STATED
    if demand.source == "limit":
        return LIMIT
    return next((count for count, days, share in STARS if demand.days >= days and demand.coverage >= share), 1)


def confidence(
    fleet: Fleet, demands: Demands, result: Result, effort: Effort, objective: Objective = Objective.HOSTS
) -> Confidence:
    """Rate a result, and solve again without the workloads that less than a week is known of.

    Args:
        fleet: As planned for.
        demands: What the result reserves.
        result: The plan's placement; its seed is used again.
        effort: For solving again.
        objective: As planned for.

    """
    by_workload = {workload.name: stars(demands[workload.name]) for workload in fleet.workloads}
    placed = [workload.name for workload in fleet.workloads if workload.name in result.placement.assignments]
    fewest = min((by_workload[name] for name in placed), default=MOST)
    weakest = [name for name in placed if by_workload[name] == fewest < MOST]
    weak = tuple(name for name in placed if _weak(demands[name]))
    without: int | None = result.hosts_used
    if weak:
        try:
            rest = fleet_without(fleet, weak)
            without = solve(rest, demands_of(rest, demands), objective, result.seed, effort).hosts_used
        except InfeasibleError:
            without = None
    return Confidence(
        by_workload,
        min(_stars_of(dimension, placed, demands, by_workload) for dimension in _WEIGHED),
        tuple(sorted(weakest, key=lambda name: (-_reserved(demands[name], "cpu_milli"), name))),
        result.hosts_used,
        weak,
        without,
    )


def demands_of(fleet: Fleet, demands: Demands) -> Demands:
    """Demands of a fleet's workloads only."""
    return {workload.name: demands[workload.name] for workload in fleet.workloads}


def _weak(demand: Demand | Unknown) -> bool:
    """Less than a week was measured; what is stated does not rest on measurements."""
    return isinstance(demand, Unknown) or (demand.source != "stated" and demand.days < WEAK_DAYS)


def _stars_of(dimension: str, names: Sequence[str], demands: Demands, by_workload: Mapping[str, int]) -> int:
    """Most stars that ``RESTS_ON`` of what is reserved of a dimension has at least; 0 where nothing is reserved."""
    by_stars = np.zeros(MOST + 1, dtype=np.int64)
    for name in names:
        by_stars[by_workload[name]] += _reserved(demands[name], dimension)
    at_least = by_stars[::-1].cumsum()[::-1]
    return int(np.flatnonzero(at_least >= RESTS_ON * at_least[0]).max()) if at_least[0] else UNKNOWN


def _reserved(demand: Demand | Unknown, dimension: str) -> int:
    return demand.peak.get(dimension) if isinstance(demand, Demand) else 0
