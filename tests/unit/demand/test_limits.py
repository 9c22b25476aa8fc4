"""A margin ends at what a workload may take at most, unless that limit hurt it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from consolidate.demand import History, estimate, in_memory
from consolidate.demand.explain import explain
from consolidate.demand.harm import Harm
from consolidate.demand.history import SOURCES
from consolidate.demand.rates import Amounts
from consolidate.model.demand import Demand
from consolidate.model.policy import SizingPolicy
from consolidate.model.resources import Resources
from tests.support.fleets import fleet, host, workload

MONDAY_S = 1_780_272_000
HOURS = np.arange(28 * 24)
LOAD = np.where(HOURS % 24 == 9, 1900.0, 1000.0)
POLICY = SizingPolicy(floor=Resources(), cpu_quantile=1.0)
TWO = {"cpu_milli": 2000, "memory_bytes": 2000}


def history(load: np.ndarray) -> History:
    at_s, owner = MONDAY_S + 3600 * np.arange(len(load)), np.zeros(len(load), np.int64)
    nothing = Amounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    measured = {"cpu_milli": Amounts(owner, at_s, load), "memory_bytes": Amounts(owner, at_s, load)}
    return in_memory(dict.fromkeys(SOURCES, nothing) | measured, 1)


def sized(
    load: np.ndarray = LOAD,
    limits: dict[str, int] = TWO,
    policy: SizingPolicy = POLICY,
    rating: float = 1.0,
    harm: Harm | None = None,
    peak: dict[str, int] | None = None,
) -> tuple[Demand, str]:
    """What is reserved, and how that is explained, in one line."""
    one = workload("w", "h", limits=Resources(limits), peak=Resources(peak or {}))
    case = fleet([host("h", cpu_rating=rating)], [one])
    demands = estimate(history(load), case, policy, {}, {} if harm is None else {"w": harm})
    lines = list(explain(history(load), case, demands, policy, "w", harm))
    assert all(len(line) <= 80 for line in lines)
    demand = demands["w"]
    assert isinstance(demand, Demand)
    return demand, " ".join(" ".join(lines).split())


def test_every_slot_has_its_margin_up_to_the_limit_and_no_further() -> None:
    demand, told = sized()
    assert demand.amounts["cpu_milli"].tolist() == [2000 if hour % 24 == 9 else 1100 for hour in range(168)]
    assert demand.amounts["memory_bytes"].tolist() == [2000]
    assert demand.highest_cpu_milli == 2000, "the limit that a plan writes is no larger either"
    assert "and 10 % margin 2.090 cores cut at the limit of 2.000 cores: 2.000 cores reserved 2.000 cores" in told
    assert "and 10 % margin 2.041 KiB (2,090 B) cut at the limit of 1.953 KiB (2,000 B)" in told
    assert "cut" not in sized(limits={})[1]


def test_what_was_measured_above_a_limit_stays_as_measured() -> None:
    demand, told = sized(limits={"cpu_milli": 1500})
    assert demand.amounts["cpu_milli"].tolist() == [1900 if hour % 24 == 9 else 1100 for hour in range(168)]
    assert demand.highest_cpu_milli == 1900
    assert "cut at the limit of 1.500 cores, but not below what the margin is added to: 1.900 cores" in told


def test_a_limit_is_in_cores_of_the_workloads_own_host() -> None:
    assert sized(rating=0.5)[0].peak.get("cpu_milli") == 1900, "measured in reference cores already"
    demand, told = sized(rating=1.025)
    assert demand.peak.get("cpu_milli") == 2050
    assert "cut at the limit of 2.000 cores (× 1.025 as its cores are rated: 2.050 cores): 2.050 cores" in told


@pytest.mark.parametrize(("harm", "cpu", "memory"), [(Harm(0.5, 0), 2508, 2000), (Harm(0.0, 3), 2000, 2508)])
def test_a_limit_that_hurt_cuts_nothing_of_what_it_was_too_small_for(harm: Harm, cpu: int, memory: int) -> None:
    demand, told = sized(harm=harm)
    assert (demand.peak.get("cpu_milli"), demand.peak.get("memory_bytes")) == (cpu, memory)
    assert demand.highest_cpu_milli == cpu
    assert ("not cut at the limit of 2.000 cores, since that hurt it and 20 % more since it was throttled" in told) == (
        cpu == 2508
    )
    assert (told.count("not cut at"), told.count(" cut at")) == (1, 2)


def test_an_hour_that_counts_half_counts_half_of_what_is_cut() -> None:
    half = replace(POLICY, counted_permille=(500,) * 168)
    assert sized(policy=half)[0].peak.get("cpu_milli") == 1000
    late = replace(POLICY, counted_permille=tuple(520 if hour % 24 == 9 else 1000 for hour in range(168)))
    demand, told = sized(policy=late)
    assert demand.peak.get("cpu_milli") == 1100
    assert "that counts 100 % of it at Mon 00:00: 1.100 cores" in told


def test_the_hour_of_which_most_was_measured_decides_where_a_limit_makes_several_alike() -> None:
    load = LOAD.copy()
    load[HOURS % 168 == 34] = 1950.0  # of Tuesdays at ten; at nine of every day it is cut to the same
    demand, told = sized(load)
    assert demand.amounts["cpu_milli"][[9, 34]].tolist() == [2000, 2000]
    assert "busiest Tue 10:00, the highest of the 168" in told
    assert "reserved 2.000 cores at Tue 10:00" in told


def test_the_greatest_use_that_a_source_sums_up_is_cut_as_well() -> None:
    demand, told = sized(LOAD[:1], peak={"cpu_milli": 1900, "memory_bytes": 1000})
    assert (demand.source, demand.peak.get("cpu_milli"), demand.peak.get("memory_bytes")) == ("summary", 2000, 1100)
    assert "and 10 % margin 2.090 cores cut at the limit of 2.000 cores: 2.000 cores" in told


def test_a_floor_is_no_margin() -> None:
    small = replace(POLICY, floor=Resources({"cpu_milli": 3000}))
    assert sized(policy=small)[0].peak.get("cpu_milli") == 3000
