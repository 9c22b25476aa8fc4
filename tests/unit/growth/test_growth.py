"""Trends and runways: on series whose slope is known, and on sums of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from consolidate.demand.history import SOURCES, History, in_memory
from consolidate.demand.rates import Amounts
from consolidate.errors import InputError
from consolidate.growth import (
    Direction,
    Kind,
    NoTrend,
    Runway,
    Subject,
    Trend,
    factor_after,
    fleet_runways,
    grown,
    trend_of,
    workload_trends,
)
from consolidate.growth.show import growth_json, growth_text
from consolidate.growth.trend import calendar, daily_amounts
from consolidate.model.demand import Demand, Unknown
from consolidate.model.fleet import Isolation
from consolidate.model.placement import Assignment, Placement, current_placement
from consolidate.model.resources import Resources
from tests.support.fleets import demand, demands, fleet, host, workload

MONDAY_S = 1_780_272_000
DAY_S = 86400
HOUR_S = 3600
SUBJECT = Subject(Kind.HOST, "h1")
NOTHING = Amounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def history(*series: dict[int, float], memory: dict[int, float] | None = None) -> History:
    """CPU of each workload, the same all day, sampled every hour on the given days (0 is a Monday)."""
    return in_memory(
        dict.fromkeys(SOURCES, NOTHING)
        | {"cpu_milli": _amounts(*series), "memory_bytes": _amounts(*[memory or {}] * len(series))},
        len(series),
    )


def _amounts(*series: dict[int, float]) -> Amounts:
    owner = np.concatenate([np.full(24 * len(one), index) for index, one in enumerate(series)])
    at_s = [MONDAY_S + day * DAY_S + hour * HOUR_S for one in series for day in one for hour in range(24)]
    value = [amount for one in series for amount in one.values() for _ in range(24)]
    return Amounts(owner.astype(np.int64), np.array(at_s, dtype=np.int64), np.array(value, dtype=float))


def ramp(days: int, start: float, slope: float) -> dict[int, float]:
    return {day: start + slope * day for day in range(days)}


def fit(values: list[float] | NDArray[np.float64]) -> Trend:
    """Trend of a series without gaps."""
    amounts = np.asarray(values, dtype=float)
    trend = trend_of(SUBJECT, "cpu_milli", np.arange(1 - len(amounts), 1), amounts)
    assert isinstance(trend, Trend)
    return trend


def runway(runways: tuple[Runway, ...], subject: Subject = SUBJECT, dimension: str = "cpu_milli") -> Runway:
    (found,) = [one for one in runways if (one.subject, one.dimension) == (subject, dimension)]
    return found


ONE = fleet([host("h1")], [workload("a", "h1")])
TWO = fleet([host("h1"), host("h2")], [workload("a", "h1"), workload("b", "h1")])


def of_one(amounts: dict[int, float], **more: dict[int, float]) -> Runway:
    return runway(fleet_runways(history(amounts, **more), ONE, demands(a=(1, 1)), current_placement(ONE)))


class TestTrend:
    def test_a_ramp_has_its_slope_and_ends_where_the_line_ends(self) -> None:
        trend = fit([100 + 10 * day for day in range(14)])
        assert (trend.slope_per_day, trend.low, trend.high) == pytest.approx((10, 10, 10))
        assert trend.level == pytest.approx(230)
        assert (trend.days, trend.direction) == (14, Direction.GROWS)
        assert fit([100 - 10 * day for day in range(9)]).direction is Direction.SHRINKS

    def test_a_constant_series_is_steady(self) -> None:
        trend = fit([42.0] * 10)
        assert (trend.slope_per_day, trend.low, trend.high, trend.level) == (0, 0, 0, 42)
        assert trend.direction is Direction.STEADY

    def test_the_interval_holds_the_true_slope_nearly_always(self) -> None:
        random = np.random.default_rng(7)
        fits = [fit(500 + 3.0 * np.arange(28) + random.normal(0, 20, 28)) for _ in range(200)]
        assert sum(one.low <= 3.0 <= one.high for one in fits) >= 180

    def test_noise_without_a_trend_is_nearly_always_steady(self) -> None:
        random = np.random.default_rng(8)
        fits = [fit(random.normal(500, 20, 28)) for _ in range(200)]
        assert sum(one.direction is Direction.STEADY for one in fits) >= 180

    @pytest.mark.parametrize("days", [7, 10, 14, 24, 31])
    def test_a_weekly_rhythm_is_steady_whatever_day_it_starts_on(self, days: int) -> None:
        week = np.array([900, 900, 900, 900, 900, 300, 300], dtype=float)
        exact = [fit(week[(start + np.arange(days)) % 7]) for start in range(7)]
        assert all(one.direction is Direction.STEADY for one in exact)
        random = np.random.default_rng(days)
        noisy = [fit(week[(n + np.arange(days)) % 7] + random.normal(0, 10, days)) for n in range(210)]
        assert sum(one.direction is Direction.STEADY for one in noisy) >= 0.95 * len(noisy)

    def test_days_that_are_alike_widen_the_interval(self) -> None:
        random = np.random.default_rng(9)
        steady = 0
        for _ in range(200):
            wander = [float(random.normal())]
            for shock in random.normal(size=59):
                wander.append(0.5 * wander[-1] + float(shock))
            steady += fit(500 + 10 * np.array(wander)).direction is Direction.STEADY
        assert steady >= 180  # 151 if days were taken as independent

    def test_a_weekly_rhythm_does_not_hide_a_trend(self) -> None:
        week = np.array([90, 90, 90, 90, 90, 30, 30], dtype=float)
        trend = fit(week[np.arange(28) % 7] + 5.0 * np.arange(28))
        assert trend.low <= 5 <= trend.high
        assert trend.direction is Direction.GROWS

    def test_outlier_days_do_not_move_the_slope(self) -> None:
        values = 100 + 10.0 * np.arange(28)
        values[[3, 11, 12, 20]] = [9999, 0, 9999, 0]
        assert fit(values).slope_per_day == pytest.approx(10)

    def test_the_level_is_at_least_the_highest_of_the_last_week(self) -> None:
        early, late = [100.0] * 20, [100.0] * 20
        early[12], late[13] = 500, 500
        assert (fit(early).level, fit(late).level) == (100, 500)

    @pytest.mark.parametrize("days", [0, 1, 6])
    def test_less_than_a_week_is_unknown(self, days: int) -> None:
        trend = trend_of(SUBJECT, "cpu_milli", np.arange(1 - days, 1), np.ones(days))
        assert isinstance(trend, NoTrend)
        assert trend.reason == f"{days} whole day{' was' if days == 1 else 's were'} measured, 7 are needed"

    @given(st.lists(st.integers(0, 10**6), min_size=7, max_size=40), st.sampled_from([0.5, 2.0, 8.0, 1024.0]))
    def test_scaling_the_values_scales_the_slope(self, values: list[int], factor: float) -> None:
        once, scaled = fit(np.array(values)), fit(np.array(values) * factor)
        expected = [factor * one for one in (once.slope_per_day, once.low, once.high, once.level)]
        assert [scaled.slope_per_day, scaled.low, scaled.high, scaled.level] == pytest.approx(expected)
        assert once.direction is scaled.direction


class TestDailyAmounts:
    def test_the_nearest_rank_of_each_day_counts_and_absence_is_not_zero(self) -> None:
        samples = np.array([[*range(1, 21), *([np.nan] * 10), *range(10), *([np.nan] * 20)]], dtype=float)
        assert daily_amounts(samples, 20, 0.95)[0, :2].tolist() == [19, 9]
        assert daily_amounts(samples, 20, 1.0)[0, :2].tolist() == [20, 9]
        assert np.isnan(daily_amounts(samples, 20, 0.95)[0, 2])

    def test_intervals_are_as_long_as_samples_are_apart(self) -> None:
        found = calendar(history({0: 1.0, 3: 1.0}))
        assert found is not None
        assert (found.first_day, found.days, found.per_day("cpu_milli")) == (MONDAY_S // DAY_S, 4, 24)
        assert calendar(in_memory(dict.fromkeys(SOURCES, NOTHING), 1)) is None

    def test_sums_meet_where_workloads_are_sampled_rarely_and_apart(self) -> None:
        ticks = np.arange(14 * 96) * 900
        at_s = MONDAY_S + np.concatenate([ticks, ticks + 420])
        cpu = Amounts(np.repeat([0, 1], 14 * 96), at_s, np.full(2 * 14 * 96, 100.0))
        both = in_memory(dict.fromkeys(SOURCES, NOTHING) | {"cpu_milli": cpu}, 2)
        assert runway(fleet_runways(both, TWO, demands(a=(1, 1), b=(1, 1)), current_placement(TWO))).level == 200


class TestRunway:
    def test_a_ramp_is_full_on_the_stated_day(self) -> None:
        found = of_one(ramp(21, 100, 10))  # 300 on the last day, and 700 to go
        assert (found.level, found.limit) == (pytest.approx(300), 1000)
        assert (found.days, found.earliest, found.latest) == pytest.approx((70, 70, 70))

    def test_headroom_is_used_before_the_host_is_full(self) -> None:
        tight = replace(ONE, hosts=(host("h1", headroom_permille=200, reserved=Resources({"cpu_milli": 100})),))
        load = history(ramp(21, 100, 10))
        found = runway(fleet_runways(load, tight, demands(a=(1, 1)), current_placement(tight)))
        assert (found.limit, found.comfortable_limit) == (900, 700)
        assert (found.days, found.comfortable_days) == pytest.approx((60, 40))

    def test_a_noisy_ramp_has_an_earliest_and_a_latest_day(self) -> None:
        random = np.random.default_rng(3)
        found = of_one({day: 100 + 10 * day + float(random.normal(0, 8)) for day in range(28)})
        assert found.earliest is not None
        assert found.days is not None
        assert found.latest is not None
        assert 0 < found.earliest < found.days < found.latest

    @pytest.mark.parametrize("slope", [0, -10])
    def test_what_does_not_grow_never_fills(self, slope: float) -> None:
        found = of_one(ramp(21, 500, slope))
        assert (found.days, found.earliest, found.latest) == (None, None, None)

    def test_a_steady_trend_still_has_an_earliest_day(self) -> None:
        random = np.random.default_rng(4)
        found = of_one({day: 500 + float(random.normal(0, 30)) for day in range(28)})
        assert isinstance(found.trend, Trend)
        assert found.trend.direction is Direction.STEADY
        assert (found.days, found.latest) == (None, None)
        assert found.earliest is not None

    def test_growth_beyond_a_century_is_none(self) -> None:
        assert of_one(ramp(21, 100, 0.001)).days is None

    @pytest.mark.parametrize("slope", [0, 1, -1])
    def test_what_is_full_is_full_now_whatever_its_trend(self, slope: float) -> None:
        assert of_one(ramp(21, 1100, slope)).days == 0

    def test_a_gap_does_not_make_a_trend(self) -> None:
        flat = {day: 500.0 for day in range(28) if not 20 <= day < 26}
        found = of_one(flat)
        assert isinstance(found.trend, Trend)
        assert (found.trend.days, found.trend.slope_per_day, found.level) == (22, 0, 500)

    def test_a_gap_of_the_larger_workload_leaves_the_days_out(self) -> None:
        large = {day: 500.0 for day in range(28) if not 1 <= day < 13}
        load = history(large, dict.fromkeys(range(28), 20.0))
        found = runway(fleet_runways(load, TWO, demands(a=(1, 1), b=(1, 1)), current_placement(TWO)))
        assert isinstance(found.trend, Trend)
        assert (found.trend.days, found.trend.low, found.trend.high) == (16, 0, 0)
        assert found.level == 520

    def test_a_day_that_was_hardly_measured_is_left_out(self) -> None:
        whole = _amounts(dict.fromkeys(range(10), 400.0))
        keep = (whole.at_s < MONDAY_S + 9 * DAY_S) | (whole.at_s >= MONDAY_S + 10 * DAY_S - 11 * HOUR_S)
        cpu = Amounts(whole.workload[keep], whole.at_s[keep], whole.value[keep])
        load = in_memory(dict.fromkeys(SOURCES, NOTHING) | {"cpu_milli": cpu}, 1)
        (trend,) = workload_trends(load, ONE)
        assert isinstance(trend, Trend)
        assert trend.days == 9

    def test_workloads_that_arrive_are_growth(self) -> None:
        many = fleet([host("h1")], [workload(f"w{index}", "h1") for index in range(20)])
        load = history(*[{day: 10.0 for day in range(index, 20)} for index in range(20)])
        sizes = {f"w{index}": demand(f"w{index}", 1, 1) for index in range(20)}
        found = runway(fleet_runways(load, many, sizes, current_placement(many)))
        assert isinstance(found.trend, Trend)
        assert found.trend.slope_per_day == pytest.approx(10)
        assert found.days == pytest.approx(80)

    def test_what_a_host_carries_is_summed_at_the_same_time(self) -> None:
        day, night = np.arange(24) < 12, np.arange(24) >= 12
        cpu = Amounts(
            np.repeat([0, 1], 24 * 14),
            np.tile(MONDAY_S + HOUR_S * np.arange(24 * 14), 2),
            np.concatenate([np.tile(day * 400.0, 14), np.tile(night * 400.0, 14)]),
        )
        load = in_memory(dict.fromkeys(SOURCES, NOTHING) | {"cpu_milli": cpu}, 2)
        found = fleet_runways(load, TWO, demands(a=(1, 1), b=(1, 1)), current_placement(TWO))
        assert runway(found).level == 400

    def test_pools_and_the_fleet_sum_their_hosts(self) -> None:
        mixed = fleet(
            [host("h1"), host("h2"), host("w1", os="windows-10"), host("idle")],
            [workload("a", "h1"), workload("b", "h2"), workload("c", "w1", os="windows-10")],
        )
        load = history(ramp(21, 100, 10), ramp(21, 0, 20), dict.fromkeys(range(21), 50.0))
        sizes = demands(a=(1, 1), b=(1, 1), c=(1, 1))
        found = fleet_runways(load, mixed, sizes, current_placement(mixed))
        linux, everything = runway(found, Subject(Kind.POOL, "linux")), runway(found, Subject(Kind.FLEET))
        assert (linux.level, linux.limit, linux.days) == (pytest.approx(700), 3000, pytest.approx(2300 / 30))
        assert (everything.level, everything.limit) == (pytest.approx(750), 4000)
        assert runway(found, Subject(Kind.POOL, "windows-nt10")).days is None
        assert [str(one.subject) for one in found[:4]] == ["host h2", "host h1", "pool linux", "fleet"]

    def test_a_new_isolation_costs(self) -> None:
        native = fleet([host("h1"), host("h2")], [workload("a", "h2", isolation=Isolation.NATIVE)])
        moved = Placement({"a": Assignment("h1", Isolation.CONTAINER)})
        found = runway(fleet_runways(history(ramp(21, 100, 10)), native, demands(a=(1, 1)), moved))
        assert found.level == pytest.approx(303)

    def test_an_unmeasured_workload_takes_what_is_reserved_for_it(self) -> None:
        load = history(ramp(21, 100, 10), {})
        found = runway(fleet_runways(load, TWO, demands(a=(1, 1), b=(200, 1)), current_placement(TWO)))
        assert (found.level, found.days) == (pytest.approx(500), pytest.approx(50))

    def test_a_workload_of_unknown_demand_still_takes_what_was_measured(self) -> None:
        load = history(ramp(21, 100, 10), dict.fromkeys(range(21), 200.0))
        found = runway(fleet_runways(load, TWO, demands(a=(1, 1), b=None), current_placement(TWO)))
        assert found.level == pytest.approx(500)

    def test_memory_counts_by_its_maximum(self) -> None:
        memory = _amounts(dict.fromkeys(range(14), 300.0))
        memory.value[5::24] = 800
        load = in_memory(dict.fromkeys(SOURCES, NOTHING) | {"cpu_milli": memory, "memory_bytes": memory}, 1)
        found = fleet_runways(load, ONE, demands(a=(1, 1)), current_placement(ONE))
        assert runway(found, dimension="memory_bytes").level == 800
        assert runway(found).level == 300

    def test_less_than_a_week_is_unknown_with_the_level_told(self) -> None:
        found = of_one(ramp(6, 100, 10))
        assert isinstance(found.trend, NoTrend)
        assert found.trend.reason == "6 whole days were measured, 7 are needed"
        assert (found.level, found.days, found.earliest, found.latest) == (150, None, None, None)

    def test_nothing_measured_or_nothing_placed_is_no_runway(self) -> None:
        nothing = in_memory(dict.fromkeys(SOURCES, NOTHING), 1)
        assert fleet_runways(nothing, ONE, demands(a=(1, 1)), current_placement(ONE)) == ()
        assert fleet_runways(history(ramp(9, 1, 1)), ONE, demands(a=(1, 1)), Placement({})) == ()

    def test_parts_of_a_history_are_one_history(self) -> None:
        load, sizes = history(ramp(21, 100, 10), ramp(21, 7, 3)), demands(a=(1, 1), b=(1, 1))
        (part,) = load.parts()

        def only(position: int) -> History:
            return in_memory(
                {
                    name: Amounts(
                        np.zeros((one.workload == position).sum(), dtype=np.int64),
                        one.at_s[one.workload == position],
                        one.value[one.workload == position],
                    )
                    for name, one in part.amounts.items()
                },
                1,
            )

        split = _Joined([(np.array([position]), only(position)) for position in (1, 0)])
        whole = fleet_runways(load, TWO, sizes, current_placement(TWO))
        assert fleet_runways(split, TWO, sizes, current_placement(TWO)) == whole
        assert workload_trends(split, TWO) == workload_trends(load, TWO)


class _Joined:
    """A history in several parts."""

    def __init__(self, parts: list[tuple[NDArray[np.int64], History]]) -> None:
        self._parts = parts

    def parts(self):  # type: ignore[no-untyped-def]
        for positions, one in self._parts:
            (part,) = one.parts()
            yield replace(part, positions=positions)


class TestWorkloadTrends:
    def test_every_workload_has_a_trend_in_what_was_measured_of_it(self) -> None:
        load = history(ramp(14, 10, 5), ramp(5, 10, 5))
        first, second = workload_trends(load, TWO)
        assert isinstance(first, Trend)
        assert (first.subject, first.slope_per_day) == (Subject(Kind.WORKLOAD, "a"), pytest.approx(5))
        assert isinstance(second, NoTrend)
        assert str(second.subject) == "workload b"


class TestGrown:
    def test_demand_is_scaled_and_rounded_up_and_unknown_stays_unknown(self) -> None:
        before = {"a": replace(demand("a", [101] * 24, 2**50), highest_cpu_milli=205), "b": Unknown("b", "no cpu")}
        after = grown(before, 1.1)
        assert isinstance(after["a"], Demand)
        assert after["a"].amounts["cpu_milli"].tolist() == [112] * 24
        assert after["a"].amounts["memory_bytes"].tolist() == [-(-(2**50) * 11 // 10)]
        assert (after["a"].highest_cpu_milli, after["a"].mean_cpu_milli) == (226, pytest.approx(111.1))
        assert after["b"] == before["b"]

    @given(st.integers(0, 2**50), st.integers(1, 5000))
    def test_the_result_is_exact(self, amount: int, permille: int) -> None:
        after = grown(demands(a=(amount, 0)), permille / 1000)["a"]
        assert isinstance(after, Demand)
        assert int(after.amounts["cpu_milli"][0]) == -(-amount * permille // 1000)

    def test_growth_is_compounded(self) -> None:
        assert factor_after(20, 2 * 365) == pytest.approx(1.44)
        assert factor_after(-50, 365) == pytest.approx(0.5)

    @pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
    def test_a_factor_must_be_positive(self, factor: float) -> None:
        with pytest.raises(InputError, match="give a positive number"):
            grown({}, factor)

    def test_more_than_everything_cannot_go(self) -> None:
        with pytest.raises(InputError, match="leaves nothing"):
            factor_after(-100, 1)


def _many(hosts: int, name: str = "h{}") -> tuple[Runway, ...]:
    names = [name.format(index) for index in range(hosts)]
    case = fleet([host(one) for one in names], [workload(f"w{one}", one) for one in names])
    load = history(*[ramp(21, 100, index) for index in range(hosts)], memory=dict.fromkeys(range(21), 5.0))
    sizes = {f"w{one}": demand(f"w{one}", 1, 1) for one in names}
    return fleet_runways(load, case, sizes, current_placement(case))


class TestShow:
    @pytest.mark.parametrize("name", ["h{}", "a-rather-long-host-name-{}.rack-17.example.com", "[red]{}[/red]"])
    def test_no_line_is_longer_than_asked_for(self, name: str) -> None:
        lines = growth_text(_many(30, name), 80).splitlines()
        assert max(map(len, lines)) <= 80
        assert not any("…" in line or line != line.rstrip() for line in lines)

    def test_the_most_urgent_are_listed_and_the_rest_counted(self) -> None:
        text = growth_text(_many(30), 80)
        assert "First is host h29: its cpu is full in 11 d (11 d–11 d by the" in text
        listed = [line for line in text.splitlines() if line.startswith(("host ", "fleet "))]
        assert len(listed) == 15
        assert listed[0].split() == [
            "host",
            "h29",
            "cpu",
            "cores",
            "0.68",
            "1.00",
            "+0.88",
            "11",
            "d",
            "11",
            "d–11",
            "d",
        ]
        assert "15 more fill up later." in text
        assert "Not filling up: 32 steady" in text
        assert "pool" not in text

    def test_the_headroom_is_told_where_there_is_room(self) -> None:
        assert "Headroom in" in growth_text(_many(3), 100)
        assert "Headroom in" not in growth_text(_many(3), 80)

    def test_what_is_full_is_told_first(self) -> None:
        full = growth_text((of_one(ramp(21, 1100, 1)), of_one(ramp(21, 100, 10))), 80)
        assert full.startswith("Full already: host h1 (cpu). Next is host h1: its cpu is full in 70 d")

    def test_nothing_that_grows_and_nothing_that_was_measured(self) -> None:
        assert growth_text((of_one(ramp(21, 100, 0)),), 80).startswith("Nothing is full, and nothing is seen to grow")
        assert growth_text((), 80).startswith("Nothing was measured")

    def test_the_unknown_is_counted_by_reason(self) -> None:
        assert "The trend of 1 is unknown: 6 whole days were measured, 7 are needed." in growth_text(
            (of_one(ramp(6, 100, 1)),), 80
        )

    def test_programs_get_every_runway(self) -> None:
        grows, unknown = json.loads(growth_json((of_one(ramp(21, 100, 10)), of_one(ramp(6, 100, 1)))))["runways"]
        assert (grows["kind"], grows["subject"], grows["dimension"], grows["limit"]) == (
            "host",
            "h1",
            "cpu_milli",
            1000,
        )
        assert (grows["days"], grows["trend"]["direction"]) == (pytest.approx(70), "grows")
        assert unknown["trend"] == {"direction": "unknown", "reason": "6 whole days were measured, 7 are needed"}
        assert unknown["days"] is None
