"""What every collector yields. Counters stay counters: nothing here is derived.

The package stands alone: it needs Python and psutil (the trace importers numpy as well) and can be copied
to a host without the planner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TraceError(ValueError):
    """A trace or file that cannot be read: file, place, value and remedy in one sentence."""


@dataclass(frozen=True)
class Sample:
    """One number, as measured."""

    at_s: int
    """Unix time, UTC."""
    host: str
    workload: str | None
    """None where the host itself is meant."""
    incarnation: str
    """Changes whenever a counter may have started anew (boot, restart, recreated group)."""
    metric: str
    value: float


@dataclass(frozen=True)
class Series:
    """Many samples of one metric, as columns: how traces travel."""

    host: str
    workload: str | None
    incarnation: str
    metric: str
    at_s: NDArray[np.int64]
    value: NDArray[np.float64]


@dataclass(frozen=True)
class HostRecord:
    """What a host is. An amount that is absent was not found out."""

    name: str
    os: str = ""
    kernel: str = ""
    cpu_model: str = ""
    capacity: Mapping[str, int] = field(default_factory=dict)
    """By dimension: cpu_milli, memory_bytes, …"""
    vendor: str = ""
    hypervisor: str = ""
    """``native`` or ``hosted`` where it offers one to virtual machines."""
    cluster: str = ""
    """Name of the group of hosts that its manager moves workloads within."""
    machine_id: str = ""
    """What tells it from another host of the same name: ``/etc/machine-id``, or the firmware's UUID."""


@dataclass(frozen=True)
class WorkloadRecord:
    """What a workload is: name, kind, host, and where it is enforced."""

    name: str
    kind: str
    """service, scope, container, group, process, vm; or slice, which only holds others."""
    host: str = ""
    os: str = ""
    """Empty where it is not known: a guest's own does not show from outside."""
    cgroup: str = ""
    limits: Mapping[str, int] = field(default_factory=dict)
    group: str = ""
    """The service, application or project that it is a part of."""
    owner: str = ""
    peak: Mapping[str, int] = field(default_factory=dict)
    """Greatest use by dimension where the source keeps a summary of what it measured, and no series."""
    copy_bytes: int = 0
    """What a move transfers, where the source says it."""


Record = Sample | Series | HostRecord | WorkloadRecord


def as_fields(record: Record) -> dict[str, object]:
    """A record's fields for JSON, without those that are empty because nothing is known."""
    optional = {it.name for it in fields(record) if not it.default is it.default_factory is MISSING}
    values = {it.name: getattr(record, it.name) for it in fields(record)}
    return {name: value for name, value in values.items() if value or name not in optional}


@dataclass(frozen=True)
class Metric:
    """A metric's kind and meaning; the name carries the unit."""

    kind: str
    """``counter`` only rises within an incarnation; ``gauge`` is a level."""
    help: str


METRICS: Mapping[str, Metric] = {
    "cpu_seconds_total": Metric("counter", "CPU time used"),
    "cpu_cores": Metric("gauge", "CPU used, in cores of the measured host"),
    "cpu_periods_total": Metric("counter", "CFS periods in which the group was runnable"),
    "cpu_throttled_periods_total": Metric("counter", "CFS periods in which the quota ran out"),
    "cpu_throttled_seconds_total": Metric("counter", "time stopped by the CFS quota"),
    "memory_current_bytes": Metric("gauge", "memory charged, with page cache"),
    "memory_anon_bytes": Metric("gauge", "anonymous memory"),
    "memory_cache_bytes": Metric("gauge", "page cache"),
    "memory_working_set_bytes": Metric("gauge", "memory that cannot be dropped at once"),
    "oom_kills_total": Metric("counter", "processes killed for want of memory"),
    "disk_read_bytes_total": Metric("counter", "bytes read from disks"),
    "disk_write_bytes_total": Metric("counter", "bytes written to disks"),
    "disk_reads_total": Metric("counter", "read operations"),
    "disk_writes_total": Metric("counter", "write operations"),
    "disk_read_bytes_per_s": Metric("gauge", "disk read rate"),
    "disk_write_bytes_per_s": Metric("gauge", "disk write rate"),
    "disk_iops": Metric("gauge", "disk operations per second, reads and writes"),
    "net_rx_bytes_total": Metric("counter", "bytes received"),
    "net_tx_bytes_total": Metric("counter", "bytes sent"),
    "net_rx_bytes_per_s": Metric("gauge", "receive rate"),
    "net_tx_bytes_per_s": Metric("gauge", "send rate"),
    "pids": Metric("gauge", "processes and threads"),
    "cpu_pressure_some_seconds_total": Metric("counter", "time some task waited for CPU"),
    "memory_pressure_some_seconds_total": Metric("counter", "time some task waited for memory"),
    "memory_pressure_full_seconds_total": Metric("counter", "time all tasks waited for memory"),
    "io_pressure_some_seconds_total": Metric("counter", "time some task waited for IO"),
    "io_pressure_full_seconds_total": Metric("counter", "time all tasks waited for IO"),
    "collector_duration_seconds": Metric("gauge", "time a collector took; the workload names it"),
    "collector_success": Metric("gauge", "1 if the collector finished, 0 if it failed"),
}


class Collector(Protocol):
    """One source of records on a live host or under a root that looks like one."""

    name: str

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        """Read the tree below ``root`` (``/`` for this host) once."""
        ...
