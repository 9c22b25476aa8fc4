"""Steps of a reassignment: the penalty curve, and the rules of groups that refuse a step."""

from __future__ import annotations

import numpy as np
import pytest

from consolidate.solve.reassign.delta import host_change, take
from consolidate.solve.reassign.problem import UNBOUNDED, Costs, Grouping, Hosts, Items, Reassignment, reassignment
from consolidate.solve.reassign.score import score
from consolidate.solve.reassign.state import State, new_state

PLACES = np.array([0, 0, 1, 1])
"""Four hosts: two locations of two, which are also the neighbourhoods."""


def problem_of(home: list[int], of_item: list[tuple[int, ...]], **rules: object) -> Reassignment:
    """Items of demand 1 on four hosts with room for all; two groups unless told otherwise."""
    given: dict[str, object] = {"host_limit": [UNBOUNDED, UNBOUNDED]} | rules
    grouping = Grouping(of_item, **given)  # type: ignore[arg-type]
    hosts = Hosts(np.full((4, 1), 9), location=PLACES, neighbourhood=PLACES)
    demand = np.ones((len(home), 1), dtype=np.int64)
    return reassignment(hosts, Items(demand, np.array(home), grouping=grouping), Costs())


def copy_of(state: State) -> State:
    """The state as it is now."""
    return State(*(sums.copy() for sums in state))


def assert_same(state: State, other: State) -> None:
    """Two states have the same sums."""
    for name, mine, theirs in zip(State._fields, state, other, strict=True):
        if name != "version":
            np.testing.assert_array_equal(mine, theirs, err_msg=name)


REFUSED = {
    "too many of its group on the host": (problem_of([0, 2], [(0,), (0,)], host_limit=[1, 1]), 0, 2),
    "too many of another beside it": (problem_of([0, 2], [(0,), (1,)], beside=[(0, 1, 0)]), 0, 2),
    "one too many beside another": (problem_of([0, 2, 2], [(1,), (0,), (1,)], beside=[(0, 1, 1)]), 0, 2),
    "too few locations": (problem_of([0, 2], [(0,), (0,)], least_locations=[2, 0]), 0, 3),
    "what it needs is in another neighbourhood": (problem_of([0, 1], [(0,), (1,)], needs=[[1], []]), 0, 2),
    "what needs it stays behind": (problem_of([0, 1], [(0,), (1,)], needs=[[1], []]), 1, 2),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_step_that_breaks_a_rule_is_refused_and_leaves_no_trace(why: str) -> None:
    problem, item, target = REFUSED[why]
    home = problem.home[:-1]
    state = new_state(problem, home)
    before = copy_of(state)
    assert not score(problem, home).violations
    assert not take(problem, state, item, target, problem.items, -1)
    assert_same(state, before)
    there = home.copy()
    there[item] = target
    assert len(score(problem, there).violations) == 1


@pytest.mark.parametrize("first_moves", [True, False])
def test_two_items_may_change_places_where_neither_may_come_alone(first_moves: bool) -> None:
    problem = problem_of([0, 2], [(0,), (0,)], host_limit=[1, 1], least_locations=[2, 0])
    state = new_state(problem, problem.home[:-1])
    first, second = (0, 1) if first_moves else (1, 0)
    hosts = problem.home
    assert take(problem, state, first, hosts[second], second, hosts[first])
    assert_same(state, new_state(problem, np.array([2, 0])))


def test_an_exchange_is_refused_for_its_second_item_too_and_leaves_no_trace() -> None:
    problem = problem_of([0, 1, 3], [(), (0,), (1,)], beside=[(1, 0, 0)])
    state = new_state(problem, problem.home[:-1])
    before = copy_of(state)
    assert not take(problem, state, 0, 1, 1, 3)
    assert_same(state, before)
    assert take(problem, state, 0, 1, 1, 2)
    assert_same(state, new_state(problem, np.array([1, 2, 3])))


def test_the_most_moved_group_is_the_largest_of_all_at_any_time() -> None:
    problem = problem_of([0, 0, 0], [(0,), (0,), (1,)])
    state = new_state(problem, problem.home[:-1])
    nothing, most = problem.items, []
    for item, target in [(0, 1), (2, 1), (1, 1), (0, 0), (1, 0), (2, 0)]:
        assert take(problem, state, item, target, nothing, -1)
        most.append(int(state.most_moved[0]))
    assert most == [1, 1, 2, 1, 1, 0]


@pytest.mark.parametrize(("load", "penalty"), [(0, 0), (3, 0), (4, 1), (5, 2), (7, 4), (8, 6), (12, 26), (15, 41)])
def test_the_penalty_is_linear_between_knots_rounded_down_and_goes_on_beyond_the_last(load: int, penalty: int) -> None:
    costs = Costs(curve_cells=1, curve=np.array([[0, 1, 6, 26]]), curve_shift=[2])
    problem = reassignment(Hosts(np.array([[16]])), Items(np.array([[load]]), np.array([-1])), costs)
    state = new_state(problem, np.array([-1]))
    force = np.zeros((1, 1), dtype=np.int64)
    assert host_change(problem, state, force, 0, 1, 0) == (penalty, 0)
    assert score(problem, np.array([0])).parts["curve"] == penalty
