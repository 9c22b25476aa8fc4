"""Sizes: a profile with its margin and floor, or a reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.history import History, cpu_ratings
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
    length_s, coverage = history_s(history.amounts["cpu_milli"], len(fleet.workloads))
    slots = np.array([slot_count(int(one)) if policy.time_aligned else 1 for one in length_s], dtype=np.int64)
    rating = cpu_ratings(fleet)
    measured = {dimension: _size(dimension, amounts, slots, policy) for dimension, amounts in history.amounts.items()}
    demands: dict[str, Demand | Unknown] = {}
    for position, workload in enumerate(fleet.workloads):
        if workload.name in stated:
            demands[workload.name] = stated[workload.name]
            continue
        amounts = {name: profile for name, one in measured.items() if (profile := one.profiles[position]) is not None}
        reason = _doubt(amounts, length_s[position] / 3600, coverage[position], policy)
        if reason is None:
            mean_cpu = float(measured["cpu_milli"].mean[position])
            days = float(length_s[position] / 86400)
            highest = int(measured["cpu_milli"].highest[position])
            demands[workload.name] = Demand(
                workload.name, amounts, float(coverage[position]), days, highest, mean_cpu, source="measured"
            )
        else:
            demands[workload.name] = _by_limit(workload, reason, float(rating[position]))
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
    sums = np.bincount(amounts.workload, weights=amounts.value, minlength=count)
    highest = np.zeros(count)
    np.maximum.at(highest, amounts.workload, amounts.value)
    highest = np.ceil(highest * (1000 + margin) / 1000)
    return _Measured(
        sized, sums / np.maximum(np.bincount(amounts.workload, minlength=count), 1), highest.astype(np.int64)
    )
