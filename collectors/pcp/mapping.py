"""Which of PCP's metrics become which of ours.

Units are those of the metrics in PCP 5 and 6 (``pminfo -d``): milliseconds for CPU time, KiB for memory and disks,
bytes for interfaces and control groups, microseconds for pressure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A metric of ours as a sum of PCP's, less a sum of others, times a factor."""

    metric: str
    plus: tuple[str, ...]
    factor: float = 1.0
    less: tuple[str, ...] = ()
    devices: str = ""
    """``disk`` or ``nic`` where the physical instances are added up."""


_CPU = ("kernel.all.cpu.user", "kernel.all.cpu.nice", "kernel.all.cpu.sys")
_THROTTLE = "cgroup.blkio.all.throttle"

HOST: tuple[Source, ...] = (
    # User time contains that of guests, so it is not added again.
    Source("cpu_seconds_total", (*_CPU, "kernel.all.cpu.irq.hard", "kernel.all.cpu.irq.soft"), 1e-3),
    Source("cpu_seconds_total", (*_CPU, "kernel.all.cpu.intr"), 1e-3),
    Source("memory_working_set_bytes", ("mem.physmem",), 1024, ("mem.util.available",)),
    Source("memory_working_set_bytes", ("mem.util.used",), 1024, ("mem.util.bufmem", "mem.util.cached")),
    Source("memory_current_bytes", ("mem.util.used",), 1024),
    Source("memory_cache_bytes", ("mem.util.cached",), 1024),
    Source("swap_used_bytes", ("mem.util.swapTotal",), 1024, ("mem.util.swapFree",)),
    Source("disk_read_bytes_total", ("disk.dev.read_bytes",), 1024, devices="disk"),
    Source("disk_write_bytes_total", ("disk.dev.write_bytes",), 1024, devices="disk"),
    Source("disk_reads_total", ("disk.dev.read",), devices="disk"),
    Source("disk_writes_total", ("disk.dev.write",), devices="disk"),
    Source("net_rx_bytes_total", ("network.interface.in.bytes",), devices="nic"),
    Source("net_tx_bytes_total", ("network.interface.out.bytes",), devices="nic"),
    Source("cpu_pressure_some_seconds_total", ("kernel.all.pressure.cpu.some.total",), 1e-6),
    Source("memory_pressure_some_seconds_total", ("kernel.all.pressure.memory.some.total",), 1e-6),
    Source("memory_pressure_full_seconds_total", ("kernel.all.pressure.memory.full.total",), 1e-6),
    Source("io_pressure_some_seconds_total", ("kernel.all.pressure.io.some.total",), 1e-6),
    Source("io_pressure_full_seconds_total", ("kernel.all.pressure.io.full.total",), 1e-6),
)
"""Of several sources of one metric, the first whose parts were all logged."""

GROUP: tuple[Source, ...] = (
    Source("cpu_seconds_total", ("cgroup.cpu.stat.usage",), 1e-6),
    Source("cpu_seconds_total", ("cgroup.cpuacct.usage",), 1e-9),
    Source("cpu_seconds_total", ("cgroup.cpuacct.stat.user", "cgroup.cpuacct.stat.system"), 1e-3),
    Source("cpu_periods_total", ("cgroup.cpusched.periods",)),
    Source("cpu_throttled_periods_total", ("cgroup.cpusched.throttled",)),
    Source("cpu_throttled_seconds_total", ("cgroup.cpusched.throttled_time",), 1e-9),
    Source("memory_working_set_bytes", ("cgroup.memory.current",), less=("cgroup.memory.stat.inactive_file",)),
    Source("memory_working_set_bytes", ("cgroup.memory.usage",), less=("cgroup.memory.stat.total.inactive_file",)),
    Source("memory_current_bytes", ("cgroup.memory.current",)),
    Source("memory_current_bytes", ("cgroup.memory.usage",)),
    Source("memory_anon_bytes", ("cgroup.memory.stat.anon",)),
    Source("memory_anon_bytes", ("cgroup.memory.stat.total.rss",)),
    Source("memory_cache_bytes", ("cgroup.memory.stat.file",)),
    Source("memory_cache_bytes", ("cgroup.memory.stat.total.cache",)),
    Source("disk_read_bytes_total", ("cgroup.io.stat.rbytes",)),
    Source("disk_read_bytes_total", (f"{_THROTTLE}.io_service_bytes.read",)),
    Source("disk_write_bytes_total", ("cgroup.io.stat.wbytes",)),
    Source("disk_write_bytes_total", (f"{_THROTTLE}.io_service_bytes.write",)),
    Source("disk_reads_total", ("cgroup.io.stat.rios",)),
    Source("disk_reads_total", (f"{_THROTTLE}.io_serviced.read",)),
    Source("disk_writes_total", ("cgroup.io.stat.wios",)),
    Source("disk_writes_total", (f"{_THROTTLE}.io_serviced.write",)),
)
"""The same for every control group; an instance is a group's path, with ``::`` and a device after it in ``io.stat``."""

NODENAME, RELEASE, SYSNAME = "kernel.uname.nodename", "kernel.uname.release", "kernel.uname.sysname"
CPUS, CPU_MODEL = "hinv.ncpu", "hinv.cpu.model_name"
MEMORY_KIB, MEMORY_MIB = "mem.physmem", "hinv.physmem"
BOOT = "kernel.all.boottime"
QUOTA_US, PERIOD_US = "cgroup.cpusched.cfs_quota", "cgroup.cpusched.cfs_period"
MEMORY_LIMIT = "cgroup.memory.limit"
CONSTANT = (MEMORY_KIB,)
"""Logged once, as a rule, and true of every row."""
FACTS = (NODENAME, RELEASE, SYSNAME, CPUS, CPU_MODEL, MEMORY_KIB, MEMORY_MIB, BOOT, QUOTA_US, PERIOD_US, MEMORY_LIMIT)
WANTED = tuple(dict.fromkeys([*FACTS, *(part for source in (*HOST, *GROUP) for part in (*source.plus, *source.less))]))
"""Everything that is asked of an archive."""
