"""One plan over many hosts: few at once, a canary first, and not a host further than the failures allowed.

What becomes of one host never hides another's. A second run goes on where the first one stopped: hosts that are as
planned say so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from consolidate.apply.backends.backend import Backend
from consolidate.apply.backends.registry import BACKENDS
from consolidate.apply.compare import Preparation, Status, prepare, status
from consolidate.apply.driver import apply_changes, rollback, unfinished
from consolidate.apply.guard import Guard
from consolidate.apply.machine import Machine
from consolidate.apply.records import Outcome, Records
from consolidate.errors import ConsolidateError, InputError, StalePlanError
from consolidate.plan.plan import Plan

Machines = Callable[[str], AbstractContextManager[Machine]]
"""Connects to a host of the plan."""
RecordsOf = Callable[[str], Records]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Pace:
    """How fast, and how far."""

    concurrency: int = 8
    """Hosts at once."""
    max_hosts: int | None = None
    """Hosts that may be changed in this run; None for all. Those that are as planned do not count."""
    max_failures: int = 0
    """Hosts that may fail before no further one is begun."""
    canary: str | None = None
    """Host that goes first, alone; the one with the fewest partitions where none is named."""
    growth: int = 4
    """Each wave has so many times the hosts of the one before, and waits for it."""

    def __post_init__(self) -> None:
        least = {"concurrency": 1, "max_hosts": 1, "max_failures": 0, "growth": 1}
        for name, floor in least.items():
            value = getattr(self, name)
            if value is not None and value < floor:
                raise InputError(f"--{name.replace('_', '-')} {value}: at least {floor} is needed; give more")


@dataclass(frozen=True)
class HostOutcome:
    """What became of one host."""

    host: str
    status: str
    """``done``, ``unchanged``, ``pending``, ``drifted``, ``failed``, or ``skipped`` where it was not begun."""
    took_s: float = 0.0
    outcomes: tuple[Outcome, ...] = ()
    error: str = ""
    found: Preparation | Status | None = None
    """What a look without writing saw."""
    stale: bool = False
    """Whether it failed because the plan does not fit it any more."""


Progress = Callable[[HostOutcome, int, int], None]
"""Told of each host that is through, of how many are through, and of how many there are."""
Gate = Callable[[], str]
"""Asked between waves: why no further host may be begun, or nothing."""


Visit = Callable[[str], HostOutcome]


def planned_hosts(plan: Plan) -> tuple[str, ...]:
    """Hosts on which the plan limits something, those with the fewest partitions first."""
    count: dict[str, int] = {}
    for partition in plan.partitions:
        if partition.cgroup:
            count[partition.host] = count.get(partition.host, 0) + 1
    return tuple(sorted(count, key=lambda host: (count[host], host)))


def waves(hosts: Sequence[str], pace: Pace) -> Iterator[Sequence[str]]:
    """The canary, and then ever more hosts at once.

    Raises:
        InputError: where the canary is none of the hosts.

    >>> [len(wave) for wave in waves([f"web-{n}" for n in range(100)], Pace())]
    [1, 4, 16, 64, 15]

    """
    if pace.canary is not None and pace.canary not in hosts:
        known = f"{', '.join(hosts[:3])}{' …' if len(hosts) > 3 else ''}" or "none"
        raise InputError(f"--canary {pace.canary}: none of the hosts ({known}); name one of them")
    ordered = sorted(hosts, key=lambda host: host != pace.canary)  # stable: the others stay in order
    start, size = 0, 1
    while start < len(ordered):
        yield ordered[start : start + size]
        start, size = start + size, size * pace.growth


@dataclass(frozen=True)
class ManyHosts:
    """How hosts are reached and remembered, and the pace at which all of them are gone through."""

    machines: Machines
    records_of: RecordsOf
    pace: Pace = field(default_factory=Pace)
    progress: Progress = lambda *_: None
    gate: Gate = lambda: ""
    clock: Clock = time.monotonic
    backends: Sequence[Backend] = BACKENDS
    guard: Callable[[Machine, Records], Guard] | None = None
    """Watches each host after it was written to; a host on which something was hurt has failed."""

    def apply(self, plan: Plan, hosts: Sequence[str] | None = None) -> list[HostOutcome]:
        """Apply a plan on its hosts, or on some of them.

        A host that fails has taken back what this run wrote there, as far as it could be reached: its journal knows
        the rest.

        Raises:
            InputError: where the canary is none of the hosts.

        """
        budget = _Budget(self.pace.max_hosts)

        def visit(host: str) -> HostOutcome:
            records = self.records_of(host)
            with self.machines(host) as machine:
                found = prepare(plan, machine, records, backends=self.backends)
                if not _pending(found):
                    return HostOutcome(host, "unchanged", found=found)
                if not budget.take():
                    most = self.pace.max_hosts
                    return HostOutcome(host, "skipped", error=f"{most} hosts were changed, the most allowed; run again")
                if self.guard is not None:
                    done = self.guard(machine, records).apply(plan)
                    hurt = "; ".join(f"{one.workload} was taken back: {one.reason}" for one in done.hurts)
                    return _judged(host, done.outcomes, done.blocked or hurt)
                outcomes = apply_changes(plan, machine, found, records, clock=self.clock, backends=self.backends)
            return _judged(host, outcomes)

        return self._visit(planned_hosts(plan) if hosts is None else hosts, visit)

    def prepare(self, plan: Plan, hosts: Sequence[str] | None = None) -> list[HostOutcome]:
        """What an apply would do on every host; nothing is written."""

        def visit(host: str) -> HostOutcome:
            with self.machines(host) as machine:
                found = prepare(plan, machine, self.records_of(host), backends=self.backends)
            return HostOutcome(host, "pending" if _pending(found) else "unchanged", found=found)

        return self._look(planned_hosts(plan) if hosts is None else hosts, visit)

    def status(self, plan: Plan, hosts: Sequence[str] | None = None) -> list[HostOutcome]:
        """Compare every host with the plan."""

        def visit(host: str) -> HostOutcome:
            with self.machines(host) as machine:
                found = status(plan, machine, self.backends)
            return HostOutcome(host, "drifted" if found.drifted else "unchanged", found=found)

        return self._look(planned_hosts(plan) if hosts is None else hosts, visit)

    def rollback(self, hosts: Sequence[str], *, everything: bool = False, force: bool = False) -> list[HostOutcome]:
        """Take back what was applied; a host that fails holds up no other."""

        def visit(host: str) -> HostOutcome:
            records = self.records_of(host)
            if not records.journal.open_entries():
                return HostOutcome(host, "unchanged")
            with self.machines(host) as machine:
                outcomes = rollback(
                    machine, records, everything=everything, force=force, clock=self.clock, backends=self.backends
                )
            return _judged(host, outcomes)

        return self._look(hosts, visit)

    def _look(self, hosts: Sequence[str], visit: Visit) -> list[HostOutcome]:
        """All of them in one wave, whatever fails: nothing new is written."""
        at_once = Pace(concurrency=self.pace.concurrency, max_failures=len(hosts), growth=max(1, len(hosts)))
        return replace(self, pace=at_once, gate=lambda: "")._visit(hosts, visit)

    def _visit(self, hosts: Sequence[str], visit: Visit) -> list[HostOutcome]:
        """Visit hosts wave by wave; as many outcomes as hosts, in the order of the waves."""
        stop = _Stop(self.pace.max_failures)

        def begin(host: str) -> HostOutcome:
            if stop.reason:
                return HostOutcome(host, "skipped", error=stop.reason)
            outcome = _visited(host, visit, self.clock)
            stop.count(outcome)
            return outcome

        through: dict[str, HostOutcome] = {}
        with ThreadPoolExecutor(self.pace.concurrency, thread_name_prefix="host") as pool:
            for wave in waves(hosts, self.pace):
                stop.reason = stop.reason or (self.gate() if through else "")
                try:
                    for future in as_completed([pool.submit(begin, host) for host in wave]):
                        outcome = future.result()
                        through[outcome.host] = outcome
                        self.progress(outcome, len(through), len(hosts))
                except BaseException:  # interrupted: those at work finish, no further one is begun
                    stop.reason = "interrupted"
                    raise
        return list(through.values())


class _Budget:
    """Hosts that may still be changed."""

    def __init__(self, most: int | None) -> None:
        self._left = most
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            if self._left is None:
                return True
            self._left -= 1
            return self._left >= 0


class _Stop:
    """Why no further host is begun."""

    def __init__(self, max_failures: int) -> None:
        self._most = max_failures
        self._failures = 0
        self._lock = threading.Lock()
        self.reason = ""

    def count(self, outcome: HostOutcome) -> None:
        with self._lock:
            self._failures += outcome.status == "failed"
            if self._failures > self._most and not self.reason:
                self.reason = f"{self._failures} failed before it, more than the {self._most} allowed"


def _pending(found: Preparation) -> bool:
    return bool(found.refused) or any(change.needed for change in found.changes)


def _judged(host: str, outcomes: Sequence[Outcome], stopped: str = "") -> HostOutcome:
    trouble = unfinished(outcomes)
    error = trouble[0].error if trouble else stopped
    return HostOutcome(host, "failed" if error else "done", outcomes=tuple(outcomes), error=error)


def _visited(host: str, visit: Visit, clock: Clock) -> HostOutcome:
    """The boundary at which a host's failure becomes a record, whatever it was."""
    began = clock()
    try:
        seen = visit(host)
    except ConsolidateError as error:
        seen = HostOutcome(host, "failed", error=str(error), stale=isinstance(error, StalePlanError))
    except Exception as error:  # noqa: BLE001  # one host's surprise must not hide what became of the others
        seen = HostOutcome(host, "failed", error=f"unexpected {type(error).__name__}: {error}; please report it")
    return replace(seen, took_s=clock() - began)
