"""Hours that people's clocks showed, through daylight saving and off-hours."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consolidate.demand.clock import counted, local_times
from consolidate.model.policy import SizingPolicy
from consolidate.units import slot_of_week

BERLIN = ZoneInfo("Europe/Berlin")


def at(*when: int) -> int:
    return int(datetime(*when, tzinfo=BERLIN).timestamp())


def test_nine_o_clock_stays_nine_o_clock_when_the_clocks_change() -> None:
    mondays = np.array([at(2026, 3, 23, 9), at(2026, 3, 30, 9)])  # summer time begins in between
    assert np.diff(mondays).tolist() == [7 * 86400 - 3600]
    assert slot_of_week(local_times(mondays, "Europe/Berlin")).tolist() == [9, 9]
    assert slot_of_week(local_times(mondays, "UTC")).tolist() == [8, 7]


@given(
    st.integers(1_600_000_000, 1_900_000_000),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"]),
)
def test_the_clock_agrees_with_the_calendar(at_s, zone) -> None:
    shown = datetime.fromtimestamp(at_s, ZoneInfo(zone))
    local = int(local_times(np.array([at_s]), zone)[0])
    assert slot_of_week(local) == shown.weekday() * 24 + shown.hour
    assert local % 3600 == shown.minute * 60 + shown.second


def test_what_counts_follows_the_local_hour() -> None:
    office = tuple(1000 if 8 <= hour % 24 < 18 and hour < 120 else 250 for hour in range(168))
    policy = SizingPolicy(time_zone="Europe/Berlin", counted_permille=office)
    when = np.array([at(2026, 7, 6, 8), at(2026, 7, 6, 7), at(2026, 7, 5, 12)])  # Monday, Monday, Sunday
    assert counted(when, policy).tolist() == [1.0, 0.25, 0.25]
    assert counted(when, SizingPolicy()).tolist() == [1.0] * 3


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_no_times_are_no_times(zone: str) -> None:
    assert local_times(np.empty(0, np.int64), zone).tolist() == []
