"""Parts of a history: some times, all others, some workloads; and a fleet without the rest."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from consolidate.demand.history import History, Part, Parts, highest
from consolidate.demand.rates import Amounts
from consolidate.demand.subset import fleet_without
from consolidate.model.rules import AntiAffinity, Spread
from consolidate.model.series import Columns, SeriesKey
from tests.support.fleets import fleet, host, workload


def part(*positions: int) -> Part:
    """Three samples a workload, whose values tell whose they are."""
    owner = np.repeat(np.arange(len(positions)), 3)
    values = np.repeat(positions, 3) * 10.0 + np.tile([0, 1, 2], len(positions))
    return Part(np.array(positions), {"cpu_milli": Amounts(owner, np.tile([0, 100, 200], len(positions)), values)})


TWO_PARTS = Parts((lambda: part(2, 0), lambda: part(1, 3)))


def held(history: History) -> dict[int, list[float]]:
    """Values by the workload's position in the fleet."""
    return {
        int(position): one.amounts["cpu_milli"].value[one.amounts["cpu_milli"].workload == local].tolist()
        for one in history.parts()
        for local, position in enumerate(one.positions)
    }


def test_between_and_without_are_each_others_rest() -> None:
    assert held(TWO_PARTS.between(100, 200)) == {0: [1], 1: [11], 2: [21], 3: [31]}
    assert held(TWO_PARTS.without(100, 200)) == {0: [0, 2], 1: [10, 12], 2: [20, 22], 3: [30, 32]}
    assert TWO_PARTS.between(50, 500).without(150, 500).span_s() == (100, 100)
    assert TWO_PARTS.between(300, 500).span_s() is None


@given(st.lists(st.booleans(), min_size=4, max_size=4))
def test_those_that_are_kept_are_numbered_anew_in_their_order(kept) -> None:
    everything = held(TWO_PARTS)
    left = held(TWO_PARTS.only(np.array(kept)))
    assert left == {new: everything[old] for new, old in enumerate(np.flatnonzero(kept))}


def test_a_fleet_without_some_keeps_the_rules_of_the_others() -> None:
    case = fleet(
        [host("h1"), host("h2")],
        [workload(name, "h1") for name in "abc"],
        AntiAffinity("apart", ("a", "b")),
        Spread("wide", ("a", "b", "c"), 3),
        AntiAffinity("gone", ("b",)),
    )
    left = fleet_without(case, {"b"})
    assert [one.name for one in left.workloads] == ["a", "c"]
    assert left.rules == (AntiAffinity("apart", ("a",)), Spread("wide", ("a", "c"), 2))


def test_the_highest_of_a_gauge_is_the_workloads_own() -> None:
    keys = (SeriesKey("h", "", ""), SeriesKey("h", "w", ""), SeriesKey("h", "v", ""))
    columns = Columns(keys, np.array([0, 1, 1, 2]), np.arange(4), np.array([90.0, 4.0, 7.0, 50.0]))
    assert highest(lambda metric, names: columns, "memory_cache_bytes", "h:w") == 7
    assert highest(Columns.empty, "memory_cache_bytes", "h:w") == 0
