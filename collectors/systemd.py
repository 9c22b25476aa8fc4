"""Units of systemd: their names, from the control groups that it made, and what ``systemctl show`` says of services.

A unit's name outlives its control group, so what a group uses is told under that name. Figures come from the group
itself; systemd adds how often it had to start a service again (systemctl(1), org.freedesktop.systemd1(5)).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from collectors.cgroup import find_hierarchies, group_kind
from collectors.kernel import number, parse_boot_time
from collectors.records import Record, Sample, WorkloadRecord

_SHOW = ("systemctl", "show", "--no-pager", "--property=Id,NRestarts,CPUQuotaPerSecUSec,MemoryMax", "--")
_PATIENCE_S = 20
_NEW_AT_ONCE, _RENEWED_AT_ONCE = 100, 20
"""Services asked about in one round: those that just started, and of the others those asked about longest ago."""
_RENEW_EVERY_S = 60
_ENDED_REMEMBERED = 256
"""Services, since those that ended may be started again; transient ones have new names each time."""
_SPAN = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?(us|ms|s|min|h|d|w|month|y)")
_MICROSECONDS: Mapping[str, int] = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
    "month": 2_629_800_000_000,
    "y": 31_557_600_000_000,
}
"""Of systemd.time(7)."""
_NONE = ("infinity", "", "[not set]")


class SystemdError(RuntimeError):
    """A systemd that is there and does not answer."""


@dataclass(frozen=True)
class Unit:
    """A unit that has a control group now."""

    id: str
    cgroup: str
    inode: int
    """Of the group's directory: another one after a restart."""

    @property
    def kind(self) -> str:
        """Service, scope or slice."""
        return self.id.rpartition(".")[2]


@dataclass(frozen=True)
class Properties:
    """What systemd says of a service."""

    limits: Mapping[str, int]
    restarts: int | None
    """Starts by systemd itself since somebody started it; None where that is not counted."""


@dataclass(frozen=True)
class Answer:
    """What systemd said, of which life of a service, and since when its restarts have only become more."""

    inode: int
    properties: Properties
    began_s: int


def parse_time_span(text: str) -> int:
    """Microseconds of a time span as systemd prints it.

    >>> parse_time_span("1min 1.500s")
    61500000
    """
    total = 0
    for word in text.split(" "):
        match = _SPAN.fullmatch(word)
        if match is None:
            raise ValueError(f"{text[:40]!r} is not a time span")
        whole, part, unit = match.groups()
        total += number(whole) * _MICROSECONDS[unit]
        total += number(part.ljust(6, "0")) * _MICROSECONDS[unit] // 1_000_000 if part else 0
    return total


def parse_properties(text: str) -> dict[str, Properties]:
    """Parse ``systemctl show``, a block for each unit; by the unit's name."""
    units = {}
    for block in filter(None, text.strip().split("\n\n")):
        said: dict[str, str] = {}
        for line in filter(None, block.splitlines()):
            key, equals, value = line.partition("=")
            if not equals:
                raise ValueError(f"{line[:60]!r} is not a property of a unit")
            said[key] = value
        units[said.get("Id", "")] = Properties(_limits(said), _amount(said.get("NRestarts", "")))
    return units


def _limits(said: Mapping[str, str]) -> dict[str, int]:
    """Limits by dimension, where there are any."""
    limits: dict[str, int] = {}
    if (quota := said.get("CPUQuotaPerSecUSec", "")) not in _NONE:
        limits["cpu_milli"] = parse_time_span(quota) // 1000  # a core is a second a second
    if (memory_bytes := _amount(said.get("MemoryMax", ""))) is not None:
        limits["memory_bytes"] = memory_bytes
    return limits


def _amount(text: str) -> int | None:
    return None if text in _NONE else number(text)


def list_units(root: Path) -> list[Unit]:
    """Every unit with a group of its own, but for scopes that an engine or libvirt made, which they know better."""
    # systemd has all of its units in every hierarchy that it manages as a whole.
    trees = (tree for tree in find_hierarchies(root).roots if (tree / "system.slice").is_dir())
    tree = next(trees, None)
    return list(_below(tree, "")) if tree else []


def _below(tree: Path, slice_: str) -> Iterator[Unit]:
    try:
        with os.scandir(tree / slice_) as listing:
            entries = sorted((entry.name, entry.inode()) for entry in listing if entry.is_dir(follow_symlinks=False))
    except OSError:  # it ended meanwhile
        return
    for name, inode in entries:
        path = f"{slice_}/{name}".lstrip("/")
        if name.endswith((".slice", ".service", ".scope")) and path != "init.scope":
            if group_kind(path) in {"slice", "service", "scope"}:
                yield Unit(name, path, inode)
            if name.endswith(".slice"):
                yield from _below(tree, path)


class SystemdCollector:
    """Names of units, and limits and restarts of services, on hosts that systemd runs.

    systemd spends far more on an answer than the kernel on a group's files. So it is asked about a service when its
    group is a new one, and now and then about a few of the others.
    """

    name = "systemd"

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}
        """By unit; those that were asked about longest ago first."""
        self._renewed_s: int | None = None

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        """List the units below ``root``, and ask systemd where that is this host's own.

        Raises:
            SystemdError: where systemd does not answer.
            ValueError: where systemctl prints what it is not documented to.

        """
        if not (root / "run/systemd/system").is_dir():  # sd_booted(3)
            return
        units = list_units(root)
        if root == Path("/") and shutil.which("systemctl") is not None:
            self._ask({unit.id: unit.inode for unit in units if unit.kind == "service"}, at_s)
        boot = parse_boot_time((root / "proc/stat").read_text())
        for unit in units:
            answer = self._answers.get(unit.id)
            limits = answer.properties.limits if answer else {}
            yield WorkloadRecord(unit.id, unit.kind, host, "linux", unit.cgroup, limits)
            if answer is not None and answer.properties.restarts is not None:
                value = float(answer.properties.restarts)
                yield Sample(at_s, host, unit.id, f"{boot}-{answer.began_s}", "restarts_total", value)

    def _ask(self, services: Mapping[str, int], at_s: int) -> None:
        """Learn of services, given with their inodes, that are new or were asked about long ago."""
        known = self._answers
        # Between an end and its restart a service has no group; counting goes on afterwards.
        ended = [unit for unit in known if unit not in services]
        for unit in ended[:-_ENDED_REMEMBERED]:
            del known[unit]
        new = [unit for unit, inode in services.items() if unit not in known or known[unit].inode != inode]
        asked = new[:_NEW_AT_ONCE]
        if self._renewed_s is None or not 0 <= at_s - self._renewed_s < _RENEW_EVERY_S:
            self._renewed_s = at_s
            old = [unit for unit in known if unit in services and unit not in new]
            asked += old[:_RENEWED_AT_ONCE]
        said = parse_properties(_show(asked)) if asked else {}
        for unit in asked:
            before = known.pop(unit, None)
            if unit in said:
                known[unit] = Answer(services[unit], said[unit], _began_s(before, said[unit], at_s))


def _began_s(before: Answer | None, now: Properties, at_s: int) -> int:
    """When counting began: anew where it is less than before, as it is when somebody starts the unit."""
    if before is None or (now.restarts or 0) < (before.properties.restarts or 0):
        return at_s
    return before.began_s


def _show(units: Sequence[str]) -> str:
    try:
        done = subprocess.run([*_SHOW, *units], capture_output=True, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        raise SystemdError(f"systemctl show does not answer within {_PATIENCE_S} s; see systemd's journal") from None
    if done.returncode:
        complaint = " ".join(done.stderr.decode(errors="replace").split())
        raise SystemdError(f"systemctl show ends with {done.returncode} ({complaint[:300]}); see systemd's journal")
    return done.stdout.decode(errors="replace")
