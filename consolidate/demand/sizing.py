"""Sizes: a profile with its margin and floor, or a reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.clock import local_times
from consolidate.demand.harm import Harm, raise_harmed
from consolidate.demand.history import History, Part, cpu_ratings
from consolidate.demand.predictors import Samples, predict, weights
from consolidate.demand.profile import history_s, slot_count
from consolidate.demand.rates import Amounts
from consolidate.demand.repeats import found_slots, quiet_days, without_days
from consolidate.model.demand import ESSENTIAL, Demand, Demands, Unknown
from consolidate.model.fleet import Fleet, Workload
from consolidate.model.isolation import VIRTUAL
from consolidate.model.policy import Predictor, SizingPolicy

_TIME_BITS = 34
"""Enough for Unix times of the next five centuries."""


@dataclass(frozen=True, eq=False)
class _Measured:
    """One dimension of every workload, by the workload's index."""

    profiles: list[NDArray[np.int64] | None]
    mean: NDArray[np.float64]
    highest: NDArray[np.int64]
    """With margin, peaks within intervals included; 0 without samples."""


def estimate(
    history: History,
    fleet: Fleet,
    policy: SizingPolicy,
    stated: Mapping[str, Demand],
    harm: Mapping[str, Harm] = MappingProxyType({}),
) -> Demands:
    """Demand of every workload of a fleet.

    Args:
        history: What was measured of its workloads.
        fleet: The fleet the history was read for.
        policy: Quantiles, margins and floors.
        stated: Demands given by hand; they win over measurements.
        harm: What present limits did, by workload: what was lacking is raised, and its margin not cut at the limit.

    """
    sized: dict[str, Demand | Unknown] = {}
    for part in history.parts():
        sized |= _estimate(part, fleet, policy, harm)
    demands = raise_harmed(sized, harm)
    return {workload.name: stated.get(workload.name, demands[workload.name]) for workload in fleet.workloads}


def _estimate(part: Part, fleet: Fleet, policy: SizingPolicy, harm: Mapping[str, Harm]) -> dict[str, Demand | Unknown]:
    workloads = [fleet.workloads[position] for position in part.positions]
    ratings = cpu_ratings(fleet)[part.positions]
    length_s, coverage = history_s(part.amounts["cpu_milli"], len(workloads))
    peaked = _peak_coverage(part)
    measured = {name: _size(part, fleet, name, length_s, policy, harm) for name in part.amounts}
    demands: dict[str, Demand | Unknown] = {}
    for position, workload in enumerate(workloads):
        amounts = {name: profile for name, one in measured.items() if (profile := one.profiles[position]) is not None}
        reason = doubt(amounts, length_s[position] / 3600, coverage[position], policy)
        if reason is not None:
            seen = int(measured["cpu_milli"].highest[position])
            demands[workload.name] = _unmeasured(workload, reason, float(ratings[position]), seen, policy)
            continue
        demands[workload.name] = Demand(
            workload.name,
            amounts,
            coverage=float(coverage[position]),
            peak_coverage=float(peaked[position]),
            days=float(length_s[position] / 86400),
            highest_cpu_milli=int(measured["cpu_milli"].highest[position]),
            mean_cpu_milli=float(measured["cpu_milli"].mean[position]),
            source="measured",
        )
    return demands


def doubt(measured: Container[str], hours: float, coverage: float, policy: SizingPolicy) -> str | None:
    """Why measurements do not suffice, or None; of the dimensions measured, so long and so completely (0 to 1)."""
    for dimension in ESSENTIAL:
        if dimension not in measured:
            return f"no {dimension.partition('_')[0]} was measured"
    if hours < policy.min_hours:
        return f"{hours:.1f} h of history, {policy.min_hours:g} h are needed"
    if coverage < policy.min_coverage:
        least = f"{policy.min_coverage * 100:g}%"
        return f"only {math.floor(coverage * 1000) / 10:g}% of its history was measured, {least} are needed"
    return None


def _unmeasured(
    workload: Workload, reason: str, rating: float, seen_milli: int, policy: SizingPolicy
) -> Demand | Unknown:
    """Cold start: the greatest use as a source sums it up, else what a workload may take at most.

    Virtual CPUs share cores, by the policy's ratio, but a workload gets no less than what little was seen of it.
    """
    limits, peak = workload.limits.amounts, workload.peak.amounts
    if not all(dimension in limits or dimension in peak for dimension in ESSENTIAL):
        return Unknown(workload.name, reason)
    highest = math.ceil(limits.get("cpu_milli", 0) * rating)
    shares = policy.vcpus_per_core if workload.isolation in VIRTUAL else 1.0
    amounts = {name: np.array([amount]) for name, amount in limits.items()}
    if "cpu_milli" in limits:
        amounts["cpu_milli"] = np.array([max(math.ceil(highest / shares), min(seen_milli, highest))])
    for name, amount in peak.items():
        scale = rating if name == "cpu_milli" else 1.0
        amounts[name] = sized(np.array([amount * scale]), name, policy, limits.get(name, np.inf) * scale)
    cpu = int(amounts["cpu_milli"].max())
    source = "summary" if "cpu_milli" in peak else "limit"
    return Demand(workload.name, amounts, 0.0, 0.0, max(highest, cpu), float(cpu), source=source)


def rule_of(dimension: str, policy: SizingPolicy) -> tuple[float, int]:
    """Quantile of a dimension, and the margin on top in permille."""
    if dimension == "cpu_milli":
        return policy.cpu_quantile, policy.cpu_margin_permille
    if dimension == "memory_bytes":
        return policy.memory_quantile, policy.memory_margin_permille
    return policy.io_quantile, policy.io_margin_permille


def predictors_of(dimension: str, policy: SizingPolicy) -> tuple[Predictor, ...]:
    """Memory is not compressible: its quantile, the highest ever unless told otherwise, and nothing else."""
    return (Predictor.QUANTILE,) if dimension == "memory_bytes" else policy.predictors


def samples_of(part: Part, fleet: Fleet, dimension: str, length_s: NDArray[np.int64], policy: SizingPolicy) -> Samples:
    """A part's samples of a dimension as they are read for sizing: at local times, quiet days left out.

    Args:
        part: Some of the fleet's workloads.
        fleet: For their limits.
        dimension: Which.
        length_s: Of each workload's history, shape (workloads of the part,).
        policy: How to read them.

    """
    amounts, workloads = with_peaks(part, dimension, policy.peak_permille), len(part.positions)
    slots = np.ones(workloads, dtype=np.int64)
    if dimension != "memory_bytes":
        amounts = at_local_times(amounts, policy)
        if policy.skip_quiet_days:
            amounts = without_days(amounts, *quiet_days(amounts, workloads))
        if policy.time_aligned:
            slots = _finest(length_s)
        if policy.found_periods:
            slots = found_slots(amounts, slots)
    elif policy.memory_time_aligned:
        amounts, slots = at_local_times(amounts, policy), _finest(length_s)
    return Samples(
        amounts,
        slots,
        _limits(part, fleet, dimension),
        rule_of(dimension, policy)[0],
        policy.sigmas,
        weights(amounts, policy.half_life_days),
    )


def with_peaks(part: Part, dimension: str, permille: int) -> Amounts:
    """A part's samples, each with a share of what the peak within its interval is above it, where that is known."""
    means, peaks = part.amounts[dimension], part.peaks.get(dimension)
    if peaks is None or not len(peaks.value) or not permille:
        return means
    above = np.maximum(peaks_of(means, peaks) - means.value, 0.0)
    return Amounts(means.workload, means.at_s, means.value + np.nan_to_num(above) * permille / 1000)


def peaks_of(means: Amounts, peaks: Amounts) -> NDArray[np.float64]:
    """Peak of the same workload at the same time for each sample, shape (samples,); NaN where there is none."""
    wanted, known = (one.workload << _TIME_BITS | one.at_s for one in (means, peaks))
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[at] == wanted, peaks.value[at], np.nan)


def _peak_coverage(part: Part) -> NDArray[np.float64]:
    """Share of each workload's CPU samples that came with their peak, shape (workloads of the part,)."""
    means, peaks = part.amounts["cpu_milli"], part.peaks.get("cpu_milli")
    number = np.bincount(means.workload, minlength=len(part.positions))
    if peaks is None or not len(peaks.value):
        return np.zeros(len(number))
    known = np.bincount(means.workload, ~np.isnan(peaks_of(means, peaks)), minlength=len(number))
    return np.asarray(known / np.maximum(number, 1))


def _finest(length_s: NDArray[np.int64]) -> NDArray[np.int64]:
    """Slots that each workload's history allows, shape (workloads,)."""
    return np.array([slot_count(int(one)) for one in length_s], dtype=np.int64)


def at_local_times(amounts: Amounts, policy: SizingPolicy) -> Amounts:
    """Amounts at the times that clocks of the policy's zone showed."""
    return Amounts(amounts.workload, local_times(amounts.at_s, policy.time_zone), amounts.value)


def _limits(part: Part, fleet: Fleet, dimension: str) -> NDArray[np.float64]:
    """Limit of each of a part's workloads, in reference cores where it is CPU; infinite where there is none."""
    limits = [fleet.workloads[position].limits.amounts.get(dimension, np.inf) for position in part.positions]
    scale = cpu_ratings(fleet)[part.positions] if dimension == "cpu_milli" else 1.0
    return np.asarray(np.array(limits, dtype=np.float64) * scale)


def sized(profile: NDArray[np.float64], dimension: str, policy: SizingPolicy, limit: float) -> NDArray[np.int64]:
    """A profile with its margin, what counts of each hour, and its floor, rounded up; shape (slots,)."""
    profile = with_margin(profile, rule_of(dimension, policy)[1], limit)
    if policy.counted_permille and dimension != "memory_bytes":
        # Hours of the week count differently, so there is an amount for each of them.
        profile = np.tile(profile, 168 // len(profile)) * np.array(policy.counted_permille) / 1000
    return np.maximum(rounded_up(profile), policy.floor.get(dimension)).astype(np.int64)


def with_margin(amounts: NDArray[np.float64], permille: int, limit: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Amounts and a margin, which is cut at the limit: a machine of two cores never takes 2.2.

    What was measured above a limit, which has changed since or is not enforced, stays as measured.
    """
    return np.asarray(np.minimum(amounts * (1000 + permille) / 1000, np.maximum(amounts, limit)))


def rounded_up(amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Whole amounts, none smaller; what rounding of floats alone put above one is that one."""
    return np.asarray(np.ceil(amounts - amounts * 1e-12 - 1e-9))


def _size(
    part: Part,
    fleet: Fleet,
    dimension: str,
    length_s: NDArray[np.int64],
    policy: SizingPolicy,
    harm: Mapping[str, Harm],
) -> _Measured:
    samples = samples_of(part, fleet, dimension, length_s, policy)
    # A limit that hurt is to be raised, and so bounds nothing.
    hurt = [name in harm and harm[name].of(dimension) for name in (fleet.workloads[at].name for at in part.positions)]
    limit = np.where(hurt, np.inf, samples.limit)
    predicted = predict(samples, predictors_of(dimension, policy))
    profiles = [
        None if np.isnan(row[0]) else sized(row[:slots], dimension, policy, most)
        for row, slots, most in zip(predicted, samples.slots, limit.tolist(), strict=True)
    ]
    amounts = part.amounts[dimension]
    number = np.bincount(amounts.workload, minlength=len(profiles))
    mean = _reduced(np.add, amounts, len(profiles)) / np.maximum(number, 1)
    return _Measured(profiles, mean, _highest(part, dimension, policy, limit))


def highest_of(part: Part, dimension: str, policy: SizingPolicy) -> int:
    """The most ever measured of the one workload of a part, with margin, peaks within intervals included."""
    return int(_highest(part, dimension, policy, np.array([np.inf]))[0])


def _highest(part: Part, dimension: str, policy: SizingPolicy, limit: NDArray[np.float64]) -> NDArray[np.int64]:
    """The same of each workload of a part, the margin cut at its limit; both of shape (workloads of the part,)."""
    series = [part.amounts[dimension], *([part.peaks[dimension]] if dimension in part.peaks else [])]
    highest = np.max([_reduced(np.maximum, one, len(part.positions)) for one in series], axis=0)
    return np.asarray(np.ceil(with_margin(highest, rule_of(dimension, policy)[1], limit)), dtype=np.int64)


def _reduced(how: np.ufunc, amounts: Amounts, workloads: int) -> NDArray[np.float64]:
    """Each workload's samples in one figure, shape (workloads,); 0 without any."""
    figures = np.zeros(workloads)
    seen, first = np.unique(amounts.workload, return_index=True)
    if len(seen):
        figures[seen] = how.reduceat(amounts.value, first)
    return figures
