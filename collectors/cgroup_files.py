"""Files of a control group: what each says, and which metric that is (cgroup-v1/*.rst and cgroup-v2.rst)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from collectors import topology
from collectors.held import HeldFile
from collectors.kernel import number, parse_flat, read
from collectors.psi import PRESSURE_METRICS, parse_pressure

V2 = "v2"
"""Stands for every controller of the v2 tree, which share one directory."""
_UNLIMITED_V1 = 1 << 62
"""v1 prints a page-rounded maximum where there is no limit."""


def parse_io_stat(text: str) -> dict[str, int]:
    """Sum of v2 ``io.stat`` over devices: rbytes, wbytes, rios, wios."""
    totals = dict.fromkeys(("rbytes", "wbytes", "rios", "wios"), 0)
    for line in text.splitlines():
        for item in line.split()[1:]:
            key, _, value = item.partition("=")
            if key in totals:
                totals[key] += number(value)
    return totals


def parse_blkio(text: str) -> dict[str, int]:
    """Sum of a v1 ``blkio.throttle`` file over devices: Read, Write."""
    totals = {"Read": 0, "Write": 0}
    for line in text.splitlines():
        *_, operation, served = line.split()
        if operation in totals:
            totals[operation] += number(served)
    return totals


def parse_level(text: str) -> dict[str, int]:
    """A file of one amount: memory.current, pids.current."""
    return {"level": number(text)}


def parse_usage(text: str) -> dict[str, int]:
    """v1 ``cpuacct.usage``, in nanoseconds."""
    return {"usage_nsec": number(text)}


def parse_cpu_max(text: str) -> int | None:
    """v2 ``cpu.max`` in thousandths of a core; None where there is no quota."""
    quota, period = text.split()
    if number(period) == 0:
        raise ValueError("a CFS period of 0")
    return None if quota == "max" else number(quota) * 1000 // number(period)


@dataclass(frozen=True)
class Source:
    """One file, and the metric that each of its keys becomes."""

    controller: str
    file: str
    parse: Callable[[str], Mapping[str, float]]
    metrics: Mapping[str, str]
    only_tasks: bool = False
    """Whether it says nothing new unless a task of the group has run since: nobody is throttled, killed or writes to
    a disk (on v1, which charges write-back to whoever writes back) without running then or soon after. Such files are
    not worth keeping open."""

    @functools.cached_property
    def yields(self) -> frozenset[str]:
        """All that it may say."""
        return frozenset(self.metrics.values())

    def values(self, content: bytes | None) -> dict[str, float]:
        """Values by metric; none where the file is missing or makes no sense."""
        if content is None:
            return {}
        try:
            found = self.parse(content.decode(errors="replace"))
        except ValueError:
            return {}
        return {metric: found[key] / _PER_SECOND.get(key, 1) for key, metric in self.metrics.items() if key in found}


_PERIODS = {"nr_periods": "cpu_periods_total", "nr_throttled": "cpu_throttled_periods_total"}
_BYTES = {"Read": "disk_read_bytes_total", "Write": "disk_write_bytes_total"}
_OPERATIONS = {"Read": "disk_reads_total", "Write": "disk_writes_total"}
_ANON, _CACHE = "memory_anon_bytes", "memory_cache_bytes"
INACTIVE_FILE = "inactive_file"
"""Not a metric: the page cache that the kernel would drop first, for the working set."""
SOURCES: tuple[Source, ...] = (
    Source("cpuacct", "cpuacct.usage", parse_usage, {"usage_nsec": "cpu_seconds_total"}),
    Source("cpu", "cpu.stat", parse_flat, {**_PERIODS, "throttled_time": "cpu_throttled_seconds_total"}, True),
    Source("memory", "memory.usage_in_bytes", parse_level, {"level": "memory_current_bytes"}),
    Source(
        "memory",
        "memory.stat",
        parse_flat,
        {"total_cache": _CACHE, "total_rss": _ANON, "total_inactive_file": INACTIVE_FILE},
    ),
    Source("memory", "memory.oom_control", parse_flat, {"oom_kill": "oom_kills_total"}, True),
    Source("blkio", "blkio.throttle.io_service_bytes_recursive", parse_blkio, _BYTES, True),
    Source("blkio", "blkio.throttle.io_serviced_recursive", parse_blkio, _OPERATIONS, True),
    Source("blkio", "blkio.throttle.io_service_bytes", parse_blkio, _BYTES, True),  # all that older kernels have
    Source("blkio", "blkio.throttle.io_serviced", parse_blkio, _OPERATIONS, True),
    Source("pids", "pids.current", parse_level, {"level": "pids"}),
    Source(
        V2,
        "cpu.stat",
        parse_flat,
        {"usage_usec": "cpu_seconds_total", **_PERIODS, "throttled_usec": "cpu_throttled_seconds_total"},
    ),
    Source(V2, "memory.current", parse_level, {"level": "memory_current_bytes"}),
    Source(V2, "memory.stat", parse_flat, {"anon": _ANON, "file": _CACHE, "inactive_file": INACTIVE_FILE}),
    Source(V2, "memory.events", parse_flat, {"oom_kill": "oom_kills_total"}, True),
    Source(
        V2,
        "io.stat",
        parse_io_stat,
        {
            "rbytes": "disk_read_bytes_total",
            "wbytes": "disk_write_bytes_total",
            "rios": "disk_reads_total",
            "wios": "disk_writes_total",
        },
    ),
    Source(V2, "pids.current", parse_level, {"level": "pids"}),
)
"""In order of preference: in a hybrid, a controller that is on v1 has its figures there."""
PRESSURE_SOURCES = tuple(
    Source(V2, f"{resource}.pressure", parse_pressure, metrics) for resource, metrics in PRESSURE_METRICS.items()
)
"""No PSI in this kernel, or switched off: absent, not zero."""
_PER_SECOND = {"usage_nsec": 1e9, "throttled_time": 1e9, "usage_usec": 1e6, "throttled_usec": 1e6}
"""Keys that count time; all others are what the metric's name says."""


def limits(directories: Mapping[str, Path]) -> dict[str, int]:
    """Limits in force now, by dimension; absent where there is none. ``directories`` are the group's, by controller."""
    found: dict[str, int | None] = {}
    if (v2 := directories.get(V2)) is not None:
        found["cpu_milli"] = read(v2 / "cpu.max", parse_cpu_max)
        found["memory_bytes"] = read(v2 / "memory.max", number)  # "max" is no number, and no limit
    if (cpu := directories.get("cpu")) is not None:
        quota_us = read(cpu / "cpu.cfs_quota_us", number)  # nor is "-1"
        period_us = read(cpu / "cpu.cfs_period_us", number)
        found["cpu_milli"] = quota_us * 1000 // period_us if quota_us and period_us else None
    if (memory := directories.get("memory")) is not None:
        limit = read(memory / "memory.limit_in_bytes", number)
        found["memory_bytes"] = limit if limit is not None and limit < _UNLIMITED_V1 else None
    return {dimension: amount for dimension, amount in found.items() if amount is not None}


def cpus(directories: Mapping[str, Path]) -> str:
    """Processors that a group is kept to, as the kernel lists them; empty where it may use all of its parent's."""
    controller = next((it for it in ("cpuset", V2) if it in directories), None)
    listed = read(directories[controller] / "cpuset.cpus", topology.parse_cpu_list) if controller is not None else None
    return topology.cpu_list(listed or ())


class _Entry:
    """A source's file in one group, with what it said when it was last read."""

    __slots__ = ("content", "file", "source", "values")

    def __init__(self, source: Source, file: HeldFile) -> None:
        self.source, self.file = source, file
        self.content: bytes | None = None
        self.values: dict[str, float] = {}

    def read(self) -> bool:
        """Whether it says something else than before; most files of most groups do not."""
        content = self.file.read()
        if content == self.content:
            return False
        self.content, self.values = content, self.source.values(content)
        return True


class GroupFiles:
    """The files of one group that have something to say."""

    __slots__ = ("_controllers", "_cpu", "_entries", "_if_run", "_open", "_others", "values")

    def __init__(self, controllers: Container[str], open_file: Callable[[Source], HeldFile]) -> None:
        """Find and read them."""
        self._controllers, self._open = controllers, open_file
        self._entries: tuple[_Entry, ...] = ()
        self._cpu: tuple[_Entry, ...] = ()
        self._others: tuple[_Entry, ...] = ()
        self._if_run: tuple[_Entry, ...] = ()
        self.values: Mapping[str, float] = {}
        """By metric: another object whenever any value has changed."""
        self.find()

    def find(self) -> None:
        """Look for files again, such as those of a controller that was switched on meanwhile.

        No file is read for metrics that a preferred one has already.
        """
        known = {(entry.source.controller, entry.source.file): entry for entry in self._entries}
        chosen: list[_Entry] = []
        covered: set[str] = set()
        for source in (*SOURCES, *PRESSURE_SOURCES):
            if source.controller not in self._controllers or covered >= source.yields:
                continue
            entry = known.pop((source.controller, source.file), None)
            if entry is None:
                entry = _Entry(source, self._open(source))
            entry.read()
            if entry.values:
                chosen.append(entry)
                covered |= entry.values.keys()
            else:
                entry.file.close()
        for superseded in known.values():
            superseded.file.close()
        self._entries = tuple(chosen)
        self._cpu = tuple(entry for entry in chosen if "cpu_seconds_total" in entry.values)[:1]
        rest = [entry for entry in chosen if entry not in self._cpu]
        self._if_run = tuple(entry for entry in rest if self._cpu and entry.source.only_tasks)
        self._others = tuple(entry for entry in rest if entry not in self._if_run)
        self._combine()

    def read(self) -> None:
        """Read every file that may have changed.

        The CPU time comes first: what a task does later than that shows in the CPU time of the next round.
        """
        changed = [entry.read() for entry in self._cpu]
        if True in changed:
            changed += [entry.read() for entry in self._if_run]
        changed += [entry.read() for entry in self._others]
        if True in changed:
            self._combine()

    def close(self) -> None:
        """Give the descriptors back."""
        for entry in self._entries:
            entry.file.close()

    def _combine(self) -> None:
        """One value a metric, from the preferred file that has it."""
        values: dict[str, float] = {}
        pressure: dict[str, float] = {}
        for entry in self._entries:
            into = pressure if entry.source.parse is parse_pressure else values
            for metric, value in entry.values.items():
                into.setdefault(metric, value)
        inactive = values.pop(INACTIVE_FILE, None)
        if inactive is not None and "memory_current_bytes" in values:
            values["memory_working_set_bytes"] = max(0.0, values["memory_current_bytes"] - inactive)
        self.values = values | pressure
