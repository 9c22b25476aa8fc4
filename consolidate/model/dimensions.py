"""Which metrics each of the planner's dimensions is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """Metrics a dimension is made of: a gauge, or counters whose rates add up."""

    gauge: str
    counters: tuple[str, ...] = ()
    factor: float = 1.0
    peak: str = ""
    """Gauge of the most within each interval that ``gauge`` averages, at the same times; some sources have it."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """All of them."""
        return (self.gauge, *self.counters)


SOURCES: Mapping[str, Source] = {
    "cpu_milli": Source("cpu_cores", ("cpu_seconds_total",), 1000.0, peak="cpu_cores_max"),
    "memory_bytes": Source("memory_working_set_bytes"),
    "disk_read_bytes_per_s": Source("disk_read_bytes_per_s", ("disk_read_bytes_total",)),
    "disk_write_bytes_per_s": Source("disk_write_bytes_per_s", ("disk_write_bytes_total",)),
    "disk_iops": Source("disk_iops", ("disk_reads_total", "disk_writes_total")),
    "net_rx_bytes_per_s": Source("net_rx_bytes_per_s", ("net_rx_bytes_total",)),
    "net_tx_bytes_per_s": Source("net_tx_bytes_per_s", ("net_tx_bytes_total",)),
}
DIMENSION_OF: Mapping[str, str] = {metric: name for name, source in SOURCES.items() for metric in source.metrics}
"""Dimension of a metric; metrics that are not here belong to none."""
