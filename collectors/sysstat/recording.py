"""What a sysstat file says of its host, whatever form it was in, and the records that come of it.

CPU in cores is the share of time neither idle nor waiting for IO nor stolen, times the processors then online.
Memory in use is all memory less what ``avail`` says; where a version did not write that, less free memory, buffers
and the page cache without shared memory, which cannot be dropped.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from collectors.devices import physical_disks, physical_nics
from collectors.records import HostRecord, NoteRecord, Series, TraceError
from collectors.traces.files import EARLIEST_S, LATEST_S

_TOO_MUCH = 2.0**63
"""No kernel counts further."""
_SECTOR_BYTES = 512
_KIB_BYTES = 1024
_ROUNDING = 0.006
"""Percentages have two decimals."""
WANTED = frozenset(
    {
        "cpu_cores",
        "memory_working_set_bytes",
        "disk_iops",
        "disk_read_bytes_per_s",
        "disk_write_bytes_per_s",
        "net_rx_bytes_per_s",
        "net_tx_bytes_per_s",
    }
)
"""What a plan is made of; what is missing is named."""


@dataclass(frozen=True)
class Reading:
    """One interval's averages and levels, by metric."""

    at_s: int
    values: Mapping[str, float]
    busy_share: float | None = None
    """Of the CPU time of all processors."""
    cpus: int | None = None
    """Processors listed one by one, where they are."""
    memory_bytes: int | None = None
    """All memory of the host."""
    available_told: bool = True
    """Whether memory in use rests on the kernel's own word on what is available."""


@dataclass(frozen=True)
class Restart:
    """A boot of the host, and its processors then."""

    at_s: int
    cpus: int | None = None


@dataclass(frozen=True)
class Recording:
    """One host in one file."""

    file: str
    host: str
    readings: Sequence[Reading]
    restarts: Sequence[Restart] = ()
    system: str = ""
    """``Linux``, as ``uname -s`` says it."""
    kernel: str = ""
    cpus: int | None = None


def amount(value: object, place: str) -> float:
    """A finite number that is not negative, or a TraceError with its place."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _TOO_MUCH:
        raise TraceError(f"{place}: {str(value)[:40]!r} is not an amount; export the file again with sadf")
    return float(value)


def time_of(at_s: float, place: str) -> int:
    """Unix time between 2000 and 2100, or a TraceError with its place."""
    if not EARLIEST_S <= at_s < LATEST_S:
        raise TraceError(f"{place}: {at_s:.0f} is not a time between 2000 and 2100; correct the clock that wrote it")
    return int(at_s)


def busy_share(idle: float, iowait: float, steal: float) -> float:
    """Share of CPU time in use, from percentages; rounding never makes it negative."""
    return max(0.0, 100.0 - idle - iowait - steal) / 100


def memory(kib: Mapping[str, float]) -> tuple[float | None, int | None, bool]:
    """(bytes in use, all bytes, whether the kernel said what is available) from KiB by the names of ``sadf -j``.

    No version writes the total. Until 11.7 ``memused`` counted everything but free memory, later it left out buffers,
    cache and slab as well; the percentage tells which of both sums it is.
    """
    if not {"memfree", "memused", "buffers", "cached"} <= kib.keys():
        return None, None, True
    free, caches = kib["memfree"], kib["buffers"] + kib["cached"]
    sums = (free + kib["memused"], free + kib["memused"] + caches + kib.get("slab", 0.0))
    percent = kib.get("memused-percent", 0.0)
    if percent <= 0:
        return None, None, True
    told_total = 100 * kib["memused"] / percent
    total = min(sums, key=lambda one: abs(one - told_total))
    if abs(total - told_total) > told_total * _ROUNDING / percent + _KIB_BYTES:
        total = round(told_total)  # `sar -r` without ALL leaves slab out, and the sum is short of it
    # Older kernels and versions did not say what is available; conversion then writes 0, which no running host has.
    told = kib.get("avail", 0.0) > 0
    available = kib["avail"] if told else free + max(0.0, caches - kib.get("shared", 0.0))
    return max(0.0, total - available) * _KIB_BYTES, int(total * _KIB_BYTES), told


def swap(kib: Mapping[str, float]) -> dict[str, float]:
    """Swap space in use."""
    return {"swap_used_bytes": kib["swpused"] * _KIB_BYTES} if "swpused" in kib else {}


def disk_totals(reads: float, writes: float, read_sectors: float, write_sectors: float) -> dict[str, float]:
    """Rates of all physical disks together (``sar -b``), from operations and sectors a second."""
    return {
        "disk_iops": reads + writes,
        "disk_read_bytes_per_s": read_sectors * _SECTOR_BYTES,
        "disk_write_bytes_per_s": write_sectors * _SECTOR_BYTES,
    }


def disk_sum(disks: Mapping[str, tuple[float, float, float]]) -> dict[str, float]:
    """The same from (operations, KiB read, KiB written) a second by device; a partition counts in its disk."""
    whole = [disks[name] for name in physical_disks(disks)]
    metrics = ("disk_iops", "disk_read_bytes_per_s", "disk_write_bytes_per_s")
    factors = (1, _KIB_BYTES, _KIB_BYTES)
    return {
        metric: sum(rates[index] for rates in whole) * factors[index] for index, metric in enumerate(metrics) if whole
    }


def net_sum(nics: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Rates of the physical interfaces, from KiB received and sent a second by name."""
    real = [nics[name] for name in physical_nics(nics)]
    if not real:
        return {}
    received, sent = (sum(rates[side] for rates in real) * _KIB_BYTES for side in (0, 1))
    return {"net_rx_bytes_per_s": received, "net_tx_bytes_per_s": sent}


def records(recordings: Iterable[Recording]) -> Iterator[HostRecord | Series | NoteRecord]:
    """Every host's facts as last recorded and its series, cut where it was started anew; notes on what they rest on."""
    missing: dict[str, list[str]] = {}
    untold: list[str] = []
    by_host = sorted(recordings, key=lambda one: one.host)
    for host, group in itertools.groupby(by_host, key=lambda one: one.host):
        files = sorted(group, key=lambda one: one.readings[0].at_s if one.readings else 0)
        boots = sorted({boot.at_s for one in files for boot in one.restarts})
        readings = _in_order(files)
        yield _host(host, files, readings)
        yield from _series(host, readings, boots)
        for metric in WANTED - {metric for one in readings for metric in one.values}:
            missing.setdefault(metric, []).append(host)
        if not all(one.available_told for one in readings):
            untold.append(host)
    yield from notes(missing, untold)


def notes(missing: Mapping[str, Sequence[str]], untold: Sequence[str]) -> Iterator[NoteRecord]:
    """What the files leave out, and where memory in use is reckoned another way; at most one sentence."""
    said = [f"{metric} of {_names(hosts)} was not recorded" for metric, hosts in sorted(missing.items())]
    if untold:
        said.append(
            f"memory in use of {_names(untold)} is all but free memory, buffers and page cache, since what is "
            "available was not recorded"
        )
    if said:
        yield NoteRecord("sysstat", "; ".join(said))


def _names(hosts: Sequence[str]) -> str:
    return ", ".join(hosts[:3]) + (f" and {len(hosts) - 3} more hosts" if len(hosts) > 3 else "")


def _in_order(files: Sequence[Recording]) -> list[Reading]:
    """Readings by time, each once; CPU in cores is worked out here, where a file's processors are known."""
    found: dict[int, tuple[Reading, str]] = {}
    for one in files:
        for reading in one.readings:
            cores = _with_cores(reading, one)
            before, file = found.setdefault(reading.at_s, (cores, one.file))
            if before.values != cores.values:
                raise TraceError(
                    f"{one.file}: says of {one.host} at {reading.at_s} another thing than {file}; "
                    "give two hosts of one name different names, and import them apart"
                )
    return [found[at_s][0] for at_s in sorted(found)]


def _with_cores(reading: Reading, file: Recording) -> Reading:
    if reading.busy_share is None:
        return reading
    started = [boot.cpus for boot in file.restarts if boot.at_s <= reading.at_s and boot.cpus]
    cpus = reading.cpus or (started[-1] if started else file.cpus)
    if not cpus:
        raise TraceError(
            f"{file.file}: CPU in percent, and nothing says of how many processors; export it again "
            "with `sadf -j FILE -- -A`, or with -P ALL"
        )
    return replace(reading, values={"cpu_cores": reading.busy_share * cpus, **reading.values}, cpus=cpus)


def _host(host: str, files: Sequence[Recording], readings: Sequence[Reading]) -> HostRecord:
    last = files[-1]
    memory_bytes = next((one.memory_bytes for one in reversed(readings) if one.memory_bytes), None)
    cpus = next((one.cpus for one in reversed(readings) if one.cpus), last.cpus)
    capacity = {"cpu_milli": (cpus or 0) * 1000, "memory_bytes": memory_bytes or 0}
    return HostRecord(
        host,
        os=last.system.lower(),
        kernel=last.kernel,
        capacity={dimension: size for dimension, size in capacity.items() if size},
    )


def _series(host: str, readings: Sequence[Reading], boots: Sequence[int]) -> Iterator[Series]:
    columns: dict[tuple[str, str], tuple[list[int], list[float]]] = {}
    for one in readings:
        boot = bisect.bisect_right(boots, one.at_s)
        incarnation = str(boots[boot - 1]) if boot else ""
        for metric, value in one.values.items():
            at_s, values = columns.setdefault((incarnation, metric), ([], []))
            at_s.append(one.at_s)
            values.append(value)
    for (incarnation, metric), (at_s, values) in columns.items():
        yield Series(host, None, incarnation, metric, np.array(at_s, dtype=np.int64), np.array(values))
