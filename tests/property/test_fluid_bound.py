"""The fluid bound's rows about hosts: whatever room is priced at, no placement that fits breaks them."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from consolidate.model.demand import Demands
from consolidate.model.fleet import Fleet
from consolidate.solve import fluid
from consolidate.solve.evaluate import evaluate
from consolidate.solve.fluid import Relaxation, pooled, pour
from consolidate.solve.loads import Needs
from consolidate.solve.presolve import tighten
from consolidate.solve.problem import compile_problem
from consolidate.solve.solve import solve
from tests.support.enumeration import placements
from tests.support.fleets import demands, fleet, fleets, host, workload


@settings(max_examples=150)
@given(fleets(4, 5), st.integers(0, 2**32 - 1))
def test_hosts_that_hold_everything_are_worth_enough_at_any_prices(case: tuple[Fleet, Demands], seed: int) -> None:
    problem = tighten(compile_problem(Needs(*case)))
    assume(problem.items and (problem.arrays.variant >= 0).any(axis=1).all())
    model = Relaxation(problem, ())
    random = np.random.default_rng(seed)
    enough = [model.enough_hosts(random.exponential(size=len(model.rows)) ** 3) for _ in range(5)]
    for placement in placements(*case):
        if evaluate(*case, placement).feasible:
            on = np.array([host in placement.powered for host in problem.hosts])
            for row in enough:
                assert row.A @ on >= row.lb * (1 - 1e-9)


@settings(max_examples=100)
@given(fleets(4, 6))
def test_the_prices_of_an_optimum_say_as_much_as_the_optimum(case: tuple[Fleet, Demands]) -> None:
    problem = tighten(compile_problem(Needs(*case)))
    assume(problem.items and (problem.arrays.variant >= 0).any(axis=1).all())
    model = Relaxation(problem, ())
    liquid = model.solve()
    if liquid is not None:
        bound, _ = model.cheapest_hosts([model.enough_hosts(liquid.prices)])
        assert bound >= liquid.cost * (1 - 1e-9) - 1e-9


@settings(max_examples=100)
@given(fleets(4, 5))
def test_hosts_counted_as_equal_still_give_a_bound(case: tuple[Fleet, Demands]) -> None:
    problem = tighten(compile_problem(Needs(*case)))
    assume(problem.items and (problem.arrays.variant >= 0).any(axis=1).all())
    scores = (evaluate(*case, placement) for placement in placements(*case))
    least = min((score.cost for score in scores if score.feasible), default=None)
    assume(least is not None)
    with patch.object(fluid, "_MOST_WORK", 0):
        assert len(pooled(problem)[1]) <= len(np.unique(problem.kind))
        assert pour(problem, ()).cost <= least * (1 + 1e-6)
    assert pour(problem, ()).cost <= least * (1 + 1e-6)


def test_hosts_of_nearly_equal_memory_share_a_pool_where_there_are_many() -> None:
    hosts = [host(f"h{index:03d}", 1000, 10**9 + 4096 * index) for index in range(200)]
    amounts = demands(**{f"w{index}": (100, 10**6) for index in range(400)})
    found = solve(fleet(hosts, [workload(name) for name in amounts]), amounts)
    assert found.hosts_used == found.bound.cost == 40
    assert len(pooled(compile_problem(Needs(fleet(hosts, [workload(name) for name in amounts]), amounts)))[1]) < 5
