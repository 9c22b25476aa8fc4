"""Sizes: a profile with its margin and floor, or a reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.history import History, Part, cpu_ratings
from consolidate.demand.profile import history_s, quantile_profiles, slot_count
from consolidate.demand.rates import Amounts
from consolidate.model.demand import Demand, Demands, Unknown
from consolidate.model.fleet import Fleet, Workload
from consolidate.model.policy import SizingPolicy

ESSENTIAL = ("cpu_milli", "memory_bytes")
"""Without these a workload's demand is unknown."""


@dataclass(frozen=True, eq=False)
class _Measured:
    """One dimension of every workload, by the workload's index."""

    profiles: list[NDArray[np.int64] | None]
    mean: NDArray[np.float64]
    highest: NDArray[np.int64]
    """With margin; 0 without samples."""


def estimate(history: History, fleet: Fleet, policy: SizingPolicy, stated: Mapping[str, Demand]) -> Demands:
    """Demand of every workload of a fleet.

    Args:
        history: What was measured of its workloads.
        fleet: The fleet the history was read for.
        policy: Quantiles, margins and floors.
        stated: Demands given by hand; they win over measurements.

    """
    demands: dict[str, Demand | Unknown] = {}
    ratings = cpu_ratings(fleet)
    for part in history.parts():
        workloads = [fleet.workloads[position] for position in part.positions]
        demands |= _estimate(part, workloads, ratings[part.positions], policy)
    return {workload.name: stated.get(workload.name, demands[workload.name]) for workload in fleet.workloads}


def _estimate(
    part: Part, workloads: Sequence[Workload], ratings: NDArray[np.float64], policy: SizingPolicy
) -> dict[str, Demand | Unknown]:
    length_s, coverage = history_s(part.amounts["cpu_milli"], len(workloads))
    slots = np.array([slot_count(int(one)) if policy.time_aligned else 1 for one in length_s], dtype=np.int64)
    measured = {dimension: _size(dimension, amounts, slots, policy) for dimension, amounts in part.amounts.items()}
    demands: dict[str, Demand | Unknown] = {}
    for position, workload in enumerate(workloads):
        amounts = {name: profile for name, one in measured.items() if (profile := one.profiles[position]) is not None}
        reason = _doubt(amounts, length_s[position] / 3600, coverage[position], policy)
        if reason is not None:
            demands[workload.name] = _by_limit(workload, reason, float(ratings[position]))
            continue
        demands[workload.name] = Demand(
            workload.name,
            amounts,
            coverage=float(coverage[position]),
            days=float(length_s[position] / 86400),
            highest_cpu_milli=int(measured["cpu_milli"].highest[position]),
            mean_cpu_milli=float(measured["cpu_milli"].mean[position]),
            source="measured",
        )
    return demands


def _doubt(amounts: Mapping[str, object], hours: float, coverage: float, policy: SizingPolicy) -> str | None:
    """Why measurements do not suffice, or None."""
    for dimension in ESSENTIAL:
        if dimension not in amounts:
            return f"no {dimension.partition('_')[0]} was measured"
    if hours < policy.min_hours:
        return f"{hours:.1f} h of history, {policy.min_hours:g} h are needed"
    if coverage < policy.min_coverage:
        return f"only {coverage:.0%} of its history was measured, {policy.min_coverage:.0%} are needed"
    return None


def _by_limit(workload: Workload, reason: str, rating: float) -> Demand | Unknown:
    """Cold start: what a workload may take at most, where that is known."""
    if not all(dimension in workload.limits for dimension in ESSENTIAL):
        return Unknown(workload.name, reason)
    amounts = {name: np.array([amount]) for name, amount in workload.limits.amounts.items()}
    amounts["cpu_milli"] = np.ceil(amounts["cpu_milli"] * rating).astype(np.int64)
    cpu = int(amounts["cpu_milli"][0])
    return Demand(workload.name, amounts, 0.0, 0.0, cpu, float(cpu), source="limit")


def _size(
    dimension: str,
    amounts: Amounts,
    slots: NDArray[np.int64],
    policy: SizingPolicy,
) -> _Measured:
    count = len(slots)
    if dimension == "memory_bytes":
        # Not compressible: one slot, the highest ever seen unless told otherwise.
        profiles = quantile_profiles(amounts, np.ones_like(slots), policy.memory_quantile)
        margin = policy.memory_margin_permille
    elif dimension == "cpu_milli":
        profiles = quantile_profiles(amounts, slots, policy.cpu_quantile)
        margin = policy.cpu_margin_permille
    else:
        profiles = quantile_profiles(amounts, slots, policy.io_quantile)
        margin = policy.io_margin_permille
    floor = policy.floor.get(dimension)
    sized = [
        None if one is None else np.maximum(np.ceil(one * (1000 + margin) / 1000), floor).astype(np.int64)
        for one in profiles
    ]
    mean, highest = np.zeros(count), np.zeros(count)
    seen, first = np.unique(amounts.workload, return_index=True)
    if len(seen):
        mean[seen] = np.add.reduceat(amounts.value, first) / np.diff(np.append(first, len(amounts.value)))
        highest[seen] = np.ceil(np.maximum.reduceat(amounts.value, first) * (1000 + margin) / 1000)
    return _Measured(sized, mean, highest.astype(np.int64))
