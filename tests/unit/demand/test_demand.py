"""From samples to sizes, each step with numbers that can be followed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consolidate.demand import estimate as estimate_history
from consolidate.demand import read_history
from consolidate.demand.history import Reader
from consolidate.demand.profile import quantile_profiles, slot_count
from consolidate.demand.rates import Amounts, added, counter_rates, gauge_levels
from consolidate.model.demand import Demand, Demands, Unknown
from consolidate.model.fleet import Fleet
from consolidate.model.policy import SizingPolicy
from consolidate.model.resources import Resources
from consolidate.model.series import Columns, SeriesKey
from tests.support.fleets import demand, fleet, host, workload

MONDAY_S = 1_780_272_000


def columns(*series: tuple[str, str, list[int], list[float]]) -> Columns:
    """(workload, incarnation, times, values), in order."""
    keys = tuple(SeriesKey("", name, incarnation) for name, incarnation, _, _ in series)
    index = np.repeat(np.arange(len(series)), [len(at_s) for _, _, at_s, _ in series])
    at_s = np.concatenate([np.array(at_s, dtype=np.int64) for _, _, at_s, _ in series])
    value = np.concatenate([np.array(values, dtype=float) for _, _, _, values in series])
    return Columns(keys, index, at_s, value)


def rates(*series: tuple[str, str, list[int], list[float]]) -> list[float]:
    owner = np.zeros(len(series), dtype=np.int64)
    return counter_rates(columns(*series), owner).value.tolist()


def test_a_rate_is_the_rise_over_the_time() -> None:
    assert rates(("w", "1", [0, 10, 20], [0.0, 5.0, 25.0])) == [0.5, 2.0]


def test_a_rate_never_crosses_a_restart_a_reset_or_a_gap() -> None:
    assert rates(("w", "1", [0, 10], [0.0, 5.0]), ("w", "2", [20, 30], [90.0, 95.0])) == [0.5, 0.5]
    assert rates(("w", "1", [0, 10, 20, 30], [50.0, 55.0, 1.0, 6.0])) == [0.5, 0.5]
    assert rates(("w", "1", [0, 10, 20, 300, 310], [0.0, 5.0, 10.0, 900.0, 905.0])) == [0.5, 0.5, 0.5]


def test_two_samples_of_one_second_are_the_higher_one() -> None:
    levels = gauge_levels(columns(("w", "1", [0, 0, 10], [1.0, 3.0, 2.0])), np.zeros(1, dtype=np.int64))
    assert levels.value.tolist() == [3.0, 2.0]


def test_reads_and_writes_add_up() -> None:
    one = Amounts(np.array([0, 0]), np.array([0, 10]), np.array([1.0, 2.0]))
    two = Amounts(np.array([0]), np.array([10]), np.array([5.0]))
    assert added(one, two).value.tolist() == [1.0, 7.0]


@pytest.mark.parametrize(("hours", "slots"), [(1, 1), (23, 1), (24, 24), (14 * 24 - 1, 24), (14 * 24, 168)])
def test_a_profile_is_as_fine_as_its_history_supports(hours, slots) -> None:
    assert slot_count(hours * 3600) == slots


@given(st.lists(st.integers(0, 100), min_size=1, max_size=60), st.floats(0.01, 1.0))
def test_the_quantile_is_a_sample_with_enough_at_or_below_it(values, quantile) -> None:
    amounts = Amounts(np.zeros(len(values), np.int64), np.arange(len(values)), np.array(values, dtype=float))
    (profile,) = quantile_profiles(amounts, np.array([1]), quantile)
    assert np.isnan(profile[1:]).all()
    below = sum(value <= profile[0] for value in values)
    strictly = sum(value < profile[0] for value in values)
    assert profile[0] in values
    assert below >= quantile * len(values) - 1e-9 > strictly - 1 - 1e-9 or strictly < quantile * len(values)


def test_an_hour_never_seen_takes_the_quantile_of_all() -> None:
    at_s = np.array([MONDAY_S, MONDAY_S + 3600])
    (profile,) = quantile_profiles(Amounts(np.zeros(2, np.int64), at_s, np.array([1.0, 9.0])), np.array([24]), 1.0)
    assert profile[:3].tolist() == [1.0, 9.0, 9.0]


def estimate(read: Reader, case: Fleet, policy: SizingPolicy, stated: dict) -> Demands:
    return estimate_history(read_history(read, case), case, policy, stated)


def reader(**metrics: Columns) -> Reader:
    return lambda metric, workloads: metrics.get(metric, Columns.empty())


PLAIN = SizingPolicy(floor=Resources(), cpu_margin_permille=0, memory_margin_permille=0)


def test_margin_floor_and_rating() -> None:
    at_s = list(range(MONDAY_S, MONDAY_S + 7200, 300))
    read = reader(
        cpu_cores=columns(("w", "", at_s, [0.5] * len(at_s))),
        memory_working_set_bytes=columns(("w", "", at_s, [100.0] * (len(at_s) - 1) + [777.0])),
    )
    case = fleet([host("h", cpu_rating=2.0)], [workload("w", "h")])
    policy = SizingPolicy(floor=Resources({"memory_bytes": 1000}))
    sized = estimate(read, case, policy, {})["w"]
    assert isinstance(sized, Demand)
    assert sized.amounts["cpu_milli"].tolist() == [1100]  # half a core of a host twice as fast, and 10 %
    assert sized.amounts["memory_bytes"].tolist() == [1000]  # 777 and 10 % stay below the floor
    assert (sized.mean_cpu_milli, sized.source) == (1000, "measured")
    bare = estimate(read, case, PLAIN, {})["w"]
    assert isinstance(bare, Demand)
    assert bare.amounts["memory_bytes"].tolist() == [777]


def test_memory_is_the_highest_ever_and_cpu_the_quantile_of_its_hour() -> None:
    at_s = list(range(MONDAY_S, MONDAY_S + 21 * 86400, 3600))
    cpu = [2.0 if at // 3600 % 168 == 106 else 1.0 for at in at_s]  # one hour of each week (the epoch's 106th)
    read = reader(
        cpu_cores=columns(("w", "", at_s, cpu)),
        memory_working_set_bytes=columns(("w", "", at_s, [5.0] * 100 + [9.0] + [5.0] * (len(at_s) - 101))),
    )
    sized = estimate(read, fleet([host("h")], [workload("w", "h")]), PLAIN, {})["w"]
    assert isinstance(sized, Demand)
    assert sized.amounts["cpu_milli"].tolist() == [2000 if slot == (106 + 72) % 168 else 1000 for slot in range(168)]
    assert sized.amounts["memory_bytes"].tolist() == [9]


def test_too_little_is_unknown_with_a_reason_or_sized_by_its_limit() -> None:
    short = columns(("w", "", [MONDAY_S, MONDAY_S + 300], [1.0, 1.0]))
    case = fleet([host("h")], [workload("w", "h")])
    unknown = estimate(reader(cpu_cores=short), case, PLAIN, {})["w"]
    assert unknown == Unknown("w", "no memory was measured")
    both = reader(cpu_cores=short, memory_working_set_bytes=short)
    assert estimate(both, case, PLAIN, {})["w"] == Unknown("w", "0.2 h of history, 1 h are needed")
    limited = fleet([host("h")], [workload("w", "h", limits=Resources({"cpu_milli": 500, "memory_bytes": 64}))])
    sized = estimate(both, limited, PLAIN, {})["w"]
    assert isinstance(sized, Demand)
    assert (sized.source, sized.peak.get("cpu_milli"), sized.peak.get("memory_bytes")) == ("limit", 500, 64)


def test_gaps_lower_the_coverage() -> None:
    at_s = [MONDAY_S + 300 * n for n in range(100) if n % 50 < 10]
    read = reader(
        cpu_cores=columns(("w", "", at_s, [1.0] * len(at_s))),
        memory_working_set_bytes=columns(("w", "", at_s, [1.0] * len(at_s))),
    )
    sized = estimate(read, fleet([host("h")], [workload("w", "h")]), PLAIN, {})["w"]
    assert sized == Unknown("w", "only 33.3% of its history was measured, 50% are needed")


def test_a_stated_demand_wins_and_an_unmeasured_dimension_stays_absent() -> None:
    at_s = list(range(MONDAY_S, MONDAY_S + 7200, 300))
    same = columns(("w", "", at_s, [1.0] * len(at_s)))
    case = fleet([host("h")], [workload("w", "h")])
    read = reader(cpu_cores=same, memory_working_set_bytes=same)
    stated = {"w": demand("w", 5, 5)}
    assert estimate(read, case, PLAIN, stated)["w"] is stated["w"]
    measured = estimate(read, case, PLAIN, {})["w"]
    assert isinstance(measured, Demand)
    assert set(measured.amounts) == {"cpu_milli", "memory_bytes"}
