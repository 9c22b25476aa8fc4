"""The host as a whole: CPU time, memory, disks and network, through psutil."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from collectors.records import HostRecord, Record, Sample

_IDLE = ("idle", "iowait", "guest", "guest_nice")
"""Idle time, and guest time, which user time already contains."""
_VIRTUAL_DISKS = ("loop", "ram", "zram", "dm-", "md")


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
            return value.strip().strip('"')
    return ""


def parse_cpu_model(text: str) -> str:
    """First ``model name`` of ``/proc/cpuinfo``, or empty."""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


class HostCollector:
    """One HostRecord and the host's own counters."""

    name = "host"

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        """Read ``/proc`` once; the incarnation is the boot time."""
        with procfs(root):
            boot = str(int(psutil.boot_time()))
            cpu = psutil.cpu_times()
            memory = psutil.virtual_memory()
            disks = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
            networks = psutil.net_io_counters(pernic=True, nowrap=False) or {}
        cores = sum(line.startswith("processor") for line in _read(root / "proc/cpuinfo").splitlines())
        yield HostRecord(
            name=host,
            os=parse_os_release(_read(root / "etc/os-release")),
            kernel=_read(root / "proc/sys/kernel/osrelease").strip(),
            cpu_model=parse_cpu_model(_read(root / "proc/cpuinfo")),
            capacity={"cpu_milli": cores * 1000, "memory_bytes": memory.total},
        )
        busy = sum(getattr(cpu, mode) for mode in cpu._fields if mode not in _IDLE)
        whole = _whole_disks(root, set(disks))
        nics = [counters for name, counters in networks.items() if name != "lo"]
        values = {
            "cpu_seconds_total": busy,
            "memory_working_set_bytes": memory.total - memory.available,
            "memory_cache_bytes": memory.cached,
            "disk_read_bytes_total": sum(disks[name].read_bytes for name in whole),
            "disk_write_bytes_total": sum(disks[name].write_bytes for name in whole),
            "disk_reads_total": sum(disks[name].read_count for name in whole),
            "disk_writes_total": sum(disks[name].write_count for name in whole),
            "net_rx_bytes_total": sum(nic.bytes_recv for nic in nics),
            "net_tx_bytes_total": sum(nic.bytes_sent for nic in nics),
        }
        for metric, value in values.items():
            yield Sample(at_s, host, None, boot, metric, float(value))


def _whole_disks(root: Path, seen: set[str]) -> list[str]:
    """Physical disks only: a partition or a mapping would count the same bytes twice."""
    block = root / "sys/block"
    names = {entry.name for entry in block.iterdir()} if block.is_dir() else seen
    return sorted(name for name in seen & names if not name.startswith(_VIRTUAL_DISKS))
