"""Control groups, v1, v2 and hybrid (kernel documents cgroup-v1/*.rst and cgroup-v2.rst).

A workload is the outermost group that runs something as a unit: a service, a scope, a container, a virtual
machine, or a group without children. Slices and other groups that only hold groups are recorded but not
sampled, since every kernel figure already includes the children.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from collectors.kernel import number, parse_flat, read
from collectors.psi import pressure_values
from collectors.records import Record, Sample, WorkloadRecord

_V1_CONTROLLERS = ("cpu", "cpuacct", "memory", "blkio", "pids", "cpuset")
_UNLIMITED_V1 = 1 << 62
"""v1 prints a page-rounded maximum where there is no limit."""
_V2 = "v2"
"""Stands for every controller of the v2 tree, which share one directory."""


@dataclass(frozen=True)
class Hierarchies:
    """Where the controllers are mounted: the one v2 tree and each v1 controller's tree."""

    v2: Path | None
    v1: Mapping[str, Path]

    @property
    def roots(self) -> tuple[Path, ...]:
        """Every distinct mount point."""
        return tuple(dict.fromkeys([*([self.v2] if self.v2 else []), *self.v1.values()]))


@dataclass(frozen=True)
class Group:
    """One path, in every hierarchy that has it."""

    path: str
    kind: str
    inodes: Mapping[Path, int]
    """By mount point: the directory's inode, which a group created anew does not share."""

    @property
    def incarnation(self) -> str:
        """Changes when the group is created anew in any hierarchy."""
        return "-".join(map(str, self.inodes.values()))

    def still_there(self) -> bool:
        """Whether it is the group that was found, neither ended nor created anew."""
        try:
            return all((root / self.path).stat().st_ino == inode for root, inode in self.inodes.items())
        except OSError:
            return False


def parse_mounts(text: str) -> tuple[str | None, dict[str, str]]:
    """Mount point of cgroup2 and, per v1 controller, its mount point, from ``/proc/mounts``.

    The first mount of a kind is the host's own; containers and chroots may add theirs.
    """
    v2 = None
    v1: dict[str, str] = {}
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) < 4:
            continue
        mount_point = re.sub(r"\\([0-3][0-7]{2})", lambda match: chr(int(match[1], 8)), fields[1])
        if fields[2] == "cgroup2":
            v2 = v2 or mount_point
        elif fields[2] == "cgroup":
            v1 = {name: mount_point for name in fields[3].split(",") if name in _V1_CONTROLLERS} | v1
    return v2, v1


def find_hierarchies(root: Path) -> Hierarchies:
    """Find the mounted hierarchies of the host below ``root``."""
    v2, v1 = read(root / "proc/mounts", parse_mounts) or (None, {})
    return Hierarchies(
        root / v2.lstrip("/") if v2 else None,
        {name: root / mount_point.lstrip("/") for name, mount_point in v1.items()},
    )


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


_PERIODS = {"nr_periods": "cpu_periods_total", "nr_throttled": "cpu_throttled_periods_total"}
_BYTES = {"Read": "disk_read_bytes_total", "Write": "disk_write_bytes_total"}
_OPERATIONS = {"Read": "disk_reads_total", "Write": "disk_writes_total"}
_ANON, _CACHE = "memory_anon_bytes", "memory_cache_bytes"
_INACTIVE_FILE = "inactive_file"
"""Not a metric: the page cache that the kernel would drop first, for the working set."""
_FILES: tuple[tuple[str, str, Callable[[str], dict[str, int]], Mapping[str, str]], ...] = (
    ("cpuacct", "cpuacct.usage", parse_usage, {"usage_nsec": "cpu_seconds_total"}),
    ("cpu", "cpu.stat", parse_flat, {**_PERIODS, "throttled_time": "cpu_throttled_seconds_total"}),
    ("memory", "memory.usage_in_bytes", parse_level, {"level": "memory_current_bytes"}),
    (
        "memory",
        "memory.stat",
        parse_flat,
        {"total_rss": _ANON, "total_cache": _CACHE, "total_inactive_file": _INACTIVE_FILE},
    ),
    ("memory", "memory.oom_control", parse_flat, {"oom_kill": "oom_kills_total"}),
    ("blkio", "blkio.throttle.io_service_bytes_recursive", parse_blkio, _BYTES),
    ("blkio", "blkio.throttle.io_serviced_recursive", parse_blkio, _OPERATIONS),
    ("blkio", "blkio.throttle.io_service_bytes", parse_blkio, _BYTES),  # all that older kernels have
    ("blkio", "blkio.throttle.io_serviced", parse_blkio, _OPERATIONS),
    ("pids", "pids.current", parse_level, {"level": "pids"}),
    (
        _V2,
        "cpu.stat",
        parse_flat,
        {**_PERIODS, "usage_usec": "cpu_seconds_total", "throttled_usec": "cpu_throttled_seconds_total"},
    ),
    (_V2, "memory.current", parse_level, {"level": "memory_current_bytes"}),
    (_V2, "memory.stat", parse_flat, {"anon": _ANON, "file": _CACHE, "inactive_file": _INACTIVE_FILE}),
    (_V2, "memory.events", parse_flat, {"oom_kill": "oom_kills_total"}),
    (
        _V2,
        "io.stat",
        parse_io_stat,
        {
            "rbytes": "disk_read_bytes_total",
            "wbytes": "disk_write_bytes_total",
            "rios": "disk_reads_total",
            "wios": "disk_writes_total",
        },
    ),
    (_V2, "pids.current", parse_level, {"level": "pids"}),
)
"""Controller, file, its parser, and the metric that each of its keys becomes.

In order of preference: in a hybrid, a controller that is on v1 has its figures there.
"""
_PER_SECOND = {"usage_nsec": 1e9, "throttled_time": 1e9, "usage_usec": 1e6, "throttled_usec": 1e6}
"""Keys that count time; all others are what the metric's name says."""


def _directories(hierarchies: Hierarchies, group: Group) -> dict[str, Path]:
    """The group's directory by controller."""
    mounts = {**hierarchies.v1, **({_V2: hierarchies.v2} if hierarchies.v2 else {})}
    return {controller: mount / group.path for controller, mount in mounts.items() if mount in group.inodes}


def _values(directories: Mapping[str, Path]) -> dict[str, float]:
    """Every metric that some hierarchy has; no file is opened for metrics that are known already."""
    values: dict[str, float] = {}
    for controller, file, parse, metrics in _FILES:
        if controller not in directories or values.keys() >= set(metrics.values()):
            continue
        for key, amount in (read(directories[controller] / file, parse) or {}).items():
            if key in metrics:
                values.setdefault(metrics[key], amount / _PER_SECOND.get(key, 1))
    inactive = values.pop(_INACTIVE_FILE, None)
    if inactive is not None and "memory_current_bytes" in values:
        values["memory_working_set_bytes"] = max(0.0, values["memory_current_bytes"] - inactive)
    if _V2 in directories:
        values |= pressure_values(directories[_V2], "{}.pressure")
    return values


def _limits(directories: Mapping[str, Path]) -> dict[str, int]:
    """Limits in force now, by dimension; absent where there is none."""
    limits: dict[str, int | None] = {}
    if (v2 := directories.get(_V2)) is not None:
        limits["cpu_milli"] = read(v2 / "cpu.max", parse_cpu_max)
        limits["memory_bytes"] = read(v2 / "memory.max", number)  # "max" is no number, and no limit
    if (cpu := directories.get("cpu")) is not None:
        quota_us = read(cpu / "cpu.cfs_quota_us", number)  # nor is "-1"
        period_us = read(cpu / "cpu.cfs_period_us", number)
        limits["cpu_milli"] = quota_us * 1000 // period_us if quota_us and period_us else None
    if (memory := directories.get("memory")) is not None:
        limit = read(memory / "memory.limit_in_bytes", number)
        limits["memory_bytes"] = limit if limit is not None and limit < _UNLIMITED_V1 else None
    return {dimension: amount for dimension, amount in limits.items() if amount is not None}


_KINDS = (
    ("vm", re.compile(r"(^|/)machine-qemu[^/]*\.scope$|\.libvirt-qemu$|^qemu\.slice/\d+\.scope$")),
    ("container", re.compile(r"(^|/)((docker|libpod|cri-containerd|crio)-[0-9a-f]+(\.scope)?|[0-9a-f]{64})$")),
    ("container", re.compile(r"(^|/)(machine-lxc[^/]*\.scope|lxc\.payload\.[^/]+)$")),
    ("service", re.compile(r"\.service$")),
    ("slice", re.compile(r"\.slice$")),
    ("scope", re.compile(r"\.scope$")),
)


def group_kind(path: str) -> str:
    r"""Tell a unit, container, virtual machine or slice by the name that its manager gave it.

    >>> group_kind("system.slice/nginx.service"), group_kind(r"machine.slice/machine-qemu\x2d1\x2dweb.scope")
    ('service', 'vm')
    """
    return next((kind for kind, pattern in _KINDS if pattern.search(path)), "group")


def find_groups(hierarchies: Hierarchies) -> Iterator[Group]:
    """Yield every workload's group and every group that only holds others, in order of path."""
    return _below(Group("", "slice", dict.fromkeys(hierarchies.roots, 0)))


def _below(parent: Group) -> Iterator[Group]:
    for path, inodes in sorted(_children(parent).items()):
        group = Group(path, group_kind(path), inodes)
        below: list[Group] = []
        if group.kind == "slice" or (group.kind == "group" and not _has_processes(group)):
            below = list(_below(group))
        if below or group.kind == "slice":
            yield Group(path, "slice", inodes)
            yield from below
        elif path != "init.scope":
            yield group


def _children(parent: Group) -> dict[str, dict[Path, int]]:
    """Inodes of the groups directly below, by path and mount point: one listing per hierarchy."""
    found: dict[str, dict[Path, int]] = {}
    for root in parent.inodes:
        with contextlib.suppress(OSError), os.scandir(root / parent.path) as entries:  # it may end meanwhile
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        path = f"{parent.path}/{entry.name}".lstrip("/")
                        found.setdefault(path, {})[root] = entry.stat(follow_symlinks=False).st_ino
    return found


def _has_processes(group: Group) -> bool:
    return any(read(root / group.path / "cgroup.procs", str.strip) for root in group.inodes)


class CgroupCollector:
    """CPU time, throttling, memory, IO, tasks and pressure of every workload's control group."""

    name = "cgroup"

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        """Read every group once; the incarnation is the group directory's inode in each hierarchy."""
        hierarchies = find_hierarchies(root)
        for group in find_groups(hierarchies):
            directories = _directories(hierarchies, group)
            values = {} if group.kind == "slice" else _values(directories)
            limits = _limits(directories)
            if not group.still_there():
                continue
            # A guest brings its own operating system, which its group does not tell.
            system = "" if group.kind == "vm" else "linux"
            yield WorkloadRecord(group.path, group.kind, host, system, group.path, limits)
            for metric, value in values.items():
                yield Sample(at_s, host, group.path, group.incarnation, metric, value)
