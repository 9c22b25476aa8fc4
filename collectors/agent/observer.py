"""One round of all collectors, as readings; what can be watched is watched, the rest is collected anew."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from collectors.identity import join
from collectors.reading import Reading, gather
from collectors.records import Collector, Record, Sample, Series, WorkloadRecord
from collectors.run import attempt

_SHARE = 0.002
"""Of one core: what a collector that starts programs or asks daemons may take before it is asked less often."""
_RAREST_ROUNDS = 30
"""But never less often than this."""


@dataclass(frozen=True)
class Round:
    """What was found at one time."""

    at_s: int
    inventory: tuple[Record, ...]
    """Hosts, workloads, and what else is neither sample nor series; the same object while nothing of it changes."""
    readings: tuple[Reading, ...]


class Watch(Protocol):
    """A collector at work on one host, which may keep open and remember what makes the next round cheap."""

    def read(self) -> Iterable[WorkloadRecord | Reading]:
        """What is there now."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


@runtime_checkable
class Watchable(Protocol):
    """A collector that offers a watch."""

    def watch(self, root: Path, host: str, keep_open: int) -> Watch:
        """Watch the host below ``root``, with at most so many files kept open."""
        ...


@dataclass(frozen=True)
class Cost:
    """What one collector took when it was last asked."""

    took_s: float
    cpu_s: float
    """With the programs that it ran."""
    succeeded: bool


Found = Record | Reading


class _Source:
    """One collector, and what it found when it was last asked."""

    def __init__(self, collector: Collector, root: Path, host: str, keep_open: int) -> None:
        self.name = collector.name
        self.watch = collector.watch(root, host, keep_open) if isinstance(collector, Watchable) else None
        self._collector, self._root, self._host = collector, root, host
        self._before: dict[tuple[str | None, str], Reading] = {}
        self._inventory: list[Found] = []
        self._wait = 0
        self.cost = Cost(0.0, 0.0, True)

    def read(self, at_s: int, interval_s: float, report: Callable[[str], None]) -> list[Found]:
        """What it finds; where asking is dear it is not always asked, and then only what is there is told again."""
        if self._wait:
            self._wait -= 1
            return self._inventory
        began, spent = time.monotonic(), cpu_s()
        found, failure = self._ask(at_s)
        self.cost = Cost(time.monotonic() - began, cpu_s() - spent, not failure)
        if failure:
            report(f"collector {self.name}: {failure}")
        if self.watch is None:
            self._inventory = [one for one in found if not isinstance(one, Reading)]
            self._wait = min(_RAREST_ROUNDS, math.ceil(self.cost.cpu_s / (_SHARE * interval_s))) - 1
            self._wait = max(0, self._wait)
        values = {"collector_duration_seconds": self.cost.took_s, "collector_success": float(self.cost.succeeded)}
        return [*found, Reading(f"collector/{self.name}", "", values)]

    def close(self) -> None:
        """Let go of what a watch keeps."""
        if self.watch is not None:
            self.watch.close()

    def _ask(self, at_s: int) -> tuple[list[Found], str]:
        if self.watch is not None:
            try:
                return list(self.watch.read()), ""
            except Exception as error:  # noqa: BLE001 - the per-collector boundary: a failure becomes a reading
                return [], f"{type(error).__name__}: {error}"
        records, failure = attempt(self._collector, self._root, self._host, at_s)
        seen: list[Found] = [one for one in records if not isinstance(one, Sample | Series)]
        return [*seen, *self._same(gather(one for one in records if isinstance(one, Sample)))], failure

    def _same(self, readings: list[Reading]) -> list[Reading]:
        """The readings, and those of the round before where they say the same."""
        kept = []
        for reading in readings:
            before = self._before.get((reading.workload, reading.incarnation))
            kept.append(before if before is not None and before.values == reading.values else reading)
        self._before = {(one.workload, one.incarnation): one for one in kept}
        return kept


class Observer:
    """All collectors, watching one host."""

    def __init__(
        self,
        root: Path,
        host: str,
        interval_s: float,
        report: Callable[[str], None],
        collectors: Sequence[Collector],
        keep_open: int,
    ) -> None:
        """Watch the host below ``root``; what fails goes to ``report`` once, until it changes."""
        self._sources = [_Source(collector, root, host, keep_open) for collector in collectors]
        self._interval_s, self._report = interval_s, report
        self._inventory: tuple[Record, ...] = ()
        self._complaints: set[str] = set()

    @property
    def costs(self) -> dict[str, Cost]:
        """What each collector took, by its name."""
        return {source.name: source.cost for source in self._sources}

    def observe(self, at_s: int) -> Round:
        """One round; the failure of a collector hides no other, and is itself a reading."""
        complaints: list[str] = []
        found = [(one.name, one.read(at_s, self._interval_s, complaints.append)) for one in self._sources]
        for complaint in complaints:
            if complaint not in self._complaints:  # the same every ten seconds would drown everything else
                self._report(complaint)
        self._complaints = set(complaints)
        joined = join(found)
        inventory = tuple(one for one in joined if not isinstance(one, Reading))
        if inventory != self._inventory:
            self._inventory = inventory
        return Round(at_s, self._inventory, tuple(one for one in joined if isinstance(one, Reading)))

    def close(self) -> None:
        """Let go of everything that is kept open."""
        for source in self._sources:
            source.close()


def cpu_s() -> float:
    """CPU time of this process and of the programs that it ran and waited for, in seconds."""
    spent = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)
