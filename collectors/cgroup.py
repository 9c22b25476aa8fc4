"""Control groups, v1, v2 and hybrid (kernel documents cgroup-v1/*.rst and cgroup-v2.rst).

A workload is the outermost group that runs something as a unit: a service, a scope, a container, a virtual
machine, or a group without children. Slices and other groups that only hold groups are recorded but not
sampled, since every kernel figure already includes the children.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from collectors.cgroup_files import V2, GroupFiles, Source, cpus, limits
from collectors.held import Budget, HeldFile, open_directory
from collectors.kernel import read
from collectors.reading import Reading
from collectors.records import Record, WorkloadRecord

_V1_CONTROLLERS = ("cpu", "cpuacct", "memory", "blkio", "pids", "cpuset")
_RENEW_ROUNDS = 60
"""Limits, mounts and files that may have appeared are looked at again after so many rounds: 10 minutes at 10 s."""
_NOTHING = Budget(0)


@dataclass(frozen=True)
class Hierarchies:
    """Where the controllers are mounted: the one v2 tree and each v1 controller's tree."""

    v2: Path | None
    v1: Mapping[str, Path]

    @property
    def roots(self) -> tuple[Path, ...]:
        """Every distinct mount point."""
        return tuple(dict.fromkeys([*([self.v2] if self.v2 else []), *self.v1.values()]))

    @property
    def mounts(self) -> dict[str, Path]:
        """Mount point by controller, ``V2`` for those of the v2 tree."""
        return {**self.v1, **({V2: self.v2} if self.v2 else {})}


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

    def directories(self, hierarchies: Hierarchies) -> dict[str, Path]:
        """Its directory by controller."""
        return {name: mount / self.path for name, mount in hierarchies.mounts.items() if mount in self.inodes}


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


_KINDS = (
    ("vm", re.compile(r"(^|/)machine-qemu[^/]*\.scope$|\.libvirt-qemu$|^qemu\.slice/\d+\.scope$")),
    ("container", re.compile(r"(^|/)((docker|libpod|cri-containerd|crio)-[0-9a-f]+(\.scope)?|[0-9a-f]{64})$")),
    ("container", re.compile(r"(^|/)(machine-lxc[^/]*\.scope|lxc\.payload\.[^/]+)$")),
    ("service", re.compile(r"\.service$")),
    ("slice", re.compile(r"\.slice$")),
    ("scope", re.compile(r"\.scope$")),
)


@functools.lru_cache(maxsize=16384)
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
    prefix = f"{parent.path}/" if parent.path else ""
    for root in parent.inodes:
        with contextlib.suppress(OSError), os.scandir(root / parent.path) as entries:  # it may end meanwhile
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    path = prefix + entry.name
                    found.setdefault(path, {})[root] = entry.inode()
    return found


def _has_processes(group: Group) -> bool:
    return any(read(root / group.path / "cgroup.procs", str.strip) for root in group.inodes)


class _Watched:
    """One group: what it is, and its files."""

    __slots__ = ("_directories", "_files", "_host", "_reading", "_record", "group")

    def __init__(
        self, host: str, group: Group, directories: Mapping[str, Path], open_file: Callable[[Source], HeldFile]
    ) -> None:
        self.group, self._host, self._directories = group, host, directories
        # Slices hold others, whose figures theirs would only repeat.
        self._files = GroupFiles(() if group.kind == "slice" else directories.keys(), open_file)
        self._reading = Reading(group.path, group.incarnation, self._files.values)
        self._record = self._describe()

    def read(self) -> None:
        """Read its files."""
        self._files.read()

    def renew(self) -> None:
        """Look for changed limits, and for files that appeared."""
        self._files.find()
        record = self._describe()
        if record != self._record:
            self._record = record

    def records(self) -> Iterator[WorkloadRecord | Reading]:
        """The group, and what was read; the same objects as before where nothing changed."""
        yield self._record
        if self._files.values is not self._reading.values:
            self._reading = Reading(self.group.path, self._reading.incarnation, self._files.values)
        if self._reading.values:
            yield self._reading

    def close(self) -> None:
        """Close its files."""
        self._files.close()

    def _describe(self) -> WorkloadRecord:
        # A guest brings its own operating system, which its group does not tell.
        system = "" if self.group.kind == "vm" else "linux"
        path = self.group.path
        in_force = limits(self._directories)
        return WorkloadRecord(path, self.group.kind, self._host, system, path, in_force, cpus=cpus(self._directories))


class CgroupWatch:
    """Every workload's control group, read again and again."""

    def __init__(self, root: Path, host: str, keep_open: int) -> None:
        """Watch the groups of the host below ``root``, with so many of their files kept open."""
        self._root, self._host = root, host
        self._budget = Budget(keep_open)
        self._directories: dict[Path, int] = {}
        self._hierarchies = Hierarchies(None, {})
        self._groups: dict[str, _Watched] = {}
        self._round = 0

    def read(self) -> list[WorkloadRecord | Reading]:
        """What every group is and uses now.

        Known groups are read before groups are listed: one that is still listed under its inodes was the same
        group when it was read. Those that are new are read after it, and looked up once more.
        """
        if self._round % _RENEW_ROUNDS == 0:
            self._find_hierarchies()
        for number, known in enumerate(self._groups.values()):
            known.read()
            # Each in its turn, so that no round is much longer than another.
            if number % _RENEW_ROUNDS == self._round % _RENEW_ROUNDS:
                known.renew()
        self._round += 1
        kept: dict[str, _Watched] = {}
        for group in find_groups(self._hierarchies):
            before = self._groups.get(group.path)
            if before is not None and before.group == group:
                kept[group.path] = self._groups.pop(group.path)
            elif (new := self._begin(group)) is not None:
                kept[group.path] = new
        for ended in self._groups.values():
            ended.close()
        self._groups = kept
        return [record for watched in kept.values() for record in watched.records()]

    def close(self) -> None:
        """Give every descriptor back."""
        for watched in self._groups.values():
            watched.close()
        self._groups = {}
        for descriptor in self._directories.values():
            os.close(descriptor)
        self._directories = {}

    def _find_hierarchies(self) -> None:
        found = find_hierarchies(self._root)
        if found != self._hierarchies:
            self.close()
            self._hierarchies = found
        for mount in found.roots:
            if mount not in self._directories:
                with contextlib.suppress(OSError):  # its files are then absent
                    self._directories[mount] = open_directory(mount)

    def _begin(self, group: Group) -> _Watched | None:
        mounts = self._hierarchies.mounts

        def open_file(source: Source) -> HeldFile:
            directory = self._directories.get(mounts[source.controller], -1)
            budget = _NOTHING if source.only_tasks else self._budget
            return HeldFile(directory, f"{group.path}/{source.file}", budget)

        new = _Watched(self._host, group, group.directories(self._hierarchies), open_file)
        if group.still_there():
            return new
        new.close()
        return None


class CgroupCollector:
    """CPU time, throttling, memory, IO, tasks and pressure of every workload's control group."""

    name = "cgroup"

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        """Read every group once; the incarnation is the group directory's inode in each hierarchy."""
        with contextlib.closing(self.watch(root, host, keep_open=0)) as watch:
            for record in watch.read():
                if isinstance(record, Reading):
                    yield from record.samples(host, at_s)
                else:
                    yield record

    def watch(self, root: Path, host: str, keep_open: int) -> CgroupWatch:
        """The same for reading again and again, with at most so many files kept open meanwhile."""
        return CgroupWatch(root, host, keep_open)
