"""Placements from nothing, parts of a problem, and moves in order, on random problems without homes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from consolidate.solve.randomness import seeded
from consolidate.solve.reassign.anneal import anneal, new_scratch
from consolidate.solve.reassign.climate import Climate
from consolidate.solve.reassign.construct import construct
from consolidate.solve.reassign.order import order_moves
from consolidate.solve.reassign.problem import Grouping, restrict
from consolidate.solve.reassign.score import score
from consolidate.solve.reassign.state import by_host, new_state, one_list
from tests.property.test_reassign_score import Case, cases, violations
from tests.property.test_reassign_search import WALL


def homeless(case: Case) -> Case:
    """The same where nothing has a home and groups have no rules but limits on a host."""
    given = case.items.grouping
    grouping = Grouping(given.of_item, given.host_limit, given.beside)
    nowhere = np.full(len(case.start), -1)
    return replace(case, items=replace(case.items, home=nowhere, transient=(), grouping=grouping))


@given(cases().map(homeless), st.integers(0, 2**32))
@settings(max_examples=100)
def test_what_is_placed_from_nothing_keeps_all_limits_but_capacity(case: Case, seed: int) -> None:
    try:
        host_of = construct(case.problem, seed)
    except ValueError:
        return
    assert violations(case, host_of).keys() <= {"over"}


@given(cases().map(homeless), st.data())
@settings(max_examples=100)
def test_parts_cost_and_break_together_what_the_whole_does(case: Case, data: st.DataObject) -> None:
    hosts = len(case.hosts.capacity)
    host_of = data.draw(arrays(np.int64, case.start.shape, elements=st.integers(0, hosts - 1)))
    dealt = data.draw(st.permutations(range(hosts)))
    cut = data.draw(st.integers(0, hosts))
    whole, cost, broken = score(case.problem, host_of), 0, 0
    for some in (np.sort(np.array(dealt[:cut], dtype=np.int64)), np.sort(np.array(dealt[cut:], dtype=np.int64))):
        mine = np.flatnonzero(np.isin(host_of, some))
        if not len(some):
            continue
        part = score(restrict(case.problem, mine, some), np.searchsorted(some, host_of[mine]))
        cost, broken = cost + part.cost, broken + len(part.violations)
    assert (cost, broken) == (whole.cost, len(whole.violations))


@given(cases().map(homeless), st.data())
@settings(max_examples=200)
def test_moves_in_order_keep_every_limit_at_every_moment(case: Case, data: st.DataObject) -> None:
    hosts, items = len(case.hosts.capacity), len(case.start)
    state = new_state(case.problem, case.start)
    climate = Climate(1000.0, np.zeros(items + 1), np.full(case.hosts.capacity.shape, WALL), 0.1)
    random = np.array([seeded(data.draw(st.integers(0, 99)))], dtype=np.uint64)
    anneal(case.problem, state, climate, 300, random, by_host(one_list(case.problem), state), new_scratch(case.problem))
    target = state.host_of[:-1].copy()
    runs = data.draw(arrays(np.bool_, items))
    at = np.where(runs, case.start, -1)
    spare = np.array(data.draw(st.permutations(range(hosts))), dtype=np.int64)
    order = order_moves(case.problem, at, target, spare)
    for item, host in zip(order.item, order.host, strict=True):
        assert at[item] != host
        at[item] = host
        assert not violations(case, at)
    assert order.stuck.tolist() == np.flatnonzero(at != target).tolist()
