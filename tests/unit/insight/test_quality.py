"""Data that look wrong: each kind found where it is, and nothing where nothing is."""

from __future__ import annotations

import json
from collections.abc import Container

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consolidate.demand import History, in_memory
from consolidate.demand.history import SOURCES
from consolidate.demand.rates import Amounts
from consolidate.insight import Finding, findings
from consolidate.insight.show import quality_json, quality_text
from consolidate.model.fleet import Fleet
from consolidate.model.resources import Resources
from consolidate.model.series import Columns, SeriesKey
from tests.support.fleets import GIB, fleet, host, workload

MONDAY_S = 1_780_272_000
COUNT = 3 * 288
AT_S = MONDAY_S + 300 * np.arange(COUNT)
NOTHING = Amounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
CASE = fleet([host("h", cpu=4000, memory=8 * GIB)], [workload("a", "h"), workload("b", "h")])


def busy(seed: int = 1) -> np.ndarray:
    """Between half a core and three."""
    return np.random.default_rng(seed).uniform(500, 3000, COUNT)


def amounts(*series: np.ndarray, times: np.ndarray = AT_S) -> Amounts:
    owner = np.repeat(np.arange(len(series)), len(times))
    return Amounts(owner, np.tile(times, len(series)), np.concatenate(series))


def history(times: np.ndarray = AT_S, **dimensions: tuple[np.ndarray, np.ndarray]) -> History:
    """Dimensions of the two workloads; those that are not given are clean."""
    clean = {"cpu_milli": (busy(1), busy(2)), "memory_bytes": (busy(3) * 1e6, busy(4) * 1e6)}
    measured = {name: amounts(*both, times=times) for name, both in (clean | dimensions).items()}
    return in_memory(dict.fromkeys(SOURCES, NOTHING) | measured, 2)


def found(measured: History, case: Fleet = CASE) -> list[tuple[str, str, str]]:
    return [(one.subject, one.dimension, one.kind) for one in findings(measured, case)]


def test_a_clean_history_has_no_findings() -> None:
    assert findings(history(), CASE) == ()
    assert quality_text((), 80) == "Nothing about the data looks wrong.\n"


def test_an_empty_history_has_none() -> None:
    assert findings(in_memory(dict.fromkeys(SOURCES, NOTHING), 2), CASE) == ()
    assert findings(in_memory(dict.fromkeys(SOURCES, NOTHING), 0), fleet([], [])) == ()


def test_percent_where_cores_are_meant() -> None:
    percent = busy() / 3000 * 380_000  # 0 to 380 percent of four cores
    (one,) = findings(history(cpu_milli=(percent, busy(2))), CASE)
    assert (one.subject, one.dimension, one.kind) == ("a", "cpu_milli", "percent")
    assert one.detail.endswith("95 times the 4.00 cores that its host has: percent?")


@pytest.mark.parametrize(("highest", "kind"), [(50.0, "percent"), (100.0, "percent"), (49.9, ""), (100.1, "")])
def test_percent_of_a_limit(highest: float, kind: str) -> None:
    """Without a host that is known, a maximum outside the window says nothing."""
    case = fleet([], [workload("a", limits=Resources({"cpu_milli": 2000})), workload("b")])
    percent = np.clip(busy(), 0, 2000)
    percent[7] = highest * 2000
    expected = [("a", "cpu_milli", kind)] if kind else []
    assert found(history(cpu_milli=(percent, busy(2))), case) == expected


def test_percent_is_of_the_hosts_own_cores_whatever_their_rating() -> None:
    rated = fleet([host("h", cpu=4000, memory=8 * GIB, cpu_rating=0.5)], CASE.workloads)
    percent = np.append(busy()[1:], 60 * 4000) * 0.5
    assert found(history(cpu_milli=(percent, busy(2) / 2)), rated) == [("a", "cpu_milli", "percent")]
    limited = workload("a", "h", limits=Resources({"cpu_milli": 2000}))
    large = fleet([host("h", cpu=400_000, memory=8 * GIB, cpu_rating=0.5)], [limited, CASE.workloads[1]])
    percent = np.append(busy()[1:], 90 * 2000) * 0.5
    assert found(history(cpu_milli=(percent, busy(2) / 2)), large) == [("a", "cpu_milli", "percent")]


def test_more_than_the_host_has() -> None:
    assert found(history(cpu_milli=(busy() * 10, busy(2)))) == [("a", "cpu_milli", "impossible")]
    twice = np.append(busy()[1:], 8000)
    assert found(history(cpu_milli=(twice, busy(2)))) == []


def test_zeros_that_mean_missing() -> None:
    holes = busy()
    holes[100:150] = 0
    holes[300:312] = 0
    (one,) = findings(history(cpu_milli=(holes, busy(2))), CASE)
    assert (one.subject, one.kind) == ("a", "zeros")
    assert one.detail.startswith(
        "2 runs of exact zeros, the longest 4 h, 7% of its samples, where half of the rest is above 1."
    )
    memory = busy(3) * 1e6
    memory[20:40] = 0
    assert found(history(memory_bytes=(busy(3) * 1e6, memory))) == [("b", "memory_bytes", "zeros")]


def test_zeros_that_may_be_meant() -> None:
    short, ends, idle, spiky = busy(), busy(), busy() / 100, busy()
    short[100:111] = 0  # 55 minutes
    ends[:200] = ends[-200:] = 0  # started late, ended early
    idle[100:150] = 0  # less than a twentieth of a core when it is not
    spiky[::10], spiky[100:150] = 1, 0  # near zero now and then anyway
    assert found(history(cpu_milli=(short, ends))) == []
    assert found(history(cpu_milli=(idle, spiky))) == []
    reads = busy()
    reads[100:150] = 0
    assert found(history(disk_read_bytes_per_s=(reads, reads))) == []


def test_a_stuck_collector() -> None:
    flat, nothing = np.full(COUNT, 700.0), np.zeros(COUNT)
    (one,) = findings(history(cpu_milli=(flat, busy(2)), disk_iops=(nothing, nothing)), CASE)
    assert one == Finding("a", "cpu_milli", "constant", "0.70 cores in each of 864 samples: a collector that is stuck?")
    day = history(cpu_milli=(flat, flat)).between(MONDAY_S, MONDAY_S + 86400)
    assert found(day) == []  # not quite a day from the first to the last
    assert len(found(history(cpu_milli=(flat, flat)))) == 2


def spaced(*apart_s: int) -> np.ndarray:
    return MONDAY_S + np.cumsum(np.resize(apart_s, COUNT))


def half(first: int, second: int, share: float = 0.5) -> np.ndarray:
    return MONDAY_S + np.cumsum(np.where(np.arange(COUNT) < share * COUNT, first, second))


MIXED = {
    "alternating": spaced(60, 240),
    "the other way": spaced(240, 60),
    "slower": half(10, 300),
    "faster": half(300, 10),
    "few long ones take much time": half(10, 300, 0.95),
}


@pytest.mark.parametrize("times", MIXED.values(), ids=MIXED.keys())
def test_mixed_intervals(times: np.ndarray) -> None:
    assert [kind for _, _, kind in found(history(times))] == ["intervals"] * 4


def test_a_few_short_ones_weigh_little() -> None:
    assert found(history(half(10, 300, 0.05))) == []


def test_the_detail_names_both_intervals() -> None:
    (one, *_) = findings(history(half(10, 300)), CASE)
    assert one.detail == "samples are 300 s apart, but 431 times of 863 about 10 s"
    (one, *_) = findings(history(half(10, 300, 0.95)), CASE)
    assert one.detail.startswith("samples are 10 s apart, but 4")
    assert one.detail.endswith("times of 863 about 300 s")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 0.35))
def test_jitter_and_gaps_are_no_mixed_intervals(seed: int, missing: float) -> None:
    random = np.random.default_rng(seed)
    times = AT_S + random.integers(-10, 11, COUNT)
    kept = times[random.random(COUNT) >= missing]
    series = tuple(random.uniform(500, 3000, len(kept)) for _ in range(2))
    measured = in_memory(
        dict.fromkeys(SOURCES, NOTHING) | {"cpu_milli": amounts(*series, times=kept)},
        2,
    )
    assert findings(measured, CASE) == ()


def test_duplicates_and_amounts_below_zero() -> None:
    below, times = busy(), AT_S.copy()
    below[[5, 9]] = -1
    times[100] = times[99]
    measured = history(times, cpu_milli=(below, busy(2)))
    assert found(measured) == [
        ("a", "cpu_milli", "duplicates"),
        ("a", "cpu_milli", "resets"),
        ("a", "memory_bytes", "duplicates"),
        ("b", "cpu_milli", "duplicates"),
        ("b", "memory_bytes", "duplicates"),
    ]
    details = [one.detail for one in findings(measured, CASE)]
    assert details[0] == "1 sample at a second that has one already"
    assert details[1] == "2 samples below zero: a counter's reset that was subtracted?"


def test_what_a_history_does_not_hold_any_more_is_in_the_store() -> None:
    def read(metric: str, wanted: Container[str] | None) -> Columns:
        if metric == "cpu_seconds_total":
            keys = (SeriesKey("", "a", "boot-1"), SeriesKey("", "a", "boot-2"), SeriesKey("", "stranger", ""))
            series, at_s = np.array([0, 0, 0, 1, 1, 2, 2]), np.array([0, 10, 20, 30, 40, 0, 10])
            return Columns(keys, series, at_s, np.array([5.0, 9.0, 2.0, 0.0, 1.0, 9.0, 1.0]))
        if metric == "memory_working_set_bytes" and wanted is not None and "b" in wanted:
            keys = (SeriesKey("", "b", ""),)
            return Columns(keys, np.array([0, 0, 0]), np.array([10, 10, 10]), np.array([3.0, 2.0, 1.0]))
        if metric == "disk_reads_total":
            return Columns((SeriesKey("h", "", ""),), np.array([0, 0]), np.array([0, 10]), np.array([2.0, 1.0]))
        return Columns.empty()

    assert findings(history(), CASE, read) == (
        Finding("a", "cpu_milli", "resets", "1 sample below the one before within one incarnation (cpu_seconds_total)"),
        Finding(
            "b",
            "memory_bytes",
            "duplicates",
            "2 samples at a second that has one already (memory_working_set_bytes)",
        ),
    )


def test_the_parts_of_a_fleet_may_be_in_any_order() -> None:
    flat = np.full(COUNT, 700.0)
    turned = fleet(CASE.hosts, CASE.workloads[::-1])
    assert found(history(cpu_milli=(busy(), flat)), turned) == [("a", "cpu_milli", "constant")]


def test_it_is_shown() -> None:
    flat = np.full(COUNT, 700.0)
    all_found = findings(history(cpu_milli=(flat, busy(2) * 10)), CASE)
    text = quality_text(all_found, 80)
    assert text.startswith("2 findings on 2 hosts and workloads.")
    assert "constant, 1\n  a cpu_milli: 0.70 cores in each" in text
    assert max(map(len, text.splitlines())) <= 80
    assert [one["kind"] for one in json.loads(quality_json(all_found))] == ["constant", "impossible"]
    many = [Finding("w", "cpu_milli", "constant", f"flat {index}") for index in range(13)]
    assert "and 3 more; --json lists all" in quality_text(many, 80)


def test_memory_in_kilobytes() -> None:
    kilobytes = busy(3) * 2  # of megabytes
    (one,) = findings(history(memory_bytes=(kilobytes * 1000, busy(4) * 1e6)), CASE)
    assert (one.subject, one.kind) == ("a", "kilobytes")
    assert one.detail.endswith("cores on average: kilobytes where bytes are meant?")
    idle = busy() / 100
    assert found(history(cpu_milli=(idle, busy(2)), memory_bytes=(kilobytes * 1000, busy(4) * 1e6))) == []


def test_more_memory_than_the_host_has() -> None:
    assert found(history(memory_bytes=(busy(3) * 1e9, busy(4) * 1e6))) == [("a", "memory_bytes", "impossible")]


def test_gaps_are_told_with_their_share() -> None:
    times = np.where(np.arange(COUNT) < COUNT // 2, AT_S, AT_S + 2 * 86400)
    (cpu, *_) = findings(history(times), CASE)
    assert cpu == Finding("a", "cpu_milli", "gaps", "1 gap, the longest 2.0 d: 40% of 5.0 d was not measured")
    hour = np.where(np.arange(COUNT) < COUNT // 2, AT_S, AT_S + 3600)
    assert found(history(hour)) == []


def test_roll_ups_that_hide_peaks() -> None:
    half_hours = MONDAY_S + 1800 * np.arange(COUNT)
    assert [(one.subject, one.kind) for one in findings(history(half_hours), CASE)] == [
        ("a", "rolled up"),
        ("b", "rolled up"),
    ]
    assert findings(history(half_hours), CASE)[0].detail.startswith("samples are 30 minutes apart")
