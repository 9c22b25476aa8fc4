"""What a reassignment problem is laid out as."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from consolidate.solve.reassign.problem import (
    UNBOUNDED,
    Costs,
    Grouping,
    Hosts,
    Items,
    lists,
    overload_units,
    reassignment,
)
from consolidate.solve.reassign.state import new_state

CAPACITY = np.array([[10, 20], [30, 40], [50, 60]])
DEMAND = np.array([[1, 2], [3, 4]])
HOME = np.array([2, -1])


def rows(problem_lists: tuple[np.ndarray, np.ndarray]) -> list[list[int]]:
    """Compressed rows, as lists again."""
    start, value = problem_lists
    return [value[a:b].tolist() for a, b in itertools.pairwise(start)]


@pytest.mark.parametrize("given", [[], [[]], [[1, 2], [], [3]]])
def test_compressed_rows_are_the_rows(given: list[list[int]]) -> None:
    compressed = lists(given)
    assert rows(compressed) == given
    assert (compressed.start.dtype, compressed.value.dtype) == (np.int64, np.int64)


def test_what_is_left_out_is_harmless() -> None:
    problem = reassignment(Hosts(CAPACITY), Items(DEMAND, HOME), Costs())
    assert (problem.items, problem.hosts) == (2, 3)
    assert problem.variant.tolist() == [[0], [1], [2]]
    assert problem.demand[2].tolist() == [0, 0]
    assert problem.home.tolist() == [2, -1, -1]
    assert problem.soft_capacity.tolist() == CAPACITY.tolist()
    assert rows(problem.groups) == [[], [], []]
    assert problem.balance.shape == (0, 4)
    assert not problem.transient.any()
    for costs in (problem.opening, problem.soft_weight, problem.move_cost, problem.route, problem.curve, problem.reach):
        assert not costs.any()
    for place in (problem.kind, problem.location, problem.neighbourhood):
        assert place.tolist() == [0, 0, 0]


def test_no_item_comes_last_and_runs_everywhere() -> None:
    variant = np.array([[0, -1], [1, 0]])
    problem = reassignment(Hosts(CAPACITY, kind=np.array([0, 1, 0])), Items(DEMAND, HOME, variant, [1]), Costs())
    assert problem.variant.tolist() == [[0, -1], [1, 0], [2, 2]]
    assert problem.transient.tolist() == [False, True]


def test_rules_of_groups_are_found_from_both_ends() -> None:
    grouping = Grouping(
        of_item=[(0, 2), (1,)],
        host_limit=[1, 2, 3],
        beside=[(0, 1, 5), (0, 2, 0), (2, 1, 7)],
        needs=[[1, 2], [], [1]],
    )
    problem = reassignment(Hosts(CAPACITY), Items(DEMAND, HOME, grouping=grouping), Costs())
    assert rows(problem.groups) == [[0, 2], [1], []]
    assert rows(problem.beside) == [[1, 5, 2, 0], [], [1, 7]]
    assert rows(problem.beside_of) == [[], [0, 5, 2, 7], [0, 0]]
    assert rows(problem.needs) == [[1, 2], [], [1]]
    assert rows(problem.needed_by) == [[], [0, 2], [0]]
    assert problem.host_limit.tolist() == [1, 2, 3]
    assert problem.least_locations.tolist() == [0, 0, 0]


def test_the_reach_of_an_item_is_all_that_it_could_save() -> None:
    costs = Costs(
        opening=np.array([5, 7, 6]),
        soft_weight=np.array([10, 0]),
        balance=[(0, 1, 3, 2)],
        curve_cells=2,
        curve=np.array([[0, 4, 12]]),
        curve_shift=[1],
        move_cost=np.array([100, 200]),
        route=np.array([[0, 1, 2], [3, 0, 9], [1, 1, 0]]),
    )
    problem = reassignment(Hosts(CAPACITY), Items(DEMAND, HOME), costs)
    soft, balance, curve, opening, route = 10 * 1, 2 * (3 * 1 + 2), (1 + 2) * 8 // 2, 7, 9
    assert problem.reach[0] == soft + balance + curve + opening + 100 + route


def test_a_group_has_no_more_members_than_a_host_can_count() -> None:
    def crowd(members: int) -> Items:
        home = np.full(members, -1)
        grouping = Grouping(of_item=[(1,)] * members, host_limit=[1, UNBOUNDED])
        return Items(DEMAND, home, np.zeros((members, 1), dtype=np.int64), grouping=grouping)

    problem = reassignment(Hosts(CAPACITY), crowd(UNBOUNDED), Costs())
    assert new_state(problem, np.zeros(UNBOUNDED, dtype=np.int64)).on_host[1].tolist() == [UNBOUNDED, 0, 0]
    with pytest.raises(ValueError, match="group 1 has 32768 members, of which 32767 can be counted"):
        reassignment(Hosts(CAPACITY), crowd(UNBOUNDED + 1), Costs())


def test_a_unit_over_capacity_is_worth_as_much_as_one_over_soft_capacity() -> None:
    costs = Costs(soft_weight=np.array([10, 0]), opening=np.array([60, 60, 60]))
    problem = reassignment(Hosts(CAPACITY), Items(DEMAND, HOME), costs)
    assert problem.reach[:-1].tolist() == [70, 90]
    assert overload_units(problem).tolist() == [10, 80 / 3 / 2]
