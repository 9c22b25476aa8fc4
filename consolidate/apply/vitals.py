r"""How a workload fares under its limits, from its control group's files: v2, v1 and both at once.

Sources: kernel documents cgroup-v2.rst (cpu.stat, memory.events), accounting/psi.rst (\*.pressure) and
cgroup-v1/memory.rst (memory.oom_control).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from collectors.cgroup import parse_mounts
from collectors.psi import parse_pressure
from consolidate.apply.machine import Machine

_STALLS = (("cpu", "some"), ("memory", "full"), ("io", "full"))


@dataclass(frozen=True)
class Vitals:
    """Counters of a group's life so far. What the kernel does not tell is absent."""

    life: str
    """Changes when the group is created anew, as a restarted service's or container's is."""
    periods: int = 0
    """CFS periods in which it ran under a quota."""
    throttled: int = 0
    """Those in which it was stopped for the rest of them."""
    oom_kills: int = 0
    stalled_s: Mapping[str, float] | None = None
    """By ``cpu some``, ``memory full`` and ``io full``."""


def read_vitals(machine: Machine, group: str) -> Vitals | None:
    """Counters of a group now; None where it is not there.

    Raises:
        ApplyError: where they cannot be read, so that nobody can tell how it fares.

    """
    v2, v1 = parse_mounts(machine.read("proc/mounts") or "")
    mounts = dict.fromkeys([*(v1[name] for name in ("cpu", "memory") if name in v1), *([v2] if v2 else [])])
    directories = [f"{mount.lstrip('/')}/{group}" for mount in mounts]
    inodes = [machine.inode(directory) for directory in directories]
    if all(inode is None for inode in inodes):
        return None
    files = [f"{resource}.pressure" for resource, _ in _STALLS]
    names = ["cpu.stat", "memory.events", "memory.oom_control", *files]
    contents = machine.read_many([f"{directory}/{name}" for directory in directories for name in names])
    found: dict[str, str] = {}
    for name, content in zip(names * len(directories), contents, strict=True):
        if content:
            found.setdefault(name, content)
    cpu = dict(_counts(found.get("cpu.stat", "")))
    memory = dict(_counts(found.get("memory.events", found.get("memory.oom_control", ""))))
    stalls = {}
    for resource, kind in _STALLS:
        totals = parse_pressure(found.get(f"{resource}.pressure", ""))
        if kind in totals:
            stalls[f"{resource} {kind}"] = totals[kind]
    return Vitals(
        life=",".join(map(str, inodes)),
        periods=cpu.get("nr_periods", 0),
        throttled=cpu.get("nr_throttled", 0),
        oom_kills=memory.get("oom_kill", 0),
        stalled_s=stalls,
    )


def _counts(text: str) -> Iterator[tuple[str, int]]:
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if value.isdecimal():
            yield name, int(value)


@dataclass(frozen=True)
class Rates:
    """What happened to a group in one interval."""

    throttled_permille: int | None
    """Of its periods; None where there were too few to tell."""
    oom_kills: int
    stalled_permille: Mapping[str, int]
    """Of the time, by kind of stall."""


_FEW_PERIODS = 5


def rates(before: Vitals, now: Vitals, elapsed_s: float) -> Rates:
    """What happened between two readings of one life. Pure."""
    periods, throttled = now.periods - before.periods, now.throttled - before.throttled
    earlier = before.stalled_s or {}
    return Rates(
        throttled * 1000 // periods if periods >= _FEW_PERIODS else None,
        now.oom_kills - before.oom_kills,
        {
            kind: round(1000 * (total - earlier[kind]) / elapsed_s)
            for kind, total in (now.stalled_s or {}).items()
            if kind in earlier and elapsed_s > 0
        },
    )
