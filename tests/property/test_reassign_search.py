"""The reassignment search: its sums, its deltas and its promises, on random problems."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from consolidate.solve.randomness import seeded
from consolidate.solve.reassign.anneal import anneal, new_scratch, try_exchange, try_shift
from consolidate.solve.reassign.climate import Climate
from consolidate.solve.reassign.delta import BARRED, host_change, may_ever_run, move_change, take
from consolidate.solve.reassign.score import score
from consolidate.solve.reassign.search import STYLES, STYLES_OF_PLAIN, STYLES_OF_SMALL, Style, search
from consolidate.solve.reassign.state import State, by_host, new_state, one_list
from tests.property.test_reassign_score import Case, cases, members_of, parts

WALL = 10**9
"""A force on capacities that outweighs every cost that these problems can have."""


def assert_same(state: State, other: State) -> None:
    """Two states have the same sums."""
    for name, mine, theirs in zip(State._fields, state, other, strict=True):
        if name != "version":
            np.testing.assert_array_equal(mine, theirs, err_msg=name)


@st.composite
def climates(draw: st.DrawFn, case: Case, force: st.SearchStrategy[int]) -> Climate:
    """Cold, mild or hot; being away may have a price."""
    price = draw(arrays(np.float64, len(case.start) + 1, elements=st.integers(0, 50).map(float)))
    price[-1] = price.max()
    shape = case.hosts.capacity.shape
    return Climate(
        draw(st.sampled_from([1e-9, 1.0, 30.0, 1000.0])),
        price,
        draw(arrays(np.int64, shape, elements=force)),
        draw(st.sampled_from([0.0, 0.3, 1.0])),
        draw(st.sampled_from([0.0, 0.3, 1.0])),
    )


@given(cases(), st.data())
@settings(max_examples=200)
def test_any_walk_keeps_the_cost_the_sums_and_the_rules_of_groups(case: Case, data: st.DataObject) -> None:
    state = new_state(case.problem, case.start)
    random = np.array([seeded(data.draw(st.integers(0, 2**32)))], dtype=np.uint64)
    cost = score(case.problem, case.start).cost
    for steps in data.draw(st.lists(st.integers(1, 60), min_size=1, max_size=4)):
        climate = data.draw(climates(case, st.integers(0, 50) | st.integers(0, 5_000)))
        cost += anneal(
            case.problem,
            state,
            climate,
            steps,
            random,
            by_host(one_list(case.problem), state),
            new_scratch(case.problem),
        )
        now = score(case.problem, state.host_of[:-1])
        assert cost == now.cost
        assert all("over its capacity" in violation for violation in now.violations)
        assert_same(state, new_state(case.problem, state.host_of[:-1]))


@given(cases(), st.data())
@settings(max_examples=100)
def test_walls_keep_a_feasible_placement_feasible(case: Case, data: st.DataObject) -> None:
    state = new_state(case.problem, case.start)
    random = np.array([seeded(data.draw(st.integers(0, 2**32)))], dtype=np.uint64)
    anneal(
        case.problem,
        state,
        data.draw(climates(case, st.just(WALL))),
        300,
        random,
        by_host(one_list(case.problem), state),
        new_scratch(case.problem),
    )
    assert not score(case.problem, state.host_of[:-1]).violations


@given(cases(), st.data())
@settings(max_examples=100)
def test_an_item_may_ever_run_wherever_it_runs_in_a_feasible_placement(case: Case, data: st.DataObject) -> None:
    hosts = st.integers(0, len(case.hosts.capacity) - 1)
    host_of = data.draw(arrays(np.int64, case.start.shape, elements=hosts))
    barred = [i for i, host in enumerate(host_of.tolist()) if not may_ever_run(case.problem, i, host)]
    assert all(may_ever_run(case.problem, i, host) for i, host in enumerate(case.start.tolist()))
    assert not barred or any(
        "over its capacity" in v or "cannot run" in v for v in score(case.problem, host_of).violations
    )


@given(cases(), st.data())
@settings(max_examples=300)
def test_a_delta_is_the_difference_of_what_a_host_costs_before_and_after(case: Case, data: st.DataObject) -> None:
    hosts, nothing = len(case.hosts.capacity), len(case.start)
    host_of = data.draw(arrays(np.int64, case.start.shape, elements=st.integers(0, hosts - 1)))
    host = data.draw(st.integers(0, hosts - 1))
    before = members_of(host_of, host)
    absent = [item for item in range(nothing) if item not in before]
    leaving, coming = data.draw(st.sampled_from([*before, nothing])), data.draw(st.sampled_from([*absent, nothing]))
    force = data.draw(arrays(np.int64, case.hosts.capacity.shape, elements=st.integers(0, 50)))
    change = host_change(case.problem, new_state(case.problem, host_of), force, host, leaving, coming)
    if case.problem.variant[coming, case.hosts.kind[host]] < 0:
        assert change == (0, BARRED)
        return
    after = [item for item in [*before, coming] if item not in (leaving, nothing)]

    def overload(members: list[int]) -> int:
        excess = np.maximum(case.charged(host, members) - case.hosts.capacity[host], 0)
        return int(excess @ force[host])

    costs = [sum(case.host_cost(host, members).values()) for members in (before, after)]
    assert change == (costs[1] - costs[0], overload(after) - overload(before))
    most = data.draw(st.integers(-100, 100))
    judged = host_change(case.problem, new_state(case.problem, host_of), force, host, leaving, coming, most)
    assert judged == change if sum(change) <= most else sum(judged) > most


@given(cases(), st.data())
@settings(max_examples=400)
def test_a_cold_step_is_taken_where_it_loses_nothing_and_only_there(case: Case, data: st.DataObject) -> None:
    """Judging ends early where a step is lost for certain; none that gains may be lost to that."""
    climate = data.draw(climates(case, st.integers(0, 50)))._replace(ejection=0.0, relocation=0.0)
    state, scratch = new_state(case.problem, case.start), new_scratch(case.problem)
    random = np.array([seeded(data.draw(st.integers(0, 2**32)))], dtype=np.uint64)
    hot, cold = climate._replace(temperature=1000.0), climate._replace(temperature=1e-9)
    anneal(case.problem, state, hot, 20, random, by_host(one_list(case.problem), state), scratch)
    before = state.host_of[:-1].copy()
    first, second = (data.draw(st.integers(0, len(before) - 1)) for _ in range(2))
    target = data.draw(st.sampled_from([int(before[first]), *range(len(case.hosts.capacity))]))
    there = before.copy()
    if data.draw(st.booleans()):
        assume(before[first] != target)
        there[first] = target
        allowed = take(case.problem, new_state(case.problem, before), first, target, len(before), -1)
        try_shift(case.problem, state, cold, (first, target), random, scratch)
    else:
        assume(before[second] not in {before[first], target})
        there[first], there[second] = before[second], target
        allowed = take(case.problem, new_state(case.problem, before), first, int(before[second]), second, target)
        try_exchange(case.problem, state, cold, (first, second, target), random, scratch)

    def paid(host_of: NDArray[np.int64]) -> float:
        parts = score(case.problem, host_of).parts
        excess = [
            np.maximum(case.charged(host, members_of(host_of, host)) - capacity, 0) @ climate.force[host]
            for host, capacity in enumerate(case.hosts.capacity)
        ]
        away = climate.price[:-1][(host_of != case.items.home) & (case.items.home >= 0)]
        return float(sum(parts.values()) - parts["group moves"] + sum(excess) + away.sum())

    moved = np.flatnonzero(there != before)
    able = (case.problem.variant[moved, case.hosts.kind[there[moved]]] >= 0).all()
    expected = there if allowed and able and paid(there) <= paid(before) else before
    assert state.host_of[:-1].tolist() == expected.tolist()


@given(cases(), st.data())
@settings(max_examples=100)
def test_a_move_costs_the_difference_of_being_away(case: Case, data: st.DataObject) -> None:
    item, target = (data.draw(st.integers(0, most - 1)) for most in (len(case.start), len(case.hosts.capacity)))
    assume(target != case.start[item])
    there = case.start.copy()
    there[item] = target
    before, after = parts(case, case.start), parts(case, there)
    expected = sum(after[name] - before[name] for name in ("moves", "routes"))
    assert move_change(case.problem, item, int(case.start[item]), target) == expected


def counting(looks: int) -> Callable[[], float]:
    """A clock that runs out after so many looks at it."""
    calls = itertools.count()
    return lambda: min(next(calls) / looks, 1.0)


@given(cases(), st.integers(0, 2**32), st.sampled_from([*STYLES, *STYLES_OF_PLAIN, *STYLES_OF_SMALL]))
@settings(max_examples=20)
def test_a_search_repeats_itself_and_is_never_worse_than_its_start(case: Case, seed: int, style: Style) -> None:
    def run() -> tuple[int, NDArray[np.int64], list[int]]:
        reported: list[int] = []
        cost, host_of = search(
            case.problem, case.start, counting(20), seed, lambda spent, c, at: reported.append(c), style
        )
        return cost, host_of, reported

    cost, host_of, reported = run()
    again, same, same_reports = run()
    assert (cost, host_of.tolist(), reported) == (again, same.tolist(), same_reports)
    found = score(case.problem, host_of)
    assert not found.violations
    assert found.cost == cost
    assert reported == sorted(set(reported), reverse=True)
    assert (reported[0], reported[-1]) == (score(case.problem, case.start).cost, cost)
