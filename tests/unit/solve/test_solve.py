"""Fleets at the edge of what there is to solve."""

from __future__ import annotations

import numpy as np
import pytest

from consolidate.model.demand import Demand, Demands
from consolidate.model.policy import Objective
from consolidate.model.rules import AntiAffinity, FailureReserve, Rule
from consolidate.solve import solve
from consolidate.solve.fluid import pour
from consolidate.solve.kernels import empty_state, place
from consolidate.solve.loads import Needs
from consolidate.solve.problem import compile_problem
from consolidate.solve.search import Floor, choose_hosts, squeeze_hosts
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


def test_two_dear_hosts_become_five_cheap_ones() -> None:
    """Neither can be closed, and no cheaper host replaces one of them or both."""
    dear = [host(name, 1000, cost_per_month=100.0) for name in ("d0", "d1")]
    cheap = [host(f"c{number}", 400, cost_per_month=30.0) for number in range(6)]
    running = [workload(f"w{number}", f"d{number % 2}") for number in range(10)]
    amounts = demands(**{one.name: (200, 1) for one in running})
    problem = compile_problem(Needs(fleet([*dear, *cheap], running), amounts), Objective.COST)
    state = empty_state(problem.arrays)
    for item, home in enumerate(problem.arrays.home.tolist()):
        place(problem.arrays, state, item, home)
    told: list[int] = []
    floors = [Floor(np.arange(8), 0)]
    squeeze_hosts(problem.arrays, state, 1, 20, floors, lambda what, cost: told.append(cost))
    assert told == []
    assert choose_hosts(problem.arrays, state, pour(problem, ()), 1, 20, lambda what, cost: told.append(cost))
    assert told == [150_00]
    assert set(state.host_of.tolist()) <= {2, 3, 4, 5, 6, 7}
    assert not choose_hosts(problem.arrays, state, pour(problem, ()), 1, 20, lambda what, cost: told.append(cost))


def test_a_bound_is_what_hosts_can_cost_together() -> None:
    """Where they are dear, what a solver of floating-point numbers may be off by is more than a unit."""
    hosts = [host(f"h{number}", 1000, cost_per_month=200_000.0) for number in range(3)]
    amounts = demands(**{f"w{number}": (500, 1) for number in range(3)})
    found = solve(fleet(hosts, [workload(name) for name in amounts]), amounts, Objective.COST)
    assert (found.score.cost, found.bound.cost) == (400_000_00, 400_000_00)
