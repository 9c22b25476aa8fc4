"""The kernels and the solver against the oracle, on random problems."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from consolidate.errors import InfeasibleError
from consolidate.model.demand import Demands
from consolidate.model.fleet import Fleet
from consolidate.model.placement import carry_out, current_placement
from consolidate.model.policy import Objective
from consolidate.model.rules import FailureReserve
from consolidate.solve import Effort, evaluate, solve
from consolidate.solve.bounds import lower_bound
from consolidate.solve.kernels import empty_state, fits, place, remove, rules_allow
from consolidate.solve.loads import Needs
from consolidate.solve.problem import MIN_DOMAINS, Problem, compile_problem
from tests.support.fleets import fleets

QUICK = Effort(perturbed_starts=1, searched_starts=1, patience=20)


def without_reserve(fleet: Fleet) -> Fleet:
    """The kernels leave the failure reserve to the standby hosts, which are added afterwards."""
    rules = tuple(rule for rule in fleet.rules if not isinstance(rule, FailureReserve))
    return Fleet(fleet.hosts, fleet.workloads, rules, fleet.systems, fleet.overheads)


@given(fleets(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_a_complete_assignment_passes_the_kernels_exactly_where_the_oracle_finds_no_violation(case, random) -> None:
    fleet, demands = case
    fleet = without_reserve(fleet)
    problem = compile_problem(Needs(fleet, demands))
    arrays = problem.arrays
    state = empty_state(arrays)
    accepted = True
    for item in range(len(problem.items)):
        able = np.flatnonzero(arrays.variant[item] >= 0).tolist()
        if not able:
            return
        host = random.choice(able)
        accepted &= bool(fits(arrays, state, item, host)) and bool(rules_allow(arrays, state, item, host))
        place(arrays, state, item, host)
    for group in np.flatnonzero(arrays.group_kind == MIN_DOMAINS):
        accepted &= bool(state.spread[group, 1] >= arrays.group_bound[group])
    judged = evaluate(fleet, demands, problem.placement(state.host_of)).violations
    # Who is of unknown demand stays, and may break a pin, ban or affinity by itself whatever the others do.
    alone = evaluate(fleet, demands, problem.fixed)
    if any(v.rule.startswith("rule-") and v.unit != "domains" for v in alone.violations):
        return
    assert accepted == (not judged), (judged, accepted)


@given(fleets(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_placing_and_removing_leaves_no_trace(case, random) -> None:
    fleet, demands = case
    problem = compile_problem(Needs(fleet, demands))
    arrays, state, empty = problem.arrays, empty_state(problem.arrays), empty_state(problem.arrays)
    placed = []
    for item in range(len(problem.items)):
        able = np.flatnonzero(arrays.variant[item] >= 0).tolist()
        if able:
            place(arrays, state, item, random.choice(able))
            placed.append(item)
    random.shuffle(placed)
    loads = Needs(fleet, demands).loads(problem.placement(state.host_of))
    for index, host in enumerate(problem.hosts):
        expected = loads.get(host, np.zeros_like(state.load[index]))
        assert (state.load[index] == expected).all()
        assert (state.load_peak[index] == expected.max(axis=1)).all()
    for item in placed:
        remove(arrays, state, item)
    for name in ("host_of", "load", "load_peak", "occupancy", "on_host", "in_domain", "spread"):
        assert (getattr(state, name) == getattr(empty, name)).all(), name
    assert np.allclose(state.load_shape, 0)


@given(fleets(), st.sampled_from(list(Objective)))
@settings(max_examples=80, deadline=None)
def test_a_result_keeps_every_rule_and_its_bound(case, objective) -> None:
    fleet, demands = case
    try:
        result = solve(fleet, demands, objective, seed=3, effort=QUICK)
    except InfeasibleError:
        return
    assert result.score == evaluate(fleet, demands, result.placement, objective)
    assert result.score.feasible
    assert result.gap >= 0
    assert solve(fleet, demands, objective, seed=3, effort=QUICK).placement == result.placement


@given(fleets())
@settings(max_examples=60, deadline=None)
def test_planning_again_on_the_result_changes_nothing(case) -> None:
    fleet, demands = case
    try:
        result = solve(fleet, demands, seed=1, effort=QUICK)
    except InfeasibleError:
        return
    after, demands_after = carry_out(fleet, demands, result.placement)
    again = solve(after, demands_after, seed=1, effort=QUICK)
    assert again.score.moves == 0
    assert again.placement.powered == result.placement.powered


@given(fleets(max_hosts=3, max_workloads=4))
@settings(max_examples=60, deadline=None)
def test_the_bound_is_never_above_the_best_of_all_assignments(case) -> None:
    fleet, demands = case
    problem = compile_problem(Needs(fleet, demands))
    bound = lower_bound(problem)
    best = best_by_enumeration(fleet, demands, problem)
    if best is not None:
        assert bound.cost <= best, bound


def best_by_enumeration(fleet: Fleet, demands: Demands, problem: Problem) -> int | None:
    """Lowest cost over every assignment of items to hosts, by the oracle; None where none is feasible."""
    if len(current_placement(fleet).assignments) + len(problem.items) == 0:
        return None
    able = [np.flatnonzero(row >= 0).tolist() for row in problem.arrays.variant]
    best = None
    for hosts in itertools.product(*able):
        score = evaluate(fleet, demands, problem.placement(np.array(hosts, dtype=np.int64)))
        if score.feasible and (best is None or score.cost < best):
            best = score.cost
    return best
