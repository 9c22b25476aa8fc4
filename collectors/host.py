"""The host as a whole: what it is, and its CPU time, memory, swap space, disks and network, mostly through psutil.

Whether it could run virtual machines is not said: a CPU flag or ``/dev/kvm`` does not mean that one would start.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from collectors.kernel import number, parse_boot_time, read
from collectors.machine import read_machine_id, read_vendor
from collectors.meminfo import parse_meminfo
from collectors.records import HostRecord, Record, Sample
from collectors.topology import read_topology

_NOT_BUSY = ("idle", "iowait", "steal", "guest", "guest_nice")
"""Idle time; steal, which other guests used; and guest time, which user time already contains."""


@contextlib.contextmanager
def procfs(root: Path) -> Iterator[None]:
    """Let psutil read the ``/proc`` below another root for a while."""
    before = psutil.PROCFS_PATH
    psutil.PROCFS_PATH = str(root / "proc")
    try:
        yield
    finally:
        psutil.PROCFS_PATH = before


def parse_os_release(text: str) -> str:
    """``ID`` of an os-release file, or empty."""
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key == "ID":
            return value.strip().strip("\"'")
    return ""


def parse_cpuinfo(text: str) -> tuple[int, str]:
    """Number of processors and first ``model name`` (empty on some architectures) of ``/proc/cpuinfo``."""
    pairs = [line.partition(":") for line in text.splitlines()]
    models = [value.strip() for key, _, value in pairs if key.strip() == "model name"]
    return sum(key.startswith("processor") for key, _, _ in pairs), models[0] if models else ""


def parse_load(text: str) -> float:
    """Load average over a minute, from ``/proc/loadavg``."""
    whole, point, part = text.split(" ", maxsplit=1)[0].partition(".")
    if not point or len(part) != 2:
        raise ValueError(f"{text[:40]!r} does not begin with a load average")
    return number(whole) + number(part) / 100


def parse_swapped(text: str) -> dict[str, int]:
    """Pages moved from and to swap space since boot, from ``/proc/vmstat``."""
    pairs = (line.partition(" ") for line in text.splitlines())
    return {_SWAPPED[key]: number(value) for key, _, value in pairs if key in _SWAPPED}


_SWAPPED = {"pswpin": "swap_in_bytes_total", "pswpout": "swap_out_bytes_total"}


class HostCollector:
    """One HostRecord and the host's own counters."""

    name = "host"

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        """Read ``/proc`` once; the incarnation is the boot time."""
        boot = parse_boot_time((root / "proc/stat").read_text())
        with procfs(root):
            cpu = psutil.cpu_times()
            memory = psutil.virtual_memory()
        cores, cpu_model = read(root / "proc/cpuinfo", parse_cpuinfo) or (0, "")
        os_release = (read(root / place / "os-release", parse_os_release) for place in ("etc", "usr/lib"))
        capacity = {"cpu_milli": cores * 1000, "memory_bytes": memory.total}
        yield HostRecord(
            name=host,
            os=next(filter(None, os_release), ""),
            kernel=read(root / "proc/sys/kernel/osrelease", str.strip) or "",
            cpu_model=cpu_model,
            capacity={dimension: amount for dimension, amount in capacity.items() if amount},
            vendor=read_vendor(root),
            machine_id=read_machine_id(root),
            topology=str(read_topology(root)),
        )
        values = {
            "cpu_seconds_total": sum(getattr(cpu, mode) for mode in cpu._fields if mode not in _NOT_BUSY),
            "cpu_steal_seconds_total": cpu.steal,
            "memory_current_bytes": memory.total - memory.free,
            "memory_working_set_bytes": memory.total - memory.available,
            "memory_cache_bytes": memory.cached,
            **_more_memory_values(root),
            **_disk_values(root),
            **_network_values(root),
        }
        if (load := read(root / "proc/loadavg", parse_load)) is not None:
            values["load1_tasks"] = load
        for metric, value in values.items():
            yield Sample(at_s, host, None, boot, metric, float(value))


def _more_memory_values(root: Path) -> dict[str, float]:
    """What psutil leaves out, or warns of where a kernel does not have it."""
    memory = read(root / "proc/meminfo", parse_meminfo) or {}
    values: dict[str, float] = {}
    if "AnonPages" in memory:
        values["memory_anon_bytes"] = memory["AnonPages"]
    if "SwapTotal" in memory and "SwapFree" in memory:
        values["swap_used_bytes"] = memory["SwapTotal"] - memory["SwapFree"]
    page = os.sysconf("SC_PAGE_SIZE")
    swapped = read(root / "proc/vmstat", parse_swapped) or {}
    return values | {metric: pages * page for metric, pages in swapped.items()}


def _disk_values(root: Path) -> dict[str, float]:
    """Physical disks only: a partition, mapping or array would count the same bytes twice."""
    if not (root / "proc/diskstats").exists():  # psutil would go on to read this machine's /sys
        return {}
    with procfs(root):
        found = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
    block = root / "sys/block"
    whole = {entry.name for entry in block.iterdir()} if block.is_dir() else set(found)
    disks = [found[name] for name in whole & _physical(root, "block", set(found))]
    busy = _totals(disks, disk_busy_seconds_total="busy_time")
    return {metric: milliseconds / 1000 for metric, milliseconds in busy.items()} | _totals(
        disks,
        disk_read_bytes_total="read_bytes",
        disk_write_bytes_total="write_bytes",
        disk_reads_total="read_count",
        disk_writes_total="write_count",
    )


def _network_values(root: Path) -> dict[str, float]:
    """Physical interfaces, or in a container, which has none, all but the loopback."""
    if not (root / "proc/net/dev").exists():
        return {}
    with procfs(root):
        found = psutil.net_io_counters(pernic=True, nowrap=False) or {}
    outward = set(found) - {"lo"}
    nics = [found[name] for name in _physical(root, "net", outward) or outward]
    return _totals(nics, net_rx_bytes_total="bytes_recv", net_tx_bytes_total="bytes_sent")


def _physical(root: Path, kind: str, names: set[str]) -> set[str]:
    return {name for name in names if not (root / "sys/devices/virtual" / kind / name).exists()}


def _totals(devices: Iterable[object], **fields: str) -> dict[str, float]:
    """Sum over devices by metric; nothing, rather than 0, where there is no device."""
    found = list(devices)
    return {metric: float(sum(getattr(device, field) for device in found)) for metric, field in fields.items() if found}
