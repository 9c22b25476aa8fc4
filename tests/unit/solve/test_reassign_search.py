"""Searches, bounds and orders of a reassignment where the right answer is plain."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from consolidate.solve.randomness import seeded
from consolidate.solve.reassign import portfolio
from consolidate.solve.reassign.anneal import anneal, new_scratch
from consolidate.solve.reassign.bounds import lower_bound
from consolidate.solve.reassign.chosen import may_be_chosen, search_chosen
from consolidate.solve.reassign.climate import Climate
from consolidate.solve.reassign.construct import construct
from consolidate.solve.reassign.order import order_moves
from consolidate.solve.reassign.problem import Costs, Grouping, Hosts, Items, Reassignment, reassignment
from consolidate.solve.reassign.score import score
from consolidate.solve.reassign.search import STYLES_OF_PLAIN, search
from consolidate.solve.reassign.state import by_host, new_state, one_list

NOWHERE = np.array([-1, -1])


def pair_on(hosts: int, home: np.ndarray = NOWHERE) -> Reassignment:
    """Two items, each of which fills a host; every host costs one."""
    opening = np.ones(hosts, dtype=np.int64)
    return reassignment(Hosts(np.ones((hosts, 1))), Items(np.ones((2, 1)), home), Costs(opening=opening))


def test_a_search_mends_a_start_that_overfills_a_host() -> None:
    looks = itertools.count()
    problem = pair_on(2)
    cost, host_of = search(problem, np.array([0, 0]), lambda: min(next(looks) / 20, 1.0), 1, lambda *better: None)
    assert cost == 2
    assert sorted(host_of.tolist()) == [0, 1]


@pytest.mark.parametrize(("ejection", "gain"), [(0.0, 0), (1.0, 1)])
def test_a_large_item_needs_all_that_is_in_its_way_pushed_out_at_once(ejection: float, gain: int) -> None:
    """One of 6 over a soft capacity of 5, and four of 1 where 6 would be: every shorter way costs more at first."""
    costs = Costs(soft_weight=np.array([1]), soft_capacity=np.array([[5], [6]]))
    sizes, home = np.array([[6], [1], [1], [1], [1]]), np.array([0, 1, 1, 1, 1])
    problem = reassignment(Hosts(np.full((2, 1), 20)), Items(sizes, home), costs)
    cold = Climate(1e-9, np.zeros(6), np.ones((2, 1), dtype=np.int64), ejection)
    random = np.array([seeded(1)], dtype=np.uint64)
    state = new_state(problem, home)
    assert anneal(problem, state, cold, 500, random, by_host(one_list(problem), state), new_scratch(problem)) == -gain


@pytest.mark.parametrize(("relocation", "gain"), [(0.0, 0), (0.5, 5)])
def test_a_cheaper_host_is_opened_where_all_go_there_at_once(relocation: float, gain: int) -> None:
    """Of hosts for 15, 10 and 3: the first to go to the second would pay 10, and the third is too small."""
    costs = Costs(opening=np.array([15, 10, 3]))
    problem = reassignment(Hosts(np.array([[3], [3], [2]])), Items(np.ones((3, 1)), np.full(3, -1)), costs)
    cold = Climate(1e-9, np.zeros(4), np.full((3, 1), 100), 0.0, relocation)
    random, start = np.array([seeded(1)], dtype=np.uint64), np.zeros(3, dtype=np.int64)
    state = new_state(problem, start)
    assert anneal(problem, state, cold, 500, random, one_list(problem), new_scratch(problem)) == -gain
    assert state.host_of[:-1].tolist() == ([1, 1, 1] if gain else [0, 0, 0])


def dear_and_cheap(items: Items) -> Reassignment:
    """Two hosts of 10 for 100 each, and six of 4 for 30."""
    hosts, opening = np.array([[10]] * 2 + [[4]] * 6), np.array([100] * 2 + [30] * 6)
    return reassignment(Hosts(hosts), items, Costs(opening=opening))


def test_the_cheapest_hosts_that_hold_everything_are_found_at_once() -> None:
    problem = dear_and_cheap(Items(np.full((10, 1), 2), np.full(10, -1)))
    start, looks = np.array([0] * 5 + [1] * 5), itertools.count()
    told: list[int] = []
    cost, host_of = search_chosen(
        problem,
        start,
        lambda: min(next(looks) / 200, 1.0),
        1,
        lambda spent, cost, host_of: told.append(cost),
        STYLES_OF_PLAIN[0],
    )
    assert cost == score(problem, host_of).cost == lower_bound(problem) == 150
    assert told[0] == 200
    assert told[-1] == 150


def test_hosts_are_not_chosen_where_more_than_room_ties_items_together() -> None:
    sizes, home = np.full((10, 1), 2), np.full(10, -1)
    assert may_be_chosen(dear_and_cheap(Items(sizes, home)))
    assert not may_be_chosen(dear_and_cheap(Items(sizes, np.zeros(10, dtype=np.int64))))
    spread = Grouping([(0,)] * 10, host_limit=[10], least_locations=[1])
    assert not may_be_chosen(dear_and_cheap(Items(sizes, home, grouping=spread)))


def test_items_that_fill_a_host_are_placed_apart() -> None:
    assert sorted(construct(pair_on(2)).tolist()) == [0, 1]


def test_what_no_host_may_take_beside_the_rest_is_named() -> None:
    grouping = Grouping([(0,), (0,)], host_limit=[1])
    problem = reassignment(Hosts(np.ones((1, 1))), Items(np.ones((2, 1)), NOWHERE, grouping=grouping), Costs())
    with pytest.raises(ValueError, match="finds no host"):
        construct(problem)


def test_full_hosts_change_places_by_way_of_a_third() -> None:
    order = order_moves(pair_on(3), np.array([0, 1]), np.array([1, 0]), np.array([2, 0, 1]))
    assert not len(order.stuck)
    assert len(order.item) == 3
    assert order.host[0] == 2
    at = np.array([0, 1])
    for item, host in zip(order.item, order.host, strict=True):
        at[item] = host
    assert at.tolist() == [1, 0]


def test_full_hosts_that_have_no_third_are_stuck() -> None:
    order = order_moves(pair_on(2), np.array([0, 1]), np.array([1, 0]), np.array([0, 1]))
    assert (order.item.tolist(), order.stuck.tolist()) == ([], [0, 1])


def test_the_bound_on_open_hosts_is_tight_where_items_fill_them() -> None:
    assert lower_bound(pair_on(5)) == 2


def test_the_bound_leaves_out_what_penalties_lose_by_rounding() -> None:
    """Each of four hosts pays 3/4, rounded down, and so nothing."""
    costs = Costs(curve_cells=1, curve=np.array([[0, 1, 2]]), curve_shift=[2])
    problem = reassignment(Hosts(np.full((4, 1), 3)), Items(np.full((4, 1), 3), np.arange(4)), costs)
    assert lower_bound(problem) <= score(problem, np.arange(4)).cost == 0


def test_workers_without_time_bring_back_the_start() -> None:
    problem = pair_on(3, home=np.array([0, 1]))
    answer = portfolio.improve(problem, np.array([0, 2]), until=0.0, seed=1, workers=1)
    assert (answer.cost, answer.host_of.tolist()) == (2, [0, 2])


def test_a_worker_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portfolio, "compile_search", lambda problem, start: None)  # would fail here, not in a worker
    with pytest.raises(RuntimeError, match="a search worker ended with exit code 1"):
        portfolio.improve(pair_on(2), np.array([0, 7]), until=0.0, seed=1, workers=1)


def test_a_swap_that_only_moves_an_overload_costs_what_it_does_to_both_hosts() -> None:
    """What one host is relieved of makes up for what the other gets; the cost of both still counts."""
    costs = Costs(curve_cells=1, curve=np.array([[0, 10, 20], [0, 30, 60]]), curve_shift=[4, 4])
    hosts = Hosts(np.array([[10], [10]]), kind=np.array([0, 1]))
    problem = reassignment(hosts, Items(np.array([[1], [30]]), NOWHERE), costs)
    start = np.array([0, 1])
    mild = Climate(1000.0, np.zeros(3), np.full((2, 1), 10**6), 0.0)
    state, random = new_state(problem, start), np.array([seeded(1)], dtype=np.uint64)
    cost, seen = score(problem, start).cost, set()
    for _ in range(100):
        cost += anneal(problem, state, mild, 1, random, by_host(one_list(problem), state), new_scratch(problem))
        assert cost == score(problem, state.host_of[:-1]).cost
        seen.add(tuple(state.host_of[:-1].tolist()))
    assert seen == {(0, 1), (1, 0)}
