"""A placement against samples: who lacked what, when, and for how long."""

from __future__ import annotations

import numpy as np
import pytest

from consolidate.demand.explain import explain
from consolidate.demand.harm import Harm
from consolidate.demand.history import SOURCES, History, in_memory
from consolidate.demand.rates import Amounts
from consolidate.demand.replay import Replay, on_grid, replay
from consolidate.model.demand import Unknown
from consolidate.model.fleet import Isolation
from consolidate.model.placement import Assignment, Placement
from consolidate.model.policy import SizingPolicy
from consolidate.model.resources import Resources
from tests.support.fleets import demand, demands, fleet, host, workload

MONDAY_S = 1_780_272_000


def history(*series: list[float], memory: float = 1.0) -> History:
    """CPU of each workload every five minutes, and flat memory."""
    owner = np.repeat(np.arange(len(series)), [len(one) for one in series])
    at_s = np.concatenate([MONDAY_S + 300 * np.arange(len(one)) for one in series])
    cpu = np.concatenate([np.array(one, dtype=float) for one in series])
    amounts = {"cpu_milli": Amounts(owner, at_s, cpu), "memory_bytes": Amounts(owner, at_s, np.full(len(cpu), memory))}
    nothing = Amounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    return in_memory(dict.fromkeys(SOURCES, nothing) | amounts, len(series))


def on_one(*names: str) -> Placement:
    return Placement({name: Assignment("h1", Isolation.CONTAINER) for name in names})


TWO = fleet([host("h1"), host("h2")], [workload("a", "h1"), workload("b", "h2")])
SIZES = demands(a=(1, 1), b=(1, 1))


def test_the_sum_counts_and_headroom_is_there_to_be_used() -> None:
    tight = fleet([host("h1", headroom_permille=300)], TWO.workloads)
    fared = replay(history([600, 400, 400], [400, 700, 500]), tight, SIZES, on_one("a", "b"))
    assert fared.hosts == ("h1",)
    assert fared.share[0, fared.dimensions.index("cpu_milli")].tolist() == [1.0, 1.1, 0.9]
    assert fared.over.tolist() == [[False, True, False]]
    assert (fared.violation_rate, fared.violation_minutes) == (1 / 3, 5)
    assert fared.severity == pytest.approx(0.1)


def test_the_longest_violation_is_without_a_pause() -> None:
    fared = replay(history([2000, 2000, 1, 2000, 2000, 2000, 1]), TWO, SIZES, on_one("a"))
    assert fared.longest_minutes == 15
    assert replay(history([1, 1]), TWO, SIZES, on_one("a")).longest_minutes == 0


def test_a_new_isolation_costs_in_the_replay_too() -> None:
    native = fleet([host("h1"), host("h2")], [workload("a", "h2", isolation=Isolation.NATIVE)])
    fared = replay(history([1000]), native, demands(a=(1, 1)), on_one("a"))
    assert fared.share[0, fared.dimensions.index("cpu_milli"), 0] == pytest.approx(1.01)


def test_a_workload_counts_as_off_while_it_was_not_measured() -> None:
    fared = replay(history([900, 900, 900], [900]), TWO, SIZES, on_one("a", "b"))
    assert fared.over.tolist() == [[True, False, False]]


def test_the_interval_holds_the_rate_and_narrows_with_more_days() -> None:
    random = np.random.default_rng(1)

    def judged(days: int) -> Replay:
        share = (random.random((4, 1, 288 * days)) > 0.99) * 1.5
        return Replay(("a", "b", "c", "d"), ("cpu_milli",), 0, 300, share)

    short, long = judged(3), judged(60)
    for one in (short, long):
        low, high = one.interval(seed=0)
        assert low <= one.violation_rate <= high
    assert np.subtract(*short.interval(0)) < np.subtract(*long.interval(0)) < 0


def test_no_violation_at_all_is_not_certainty() -> None:
    calm = Replay(("a", "b"), ("cpu_milli",), 0, 300, np.zeros((2, 1, 288 * 14)))
    low, high = calm.interval(seed=0)
    assert low == 0
    assert high == pytest.approx(3 / (2 * 14 * 288)), "three of so many days, of one interval of one of two hosts each"


def test_a_host_that_is_crowded_day_after_day_says_less_than_days_of_many_hosts() -> None:
    one_host, many_hosts = np.zeros((7, 1, 7 * 288)), np.zeros((7, 1, 7 * 288))
    one_host[0, 0, ::288] = 2.0
    many_hosts[np.arange(7), 0, 288 * np.arange(7)] = 2.0
    names = tuple("abcdefg")
    crowded, spread = (Replay(names, ("cpu_milli",), 0, 300, share) for share in (one_host, many_hosts))
    assert crowded.violation_rate == spread.violation_rate
    assert np.subtract(*crowded.interval(0)) < np.subtract(*spread.interval(0))


def test_of_several_samples_in_an_interval_the_highest_counts() -> None:
    amounts = Amounts(np.array([0, 0, 0]), np.array([0, 10, 700]), np.array([1.0, 5.0, 2.0]))
    grid = on_grid(amounts, 1, 0, 300, 4)
    assert grid[0, 0] == 5
    assert np.isnan(grid[0, 1])
    assert grid[0, 2] == 2


POLICY = SizingPolicy(floor=Resources({"cpu_milli": 10, "memory_bytes": 100}))


def test_every_number_of_an_explanation_follows_from_the_one_before() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    case = fleet([host("h1", cpu_rating=2.0)], [workload("a", "h1")])
    measured = demand("a", [int(np.ceil(95 * 1.1))], [100])
    measured = measured.__class__(**{**vars(measured), "source": "measured", "coverage": 1.0, "days": 0.35})
    text = "\n".join(explain(history(values), case, {"a": measured}, POLICY, "a"))
    assert "samples         100, from 2026-06-01 00:00 to 2026-06-01 08:15 UTC\n" in text
    assert "cores are rated 2: every amount is what it used × 2" in text
    assert "slots           one for all hours: 0.3 days of history allow no more" in text
    assert "quantile        95% of those 100, number 95 from below: 0.095 cores" in text
    assert "coverage        100.0% of 0.3 days, one every 300 s" in text
    assert "the floor       0.010 cores for every workload, which is less" in text
    assert "the floor       100 B for every workload, which raises this" in text


def test_harm_is_explained_where_it_raised_the_size() -> None:
    case = fleet([host("h1")], [workload("a", "h1")])
    measured = demand("a", [132], [110]).__class__(**{**vars(demand("a", [132], [110])), "source": "measured"})
    lines = list(explain(history([100.0] * 3), case, {"a": measured}, POLICY, "a", Harm(0.25, 2)))
    assert "    and 20 % more   since it was throttled in 25% of its periods" in lines
    assert "    and 20 % more   since 2 of its processes were killed for want of memory" in lines
    assert "    reserved        0.132 cores" in lines


def test_an_unknown_demand_is_explained_by_its_reason() -> None:
    case = fleet([host("h1")], [workload("a", "h1")])
    lines = list(explain(history([1.0]), case, {"a": Unknown("a", "no cpu was measured")}, POLICY, "a"))
    assert "  its demand is unknown: no cpu was measured" in lines
