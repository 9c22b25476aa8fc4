"""Presolve loses no placement, and searches that count equals once miss none."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings

from consolidate.model.demand import Demands
from consolidate.model.fleet import Fleet
from consolidate.model.rules import FailureReserve
from consolidate.solve import evaluate
from consolidate.solve.bounds import add_bounds, lower_bound
from consolidate.solve.exhaust import Budget, Placements, Verdict
from consolidate.solve.loads import Needs
from consolidate.solve.presolve import Component, alike_hosts, alike_items, components, join, restrict, tighten
from consolidate.solve.problem import Problem, compile_problem
from tests.support.fleets import fleets

NODES = 1_000_000


def compiled(case: tuple[Fleet, Demands]) -> tuple[Fleet, Demands, Problem]:
    """A case as arrays; the failure reserve is judged on placements, not on arrays."""
    fleet, demands = case
    rules = tuple(rule for rule in fleet.rules if not isinstance(rule, FailureReserve))
    fleet = Fleet(fleet.hosts, fleet.workloads, rules, fleet.systems, fleet.overheads)
    return fleet, demands, compile_problem(Needs(fleet, demands))


def every_placement(problem: Problem, symmetric: bool) -> set[tuple[int, ...]]:
    """Hosts of the items, in each placement that a complete search comes to."""
    if (problem.arrays.variant < 0).all(axis=1).any():
        return set()
    search, found = Placements(problem.arrays, Budget(NODES), symmetric), set()
    while (verdict := search.next()) is Verdict.POSSIBLE:
        assert tuple(search.state.host_of) not in found
        found.add(tuple(search.state.host_of.tolist()))
    assert verdict is Verdict.IMPOSSIBLE
    return found


@given(fleets(max_hosts=3, max_workloads=5))
@settings(max_examples=100)
def test_a_complete_search_finds_what_the_oracle_allows(case: tuple[Fleet, Demands]) -> None:
    fleet, demands, problem = compiled(case)
    able = [np.flatnonzero(row >= 0).tolist() for row in problem.arrays.variant]
    alone = evaluate(fleet, demands, problem.fixed).violations
    if any(v.rule.startswith("rule-") and v.unit != "domains" for v in alone):
        return  # who stays where it is breaks a rule by itself
    counted = {
        tuple(hosts)
        for hosts in itertools.product(*able)
        if evaluate(fleet, demands, problem.placement(np.array(hosts, dtype=np.int64))).feasible
    }
    if able:
        assert every_placement(problem, symmetric=False) == counted


@given(fleets(max_hosts=4, max_workloads=5))
@settings(max_examples=100)
def test_tightening_keeps_every_placement(case: tuple[Fleet, Demands]) -> None:
    _, _, problem = compiled(case)
    tight = tighten(problem)
    assert every_placement(tight, symmetric=False) == every_placement(problem, symmetric=False)
    assert ((tight.arrays.variant == problem.arrays.variant) | (tight.arrays.variant < 0)).all()


@given(fleets(max_hosts=4, max_workloads=5))
@settings(max_examples=100)
def test_equals_that_are_counted_once_stand_for_all(case: tuple[Fleet, Demands]) -> None:
    _, _, problem = compiled(case)
    items, hosts = alike_items(problem.arrays), alike_hosts(problem.arrays)

    def shape(host_of: tuple[int, ...]) -> tuple[object, ...]:
        """What is left of a placement once equal items and equal hosts are not told apart."""
        contents = [tuple(sorted(items[i] for i, at in enumerate(host_of) if at == host)) for host in range(len(hosts))]
        return tuple(sorted(zip(hosts.tolist(), contents, strict=True)))

    once = [shape(one) for one in every_placement(problem, symmetric=True)]
    assert set(once) == {shape(one) for one in every_placement(problem, symmetric=False)}


@given(fleets(max_hosts=4, max_workloads=5))
@settings(max_examples=100)
def test_the_placements_of_components_together_are_those_of_the_whole(case: tuple[Fleet, Demands]) -> None:
    _, _, problem = compiled(case)
    if not problem.items or (problem.arrays.variant < 0).all(axis=1).any():
        return
    separate = components(problem)
    assert sorted(item for one in separate for item in one.items.tolist()) == list(range(len(problem.items)))
    found = [every_placement(restrict(problem, one), symmetric=False) for one in separate]
    together = {
        tuple(join(problem, list(zip(separate, map(np.array, ends), strict=True))).tolist())
        for ends in itertools.product(*found)
    }
    assert together == every_placement(problem, symmetric=False)


@given(fleets(max_hosts=4, max_workloads=5))
@settings(max_examples=60)
def test_the_sum_of_bounds_is_below_the_best_of_all_placements(case: tuple[Fleet, Demands]) -> None:
    _, _, problem = compiled(case)
    tight = tighten(problem)
    costs = []
    for host_of in every_placement(tight, symmetric=True):
        on = tight.arrays.forced.copy()
        on[list(host_of)] = True
        costs.append(int(tight.arrays.cost[on].sum()))
    if not costs or not problem.items:
        return
    separate = components(tight)
    outside = np.ones(len(tight.hosts), dtype=np.bool_)
    outside[np.concatenate([one.hosts for one in separate])] = False
    kept = int(tight.arrays.cost[outside & tight.arrays.forced].sum())
    assert add_bounds([lower_bound(restrict(tight, one)) for one in separate], kept).cost <= min(costs)


@given(fleets(max_hosts=4, max_workloads=5))
@settings(max_examples=60)
def test_a_component_of_everything_is_the_problem_itself(case: tuple[Fleet, Demands]) -> None:
    _, _, problem = compiled(case)
    everything = Component(np.arange(len(problem.items)), np.arange(len(problem.hosts)))
    assert restrict(problem, everything) is problem
