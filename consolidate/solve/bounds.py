"""Lower bounds: what has to stay on at least, whatever the packing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from consolidate.solve.columns.fleet import Captives
from consolidate.solve.fluid import Fluid, pour
from consolidate.solve.problem import MAX_PER_HOST, MIN_DOMAINS, Problem, least_demand
from consolidate.units import count

_TOLERANCE = 1e-6


@dataclass(frozen=True)
class LowerBound:
    """A cost that no placement can go below, and what proves it."""

    cost: int
    kind: str
    because: str


def lower_bound(problem: Problem, captives: Sequence[Captives] = ()) -> LowerBound:
    """The largest of the bounds; what captives need, where that was found, also strengthens the fluid one."""
    return bound_and_fluid(problem, captives)[0]


def bound_and_fluid(problem: Problem, captives: Sequence[Captives] = ()) -> tuple[LowerBound, Fluid | None]:
    """The same, and what the fluid bound knows of the hosts; None where that was not asked."""
    quick = (_forced(problem), _groups(problem), _clique(problem), *(_columns(one) for one in captives))
    best = max(quick, key=lambda bound: bound.cost)
    if best.cost >= int(problem.arrays.cost.sum()):
        return best, None
    if not problem.items:
        return max(best, LowerBound(0, "fluid", "there is nothing to place"), key=lambda bound: bound.cost), None
    fluid = pour(problem, captives)
    grain = int(np.gcd.reduce(problem.arrays.cost))
    return max(best, _fluid(fluid.cost, grain, captives), key=lambda bound: bound.cost), fluid


def add_bounds(bounds: Sequence[LowerBound], kept: int) -> LowerBound:
    """The bound of a problem whose components have these, and where hosts in none of them cost ``kept`` anyway."""
    cost = sum(bound.cost for bound in bounds) + kept
    if len(bounds) == 1:
        return LowerBound(cost, bounds[0].kind, bounds[0].because)
    kinds: dict[str, int] = {}
    for bound in bounds:
        kinds[bound.kind] = kinds.get(bound.kind, 0) + bound.cost
    shares = ", ".join(f"{kinds[kind]} by the {kind} bound" for kind in sorted(kinds, key=lambda kind: -kinds[kind]))
    return LowerBound(
        cost, "components", f"{len(bounds)} parts of the fleet share no host, so their bounds add up: {shares}"
    )


def _columns(captives: Captives) -> LowerBound:
    """Column generation over the patterns in which hosts can carry what runs nowhere else."""
    who = f"{count(len(captives.items), 'workload')} that run on {count(len(captives.hosts), 'host')} only"
    return LowerBound(captives.cost, "columns", f"no mix of patterns holds {who} for less")


def _forced(problem: Problem) -> LowerBound:
    forced = problem.arrays.forced
    because = f"hosts that carry something that cannot move: {int(forced.sum())}"
    return LowerBound(int(problem.arrays.cost[forced].sum()), "immovable", because)


def _groups(problem: Problem) -> LowerBound:
    """A group that must be kept apart needs as many hosts as its rule says, the cheapest ones at best."""
    arrays = problem.arrays
    needed = 0
    for group, kind in enumerate(arrays.group_kind):
        bound = int(arrays.group_bound[group])
        if kind == MAX_PER_HOST:
            members = int(arrays.members_of[arrays.group_of == group].sum() + arrays.group_fixed[group].sum())
            needed = max(needed, -(-members // bound))
        elif kind == MIN_DOMAINS:
            needed = max(needed, bound)
    cost = int(np.sort(arrays.cost)[:needed].sum())
    return LowerBound(cost, "rules", f"one rule alone keeps its workloads on {count(needed, 'host')}")


def _clique(problem: Problem) -> LowerBound:
    """Items that each need more than half of the largest host, in one dimension and slot, share no host."""
    arrays = problem.arrays
    least = least_demand(arrays)
    half = arrays.capacity.max(axis=0, initial=0)[None, :, None]
    large = (2 * least > half).sum(axis=0)
    needed = int(large.max(initial=0))
    if not needed:
        return LowerBound(0, "clique", "no workload needs half a host")
    row = int(np.unravel_index(large.argmax(), large.shape)[0])
    because = f"{count(needed, 'workload')} of which each needs more than half of any host's {problem.dimensions[row]}"
    return LowerBound(int(np.sort(arrays.cost)[:needed].sum()), "clique", because)


def _fluid(cost: float, grain: int, captives: Sequence[Captives]) -> LowerBound:
    """The fluid cost, up to what hosts can cost together: a whole number of ``grain``, which divides all costs."""
    because = "even if every workload could be split among hosts like a liquid, less would not hold them"
    if captives:
        where = (
            f"{len(one.items)} of them, which only {len(one.hosts)} hosts can take, cost {one.cost} there"
            for one in captives
        )
        because += f"; whole, by column generation, {' and '.join(where)}"
    whole = max(grain, 1)
    return LowerBound(int(np.ceil((cost - _TOLERANCE * max(1.0, cost)) / whole)) * whole, "fluid", because)
