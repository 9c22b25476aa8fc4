"""A plan document and the placement it was written for say the same."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given, settings

from consolidate.errors import InfeasibleError, StalePlanError
from consolidate.growth import planned_placement
from consolidate.model.demand import Demands
from consolidate.model.fleet import Fleet
from consolidate.model.policy import Objective, Policy
from consolidate.plan.build import build_plan
from consolidate.plan.plan import Plan
from consolidate.solve.solve import Effort, Result, solve
from tests.support.fleets import demands, fleet, fleets, host, workload

TWO = fleet([host("h1"), host("h2")], [workload("a", "h1"), workload("b", "h2")])
SIZES = demands(a=(100, 100), b=(100, 100))


def planned(case: Fleet, sizes: Demands) -> tuple[Result, Plan]:
    result = solve(case, sizes, Objective.HOSTS, 0, Effort(), lambda what, cost: None)
    return result, build_plan(case, sizes, Policy(), result, "test", None)


@settings(max_examples=30)
@given(fleets())
def test_the_plan_leads_to_the_placement_it_was_made_from(case: tuple[Fleet, Demands]) -> None:
    with contextlib.suppress(InfeasibleError):
        result, plan = planned(*case)
        assert planned_placement(case[0], plan) == result.placement


def test_a_plan_for_two_leads_onto_one() -> None:
    result, plan = planned(TWO, SIZES)
    found = planned_placement(TWO, plan)
    assert found == result.placement
    assert len(found.powered) == 1


def test_workloads_that_are_gone_are_left_out_and_hosts_that_are_gone_are_refused() -> None:
    _, plan = planned(TWO, SIZES)
    (move,) = plan.moves
    rest = replace(TWO, workloads=tuple(one for one in TWO.workloads if one.name != move.workload))
    assert move.workload not in planned_placement(rest, plan).assignments
    gone = replace(TWO, hosts=tuple(one for one in TWO.hosts if one.name != move.target))
    with pytest.raises(StalePlanError, match=f"to {move.target}, which is no longer there"):
        planned_placement(gone, plan)
