"""A size without measurements that suffice: from the limit, or from what a source sums up, step by step."""

from __future__ import annotations

import math
from collections.abc import Iterator

from consolidate.demand.explain_margin import margin_steps
from consolidate.demand.figures import full
from consolidate.demand.history import Part, cpu_ratings
from consolidate.demand.profile import history_s
from consolidate.demand.sizing import doubt, highest_of
from consolidate.model.demand import Demand
from consolidate.model.fleet import Fleet, Workload
from consolidate.model.isolation import VIRTUAL
from consolidate.model.policy import SizingPolicy


def why_not_measured(demand: Demand, part: Part, policy: SizingPolicy) -> str:
    """Why measurements did not decide.

    Args:
        demand: What is reserved.
        part: What was measured of the workload alone.
        policy: By which it was sized.

    """
    if demand.source == "stated":
        return "its demand is stated in the fleet file; measurements are not used"
    measured = {name for name, amounts in part.amounts.items() if len(amounts.value)}
    [length_s], [coverage] = history_s(part.amounts["cpu_milli"], 1)
    reason = doubt(measured, length_s / 3600, coverage, policy)
    if demand.source == "summary":
        return f"it is sized by the greatest use that its source sums up, and the rest by its limit, since {reason}"
    return f"too little was measured ({reason}), so it is sized by its limit"


def steps_without_measurements(
    fleet: Fleet, workload: Workload, part: Part, policy: SizingPolicy, dimension: str
) -> Iterator[str]:
    """What a dimension is reserved by: the greatest use and its margin, or the limit.

    Args:
        fleet: Of the workload alone.
        workload: Whose demand is not measured.
        part: What was measured of it, however little.
        policy: By which it was sized.
        dimension: Which of its demand.

    """
    rating = float(cpu_ratings(fleet)[0]) if dimension == "cpu_milli" else 1.0

    def rated(amount: float) -> str:
        """In reference cores, where its own are not."""
        return "" if rating == 1.0 else f", × {rating:g} as its cores are rated: {full(dimension, amount * rating)}"

    if dimension in workload.peak.amounts:
        used = workload.peak.amounts[dimension]
        limit = workload.limits.amounts.get(dimension, math.inf)
        yield f"    greatest use    {full(dimension, used)} as its source sums it up{rated(used)}"
        yield from margin_steps(dimension, used * rating, policy, limit, rating, hurt=False)
        return
    limit = workload.limits.amounts[dimension]
    yield f"    limit           {full(dimension, limit)}{rated(limit)}"
    if dimension != "cpu_milli":
        return
    most = math.ceil(limit * rating)
    if workload.isolation in VIRTUAL and policy.vcpus_per_core != 1:
        share = full(dimension, most / policy.vcpus_per_core)
        yield f"    shared          {policy.vcpus_per_core:g} virtual CPUs share a core: {share}"
    if seen := highest_of(part, dimension, policy):
        told = f"{full(dimension, seen)}, margin included"
        yield f"    seen            at most {told}: no less than that, but at most that limit"
