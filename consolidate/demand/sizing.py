"""Sizes: a profile with its margin and floor, or a reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.profile import history_s, quantile_profiles, slot_count
from consolidate.demand.rates import Amounts, added, counter_rates, gauge_levels
from consolidate.model.demand import Demand, Demands, Unknown
from consolidate.model.fleet import Fleet, Workload
from consolidate.model.policy import SizingPolicy
from consolidate.model.series import Columns

ESSENTIAL = ("cpu_milli", "memory_bytes")
"""Without these a workload's demand is unknown."""


@dataclass(frozen=True)
class _Source:
    """Metrics a dimension is made of: a gauge where there is one, else the sum of counters' rates."""

    gauge: str
    counters: tuple[str, ...] = ()
    factor: float = 1.0


SOURCES: Mapping[str, _Source] = {
    "cpu_milli": _Source("cpu_cores", ("cpu_seconds_total",), 1000.0),
    "memory_bytes": _Source("memory_working_set_bytes"),
    "disk_read_bytes_per_s": _Source("disk_read_bytes_per_s", ("disk_read_bytes_total",)),
    "disk_write_bytes_per_s": _Source("disk_write_bytes_per_s", ("disk_write_bytes_total",)),
    "disk_iops": _Source("disk_iops", ("disk_reads_total", "disk_writes_total")),
    "net_rx_bytes_per_s": _Source("net_rx_bytes_per_s", ("net_rx_bytes_total",)),
    "net_tx_bytes_per_s": _Source("net_tx_bytes_per_s", ("net_tx_bytes_total",)),
}


@dataclass(frozen=True, eq=False)
class _Measured:
    """One dimension of every workload, by the workload's index."""

    profiles: list[NDArray[np.int64] | None]
    mean: NDArray[np.float64]


def estimate(
    read: Callable[[str], Columns], fleet: Fleet, policy: SizingPolicy, stated: Mapping[str, Demand]
) -> Demands:
    """Demand of every workload of a fleet.

    Args:
        read: Gives all samples of a metric.
        fleet: CPU is multiplied by the rating of the host it was measured on.
        policy: Quantiles, margins and floors.
        stated: Demands given by hand; they win over measurements.

    """
    index = {workload.name: position for position, workload in enumerate(fleet.workloads)}
    raw = {dimension: _read(read, source, index) for dimension, source in SOURCES.items()}
    length_s, coverage = history_s(raw["cpu_milli"], len(index))
    slots = np.array([slot_count(int(length)) for length in length_s], dtype=np.int64)
    rating = _ratings(fleet)
    measured = {dimension: _size(dimension, amounts, slots, policy, rating) for dimension, amounts in raw.items()}
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
            demands[workload.name] = Demand(
                workload.name, amounts, float(coverage[position]), days, mean_cpu, source="measured"
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
    return Demand(workload.name, amounts, 0.0, 0.0, float(amounts["cpu_milli"][0]), source="limit")


def _ratings(fleet: Fleet) -> NDArray[np.float64]:
    """Rating of the host each workload was measured on; 1 where it has none."""
    by_host = {host.name: host.cpu_rating for host in fleet.hosts}
    return np.array([by_host.get(workload.host or "", 1.0) for workload in fleet.workloads])


def _read(read: Callable[[str], Columns], source: _Source, index: Mapping[str, int]) -> Amounts:
    gauge = _known(read(source.gauge), index)
    amounts = gauge_levels(*gauge)
    rates = [counter_rates(*_known(read(counter), index)) for counter in source.counters]
    if rates:
        total = rates[0]
        for more in rates[1:]:
            total = added(total, more)
        amounts = added(amounts, total)
    return Amounts(amounts.workload, amounts.at_s, amounts.value * source.factor)


def _known(columns: Columns, index: Mapping[str, int]) -> tuple[Columns, NDArray[np.int64]]:
    """The samples of workloads in the fleet, and the workload's index of each series."""
    owner = np.array([index.get(key.name, -1) if key.workload else -1 for key in columns.keys], dtype=np.int64)
    if (owner >= 0).all():
        return columns, owner
    keep = owner[columns.series] >= 0
    return Columns(columns.keys, columns.series[keep], columns.at_s[keep], columns.value[keep]), owner


def _size(
    dimension: str,
    amounts: Amounts,
    slots: NDArray[np.int64],
    policy: SizingPolicy,
    rating: NDArray[np.float64],
) -> _Measured:
    count = len(slots)
    if dimension == "memory_bytes":
        # Not compressible: one slot, the highest ever seen.
        profiles = quantile_profiles(amounts, np.ones_like(slots), 1.0)
        margin = policy.memory_margin_permille
    elif dimension == "cpu_milli":
        amounts = Amounts(amounts.workload, amounts.at_s, amounts.value * rating[amounts.workload])
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
    return _Measured(sized, sums / np.maximum(np.bincount(amounts.workload, minlength=count), 1))
