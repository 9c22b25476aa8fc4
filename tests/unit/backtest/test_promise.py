"""What a plan promises before it is judged, and the margin that keeps a promise small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from consolidate.backtest import backtest, calibration, judge_halves
from consolidate.backtest.calibrate import CONFIDENCE, MARGINS_PERMILLE, calibrated
from consolidate.backtest.judge import BackTest
from consolidate.backtest.promise import Promise, measured_days, promise
from consolidate.backtest.show import backtest_text
from consolidate.demand import History, in_memory
from consolidate.demand.history import SOURCES, Part, Parts
from consolidate.demand.rates import Amounts
from consolidate.errors import InputError
from consolidate.model.policy import Policy, SizingPolicy
from consolidate.solve import Effort
from tests.support.fleets import GIB, fleet, host, workload

MONDAY_S = 1_780_272_000
DAY_S, STEP_S, PER_DAY = 86400, 300, 288
EFFORT = Effort(perturbed_starts=1, patience=20)
NAMES = [f"w{index}" for index in range(6)]
FLEET = fleet(
    [host(f"h{index}", cpu=2000, memory=GIB) for index in range(6)],
    [workload(name, f"h{index}") for index, name in enumerate(NAMES)],
)
CAREFUL = Policy(SizingPolicy(cpu_quantile=1.0, cpu_margin_permille=0, risk=0.001))


def history(loads: np.ndarray, first: np.ndarray | None = None) -> History:
    """CPU of each workload from Monday on, shape (workloads, five minutes); each from its own first sample on."""
    step = np.tile(np.arange(loads.shape[1]), len(loads))
    owner = np.repeat(np.arange(len(loads)), loads.shape[1])
    keep = step >= (np.zeros(len(loads)) if first is None else first)[owner]
    owner, at_s = owner[keep], MONDAY_S + STEP_S * step[keep]
    nothing = Amounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    amounts = {
        "cpu_milli": Amounts(owner, at_s, loads.ravel()[keep]),
        "memory_bytes": Amounts(owner, at_s, np.full(len(owner), 1e6)),
    }
    return in_memory(dict.fromkeys(SOURCES, nothing) | amounts, len(loads))


def steady(days: int, level: float = 480.0) -> np.ndarray:
    return np.full((len(NAMES), days * PER_DAY), level)


def test_a_steady_load_promises_nothing_lacking() -> None:
    told = promise(history(steady(9)), FLEET, CAREFUL, EFFORT, 3.0)
    assert told is not None
    assert (told.usual, told.worst, told.over) == (0.0, 0.0, 0)
    assert told.host_days % 9 == 0, "each of the nine days is left out once"
    assert told.at_most == 1 / (told.host_days + 1)


def test_the_promise_is_the_risk_or_what_the_days_can_vouch_for() -> None:
    assert Promise(0.0, 0.002, 0.01, 200, 0.0, 0).at_most == 0.01
    assert Promise(0.0, 0.02, 0.01, 200, 0.0, 0).at_most == 0.02, "the worst block was worse"
    assert Promise(0.0, 0.002, 0.01, 39, 0.0, 0).at_most == 1 / 40, "one more day may lack something all day long"
    assert Promise(0.0, 0.002, 0.01, 39, 3.0, 5).at_most == 4 / 40


@pytest.mark.parametrize(("host_days", "over", "within"), [(0, 0, 0.0), (9, 0, 0.9), (8, 0, 8 / 9), (99, 9, 0.9)])
def test_days_that_were_seen_vouch_for_one_day_less_than_they_are(host_days: int, over: int, within: float) -> None:
    assert Promise(0.0, 0.0, 0.01, host_days, 0.0, over).within == pytest.approx(within)


def test_a_load_that_changed_for_good_shows_in_the_worst_block_only() -> None:
    loads = steady(9)
    loads[:, 6 * PER_DAY :] *= 1.5  # four fit on a host before, and lack something after
    told = promise(history(loads), FLEET, CAREFUL, EFFORT, 3.0)
    assert told is not None
    assert told.usual == 0.0
    assert told.worst == pytest.approx(1 / 2 * 2 / 3), "one of two hosts, by the share of the days that was left"
    assert (told.over, told.lacking) == (3, 3.0), "that host, on each of the days, all day"
    assert told.at_most == max(told.worst, 4 / (told.host_days + 1))


def test_the_judged_days_have_no_part_in_the_promise() -> None:
    loads = steady(12)
    calm = backtest(history(loads), FLEET, CAREFUL, 9, effort=EFFORT).judged
    loads[:, 9 * PER_DAY :] *= 3
    stormy = backtest(history(loads), FLEET, CAREFUL, 9, effort=EFFORT).judged
    assert [one.promise for one in calm] == [one.promise for one in stormy]


@pytest.mark.parametrize("days", [0, 1])
def test_too_few_days_promise_nothing(days: int) -> None:
    assert promise(history(steady(days)), FLEET, CAREFUL, EFFORT, 1.0) is None


def test_two_days_promise_by_each_other() -> None:
    loads = steady(2)
    loads[:, PER_DAY:] *= 1.5
    told = promise(history(loads), FLEET, CAREFUL, EFFORT, 1.0)
    assert told is not None
    assert told.worst > told.usual > 0


def test_days_without_measurements_are_no_days() -> None:
    days = measured_days(history(steady(7)).without(MONDAY_S + DAY_S, MONDAY_S + 3 * DAY_S))
    assert (days - MONDAY_S // DAY_S).tolist() == [0, 3, 4, 5, 6]


def test_what_ran_on_one_side_only_is_neither_planned_nor_judged() -> None:
    late = np.zeros(len(NAMES))
    late[2] = 8 * PER_DAY
    verdicts = backtest(history(steady(10), late), FLEET, CAREFUL, 7, effort=EFFORT)
    assert verdicts.left_out == ("w2",)
    assert "1 workloads ran on one side" in backtest_text(verdicts, [], 80)


def test_a_split_that_nothing_ran_across_is_refused() -> None:
    late = np.full(len(NAMES), 8 * PER_DAY)
    loads = history(steady(10), late)
    early = history(steady(7)).only(np.arange(len(NAMES)) == 0)
    assert early.span_s() is not None
    with pytest.raises(InputError, match="no workload was measured both before and after 7 days"):
        backtest(both(early, loads.only(np.arange(len(NAMES)) > 0)), FLEET, CAREFUL, 7, effort=EFFORT)


def both(one: History, other: History) -> History:
    """The histories of a fleet's first workload and of its others, as one."""
    return Parts((lambda: next(one.parts()), lambda: _counted_on(next(other.parts()))))


def _counted_on(part: Part) -> Part:
    return Part(part.positions + 1, part.amounts)


def growing() -> History:
    """Every third day more than on any before it, in all workloads at once."""
    loads = steady(9, level=470.0)
    for day in range(9):
        loads[:, day * PER_DAY : (day + 1) * PER_DAY] *= 1 + 0.05 * (day // 3)
    return history(loads)


def test_the_margin_found_is_the_least_that_keeps_the_risk() -> None:
    found = calibrated(growing(), FLEET, CAREFUL, EFFORT, 3.0)
    at = MARGINS_PERMILLE.index(found.cpu_margin_permille)
    assert 0 < at < len(MARGINS_PERMILLE) - 1
    kept = []
    for margin in MARGINS_PERMILLE[at - 1 : at + 1]:
        asked = replace(CAREFUL, sizing=replace(CAREFUL.sizing, cpu_margin_permille=margin, io_margin_permille=margin))
        told = promise(growing(), FLEET, asked, EFFORT, 3.0)
        assert told is not None
        kept.append(told.worst <= told.risk and told.within >= CONFIDENCE)
    assert kept == [False, True]


def test_a_steady_load_needs_no_margin_and_is_judged_like_the_others() -> None:
    judged = calibration(history(steady(12)), FLEET, CAREFUL, 9, effort=EFFORT)
    assert judged.name == "balanced, 0 % found"
    assert judged.promise is not None
    assert (judged.promise.usual, judged.violation_rate, judged.kept, judged.expected) == (0.0, 0.0, True, True)
    assert judged.within == 1.0


def promises_kept(loads: np.ndarray, train_days: float) -> float | None:
    halves = judge_halves(history(loads), FLEET, CAREFUL, train_days, count=3, effort=EFFORT)
    assert len(halves) == 3
    return BackTest(train_days, 1.0, (), (), halves).promises_kept


def test_promises_are_kept_while_loads_stay_and_broken_when_they_triple() -> None:
    loads = steady(12)
    assert promises_kept(loads, 9) == 1.0
    loads[:, 9 * PER_DAY :] *= 3
    assert promises_kept(loads, 9) == 0.0
    assert promises_kept(steady(2), 0.9) is None


def test_one_whole_day_suffices_to_judge_by() -> None:
    assert backtest(history(steady(3)), FLEET, CAREFUL, 2, effort=EFFORT).judged_days == pytest.approx(1, abs=0.01)
    with pytest.raises(InputError, match="leave at least one"):
        backtest(history(steady(3)), FLEET, CAREFUL, 2.5, effort=EFFORT)
