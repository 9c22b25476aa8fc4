"""Captives of a fleet: their bound against enumeration, their placement against the kernels."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from consolidate.solve.columns.engine import Effort
from consolidate.solve.columns.fleet import find_captives
from consolidate.solve.kernels import empty_state, fits, place
from consolidate.solve.loads import Needs
from consolidate.solve.problem import compile_problem
from tests.property.test_fast_path import best_by_enumeration
from tests.support.fleets import fleets

QUICK = Effort(starts=1, dives=1)


@given(fleets(max_hosts=4, max_workloads=4))
@settings(max_examples=60)
def test_captives_cost_no_more_than_the_best_of_all_assignments(case) -> None:
    fleet, demands = case
    problem = compile_problem(Needs(fleet, demands))
    if not problem.items or (problem.arrays.variant < 0).all(axis=1).any():
        return
    best = best_by_enumeration(fleet, demands, problem)
    for captives in find_captives(problem, effort=QUICK):
        if best is not None:
            assert captives.cost <= best
        if captives.host_of is None:
            continue
        state = empty_state(problem.arrays)
        for item, host in zip(captives.items.tolist(), captives.host_of.tolist(), strict=True):
            assert host in captives.hosts
            assert fits(problem.arrays, state, item, host)
            place(problem.arrays, state, item, host)
        opened = problem.arrays.cost[np.unique(captives.host_of)].sum()
        assert opened >= captives.cost
