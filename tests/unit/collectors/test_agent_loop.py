"""When rounds are taken: on a fixed grid, late ones skipped, and never the same second twice."""

from __future__ import annotations

import itertools
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.agent.loop import HOLD_S, Agent, Clock
from collectors.agent.observer import Round
from collectors.agent.spool import LEAST_BYTES, Limits, Spool
from collectors.reading import Reading
from collectors.records import Series
from collectors.traces.segments import read

START_S = 1_780_315_200


class FakeClock:
    """A clock that only passes where somebody waits, or where work is said to take time."""

    def __init__(self, until_s: float) -> None:
        self.passed_s, self.until_s, self.offset_s = 0.5, until_s, 0.0

    def now_s(self) -> float:
        return START_S + self.passed_s + self.offset_s

    def monotonic_s(self) -> float:
        return 1000 + self.passed_s

    def wait(self, seconds: float) -> bool:
        assert seconds >= 0
        self.passed_s = round(self.passed_s + seconds, 3)  # to the millisecond, so that seconds can be compared
        return self.passed_s > self.until_s

    def clock(self) -> Clock:
        return Clock(self.now_s, self.monotonic_s, self.wait)


class Scripted:
    """Rounds that take as long as is said, in their order."""

    def __init__(self, clock: FakeClock, takes_s: list[float]) -> None:
        self.clock, self.takes_s = clock, takes_s
        self.at: list[float] = []

    def observe(self, at_s: int) -> Round:
        self.at.append(self.clock.passed_s)
        self.clock.wait(self.takes_s.pop(0) if self.takes_s else 0.25)
        return Round(at_s, (), (Reading(None, "1", {"pids": float(at_s)}),))


def run(folder: Path, clock: FakeClock, takes_s: list[float] | None = None) -> tuple[Agent, Scripted, list[str]]:
    complaints: list[str] = []
    scripted = Scripted(clock, takes_s or [])
    with closing(Spool(folder, "h1", Limits(LEAST_BYTES, 60), complaints.append)) as spool:
        agent = Agent(scripted, spool, 10.0, clock.clock(), complaints.append)
        agent.run()
    return agent, scripted, complaints


def times(folder: Path) -> list[int]:
    return [int(at_s) for one in read(folder) if isinstance(one, Series) for at_s in one.at_s]


def test_rounds_do_not_drift(tmp_path: Path) -> None:
    agent, scripted, _ = run(tmp_path, FakeClock(3600))
    assert scripted.at == [1 + 10 * number for number in range(360)]
    assert (agent.rounds.done, agent.rounds.skipped) == (360, 0)


@given(st.lists(st.floats(0, 35), max_size=12))
def test_a_late_round_is_skipped_and_not_doubled(takes_s: list[float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        agent, scripted, _ = run(Path(folder), FakeClock(300), list(takes_s))
        grid = [(at - 1) / 10 for at in scripted.at]
        assert grid == [round(one) for one in grid], "always on the grid"
        assert len(set(grid)) == len(grid)
        due = int(max(grid)) + 1 if grid else 0
        assert agent.rounds.done == len(grid)
        assert agent.rounds.done + agent.rounds.skipped >= due, "each is either taken or counted"
        assert times(Path(folder)) == [int(START_S + at) for at in scripted.at]


def test_a_host_that_slept_goes_on_at_the_next_round(tmp_path: Path) -> None:
    clock = FakeClock(300)
    wait = clock.wait
    waits = iter(range(1000))

    def oversleep(seconds: float) -> bool:
        return wait(seconds + (97 if next(waits) == 4 else 0))

    scripted = Scripted(clock, [])
    with closing(Spool(tmp_path, "h1", Limits(LEAST_BYTES, 60), print)) as spool:
        agent = Agent(scripted, spool, 10.0, Clock(clock.now_s, clock.monotonic_s, oversleep), print)
        agent.run()
    assert scripted.at[:5] == [1, 11, 21, 131, 141]
    assert agent.rounds.skipped == 10


@pytest.mark.parametrize(("back_s", "held"), [(35, 4), (HOLD_S - 10, 360)])
def test_a_clock_that_goes_back_a_little_is_waited_for(tmp_path: Path, back_s: int, held: int) -> None:
    clock = FakeClock(6000)

    class SetBack(Scripted):
        def observe(self, at_s: int) -> Round:
            found = super().observe(at_s)
            if len(self.at) == 10:
                clock.offset_s -= back_s
            return found

    with closing(Spool(tmp_path, "h1", Limits(LEAST_BYTES, 60), print)) as spool:
        agent = Agent(SetBack(clock, []), spool, 10.0, clock.clock(), print)
        agent.run()
    found = times(tmp_path)
    assert found == sorted(set(found))
    assert agent.rounds.held == pytest.approx(held, abs=1)


def test_a_clock_that_was_far_ahead_does_not_stop_sampling(tmp_path: Path) -> None:
    clock = FakeClock(600)
    complaints: list[str] = []

    class Mended(Scripted):
        def observe(self, at_s: int) -> Round:
            found = super().observe(at_s)
            if len(self.at) == 10:
                clock.offset_s = -400_000.0
            return found

    with closing(Spool(tmp_path, "h1", Limits(LEAST_BYTES, 60), print)) as spool:
        agent = Agent(Mended(clock, []), spool, 10.0, clock.clock(), complaints.append)
        agent.run()
    assert agent.rounds.done == 60
    assert len(set(times(tmp_path))) == 60
    assert complaints == ["the clock was set back by 399990 s; samples go on at the new time"]


def test_a_clock_that_jumps_ahead_leaves_a_gap(tmp_path: Path) -> None:
    clock = FakeClock(100)

    class Ahead(Scripted):
        def observe(self, at_s: int) -> Round:
            clock.offset_s += 5000 if len(self.at) == 4 else 0
            return super().observe(at_s)

    with closing(Spool(tmp_path, "h1", Limits(LEAST_BYTES, 60), print)) as spool:
        Agent(Ahead(clock, []), spool, 10.0, clock.clock(), print).run()
    found = times(tmp_path)
    assert len(found) == 10
    assert max(later - earlier for earlier, later in itertools.pairwise(found)) == 5010


def test_no_second_is_measured_twice_across_restarts(tmp_path: Path) -> None:
    for began_s in (0.5, 1.1, 2.01):
        clock = FakeClock(2.05)
        clock.passed_s = began_s
        run(tmp_path, clock)
    found = sorted(times(tmp_path))
    assert found == [START_S + 1, START_S + 2], "a restart within a second that was measured waits for it to pass"
