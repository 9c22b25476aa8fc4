"""What each setting of a policy does to a size, and how the size is explained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from consolidate.demand import History, estimate, in_memory
from consolidate.demand.explain import explain
from consolidate.demand.history import SOURCES
from consolidate.demand.rates import Amounts
from consolidate.demand.replay import replay
from consolidate.model.demand import Demand
from consolidate.model.fleet import Isolation
from consolidate.model.placement import Assignment, Placement
from consolidate.model.policy import Predictor, SizingPolicy
from consolidate.model.resources import Resources
from tests.support.fleets import fleet, host, workload

MONDAY_S = 1_780_272_000
HOURS = np.arange(28 * 24)
OFFICE = (HOURS % 24 >= 8) & (HOURS % 24 < 18) & (HOURS // 24 % 7 < 5)
LOAD = np.where(OFFICE, 500.0, 100.0)
PLAIN = SizingPolicy(
    floor=Resources(), cpu_quantile=0.5, cpu_margin_permille=0, memory_margin_permille=0, io_margin_permille=0
)
BUSY = tuple(1000 if office else 300 for office in OFFICE[:168])
CASE = fleet([host("h")], [workload("w", "h", limits=Resources({"cpu_milli": 450}))])


def history(load: np.ndarray) -> History:
    at_s, owner = MONDAY_S + 3600 * np.arange(len(load)), np.zeros(len(load), np.int64)
    nothing = Amounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    measured = {"cpu_milli": Amounts(owner, at_s, load), "memory_bytes": Amounts(owner, at_s, load)}
    return in_memory(dict.fromkeys(SOURCES, nothing) | measured, 1)


def sized(load: np.ndarray, policy: SizingPolicy) -> Demand:
    demand = estimate(history(load), CASE, policy, {})["w"]
    assert isinstance(demand, Demand)
    return demand


def test_settings_that_are_not_given_change_nothing() -> None:
    cpu = sized(LOAD, PLAIN).amounts["cpu_milli"]
    assert cpu.tolist() == LOAD[:168].tolist()
    spelled = replace(PLAIN, time_zone="UTC", counted_permille=(1000,) * 168, half_life_days=1e9, sigmas=0.0)
    assert sized(LOAD, spelled).amounts["cpu_milli"].tolist() == cpu.tolist()


def test_off_hours_count_as_said_and_memory_always_counts() -> None:
    demand = sized(LOAD, replace(PLAIN, counted_permille=BUSY))
    assert demand.amounts["cpu_milli"].tolist() == np.where(OFFICE[:168], 500, 30).tolist()
    assert demand.amounts["memory_bytes"].tolist() == [500]


def test_memory_is_sized_by_hour_only_where_that_is_asked() -> None:
    asked = replace(PLAIN, memory_time_aligned=True, counted_permille=BUSY)
    demand = sized(LOAD, asked)
    assert demand.amounts["memory_bytes"].tolist() == LOAD[:168].tolist(), "the highest of each hour, and all of it"
    assert demand.peak.get("memory_bytes") == 500
    shifted = sized(LOAD, replace(asked, time_zone="Etc/GMT-1")).amounts["memory_bytes"]
    assert shifted.tolist() == np.roll(LOAD[:168], 1).tolist()
    lines = list(explain(history(LOAD), CASE, {"w": demand}, asked, "w"))
    assert lines.count("    slots           168, one for each hour of the week in UTC") == 2


def test_a_flat_size_is_told_apart_by_the_hours_that_count() -> None:
    demand = sized(LOAD[:20], replace(PLAIN, cpu_quantile=1.0, counted_permille=BUSY))
    assert demand.amounts["cpu_milli"].tolist() == np.where(OFFICE[:168], 500, 150).tolist()


def test_a_replay_counts_off_hours_as_the_sizes_do() -> None:
    policy = replace(PLAIN, counted_permille=BUSY)
    night = np.where(OFFICE, 500.0, 3000.0)
    placement = Placement({"w": Assignment("h", Isolation.CONTAINER)})
    demands = {"w": sized(night, policy)}
    fared = replay(history(night), CASE, demands, placement, policy, interval_s=3600)
    cpu, memory = (fared.dimensions.index(name) for name in ("cpu_milli", "memory_bytes"))
    assert fared.share[0, cpu, :12].tolist() == pytest.approx([0.9] * 8 + [0.5] * 4)
    assert fared.share[0, memory, :12].tolist() == pytest.approx([3.0] * 8 + [0.5] * 4)


def test_slots_are_local_hours() -> None:
    east = replace(PLAIN, time_zone="Asia/Tokyo")  # nine hours ahead, so Monday begins on UTC's Sunday
    cpu = sized(LOAD, east).amounts["cpu_milli"]
    assert cpu.tolist() == np.roll(LOAD[:168], 9).tolist()


def test_only_what_repeats_has_slots_where_periods_are_to_be_found() -> None:
    noise = np.random.default_rng(4).uniform(100, 500, len(HOURS))
    found = replace(PLAIN, found_periods=True)
    assert len(sized(noise, PLAIN).amounts["cpu_milli"]) == 168
    assert len(sized(noise, found).amounts["cpu_milli"]) == 1
    assert len(sized(LOAD, found).amounts["cpu_milli"]) == 168
    assert len(sized(LOAD, replace(found, time_aligned=False)).amounts["cpu_milli"]) == 1


def test_a_holiday_does_not_make_a_mondays_size_smaller() -> None:
    load = LOAD.copy()
    load[7 * 24 : 8 * 24] = load[14 * 24 : 15 * 24] = 1.0  # two of four Mondays
    load[14 * 24 : 15 * 24] = 500.0 * OFFICE[:24] + 1.0
    low = replace(PLAIN, cpu_quantile=0.25)
    assert sized(load, low).amounts["cpu_milli"][9] == 1
    assert sized(load, replace(low, skip_quiet_days=True)).amounts["cpu_milli"][9] == 500


def test_predictors_are_for_all_but_memory() -> None:
    every = replace(PLAIN, predictors=(Predictor.QUANTILE, Predictor.LIMIT_QUANTILE), cpu_quantile=0.95)
    assert sized(LOAD, every).amounts["cpu_milli"].tolist() == np.where(OFFICE[:168], 500, 450).tolist()
    assert sized(LOAD, every).amounts["memory_bytes"].tolist() == [500]


def test_every_setting_shows_in_the_explanation_and_every_line_fits() -> None:
    load = LOAD.copy()
    load[8::168] = 700.0  # Mondays at eight, which is ten in Berlin
    load[7 * 24 : 8 * 24] = 1.0
    policy = SizingPolicy(
        predictors=tuple(Predictor),
        half_life_days=14,
        skip_quiet_days=True,
        time_zone="Europe/Berlin",
        counted_permille=BUSY,
    )
    demands = {"w": sized(load, policy)}
    lines = list(explain(history(load), CASE, demands, policy, "w", page_cache_bytes=2 << 30))
    assert all(len(line) <= 80 for line in lines)
    text = "\n".join(lines)
    assert "left out        2026-06-08: far quieter than others of the weekday" in text
    assert "slots           168, one for each hour of the week in Europe/Berlin" in text
    assert "busiest         Mon 10:00, the highest of the 168; it has 3 samples\n" in text
    assert "quantile        95% by weight, halved every 14 days of age: 0.700 cores" in text
    assert "n-sigma         mean 0.700 cores and 3 × 0.000 cores, cut at 0.450 cores:" in text
    assert "rc-like         95% of all samples, at most its limit 0.450 cores: 0.450" in text
    assert "body-and-tail   body 0.500 cores (90% of all), left here: 0.700 cores" in text
    assert "the largest     0.700 cores\n" in text
    assert "and 10 % margin 0.770 cores" in text
    assert "cut             at the limit of 0.450 cores, but not below what the" in text
    assert "that counts     100 % of it at Mon 10:00: 0.700 cores" in text
    assert "reserved        0.700 cores at Mon 10:00; least 0.150 cores at Mon 00:00" in text
    assert "page cache      2.0 GiB at most, not counted: it is given back" in text


def test_a_flat_size_says_why_it_is_flat() -> None:
    noise = np.random.default_rng(4).uniform(100, 500, len(HOURS))
    for policy, why in (
        (replace(PLAIN, found_periods=True), "its load was not found to repeat"),
        (replace(PLAIN, time_aligned=False), "the policy is not time-aligned"),
    ):
        demands = {"w": sized(noise, policy)}
        assert f"    slots           one for all hours: {why}" in list(
            explain(history(noise), CASE, demands, policy, "w")
        )
