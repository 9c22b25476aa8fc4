"""When rounds are due. Time is passed in, so that a day takes seconds in a test."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from collectors.agent.observer import Round
from collectors.agent.spool import Spool

HOLD_S = 3600
"""A clock that was set back by less is waited for; receivers refuse what is further ahead than this."""


@dataclass(frozen=True)
class Clock:
    """What tells the time."""

    now_s: Callable[[], float]
    """Unix time, which may jump."""
    monotonic_s: Callable[[], float]
    """Never goes back."""
    wait: Callable[[float], bool]
    """Waits so many seconds, or less where the agent is told to end; returns whether it is."""


@dataclass(frozen=True)
class Rounds:
    """What has happened since the agent started."""

    done: int = 0
    skipped: int = 0
    """Due while another round was still running, or while the host did not get to it."""
    held: int = 0
    """Left out because the clock had been set back to a time that was measured already."""
    duration_s: float = 0.0
    """Of all rounds together."""
    longest_s: float = 0.0
    last_duration_s: float = 0.0
    last: Round | None = None


class Observes(Protocol):
    """Whatever yields rounds."""

    def observe(self, at_s: int) -> Round:
        """One round."""
        ...


class Agent:
    """Rounds on a fixed grid: no drift, and a round that is late is skipped rather than taken twice."""

    def __init__(
        self, observer: Observes, spool: Spool, interval_s: float, clock: Clock, report: Callable[[str], None]
    ) -> None:
        self._observer, self._spool, self._interval_s, self._clock = observer, spool, interval_s, clock
        self._report = report
        now_s = int(clock.now_s())
        # Whoever wrote here before was done by now, so that no second is ever measured twice.
        self._last_s = max(now_s, spool.last_s) if spool.last_s <= now_s + HOLD_S else now_s
        self.rounds = Rounds()
        """Replaced after each round, never altered: other threads read it."""

    def run(self) -> None:
        """Take rounds until told to end; what was measured is then sealed."""
        clock, interval_s = self._clock, self._interval_s
        if clock.wait(1 - clock.now_s() % 1):
            return
        began, number = clock.monotonic_s(), 0
        while not clock.wait(max(0.0, began + number * interval_s - clock.monotonic_s())):
            if clock.monotonic_s() - (began + number * interval_s) < interval_s / 2:
                self._round()
            else:
                self.rounds = replace(self.rounds, skipped=self.rounds.skipped + 1)
            passed = (clock.monotonic_s() - began) / interval_s
            coming = max(number + 1, math.ceil(passed))
            self.rounds = replace(self.rounds, skipped=self.rounds.skipped + coming - number - 1)
            number = coming
        self._spool.seal()

    def _round(self) -> None:
        at_s = int(self._clock.now_s())
        if at_s <= self._last_s:
            if self._last_s - at_s <= HOLD_S:
                self.rounds = replace(self.rounds, held=self.rounds.held + 1)
                return
            self._report(f"the clock was set back by {self._last_s - at_s} s; samples go on at the new time")
        began = time.perf_counter()
        found = self._observer.observe(at_s)
        self._last_s = at_s
        self._spool.add(found)
        took_s = time.perf_counter() - began
        before = self.rounds
        self.rounds = Rounds(
            before.done + 1,
            before.skipped,
            before.held,
            before.duration_s + took_s,
            max(before.longest_s, took_s),
            took_s,
            found,
        )
