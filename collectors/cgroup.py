"""Control groups, v1, v2 and hybrid (kernel documents cgroup-v1/*.rst and cgroup-v2.rst).

A workload is the outermost group that runs something as a unit: a service, a scope, a container, or a group
without children. Slices and other groups that only hold groups are recorded but not sampled, since every
kernel figure already includes the children.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from collectors.psi import pressure_values
from collectors.records import Record, Sample, WorkloadRecord

_UNLIMITED_V1 = 1 << 62
"""v1 prints a page-rounded maximum where there is no limit."""


@dataclass(frozen=True)
class Hierarchies:
    """Where the controllers are mounted: the one v2 tree and each v1 controller's tree."""

    v2: Path | None
    v1: Mapping[str, Path]

    @property
    def roots(self) -> tuple[Path, ...]:
        """Every distinct mount point."""
        return tuple(dict.fromkeys([*([self.v2] if self.v2 else []), *self.v1.values()]))


def parse_mounts(text: str) -> tuple[str | None, dict[str, str]]:
    """Mount point of cgroup2 and, per v1 controller, its mount point, from ``/proc/mounts``."""
    v2 = None
    v1 = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 4:
            continue
        _, mount_point, kind, options = fields[:4]
        if kind == "cgroup2":
            v2 = mount_point
        elif kind == "cgroup":
            v1 |= {name: mount_point for name in options.split(",") if name in _V1_CONTROLLERS}
    return v2, v1


_V1_CONTROLLERS = ("cpu", "cpuacct", "memory", "blkio", "pids", "cpuset")


def find_hierarchies(root: Path) -> Hierarchies:
    """Find the mounted hierarchies of the host below ``root``."""
    try:
        text = (root / "proc/mounts").read_text()
    except OSError:
        return Hierarchies(None, {})
    v2, v1 = parse_mounts(text)
    return Hierarchies(
        root / v2.lstrip("/") if v2 else None,
        {name: root / mount_point.lstrip("/") for name, mount_point in v1.items()},
    )


def parse_flat(text: str) -> dict[str, int]:
    """``key value`` lines of cpu.stat, memory.stat, memory.events."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def parse_io_stat(text: str) -> dict[str, int]:
    """Sum of v2 ``io.stat`` over devices: rbytes, wbytes, rios, wios."""
    totals = dict.fromkeys(("rbytes", "wbytes", "rios", "wios"), 0)
    for line in text.splitlines():
        for item in line.split()[1:]:
            key, _, value = item.partition("=")
            if key in totals:
                totals[key] += int(value)
    return totals


def parse_blkio(text: str) -> tuple[int, int]:
    """Sum of a v1 ``blkio.throttle`` file over devices: (read, write)."""
    read = write = 0
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] == "Read":
            read += int(fields[2])
        elif len(fields) == 3 and fields[1] == "Write":
            write += int(fields[2])
    return read, write


def _text(path: Path) -> str | None:
    """Content of a kernel file; None where the controller or the group is not (or no longer) there."""
    try:
        return path.read_text()
    except OSError:
        return None


def _values_v2(group: Path) -> dict[str, float]:
    values: dict[str, float] = {}
    if (text := _text(group / "cpu.stat")) is not None:
        cpu = parse_flat(text)
        values["cpu_seconds_total"] = cpu["usage_usec"] / 1e6
        if "nr_periods" in cpu:
            values["cpu_periods_total"] = cpu["nr_periods"]
            values["cpu_throttled_periods_total"] = cpu["nr_throttled"]
            values["cpu_throttled_seconds_total"] = cpu["throttled_usec"] / 1e6
    current, stat = _text(group / "memory.current"), _text(group / "memory.stat")
    if current is not None and stat is not None:
        memory = parse_flat(stat)
        values |= _memory(int(current), memory["anon"], memory["file"], memory["inactive_file"])
    if (text := _text(group / "memory.events")) is not None:
        values["oom_kills_total"] = parse_flat(text).get("oom_kill", 0)
    if (text := _text(group / "io.stat")) is not None:
        io = parse_io_stat(text)
        values["disk_read_bytes_total"], values["disk_write_bytes_total"] = io["rbytes"], io["wbytes"]
        values["disk_reads_total"], values["disk_writes_total"] = io["rios"], io["wios"]
    if (text := _text(group / "pids.current")) is not None:
        values["pids"] = int(text)
    return values | pressure_values(group, "{}.pressure")


def _memory(current: int, anon: int, cache: int, inactive_file: int) -> dict[str, float]:
    return {
        "memory_current_bytes": current,
        "memory_anon_bytes": anon,
        "memory_cache_bytes": cache,
        "memory_working_set_bytes": max(0, current - inactive_file),
    }


def _values_v1(groups: Mapping[str, Path]) -> dict[str, float]:
    def text(controller: str, file: str) -> str | None:
        return _text(groups[controller] / file) if controller in groups else None

    values: dict[str, float] = {}
    if (usage := text("cpuacct", "cpuacct.usage")) is not None:
        values["cpu_seconds_total"] = int(usage) / 1e9
    if (stat := text("cpu", "cpu.stat")) is not None:
        cpu = parse_flat(stat)
        values["cpu_periods_total"] = cpu["nr_periods"]
        values["cpu_throttled_periods_total"] = cpu["nr_throttled"]
        values["cpu_throttled_seconds_total"] = cpu["throttled_time"] / 1e9
    current, stat = text("memory", "memory.usage_in_bytes"), text("memory", "memory.stat")
    if current is not None and stat is not None:
        memory = parse_flat(stat)
        values |= _memory(
            int(current), memory["total_rss"], memory["total_cache"], memory["total_inactive_file"]
        )
    if (control := text("memory", "memory.oom_control")) is not None and "oom_kill " in control:
        values["oom_kills_total"] = parse_flat(control)["oom_kill"]
    for file, names in (
        ("blkio.throttle.io_service_bytes_recursive", ("disk_read_bytes_total", "disk_write_bytes_total")),
        ("blkio.throttle.io_serviced_recursive", ("disk_reads_total", "disk_writes_total")),
    ):
        if (served := text("blkio", file)) is not None:
            values |= dict(zip(names, parse_blkio(served), strict=True))
    if (pids := text("pids", "pids.current")) is not None:
        values["pids"] = int(pids)
    return values


def _limits(hierarchies: Hierarchies, path: str) -> dict[str, int]:
    """Limits in force now, by dimension; absent where there is none."""
    limits = {}
    if hierarchies.v2 is not None:
        group = hierarchies.v2 / path
        quota, _, period = (_text(group / "cpu.max") or "max").partition(" ")
        if quota.strip() != "max":
            limits["cpu_milli"] = int(quota) * 1000 // int(period)
        if (text := (_text(group / "memory.max") or "max").strip()) != "max":
            limits["memory_bytes"] = int(text)
    if "cpu" in hierarchies.v1:
        group = hierarchies.v1["cpu"] / path
        quota_us = int(_text(group / "cpu.cfs_quota_us") or -1)
        if quota_us > 0:
            limits["cpu_milli"] = quota_us * 1000 // int(_text(group / "cpu.cfs_period_us") or 100_000)
    if "memory" in hierarchies.v1:
        limit = int(_text(hierarchies.v1["memory"] / path / "memory.limit_in_bytes") or _UNLIMITED_V1)
        if limit < _UNLIMITED_V1:
            limits["memory_bytes"] = limit
    return limits


def group_kind(path: str) -> str:
    """Tell a unit, container or slice by the name systemd or the container engine gave it."""
    name = path.rpartition("/")[2]
    for suffix in ("service", "slice", "scope"):
        if name.endswith(f".{suffix}"):
            docker = suffix == "scope" and name.startswith(("docker-", "libpod-", "cri-containerd-"))
            return "container" if docker else suffix
    bare = len(name) == 64 and all(letter in "0123456789abcdef" for letter in name)
    return "container" if bare else "group"


def find_groups(hierarchies: Hierarchies) -> Iterator[tuple[str, str]]:
    """Yield (path, kind) of every workload's group and of every slice on the way, in order of path."""
    pending = [""]
    while pending:
        parent = pending.pop()
        for path in sorted(_children(hierarchies, parent), reverse=True):
            kind = group_kind(path)
            only_holds = kind == "group" and _children(hierarchies, path) and not _has_processes(hierarchies, path)
            if kind == "slice" or only_holds:
                yield path, "slice"
                pending.append(path)
            elif path != "init.scope":
                yield path, kind


def _children(hierarchies: Hierarchies, parent: str) -> set[str]:
    found = set()
    for root in hierarchies.roots:
        directory = root / parent
        if directory.is_dir():
            found |= {str(child.relative_to(root)) for child in directory.iterdir() if child.is_dir()}
    return found


def _has_processes(hierarchies: Hierarchies, path: str) -> bool:
    return any((_text(root / path / "cgroup.procs") or "").strip() for root in hierarchies.roots)


class CgroupCollector:
    """CPU time, throttling, memory, IO, tasks and pressure of every workload's control group."""

    name = "cgroup"

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        """Read every group once; the incarnation is the group directory's inode."""
        hierarchies = find_hierarchies(root)
        for path, kind in find_groups(hierarchies):
            yield WorkloadRecord(path, kind, host, "linux", path, _limits(hierarchies, path))
            if kind == "slice":
                continue
            v1 = {name: mount / path for name, mount in hierarchies.v1.items() if (mount / path).is_dir()}
            values = _values_v1(v1)
            places = [*v1.values()]
            if hierarchies.v2 is not None and (hierarchies.v2 / path).is_dir():
                values = _values_v2(hierarchies.v2 / path) | values
                places.append(hierarchies.v2 / path)
            try:
                incarnation = "-".join(str(place.stat().st_ino) for place in places)
            except FileNotFoundError:  # the group ended while it was read
                continue
            for metric, value in values.items():
                yield Sample(at_s, host, path, incarnation, metric, float(value))
