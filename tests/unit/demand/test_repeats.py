"""Periods that a load has, and days on which it was not itself."""

from __future__ import annotations

import numpy as np

from consolidate.demand.rates import Amounts
from consolidate.demand.repeats import found_slots, quiet_days, without_days

MONDAY_S = 1_780_272_000
HOURS = np.arange(28 * 24)
BY_DAY = np.where(HOURS % 24 < 8, 1.0, 5.0)
BY_WEEK = np.where(HOURS // 24 % 7 < 5, BY_DAY, 1.0)


def hourly(*loads: np.ndarray) -> Amounts:
    owner = np.repeat(np.arange(len(loads)), [len(one) for one in loads])
    at_s = np.concatenate([MONDAY_S + 3600 * np.arange(len(one)) for one in loads])
    return Amounts(owner, at_s, np.concatenate(loads))


def test_a_week_a_day_or_nothing_is_found_to_repeat() -> None:
    noise = np.random.default_rng(1).random(len(HOURS))
    case = hourly(BY_WEEK + noise, BY_DAY + noise, noise, np.full(len(HOURS), 3.0))
    assert found_slots(case, np.full(4, 168)).tolist()[0] == 168
    assert found_slots(case, np.full(4, 168)).tolist()[2:] == [1, 1]
    assert found_slots(hourly(BY_DAY), np.array([168])).tolist() == [24], "a week tells no more than a day"


def test_no_finer_slots_are_found_than_the_history_allows() -> None:
    assert found_slots(hourly(BY_WEEK), np.array([24])).tolist() == [24]
    assert found_slots(hourly(BY_DAY[:20]), np.array([1])).tolist() == [1]


def test_gaps_are_no_load() -> None:
    full = hourly(BY_DAY)
    kept = HOURS % 5 != 0
    gappy = Amounts(full.workload[kept], full.at_s[kept], full.value[kept])
    assert found_slots(gappy, np.array([168])).tolist() == [24]


def test_a_holiday_is_left_out_and_a_busy_day_is_not() -> None:
    load = BY_WEEK.copy()
    holiday, rush = slice(7 * 24, 8 * 24), slice(15 * 24, 16 * 24)  # a Monday and a Tuesday
    load[holiday], load[rush] = 0.1, 50.0
    case = hourly(load, BY_WEEK)
    left_out, first = quiet_days(case, 2)
    assert np.argwhere(left_out).tolist() == [[0, 7]]
    assert first == MONDAY_S // 86400
    rest = without_days(case, left_out, first)
    assert len(rest.value) == len(case.value) - 24
    assert 0.1 not in rest.value


def test_a_day_of_which_only_the_night_was_measured_is_no_holiday() -> None:
    night = hourly(BY_WEEK[: 21 * 24 + 6])
    assert not quiet_days(night, 1)[0].any()


def test_two_of_a_weekday_do_not_say_what_is_usual() -> None:
    load = BY_WEEK[: 14 * 24].copy()
    load[7 * 24 : 8 * 24] = 0.0
    assert not quiet_days(hourly(load), 1)[0].any()


def test_a_load_that_varies_that_much_anyway_is_not_quiet() -> None:
    days = np.repeat(np.random.default_rng(2).lognormal(0, 1.5, 28), 24)
    assert not quiet_days(hourly(days), 1)[0].any()


def test_without_samples_nothing_is_found() -> None:
    nothing = Amounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    assert found_slots(nothing, np.array([168])).tolist() == [1]
    left_out, first = quiet_days(nothing, 1)
    assert without_days(nothing, left_out, first).value.tolist() == []
