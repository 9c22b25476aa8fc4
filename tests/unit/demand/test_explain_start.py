"""Sizes without measurements that suffice are explained to the last figure, exact enough to reckon along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from consolidate.demand import estimate, in_memory
from consolidate.demand.explain import explain
from consolidate.demand.figures import brief, full
from consolidate.demand.history import SOURCES
from consolidate.demand.rates import Amounts
from consolidate.model.fleet import Isolation, Workload
from consolidate.model.policy import SizingPolicy
from consolidate.model.resources import Resources
from tests.support.fleets import GIB, fleet, host, workload

LIMITS = Resources({"cpu_milli": 3000, "memory_bytes": 8 * GIB})
POLICY = SizingPolicy(vcpus_per_core=4.0)


@pytest.mark.parametrize(
    ("dimension", "amount", "short", "long"),
    [
        ("cpu_milli", 14.0, "0.014 cores", "0.014 cores"),
        ("cpu_milli", 7.3333333, "0.007333 cores", "0.007333 cores"),
        ("cpu_milli", 1_234_500.0, "1,234.500 cores", "1,234.500 cores"),
        ("memory_bytes", 877_603_225.6, "836.948 MiB", "836.948 MiB (877,603,225.6 B)"),
        ("memory_bytes", 5.0, "5 B", "5 B"),
        ("net_rx_bytes_per_s", 71.6, "71.6 B/s", "71.6 B/s"),
        ("net_rx_bytes_per_s", 2048.0, "2.000 KiB/s", "2.000 KiB/s (2,048 B/s)"),
        ("disk_iops", 12.25, "12.25 IO/s", "12.25 IO/s"),
        ("licences", 3.0, "3 licences", "3 licences"),
    ],
)
def test_figures_can_be_reckoned_with(dimension: str, amount: float, short: str, long: str) -> None:
    assert (brief(dimension, amount), full(dimension, amount)) == (short, long)


def told(one: Workload, samples: int, policy: SizingPolicy = POLICY) -> str:
    """The explanation, in one line, of a workload with so many samples of half a core, five minutes apart."""
    at_s, owner = 1_780_272_000 + 300 * np.arange(samples), np.zeros(samples, np.int64)
    nothing = Amounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    measured = {
        "cpu_milli": Amounts(owner, at_s, np.full(samples, 500.0)),
        "memory_bytes": Amounts(owner, at_s, np.full(samples, 1e9)),
    }
    history = in_memory(dict.fromkeys(SOURCES, nothing) | measured, 1)
    case = fleet([host("h", cpu_rating=2.0)], [one])
    demands = estimate(history, case, policy, {})
    lines = list(explain(history, case, demands, policy, one.name))
    assert all(len(line) <= 80 for line in lines)
    return " ".join(" ".join(lines).split())


def test_a_limit_is_followed_from_what_it_is_to_what_of_it_is_reserved() -> None:
    text = told(workload("w", "h", isolation=Isolation.VM, limits=LIMITS), 6)
    assert "too little was measured (0.5 h of history, 1 h are needed), so it is sized by its limit" in text
    assert (
        "limit 3.000 cores, × 2 as its cores are rated: 6.000 cores shared 4 virtual CPUs share a core: 1.500 cores"
        in text
    )
    assert "seen at most 0.550 cores, margin included: no less than that, but at most that limit reserved 1.500" in text
    assert "memory_bytes limit 8.000 GiB (8,589,934,592 B) reserved 8.000 GiB (8,589,934,592 B)" in text


def test_what_a_limit_says_nothing_of_is_named() -> None:
    text = told(workload("w", "h", limits=LIMITS), 6)
    assert "net_rx_bytes_per_s, net_tx_bytes_per_s nothing is reserved: it has no limit there." in text
    assert "nothing is reserved" not in told(workload("w", "h", limits=LIMITS), 300)


def test_a_size_above_the_limit_is_named() -> None:
    tight = Resources({"cpu_milli": 100, "memory_bytes": 8 * GIB})
    text = told(workload("w", "h", limits=tight), 300)
    assert "cut at the limit of 0.100 cores (× 2 as its cores are rated: 0.200 cores), but not below" in text
    assert text.count("at the limit") == 1


def test_a_container_has_its_whole_limit_and_nothing_is_said_of_sharing() -> None:
    text = told(workload("w", "h", limits=LIMITS), 6)
    assert "limit 3.000 cores, × 2 as its cores are rated: 6.000 cores seen" in text
    assert "reserved 6.000 cores" in text


def test_holes_in_the_history_are_named_as_the_reason() -> None:
    sparse = replace(POLICY, min_hours=0, min_coverage=1.1)
    assert "(only 100% of its history was measured, 110% are needed)" in told(
        workload("w", "h", limits=LIMITS), 6, sparse
    )


def test_the_greatest_use_is_followed_through_its_margin() -> None:
    peak = Resources({"cpu_milli": 1000, "memory_bytes": 4 * GIB})
    text = told(replace(workload("w", "h", limits=LIMITS), peak=peak), 6)
    assert "greatest use that its source sums up, and the rest by its limit, since 0.5 h of history" in text
    assert "sums it up, × 2 as its cores are rated: 2.000 cores and 10 % margin 2.200 cores" in text
    assert "greatest use 4.000 GiB (4,294,967,296 B) as its source sums it up and 10 % margin 4.400 GiB" in text


def test_what_a_plan_adds_is_said_at_the_end() -> None:
    text = told(workload("w", "h"), 300)
    assert text.endswith("and a tenth or more of the amount for each time that host was found over the policy's risk.")
