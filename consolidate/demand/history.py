"""What was measured of a fleet's workloads: amounts over time, in the planner's dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.rates import Amounts, added, counter_rates, gauge_levels
from consolidate.model.fleet import Fleet
from consolidate.model.series import Columns


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
class History:
    """Amounts by dimension; CPU in reference cores. A workload is its index in the fleet."""

    amounts: Mapping[str, Amounts]

    def span_s(self) -> tuple[int, int] | None:
        """First and last time of any CPU measurement."""
        at_s = self.amounts["cpu_milli"].at_s
        return (int(at_s.min()), int(at_s.max())) if len(at_s) else None

    def between(self, start_s: int, end_s: int) -> History:
        """What was measured from a time to before another."""
        chosen = {}
        for dimension, one in self.amounts.items():
            keep = (one.at_s >= start_s) & (one.at_s < end_s)
            chosen[dimension] = Amounts(one.workload[keep], one.at_s[keep], one.value[keep])
        return History(chosen)


def read_history(read: Callable[[str], Columns], fleet: Fleet) -> History:
    """Read every dimension.

    Args:
        read: Gives all samples of a metric.
        fleet: CPU is multiplied by the rating of the host it was measured on.

    """
    index = {workload.name: position for position, workload in enumerate(fleet.workloads)}
    amounts = {dimension: _read(read, source, index) for dimension, source in SOURCES.items()}
    cpu = amounts["cpu_milli"]
    amounts["cpu_milli"] = Amounts(cpu.workload, cpu.at_s, cpu.value * cpu_ratings(fleet)[cpu.workload])
    return History(amounts)


def cpu_ratings(fleet: Fleet) -> NDArray[np.float64]:
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
