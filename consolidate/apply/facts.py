"""What a host's kernel offers to partitions: read once, all of it readable without root, judged by ``fitness``.

Sources: kernel documents cgroup-v2.rst, cgroup-v1/*.rst, block/switching-sched.rst and accounting/psi.rst.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from collectors.cgroup import parse_mounts
from collectors.kernel import number, parse_flat
from collectors.meminfo import parse_meminfo
from collectors.topology import parse_cpu_list
from consolidate.apply.machine import Machine
from consolidate.errors import ApplyError
from consolidate.plan.plan import Partition, is_group_path

UNIT_SUFFIXES = (".service", ".scope", ".slice")
V2_FILES = (
    "cpu.max",
    "cpu.max.burst",
    "cpu.weight",
    "cpuset.cpus",
    "cpuset.mems",
    "io.max",
    "io.weight",
    "io.bfq.weight",
    "memory.high",
    "memory.low",
    "memory.max",
    "memory.swap.max",
    "pids.max",
)
V1_FILES = {
    "blkio": ("blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device", "blkio.bfq.weight"),
    "cpu": ("cpu.cfs_quota_us", "cpu.cfs_burst_us", "cpu.shares"),
    "cpuset": ("cpuset.cpus", "cpuset.mems"),
    "memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    "pids": ("pids.max",),
}
_NO_DISK = re.compile(r"(loop|ram|zram|sr|fd|nbd)\d+")


@dataclass(frozen=True)
class GroupFacts:
    """A workload's control group as it is now."""

    files: frozenset[str]
    """Names of the limit files that it has, in whichever hierarchy."""
    pids: int | None = None
    page_cache_bytes: int | None = None
    protected_bytes: int | None = None
    """The least that a group around it protects, beyond which its own protection does not go; None at the top."""


@dataclass(frozen=True)
class Facts:
    """What a host is capable of."""

    kernel: str
    """Release, such as ``6.1.0-18-amd64``."""
    v1: frozenset[str]
    """Controllers that are mounted as cgroup v1."""
    v2: frozenset[str]
    """Controllers of the unified hierarchy."""
    systemd: int | None
    """Its version where it runs the host, 0 where it does not tell it; None where something else does."""
    swap_bytes: int
    schedulers: Mapping[str, str]
    """By disk; ``none`` where requests are passed on as they come."""
    io_cost: bool
    """Whether the kernel's cost model shares out some disk."""
    pressure: bool
    """Whether the kernel tells who waits (PSI)."""
    cpus: frozenset[int]
    """Online; empty where that is not known."""
    nodes: frozenset[int]
    groups: Mapping[str, GroupFacts] = field(default_factory=dict)
    """By path, of those that are there."""

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor version of the kernel; 0 and 0 where its release is no version."""
        match = re.match(r"(\d+)\.(\d+)", self.kernel)
        return (int(match[1]), int(match[2])) if match else (0, 0)

    def version(self, controller: str) -> int | None:
        """Hierarchy that has a controller, by its v2 name; None where there is none."""
        if controller in self.v2:
            return 2
        return 1 if {"io": "blkio"}.get(controller, controller) in self.v1 else None


def facts(machine: Machine, partitions: Sequence[Partition]) -> Facts:
    """Look at a host; nothing is written.

    Raises:
        ApplyError: where it cannot be reached or read, or a plan's control group is no path.

    """
    try:
        return _look(machine, partitions)
    except ValueError as error:
        raise ApplyError(f"{machine.name}: a kernel file says {error}; look whether it is a Linux host") from None


def _look(machine: Machine, partitions: Sequence[Partition]) -> Facts:
    read = machine.read
    v2_mount, v1_mounts = parse_mounts(read("proc/mounts") or "")
    v2 = v2_mount.lstrip("/") if v2_mount else None
    controllers = frozenset((read(f"{v2}/cgroup.controllers") or "").split()) if v2 else frozenset()
    meminfo = parse_meminfo(read("proc/meminfo") or "")
    disks = parse_disks(read("proc/diskstats") or "")
    queues = machine.read_many([f"sys/block/{disk}/queue/scheduler" for disk in disks])
    v1 = {name: mount.lstrip("/") for name, mount in v1_mounts.items()}
    return Facts(
        kernel=read("proc/sys/kernel/osrelease") or "",
        v1=frozenset(v1),
        v2=controllers,
        systemd=_systemd(machine),
        swap_bytes=meminfo.get("SwapTotal", 0),
        schedulers={disk: parse_scheduler(queue) for disk, queue in zip(disks, queues, strict=True) if queue},
        io_cost="enable=1" in (read(f"{v2}/io.cost.qos") or "" if v2 else ""),
        pressure=read("proc/pressure/cpu") is not None,
        cpus=frozenset(parse_cpu_list(read("sys/devices/system/cpu/online") or "")),
        nodes=frozenset(parse_cpu_list(read("sys/devices/system/node/online") or "")),
        groups=dict(_groups(machine, partitions, v2, v1)),
    )


def parse_disks(text: str) -> list[str]:
    """Names of whole disks from ``/proc/diskstats``: what has a queue of its own comes out later."""
    names = [fields[2] for line in text.splitlines() if len(fields := line.split()) > 3]
    return [name for name in names if not _NO_DISK.fullmatch(name) and "/" not in name]


def parse_scheduler(text: str) -> str:
    """The scheduler in use, which ``queue/scheduler`` has in brackets.

    >>> parse_scheduler("[mq-deadline] bfq none"), parse_scheduler("none")
    ('mq-deadline', 'none')
    """
    match = re.search(r"\[([^]]+)\]", text)
    return match[1] if match else text.strip()


def is_unit(group: str) -> bool:
    """Whether a control group is a unit of systemd's, by its name."""
    return group.rpartition("/")[2].endswith(UNIT_SUFFIXES)


def _systemd(machine: Machine) -> int | None:
    if not machine.is_directory("run/systemd/system"):
        return None
    with contextlib.suppress(ApplyError):  # an account with few rights may not ask; that it runs is known all the same
        version = re.match(r"\D*(\d+)", machine.run(["systemctl", "show", "--property=Version"]))
        return int(version[1]) if version else 0
    return 0


def _groups(
    machine: Machine, partitions: Sequence[Partition], v2: str | None, v1: Mapping[str, str]
) -> list[tuple[str, GroupFacts]]:
    found = []
    for partition in partitions:
        group = partition.cgroup
        if not group:
            continue
        if not is_group_path(group):
            raise ApplyError(f"{partition.workload}: {group!r} is no control group's path; plan again")
        paths = _files(group, v2, v1)
        there = {path for path, text in zip(paths, machine.read_many(paths), strict=True) if text is not None}
        if there:
            directory = {name: f"{mount}/{group}" for name, mount in v1.items()} | (
                {"v2": f"{v2}/{group}"} if v2 else {}
            )
            found.append((group, _group(machine, directory, group, v2, frozenset(map(_name, there)))))
    return found


def _files(group: str, v2: str | None, v1: Mapping[str, str]) -> list[str]:
    """Every limit file that a group may have."""
    unified = [f"{v2}/{group}/{name}" for name in V2_FILES] if v2 else []
    return unified + [f"{v1[it]}/{group}/{name}" for it, names in V1_FILES.items() if it in v1 for name in names]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _group(
    machine: Machine, directory: Mapping[str, str], group: str, v2: str | None, files: frozenset[str]
) -> GroupFacts:
    unified = directory.get("v2", "")
    pids, stat = machine.read_many(
        [
            f"{directory.get('pids', unified)}/pids.current",
            f"{directory.get('memory', unified)}/memory.stat",
        ]
    )
    parts = group.split("/")
    around = ["/".join(parts[:length]) for length in range(1, len(parts))]
    protected = machine.read_many([f"{v2}/{one}/memory.low" for one in around]) if v2 else []
    amounts = [_amount(text) for text in protected if text is not None]
    memory = parse_flat(stat or "")
    return GroupFacts(
        files,
        number(pids) if pids else None,
        memory.get("total_cache", memory.get("file")) if stat else None,
        min(amounts, default=None),
    )


def _amount(text: str) -> int:
    return 1 << 62 if text == "max" else number(text)
