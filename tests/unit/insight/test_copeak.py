"""Who peaks together: the same intervals, not the same amounts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consolidate.demand import History, in_memory
from consolidate.demand.history import SOURCES
from consolidate.demand.rates import Amounts
from consolidate.insight import CoPeak, copeak
from consolidate.insight.copeak import LEAST_PEAKS, TOGETHER, top_intervals
from consolidate.insight.show import copeak_json, copeak_text
from tests.support.fleets import fleet, host, workload

MONDAY_S = 1_780_272_000
DAYS = 2
AT_S = MONDAY_S + 300 * np.arange(288 * DAYS)
HOUR = AT_S // 3600 % 24


def history(*series: np.ndarray) -> History:
    """CPU of each workload every five minutes; NaN is not measured."""
    owner = np.repeat(np.arange(len(series)), [len(one) for one in series])
    at_s = np.concatenate([MONDAY_S + 300 * np.arange(len(one)) for one in series]) if series else np.empty(0, np.int64)
    cpu = np.concatenate(series) if series else np.empty(0)
    there = ~np.isnan(cpu)
    nothing = Amounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    amounts = {"cpu_milli": Amounts(owner[there], at_s[there], cpu[there])}
    return in_memory(dict.fromkeys(SOURCES, nothing) | amounts, len(series))


def at_hour(hour: int, low: float = 100.0, high: float = 900.0) -> np.ndarray:
    """Busy for one hour a day, which is a little less than a twentieth of it."""
    return np.where(hour == HOUR, high, low)


def of(names: str, *series: np.ndarray) -> CoPeak:
    return copeak(history(*series), fleet([host("h")], [workload(name, "h") for name in names]))


def test_in_phase_is_together_and_anti_phase_is_not() -> None:
    found = of("abcd", at_hour(9), at_hour(9, 10, 20), at_hour(21), at_hour(21, 0, 5000))
    assert found.names == ("a", "b", "c", "d")
    assert found.share.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    assert found.groups == (("a", "b"), ("c", "d"))


def test_the_share_is_of_the_rarer_ones_peaks() -> None:
    """Three hours, of which one hour is half within: 12 of 24 of the rarer one's intervals."""
    long = np.where((HOUR >= 9) & (HOUR < 12), 900.0, 100.0)
    half = from_half_hour(23)
    found = of("ab", long, half)
    assert found.share[0, 1] == found.share[1, 0] == 0.5 == TOGETHER
    assert found.groups == (("a", "b"),)


def from_half_hour(first: int) -> np.ndarray:
    """Busy for an hour from a half hour on."""
    return np.where(np.isin(AT_S // 1800 % 48, (first, first + 1)), 900.0, 100.0)


def test_a_chain_is_no_group() -> None:
    """Shifts that overlap from one to the next: the first and the last have no peak in common."""
    found = of("abc", from_half_hour(18), from_half_hour(19), from_half_hour(20))
    assert found.share[0, 2] == 0
    assert found.share[0, 1] == found.share[1, 2] == 0.5
    assert found.groups == (("a", "b"),)


def test_the_largest_group_comes_first() -> None:
    found = of("cyaxb", at_hour(3), at_hour(9), at_hour(3), at_hour(9), at_hour(3))
    assert found.groups == (("a", "b", "c"), ("x", "y"))


def test_what_never_varies_or_was_hardly_measured_peaks_with_nobody() -> None:
    flat, short = np.full(len(AT_S), 500.0), np.full(len(AT_S), np.nan)
    short[:100] = 1.0
    short[3] = 2.0  # one peak, within the last one's
    assert 0 < top_intervals(short[None, :]).sum() < LEAST_PEAKS
    found = of("abcd", flat, flat, short, at_hour(0))
    assert np.array_equal(found.share, np.eye(4))
    assert found.groups == ()


def test_an_idle_workload_peaks_when_it_wakes_and_a_plateau_is_one_peak() -> None:
    nan = float("nan")
    rows = np.array([[0.0] * 99 + [1.0], [5.0] * 60 + [9.0] * 40, [3.0] * 100, [nan] * 100, [nan] * 60 + [*range(40)]])
    assert top_intervals(rows).sum(axis=1).tolist() == [1, 40, 0, 0, 2]
    assert top_intervals(rows)[0, 99]
    assert top_intervals(rows)[4, 98:].all()


def test_nothing_measured_and_nobody_there() -> None:
    nobody = copeak(history(), fleet([host("h")], []))
    assert (nobody.names, nobody.share.shape, nobody.groups) == ((), (0, 0), ())
    silent = of("ab", np.full(3, np.nan), np.full(3, np.nan))
    assert np.array_equal(silent.share, np.eye(2))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6), st.data())
def test_the_matrix_is_symmetric_and_follows_its_workloads(seed: int, count: int, data: st.DataObject) -> None:
    random = np.random.default_rng(seed)
    series = [np.round(random.exponential(10, 300), int(random.integers(3))) for _ in range(count)]
    for one in series:
        one[random.random(300) < 0.2] = np.nan
    names = "abcdef"[:count]
    order = data.draw(st.permutations(range(count)))
    # Its first interval is measured in every order, so that the grid begins at the same time.
    for one in series:
        one[0] = 1.0
    found, turned = of(names, *series), of("".join(names[i] for i in order), *(series[i] for i in order))
    assert np.array_equal(found.share, found.share.T)
    assert (np.diag(found.share) == 1).all()
    assert ((found.share >= 0) & (found.share <= 1)).all()
    assert np.array_equal(turned.share, found.share[np.ix_(order, order)])
    assert {frozenset(group) for group in turned.groups} == {frozenset(group) for group in found.groups}


def test_another_dimension_may_be_compared() -> None:
    with pytest.raises(KeyError):
        copeak(history(at_hour(1)), fleet([host("h")], [workload("a")]), "gpu")
    found = copeak(history(at_hour(1), at_hour(1)), fleet([host("h")], [workload("a"), workload("b")]), "memory_bytes")
    assert found.groups == ()


def test_it_is_shown() -> None:
    found = of("abcd", at_hour(9), at_hour(9), at_hour(9), at_hour(21))
    text = copeak_text(found, (), 80)
    assert "3 of 4 workloads peak together with others, in 1 group\n" in text
    assert "100%  a, b, c" in text
    assert max(map(len, text.splitlines())) <= 80
    document = copeak_json(found, ())
    assert '"pairs_together": 3' in document
    assert '"mean_share": 1.0' in document
