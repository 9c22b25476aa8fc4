"""Kills a real applier between every pair of its steps, in turn, and sees that everything can be mended.

A step is a line of the journal, or a write or command on the host. An applier is a process of its own that is killed
by SIGKILL before, after, and in the middle of a journal line. It works with any backend and any machine.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from consolidate.apply import Journal, Machine, Records, apply_changes, prepare, rollback
from consolidate.apply.backends.backend import Backend, Change
from consolidate.apply.journal import Entry
from consolidate.plan.plan import Plan


@dataclass(frozen=True)
class World:
    """Something to crash on."""

    plan: Plan
    connect: Callable[[], Machine]
    """A machine, made anew in every process."""
    backends: Sequence[Backend]
    snapshot: Callable[[], object]
    """Everything that the plan may change, as the host says it."""
    state: Path
    """Directory for journals."""
    counts: Callable[[Sequence[str]], bool] = lambda _: True
    """Whether a command is a step: those that only look need not be, where a real backend takes its time."""
    begin: Callable[[Machine, Sequence[str]], None] | None = None
    """Starts a command without waiting for its end, so that the applier can be killed within it."""


def crash_everywhere(world: World) -> int:
    """Kill at every point and mend; the number of kills.

    Three ways: an apply that was killed is resumed and then taken back; it is taken back at once; and a rollback that
    was killed is done again.
    """
    origin = world.snapshot()
    records = Records(world.state / "whole", _host(world))
    assert {one.status for one in _apply(world, records)} <= {"done", "unchanged"}
    target = world.snapshot()
    assert target != origin, "the plan changes something"
    _back(world, records, origin)
    return (
        _kill_applies(world, origin, target, resume=True)
        + _kill_applies(world, origin, target, resume=False)
        + _kill_rollbacks(world, origin)
    )


def _kill_applies(world: World, origin: object, target: object, resume: bool) -> int:
    for point in itertools.count(1):
        records = Records(world.state / f"apply-{resume}-{point}", _host(world))
        if not _killed(world, records, point, _apply):
            assert world.snapshot() == target
            _back(world, records, origin)
            return point - 1
        _nothing_is_lost(records)
        if resume:
            outcomes = _apply(world, records)
            assert {one.status for one in outcomes} <= {"done", "unchanged"}, (point, outcomes)
            assert world.snapshot() == target, f"killed at point {point} and resumed"
        _back(world, records, origin)
    raise AssertionError("counts without end")


def _kill_rollbacks(world: World, origin: object) -> int:
    for point in itertools.count(1):
        records = Records(world.state / f"rollback-{point}", _host(world))
        _apply(world, records)
        killed = _killed(world, records, point, _rollback)
        _back(world, records, origin)
        if not killed:
            return point - 1
    raise AssertionError("counts without end")


def _apply(world: World, records: Records) -> list[object]:
    machine = world.connect()
    preparation = prepare(world.plan, machine, records, backends=world.backends)
    return list(apply_changes(world.plan, machine, preparation, records, backends=world.backends))


def _rollback(world: World, records: Records) -> list[object]:
    return list(rollback(world.connect(), records, everything=True, backends=world.backends))


def _back(world: World, records: Records, origin: object) -> None:
    outcomes = _rollback(world, records)
    assert {one.status for one in outcomes} <= {"undone"}, outcomes  # type: ignore[attr-defined]
    assert world.snapshot() == origin
    assert records.journal.open_entries() == []


def _host(world: World) -> str:
    return world.plan.partitions[0].host


def _killed(world: World, records: Records, point: int, action: Callable[[World, Records], object]) -> bool:
    """Whether an action was killed at a point; it ended well where there are fewer."""
    child = os.fork()
    if child == 0:
        try:
            fuse = _Fuse(point, records.journal.path.with_suffix(".trace"))
            records.journal = _Journal(records.journal.path, fuse)
            backends = tuple(_Backend(backend, fuse) for backend in world.backends)
            action(
                replace(world, connect=lambda: _Machine(world.connect(), fuse, world), backends=backends),
                records,
            )
        except BaseException:  # noqa: BLE001 - nothing may go on as if it were the test
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the applier failed; see its traceback above"
    return False


def _nothing_is_lost(records: Records) -> None:
    """Everything that was announced or written before the kill is in the journal."""
    trace = records.journal.path.with_suffix(".trace")
    lines = [json.loads(line) for line in trace.read_text().splitlines()] if trace.exists() else []
    entries = records.journal.open_entries()
    assert {one["id"] for one in lines if "id" in one} <= {entry.id for entry in entries}
    known = {(entry.subject, entry.key, entry.after) for entry in entries}
    assert {tuple(one["write"]) for one in lines if "write" in one} <= known


class _Fuse:
    """Counts points, and ends the process at one of them. What happened is traced where a kill cannot reach it."""

    def __init__(self, point: int, trace: Path) -> None:
        self._left, self._trace = point, trace

    def burns_out(self) -> bool:
        self._left -= 1
        return self._left == 0

    def point(self) -> None:
        if self.burns_out():
            self.kill()

    def kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def trace(self, **what: object) -> None:
        with self._trace.open("a") as file:
            file.write(json.dumps(what) + "\n")


class _Journal(Journal):
    def __init__(self, path: Path, fuse: _Fuse) -> None:
        super().__init__(path)
        self._fuse = fuse

    def announce(self, entry: Entry) -> None:
        self._tear()
        super().announce(entry)
        self._fuse.trace(id=entry.id)
        self._fuse.point()

    def undone(self, entry: Entry) -> None:
        self._tear()
        super().undone(entry)
        self._fuse.point()

    def _tear(self) -> None:
        self._fuse.point()
        if self._fuse.burns_out():
            with self.path.open("a") as file:
                file.write('{"event": "wri')
            self._fuse.kill()


class _Machine:
    """A machine on which every write and command has a point before and after it."""

    def __init__(self, machine: Machine, fuse: _Fuse, world: World) -> None:
        self._machine, self._fuse, self._world = machine, fuse, world
        self.name, self.place = machine.name, machine.place
        self.read, self.read_many = machine.read, machine.read_many
        self.inode, self.is_directory, self.is_below = machine.inode, machine.is_directory, machine.is_below
        self.reserved = machine.reserved

    def write(self, path: str, text: str) -> None:
        self._fuse.point()
        self._machine.write(path, text)
        self._fuse.point()

    def run(self, arguments: Sequence[str], stdin: str = "", timeout_s: float = 60.0) -> str:
        if not self._world.counts(arguments):
            return self._machine.run(arguments, stdin, timeout_s)
        self._fuse.point()
        if self._world.begin is not None and self._fuse.burns_out():
            self._world.begin(self._machine, arguments)
            self._fuse.kill()
        answer = self._machine.run(arguments, stdin, timeout_s)
        self._fuse.point()
        return answer


class _Backend:
    """A backend that traces what it writes."""

    def __init__(self, backend: Backend, fuse: _Fuse) -> None:
        self._backend, self._fuse = backend, fuse
        self.name = backend.name
        self.supports, self.observe, self.writes = backend.supports, backend.observe, backend.writes
        self.limit, self.read = backend.limit, backend.read

    def execute(self, machine: Machine, change: Change, value: str) -> None:
        if value == change.wanted:
            self._fuse.trace(write=[change.subject, change.key, value])
        self._backend.execute(machine, change, value)
