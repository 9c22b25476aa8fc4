"""From a workload's samples to its size, step by step: every number follows from the one before."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.harm import RAISE_PERMILLE, THROTTLED_SHARE, Harm
from consolidate.demand.history import History
from consolidate.demand.profile import slot_count
from consolidate.model.demand import Demand, Demands, Unknown
from consolidate.model.fleet import Fleet, Workload
from consolidate.model.policy import SizingPolicy
from consolidate.units import format_amount, format_slot, slot_of_week


def explain(
    history: History,
    fleet: Fleet,
    demands: Demands,
    policy: SizingPolicy,
    name: str,
    harm: Harm | None = None,
) -> Iterator[str]:
    """Lines that lead from what was measured to what is reserved; ``harm`` is what its present limits did to it."""
    workload, demand = next(one for one in fleet.workloads if one.name == name), demands[name]
    where = f"on {workload.host}" if workload.host else "not placed yet"
    yield f"{name}: {workload.os}, {workload.isolation.value}, {where}"
    if isinstance(demand, Unknown):
        yield f"  its demand is unknown: {demand.reason}"
        yield "  so it stays where it is, and nothing is moved beside it"
        return
    if demand.source == "stated":
        yield "  its demand is stated in the fleet file; measurements are not used"
    elif demand.source == "limit":
        yield "  too little was measured, so it is sized by its limit"
    for dimension, slots in demand.amounts.items():
        yield ""
        yield f"  {dimension}"
        if demand.source == "measured":
            yield from _steps(history, fleet, workload, dimension, demand, policy)
            yield from _harmed(dimension, harm)
            slots_told = format_amount(dimension, int(slots.max()))
            yield f"    reserved        {slots_told}{_range(dimension, slots)}"
        else:
            yield f"    reserved        {format_amount(dimension, int(slots.max()))}"


def _steps(
    history: History,
    fleet: Fleet,
    workload: Workload,
    dimension: str,
    demand: Demand,
    policy: SizingPolicy,
) -> Iterator[str]:
    values, at_s = _samples(history, fleet, workload, dimension)
    yield f"    samples         {len(values):,}, from {_utc(at_s.min())} to {_utc(at_s.max())} UTC"
    if dimension == "cpu_milli":
        yield f"    coverage        {demand.coverage:.1%} of {demand.days:.1f} days"
        rating = next((host.cpu_rating for host in fleet.hosts if host.name == workload.host), 1.0)
        if rating != 1.0:
            yield f"    measured on a host whose cores are rated {rating:g}: amounts are in reference cores"
    points = np.quantile(values, [0.5, 0.95, 0.99, 1.0], method="inverted_cdf")
    p50, p95, p99, most = (_amount(dimension, point) for point in points)
    yield f"    mean            {_amount(dimension, values.mean())}"
    yield f"    quantiles       half are at most {p50}, 95 % at most {p95}"
    yield f"                    99 % at most {p99}, all at most {most}"
    quantile, margin = _rule(dimension, policy)
    slots = demand.amounts[dimension]
    busiest = int(slots.argmax())
    if len(slots) > 1:
        chosen = values[slot_of_week(at_s) % len(slots) == busiest]
        rule = (
            f"{quantile:.0%} quantile of each of {len(slots)} hours; the busiest is {format_slot(busiest, len(slots))}"
        )
    else:
        chosen = values
        why = "memory has one slot" if dimension == "memory_bytes" else _why_flat(demand, policy)
        rule = f"{quantile:.0%} quantile of all samples ({why})"
    rank = max(int(np.ceil(quantile * len(chosen))), 1)
    base = float(np.sort(chosen)[rank - 1])
    yield f"    rule            {rule}"
    yield f"    quantile        sample {rank} of {len(chosen)} in order: {_amount(dimension, base)}"
    with_margin = base * (1000 + margin) / 1000
    yield f"    {f'and {margin / 10:g} % margin':15} {_amount(dimension, with_margin)}"
    floor = policy.floor.get(dimension)
    if with_margin < floor:
        yield f"    raised to floor {format_amount(dimension, floor)}"


def _samples(
    history: History, fleet: Fleet, workload: Workload, dimension: str
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values and times of one workload."""
    for part in history.parts():
        for local, position in enumerate(part.positions):
            if fleet.workloads[position] is workload:
                amounts = part.amounts[dimension]
                own = amounts.workload == local
                return amounts.value[own], amounts.at_s[own]
    raise KeyError(workload.name)


def _harmed(dimension: str, harm: Harm | None) -> Iterator[str]:
    if harm is None:
        return
    if dimension == "cpu_milli" and harm.throttled_share > THROTTLED_SHARE:
        why = f"it was throttled in {harm.throttled_share:.0%} of its periods"
        yield f"    and {RAISE_PERMILLE / 10:g} % more   since {why}"
    if dimension == "memory_bytes" and harm.oom_kills:
        why = f"{harm.oom_kills} of its processes were killed for want of memory"
        yield f"    and {RAISE_PERMILLE / 10:g} % more   since {why}"


def _rule(dimension: str, policy: SizingPolicy) -> tuple[float, int]:
    if dimension == "cpu_milli":
        return policy.cpu_quantile, policy.cpu_margin_permille
    if dimension == "memory_bytes":
        return policy.memory_quantile, policy.memory_margin_permille
    return policy.io_quantile, policy.io_margin_permille


def _why_flat(demand: Demand, policy: SizingPolicy) -> str:
    if not policy.time_aligned:
        return "the policy is not time-aligned"
    return f"{demand.days:.1f} days of history allow {slot_count(round(demand.days * 86400))} slot"


def _range(dimension: str, slots: NDArray[np.int64]) -> str:
    if len(slots) == 1:
        return ""
    quiet = int(slots.argmin())
    return f" then; least is {format_amount(dimension, int(slots[quiet]))} ({format_slot(quiet, len(slots))})"


def _amount(dimension: str, amount: float) -> str:
    return format_amount(dimension, int(np.ceil(amount)))


def _utc(at_s: np.int64) -> str:
    return datetime.datetime.fromtimestamp(int(at_s), datetime.UTC).strftime("%Y-%m-%d %H:%M")
