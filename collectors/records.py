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
    topology: str = ""
    """NUMA nodes, cores and shared caches, as ``collectors.topology`` writes them."""
    core_mhz: int = 0
    """Speed of one of its cores, by which CPU that is told in MHz becomes cores."""
    state: str = ""
    """``maintenance`` where it is being emptied or repaired and takes no workloads."""


@dataclass(frozen=True)
class WorkloadRecord:
    """What a workload is: name, kind, host, and where it is enforced."""

    name: str
    kind: str
    """service, scope, container, group, process, vm; server, a machine not known to be virtual; or slice, which only
    holds others."""
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
    machine_id: str = ""
    """What tells it from another workload of the same name: the UUID that its manager gave it."""
    cluster: str = ""
    """Cluster of its host, where the source names that although it may not list the host."""
    state: str = ""
    """``off`` where it is there and does not run."""
    cpus: str = ""
    """Processors that it may run on, as the kernel lists them, where its control group says so."""


@dataclass(frozen=True)
class RuleRecord:
    """A rule that the manager of a cluster keeps for its workloads."""

    name: str
    kind: str
    """affinity, anti-affinity, or failure-reserve: any one host of the cluster may fail."""
    workloads: tuple[str, ...]
    """Their records' names; empty where all of the cluster are meant."""
    cluster: str = ""


@dataclass(frozen=True)
class NoteRecord:
    """A sentence that whoever reads a plan should know of its source: what that leaves out or does not hold."""

    source: str
    """Format of the file or name of the collector; what it says anew replaces what it said before."""
    text: str


Record = Sample | Series | HostRecord | WorkloadRecord | RuleRecord | NoteRecord


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
    "cpu_cores_max": Metric("gauge", "most CPU used within an interval that cpu_cores averages, in cores"),
    "cpu_periods_total": Metric("counter", "CFS periods in which the group was runnable"),
    "cpu_throttled_periods_total": Metric("counter", "CFS periods in which the quota ran out"),
    "cpu_throttled_seconds_total": Metric("counter", "time stopped by the CFS quota"),
    "cpu_steal_seconds_total": Metric("counter", "CPU time that the hypervisor gave to others instead"),
    "cpu_delay_seconds_total": Metric("counter", "time virtual CPUs stood in the host's queue; steal to their guest"),
    "cpu_wait_seconds_total": Metric("counter", "time virtual CPUs wanted to run and others did"),
    "load1_tasks": Metric("gauge", "load average over a minute: tasks that run, queue, or wait for disks"),
    "memory_current_bytes": Metric("gauge", "memory charged, with page cache"),
    "memory_anon_bytes": Metric("gauge", "anonymous memory"),
    "memory_cache_bytes": Metric("gauge", "page cache"),
    "memory_working_set_bytes": Metric("gauge", "memory that cannot be dropped at once"),
    "memory_free_bytes": Metric("gauge", "memory that nothing uses, not even as cache"),
    "memory_rss_bytes": Metric("gauge", "memory of the process, such as a virtual machine's emulator, on its host"),
    "memory_balloon_bytes": Metric("gauge", "memory that the balloon leaves to a virtual machine"),
    "memory_guest_available_bytes": Metric("gauge", "memory as the guest counts all that it has"),
    "memory_guest_unused_bytes": Metric("gauge", "memory that nothing in the guest uses, not even as cache"),
    "memory_guest_usable_bytes": Metric("gauge", "memory that the guest could give to programs without swapping"),
    "swap_used_bytes": Metric("gauge", "swap space in use"),
    "swap_in_bytes_total": Metric("counter", "bytes read back from swap space"),
    "swap_out_bytes_total": Metric("counter", "bytes written to swap space"),
    "oom_kills_total": Metric("counter", "processes killed for want of memory"),
    "disk_read_bytes_total": Metric("counter", "bytes read from disks"),
    "disk_write_bytes_total": Metric("counter", "bytes written to disks"),
    "disk_reads_total": Metric("counter", "read operations"),
    "disk_writes_total": Metric("counter", "write operations"),
    "disk_busy_seconds_total": Metric("counter", "time disks had work, summed over disks"),
    "disk_read_bytes_per_s": Metric("gauge", "disk read rate"),
    "disk_write_bytes_per_s": Metric("gauge", "disk write rate"),
    "disk_iops": Metric("gauge", "disk operations per second, reads and writes"),
    "net_rx_bytes_total": Metric("counter", "bytes received"),
    "net_tx_bytes_total": Metric("counter", "bytes sent"),
    "net_rx_bytes_per_s": Metric("gauge", "receive rate"),
    "net_tx_bytes_per_s": Metric("gauge", "send rate"),
    "restarts_total": Metric("counter", "starts by its manager after the first"),
    "oom_restarts_total": Metric("counter", "starts seen after all of it was killed for want of memory"),
    "energy_joules_total": Metric("counter", "energy of processors and their memory since measuring began"),
    "pids": Metric("gauge", "processes and threads"),
    "cpu_pressure_some_seconds_total": Metric("counter", "time some task waited for CPU"),
    "memory_pressure_some_seconds_total": Metric("counter", "time some task waited for memory"),
    "memory_pressure_full_seconds_total": Metric("counter", "time all tasks waited for memory"),
    "io_pressure_some_seconds_total": Metric("counter", "time some task waited for IO"),
    "io_pressure_full_seconds_total": Metric("counter", "time all tasks waited for IO"),
    "cpu_pressure_some_ratio": Metric("gauge", "share of an interval in which some task waited for CPU"),
    "memory_pressure_some_ratio": Metric("gauge", "share of an interval in which some task waited for memory"),
    "memory_pressure_full_ratio": Metric("gauge", "share of an interval in which all tasks waited for memory"),
    "io_pressure_some_ratio": Metric("gauge", "share of an interval in which some task waited for IO"),
    "io_pressure_full_ratio": Metric("gauge", "share of an interval in which all tasks waited for IO"),
    "collector_duration_seconds": Metric("gauge", "time a collector took; the workload names it"),
    "collector_success": Metric("gauge", "1 if the collector finished, 0 if it failed"),
}


class Collector(Protocol):
    """One source of records on a live host or under a root that looks like one."""

    name: str

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        """Read the tree below ``root`` (``/`` for this host) once."""
        ...
