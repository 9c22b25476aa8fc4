"""Exact repacking of a few hosts: its promises, on random problems."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from consolidate.solve.randomness import seeded
from consolidate.solve.reassign.branch import new_desk
from consolidate.solve.reassign.problem import Reassignment
from consolidate.solve.reassign.repack import repack, repack_some
from consolidate.solve.reassign.score import score
from consolidate.solve.reassign.state import new_state
from tests.property.test_reassign_score import Case, cases, placements
from tests.property.test_reassign_search import assert_same


def plain(problem: Reassignment) -> Reassignment:
    """The same without what repacking knows nothing of."""
    return problem._replace(curve_cells=0, opening=np.zeros_like(problem.opening))


@given(cases(), st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 500))
@settings(max_examples=200)
def test_repacking_keeps_the_cost_the_sums_and_all_rules_and_never_loses(
    case: Case, seed: int, hosts: int, nodes: int
) -> None:
    problem = plain(case.problem)
    state, random = new_state(problem, case.start), np.array([seeded(seed)], dtype=np.uint64)
    cost = score(problem, case.start).cost
    for _ in range(3):
        change = int(repack_some(problem, state, new_desk(problem), random, hosts, nodes))
        found = score(problem, state.host_of[:-1])
        assert change <= 0
        assert not found.violations
        assert found.cost == cost + change
        assert_same(state, new_state(problem, state.host_of[:-1]))
        cost += change


@given(cases(max_hosts=3, max_items=4))
@settings(max_examples=150)
def test_repacking_all_hosts_finds_the_best_placement(case: Case) -> None:
    problem = plain(case.problem)
    state, desk = new_state(problem, case.start), new_desk(problem)
    desk.item[: problem.items] = np.arange(problem.items)
    desk.host[: problem.hosts] = np.arange(problem.hosts)
    change, left = repack(problem, state, desk, (problem.items, problem.hosts), 10**6)
    assert left > 0
    found = (score(problem, host_of) for host_of in placements(case))
    assert score(problem, case.start).cost + change == min(one.cost for one in found if not one.violations)
