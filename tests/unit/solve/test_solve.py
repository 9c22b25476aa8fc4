"""Fleets at the edge of what there is to solve."""

from __future__ import annotations

import numpy as np
import pytest

from consolidate.model.demand import Demand, Demands
from consolidate.model.rules import AntiAffinity, FailureReserve, Rule
from consolidate.solve import solve
from consolidate.solve.shortage import ConflictError
from tests.support.fleets import demands, fleet, host, workload

NAMES = ("x", "y")
HOSTS = (host("a"), host("b"))
WORKLOADS = [workload(name) for name in NAMES]


def unlimited(slots: int) -> Demands:
    """Of something that no host limits."""
    return {name: Demand(name, {"gpu": np.ones(slots, dtype=np.int64)}, mean_cpu_milli=0.0) for name in NAMES}


def test_nothing_to_place_costs_nothing() -> None:
    for hosts in ((), HOSTS):
        result = solve(fleet(hosts, []), {})
        assert (dict(result.placement.assignments), result.score.cost, result.bound.cost) == ({}, 0, 0)
    assert solve(fleet((), WORKLOADS), demands(x=None, y=None)).score.cost == 0


@pytest.mark.parametrize("slots", [1, 24])
@pytest.mark.parametrize(
    ("rules", "cost"), [((), 1), ((AntiAffinity("apart", NAMES),), 2), ((FailureReserve("n+1", NAMES),), 2)]
)
def test_what_takes_nothing_that_hosts_limit_fits_anywhere(rules: tuple[Rule, ...], cost: int, slots: int) -> None:
    result = solve(fleet(HOSTS, WORKLOADS, *rules), unlimited(slots))
    assert result.score.feasible
    assert result.score.cost == cost


def test_rules_hold_where_nothing_is_limited() -> None:
    with pytest.raises(ConflictError, match="'apart' lets 1 of them share one of 1 host"):
        solve(fleet(HOSTS[:1], WORKLOADS, AntiAffinity("apart", NAMES)), unlimited(1))
