"""Peaks within the intervals that samples average: how much of them counts in sizes, and that limits leave room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from consolidate.demand import estimate, read_history
from consolidate.demand.explain import explain
from consolidate.demand.history import Part, Parts
from consolidate.model.demand import Demand
from consolidate.model.fleet import Fleet
from consolidate.model.policy import SIZING_POLICIES, Policy, SizingPolicy
from consolidate.model.resources import Resources
from consolidate.model.series import Columns, SeriesKey
from consolidate.plan.basis import basis
from tests.support.fleets import fleet, host, workload

MONDAY_S = 1_780_272_000
AT_S = MONDAY_S + 300 * np.arange(12)
PLAIN = SizingPolicy(floor=Resources(), cpu_quantile=1.0, cpu_margin_permille=0, memory_margin_permille=0, min_hours=0)
CASE = fleet([host("h", cpu_rating=2.0)], [workload("a", "h"), workload("b", "h")])
KEYS = (SeriesKey("", "a", ""), SeriesKey("", "b", ""))


def columns(a: np.ndarray, b: np.ndarray, at_s: np.ndarray = AT_S) -> Columns:
    return Columns(KEYS, np.repeat([0, 1], len(at_s)), np.tile(at_s, 2), np.concatenate([a, b]))


def history(peaks: Columns) -> Parts:
    """Both use half a core, which is a whole one in reference cores, and have peaks or none."""
    half, memory = np.full(len(AT_S), 0.5), np.full(len(AT_S), 1e9)
    series = {
        "cpu_cores": columns(half, half),
        "cpu_cores_max": peaks,
        "memory_working_set_bytes": columns(memory, memory),
    }
    return read_history(lambda metric, workloads: series.get(metric, Columns.empty()), CASE)


def demands(peaks: Columns, policy: SizingPolicy, case: Fleet = CASE) -> dict[str, Demand]:
    found = estimate(history(peaks), case, policy, {})
    return {name: one for name, one in found.items() if isinstance(one, Demand)}


PEAKS = columns(np.full(12, 1.5), np.full(12, 0.4))
"""Of a three times its mean; of b below it, which no peak can be and so adds nothing."""


@pytest.mark.parametrize(("permille", "milli"), [(0, 1000), (500, 2000), (1000, 3000)])
def test_a_share_of_what_a_peak_is_above_its_mean_is_added(permille: int, milli: int) -> None:
    found = demands(PEAKS, replace(PLAIN, peak_permille=permille))
    assert found["a"].amounts["cpu_milli"].tolist() == [milli]
    assert found["b"].amounts["cpu_milli"].tolist() == [1000]


def test_the_cautious_look_at_peaks_and_the_bold_do_not() -> None:
    shares = [SIZING_POLICIES[name].peak_permille for name in ("conservative", "balanced", "aggressive")]
    assert shares == [1000, 500, 0]


def test_limits_leave_room_for_whole_peaks_whatever_the_policy() -> None:
    for permille in (0, 1000):
        assert demands(PEAKS, replace(PLAIN, peak_permille=permille))["a"].highest_cpu_milli == 3000


def test_a_sample_without_a_peak_stays_as_it_is() -> None:
    first, late = AT_S[:6], AT_S + 7
    some = demands(columns(np.full(6, 1.5), np.full(6, 1.5), first), replace(PLAIN, cpu_quantile=0.5))["a"]
    assert some.amounts["cpu_milli"].tolist() == [1000], "half of its samples have no peak"
    assert some.peak_coverage == 0.5
    none = demands(columns(np.full(12, 1.5), np.full(12, 1.5), late), PLAIN)["a"]
    assert (none.amounts["cpu_milli"].tolist(), none.peak_coverage) == ([1000], 0.0)


def test_peaks_are_cut_and_chosen_as_samples_are() -> None:
    whole = history(PEAKS)
    alone = whole.only(np.array([False, True])).between(int(AT_S[3]), int(AT_S[9]))
    [part] = list(alone.parts())
    assert isinstance(part, Part)
    assert part.peaks["cpu_milli"].at_s.tolist() == AT_S[3:9].tolist()
    assert part.peaks["cpu_milli"].workload.tolist() == [0] * 6
    assert part.peaks["cpu_milli"].value == pytest.approx(800.0)
    [rest] = list(whole.without(int(AT_S[3]), int(AT_S[9])).parts())
    assert len(rest.peaks["cpu_milli"].value) == 12


@pytest.mark.parametrize(
    ("permille", "words"),
    [
        (0, "which the policy does not look at in sizing, only in limits"),
        (500, "50 % of what it is above the sample is added to it from here on"),
        (1000, "which stands for the sample from here on"),
    ],
)
def test_the_explanation_and_the_plan_say_what_counts(permille: int, words: str) -> None:
    policy = replace(PLAIN, peak_permille=permille)
    found = demands(PEAKS, policy)
    text = " ".join(" ".join(explain(history(PEAKS), CASE, found, policy, "a")).split())
    assert "peaks 12 samples come with the peak within their interval, 3.000 cores" in text
    assert words in text
    lines = basis(CASE, found, Policy(policy))
    assert any(
        f"CPU of 2 workloads comes with the peak within each interval; {permille / 10:g} %" in one for one in lines
    )


def test_without_peaks_nothing_is_said_of_them() -> None:
    found = demands(Columns.empty(), PLAIN)
    assert found["a"].amounts["cpu_milli"].tolist() == [1000]
    assert "peaks" not in "\n".join(explain(history(Columns.empty()), CASE, found, PLAIN, "a"))
    assert not any("within each interval" in line for line in basis(CASE, found, Policy(PLAIN)))
