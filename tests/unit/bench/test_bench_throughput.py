"""The throughput benchmark: its fleets, what it counts, and the models that other solvers are given."""

from __future__ import annotations

import numpy as np
import pytest

from consolidate.model.placement import current_placement
from consolidate.solve import evaluate, solve
from consolidate.solve.kernels import empty_state, place
from consolidate.solve.loads import Needs
from consolidate.solve.problem import compile_problem
from consolidate.solve.reassign.score import score
from tests.bench.throughput_fleet import Size, make_fleet
from tests.bench.throughput_kernels import displace, given_hosts, refit, too_few
from tests.bench.throughput_models import SOLVERS, as_placement, assignment_model

SMALL = Size(24, 6, 24)


def test_a_made_up_fleet_is_the_same_for_the_same_seed_and_valid_as_it_runs_today() -> None:
    fleet, demands = make_fleet(SMALL, 7)
    again, demands_again = make_fleet(SMALL, 7)
    assert fleet == again
    for name, demand in demands.items():
        for dimension, amounts in demand.amounts.items():
            assert (amounts == demands_again[name].amounts[dimension]).all()
    assert evaluate(fleet, demands, current_placement(fleet)).feasible
    assert make_fleet(SMALL, 8)[0] != fleet


@pytest.mark.parametrize("slots", [1, 24, 168])
def test_demands_have_the_slots_that_were_asked_for(slots: int) -> None:
    size = Size(6, 2, slots)
    fleet, demands = make_fleet(size, 7)
    assert Needs(fleet, demands).slots == slots
    assert given_hosts(size).demand.shape == (7, 3 * slots)


def test_judging_places_leaves_a_complete_placement_within_capacity() -> None:
    fleet, demands = make_fleet(SMALL, 7, 500)
    problem = compile_problem(Needs(fleet, demands))
    arrays, state = problem.arrays, empty_state(problem.arrays)
    items, everywhere = np.arange(SMALL.workloads), np.ones(SMALL.hosts, dtype=np.bool_)
    for item in items.tolist():
        place(arrays, state, item, int(arrays.home[item]))
    before = state.host_of.copy()
    displace(arrays, state, items, everywhere, np.zeros(len(items), dtype=np.int64))
    assert (state.host_of == before).all()
    refit(arrays, state, items, everywhere)
    assert not [
        one for one in evaluate(fleet, demands, problem.placement(state.host_of)).violations if one.rule == "capacity"
    ]


def test_hosts_that_are_too_few_are_the_most_that_cannot_hold_everything() -> None:
    arrays = compile_problem(Needs(*make_fleet(SMALL, 7))).arrays
    few = too_few(arrays)
    needed = arrays.demand.sum(axis=0).max(axis=1)
    assert (arrays.capacity[few].sum(axis=0) < needed).any()
    few[few.argmin()] = True
    assert (arrays.capacity[few].sum(axis=0) >= needed).all()


def test_reassignment_starts_within_capacity() -> None:
    problem = given_hosts(SMALL)
    assert not score(problem, problem.home[:-1]).violations


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_proves_the_planner_right_on_a_small_fleet(solver: str) -> None:
    fleet, demands = make_fleet(SMALL, 7)
    answer = SOLVERS[solver](assignment_model(fleet, demands), float("inf"))
    assert answer.host_of is not None
    found = evaluate(fleet, demands, as_placement(fleet, answer.host_of))
    assert found.feasible
    assert found.cost == answer.bound == solve(fleet, demands).score.cost
