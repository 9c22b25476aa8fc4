"""Captives of a fleet: their bound against enumeration, their placement against the kernels."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from consolidate.model.demand import Demands
from consolidate.model.fleet import Fleet
from consolidate.model.rules import Pin
from consolidate.solve.bounds import lower_bound
from consolidate.solve.columns.engine import Effort
from consolidate.solve.columns.fleet import find_captives
from consolidate.solve.kernels import empty_state, fits, place
from consolidate.solve.loads import Needs
from consolidate.solve.problem import compile_problem
from tests.property.test_fast_path import best_by_enumeration
from tests.support.fleets import demands, fleet, fleets, host, workload

QUICK = Effort(starts=1, dives=1)


@given(fleets(max_hosts=4, max_workloads=4))
@settings(max_examples=60)
def test_captives_cost_no_more_than_the_best_of_all_assignments(case) -> None:
    problem = compile_problem(Needs(*case))
    if not problem.items or (problem.arrays.variant < 0).all(axis=1).any():
        return
    best = best_by_enumeration(*case, problem)
    for captives in find_captives(problem, effort=QUICK):
        if best is not None:
            assert captives.cost <= best
        if captives.host_of is None:
            continue
        state = empty_state(problem.arrays)
        for item, at in zip(captives.items.tolist(), captives.host_of.tolist(), strict=True):
            assert at in captives.hosts
            assert fits(problem.arrays, state, item, at)
            place(problem.arrays, state, item, at)
        opened = problem.arrays.cost[np.unique(captives.host_of)].sum()
        assert opened >= captives.cost


@st.composite
def pinned(draw: st.DrawFn) -> tuple[Fleet, Demands]:
    """Three or four equal hosts; some take workloads that run nowhere else, one to three on each."""
    hosts = [host(f"h{index}") for index in range(draw(st.integers(3, 4)))]
    cpu = draw(st.lists(st.integers(300, 600), min_size=3, max_size=5))
    names = [f"w{index}" for index in range(len(cpu))]
    few = draw(st.integers(2, len(hosts)))
    pin = Pin("few", tuple(names[: draw(st.integers(2, len(names)))]), tuple(one.name for one in hosts[:few]))
    return fleet(hosts, [workload(name) for name in names], pin), demands(
        **{name: (amount, 10) for name, amount in zip(names, cpu, strict=True)}
    )


@given(st.one_of(fleets(max_hosts=4, max_workloads=4), pinned()))
@settings(max_examples=60, deadline=None)
def test_a_bound_that_is_told_of_captives_is_never_above_the_best_of_all_assignments(case) -> None:
    problem = compile_problem(Needs(*case))
    best = best_by_enumeration(*case, problem)
    if best is None:
        return
    bound = lower_bound(problem, find_captives(problem, effort=QUICK))
    assert lower_bound(problem).cost <= bound.cost <= best, bound
