"""Two sources of one thing: their averages and their clocks are compared, and nothing else is said."""

from __future__ import annotations

import numpy as np
import pytest

from consolidate.insight.rivalry import Pair, compare
from consolidate.model.finding import Finding
from consolidate.model.series import Columns, SeriesKey

MONDAY_S = 1_780_272_000
STEP_S = 300
AT_S = MONDAY_S + STEP_S * np.arange(4 * 288)


def busy(at_s: np.ndarray = AT_S, seed: int = 1) -> np.ndarray:
    """A day's wave with bursts, as cores; the same at the same time."""
    bursts = np.random.default_rng(seed).lognormal(0, 0.3, 6 * 288)
    return (2 + np.sin(at_s / 86400 * 2 * np.pi)) * bursts[(at_s - MONDAY_S) // STEP_S + 288]


def columns(value: np.ndarray, at_s: np.ndarray = AT_S) -> Columns:
    return Columns((SeriesKey("h", "", ""),), np.zeros(len(at_s), dtype=np.int64), at_s, value)


def pair(chosen: Columns, other: Columns, metric: str = "cpu_cores", dimension: str = "cpu_milli") -> Pair:
    def of(one: Columns, wanted: str = "") -> Columns:
        return one if wanted == metric else Columns.empty()

    return Pair("h", dimension, "agent", "prometheus", lambda name: of(chosen, name), lambda name: of(other, name))


def found(chosen: Columns, other: Columns, metric: str = "cpu_cores", dimension: str = "cpu_milli") -> list[Finding]:
    return list(compare([pair(chosen, other, metric, dimension)]))


def test_two_that_agree_are_left_alone() -> None:
    noisy = busy() * np.random.default_rng(3).normal(1, 0.05, len(AT_S))
    assert found(columns(busy()), columns(noisy)) == []
    assert found(columns(busy()), columns(busy(AT_S - STEP_S), AT_S)) == []  # one tells of the time before


def test_an_average_that_is_another_by_more_than_half() -> None:
    (one,) = found(columns(busy()), columns(busy() * 2))
    assert (one.subject, one.dimension, one.kind) == ("h", "cpu_milli", "disagree")
    assert one.detail.endswith(" cores by prometheus over the same 4.0 d: another unit, or not the same thing?")
    assert found(columns(busy()), columns(busy() * 1.4)) == []


def test_what_is_next_to_nothing_does_not_disagree() -> None:
    assert found(columns(busy() / 500), columns(busy() / 100)) == []


@pytest.mark.parametrize(("hours", "says"), [(2, "2 h later"), (-5, "5 h earlier"), (0.5, "30 min later")])
def test_a_clock_that_is_wrong(hours: float, says: str) -> None:
    late = busy(AT_S - int(hours * 3600)) if abs(hours) <= 24 else busy()
    (one,) = found(columns(busy()), columns(late))
    assert one.kind == "clock"
    assert one.detail == (
        f"prometheus shows the same as agent {says}: a clock that is wrong, or local time taken for UTC?"
    )


def test_a_counter_and_a_gauge_are_compared() -> None:
    counted = columns(np.cumsum(busy() * STEP_S))
    gauge = columns(busy())
    both = Pair(
        "h",
        "cpu_milli",
        "agent",
        "prometheus",
        lambda name: counted if name == "cpu_seconds_total" else Columns.empty(),
        lambda name: gauge if name == "cpu_cores" else Columns.empty(),
    )
    assert list(compare([both])) == []


def test_too_little_says_nothing() -> None:
    assert found(columns(busy()[:5], AT_S[:5]), columns(busy()[:5] * 9, AT_S[:5])) == []
    apart = columns(busy() * 9, AT_S + 90 * 86400)
    assert found(columns(busy()), apart) == []
    flat = columns(np.full(len(AT_S), 3.0))
    assert found(flat, flat) == []


def test_memory_has_its_own_least_amount() -> None:
    memory = "memory_working_set_bytes"
    small, large = columns(np.full(len(AT_S), 1e6)), columns(np.full(len(AT_S), 1e9))
    assert found(small, columns(small.value * 3), memory, "memory_bytes") == []
    (one,) = found(large, columns(large.value * 1.024 * 2), memory, "memory_bytes")
    assert one.kind == "disagree"
