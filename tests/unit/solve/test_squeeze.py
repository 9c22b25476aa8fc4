"""Squeezing: what only fits by way of overfull hosts is found, walls hold, and nothing is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest

from consolidate.model.rules import AntiAffinity, Rule
from consolidate.solve.kernels import State, empty_state, place
from consolidate.solve.loads import Needs
from consolidate.solve.problem import Problem, compile_problem
from consolidate.solve.search import Floor, cost_of, squeeze_hosts
from consolidate.solve.squeeze import squeeze
from tests.support.fleets import demands, fleet, host, workload

TIGHT = (400, 380, 360, 340, 330, 310, 300, 290, 280, 260, 250, 240, 230, 220, 210, 200, 190, 180, 170, 60)
"""They add up to five hosts of 1,040, which some of their many mixes fill to the last."""


def packed_loosely(sizes: tuple[int, ...], room: int, hosts: int, *rules: Rule) -> tuple[Problem, State]:
    """Each item where there is most room, so that every host is used."""
    names = [f"w{index}" for index in range(len(sizes))]
    whole = fleet([host(f"h{index}", cpu=room) for index in range(hosts)], [workload(name) for name in names], *rules)
    amounts = demands(**{name: (size, 1) for name, size in zip(names, sizes, strict=True)})
    problem = compile_problem(Needs(whole, amounts))
    state = empty_state(problem.arrays)
    for item in range(len(sizes)):
        place(problem.arrays, state, item, int(state.load[:, 0, 0].argmin()))
    return problem, state


def floor(problem: Problem, cost: int = 0) -> Floor:
    return Floor(np.arange(len(problem.hosts)), cost)


def silent(what: str, cost: int) -> None:
    """Report nothing."""


def test_hosts_are_filled_to_the_last() -> None:
    problem, state = packed_loosely(TIGHT, 1040, 7)
    squeeze_hosts(problem.arrays, state, 1, 200, [floor(problem)], silent)
    assert cost_of(problem.arrays, state) == 5 == sum(TIGHT) // 1040
    assert (state.load_peak <= problem.arrays.capacity).all()
    assert sorted(np.bincount(state.host_of, weights=TIGHT, minlength=7))[-5:] == [1040] * 5


def test_what_cannot_fit_leaves_everything_as_it_was() -> None:
    problem, state = packed_loosely(TIGHT, 1039, 6)
    before = state.host_of.copy()
    squeeze_hosts(problem.arrays, state, 1, 20, [floor(problem)], silent)
    assert (state.host_of == before).all()


def test_the_floor_ends_it() -> None:
    problem, state = packed_loosely(TIGHT, 1040, 7)
    reached: list[int] = []
    squeeze_hosts(problem.arrays, state, 1, 200, [floor(problem, 6)], lambda what, cost: reached.append(cost))
    assert reached == [6]


def test_hosts_at_their_floor_are_neither_closed_nor_overfilled() -> None:
    problem, state = packed_loosely(TIGHT, 1040, 7)
    settled = Floor(np.array([0, 1]), 2)
    squeeze_hosts(problem.arrays, state, 1, 200, [floor(problem), settled], silent)
    assert cost_of(problem.arrays, state) == 5
    assert (state.occupancy[:2] > 0).all()


def test_a_group_rule_holds_on_the_way_and_at_the_end() -> None:
    apart = AntiAffinity("apart", ("w0", "w5", "w9", "w13"), 1)
    problem, state = packed_loosely(TIGHT, 1040, 7, apart)
    squeeze_hosts(problem.arrays, state, 1, 200, [floor(problem)], silent)
    assert cost_of(problem.arrays, state) == 5
    assert len(set(state.host_of[[0, 5, 9, 13]].tolist())) == 4


def test_the_same_seed_gives_the_same_placement_however_the_threads_run() -> None:
    found = []
    for _ in range(3):
        problem, state = packed_loosely(TIGHT, 1040, 7)
        squeeze_hosts(problem.arrays, state, 7, 200, [floor(problem)], silent)
        found.append(state.host_of.tolist())
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("walls", [False, True])
def test_a_wall_keeps_what_does_not_fit_out(walls: bool) -> None:
    problem, state = packed_loosely((600, 600, 600), 1000, 3)
    usable = np.array([True, True, False])
    walled = np.full(3, walls)
    random, over = np.array([1], dtype=np.uint64), np.zeros(3)
    assert not squeeze(problem.arrays, state, usable, walled, 1000, random, over, np.ones(1, dtype=np.int64), 0)
    assert (state.load[:, 0, 0] > 1000).any() != walls


def test_a_try_gives_up_once_one_before_it_has_succeeded() -> None:
    problem, state = packed_loosely(TIGHT, 1040, 7)
    usable, walled = np.ones(7, dtype=np.bool_), np.zeros(7, dtype=np.bool_)
    random, over = np.array([1], dtype=np.uint64), np.zeros(7)
    assert not squeeze(problem.arrays, state, usable, walled, 1000, random, over, np.zeros(1, dtype=np.int64), 1)
