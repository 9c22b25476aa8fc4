"""The order of moves never overfills a host, at any moment."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from consolidate.errors import InfeasibleError
from consolidate.model.fleet import Isolation
from consolidate.model.placement import Assignment, Placement, current_placement
from consolidate.model.rules import AntiAffinity, Ban
from consolidate.plan.moves import Schedule, schedule_moves
from consolidate.solve import Effort, solve
from consolidate.solve.loads import Needs
from tests.support.fleets import demands, fleet, fleets, host, workload


def to(**hosts: str) -> Placement:
    return Placement({name: Assignment(on, Isolation.CONTAINER) for name, on in hosts.items()})


def told(schedule: Schedule) -> list[tuple[int, str, str | None, str, bool]]:
    return [(s.wave, s.workload, s.source, s.target, s.parking) for s in schedule.steps]


def test_a_move_waits_until_its_target_has_been_left() -> None:
    case = fleet([host("h1"), host("h2"), host("h3")], [workload("a", "h1"), workload("b", "h2")])
    sizes = demands(a=(800, 1), b=(800, 1))
    schedule = schedule_moves(Needs(case, sizes), to(a="h2", b="h3"), moves_per_host=4)
    assert told(schedule) == [(1, "b", "h2", "h3", False), (2, "a", "h1", "h2", False)]


def test_a_swap_goes_by_way_of_a_parking_place() -> None:
    case = fleet([host("h1"), host("h2"), host("h3")], [workload("a", "h1"), workload("b", "h2", copy_bytes=1)])
    sizes = demands(a=(800, 1), b=(800, 1))
    schedule = schedule_moves(Needs(case, sizes), to(a="h2", b="h1"), moves_per_host=4)
    assert told(schedule) == [
        (1, "a", "h1", "h3", True),
        (2, "b", "h2", "h1", False),
        (3, "a", "h3", "h2", False),
    ]


def test_a_swap_without_a_parking_place_is_stuck() -> None:
    case = fleet([host("h1"), host("h2")], [workload("a", "h1"), workload("b", "h2")])
    schedule = schedule_moves(Needs(case, demands(a=(800, 1), b=(800, 1))), to(a="h2", b="h1"), moves_per_host=4)
    assert schedule.stuck == ("a", "b")


def test_no_host_takes_part_in_more_moves_at_a_time_than_allowed() -> None:
    names = [f"w{index}" for index in range(6)]
    case = fleet([host("h1"), host("h2")], [workload(name, "h1") for name in names])
    sizes = demands(**dict.fromkeys(names, (10, 10)))
    schedule = schedule_moves(Needs(case, sizes), to(**dict.fromkeys(names, "h2")), moves_per_host=2)
    assert [step.wave for step in schedule.steps] == [1, 1, 2, 2, 3, 3]


def test_anti_affinity_holds_on_the_way() -> None:
    rule = AntiAffinity("apart", ("a", "b"), 1)
    case = fleet([host("h1"), host("h2"), host("h3")], [workload("a", "h1"), workload("b", "h2")], rule)
    schedule = schedule_moves(Needs(case, demands(a=(1, 1), b=(1, 1))), to(a="h2", b="h3"), moves_per_host=4)
    assert told(schedule) == [(1, "b", "h2", "h3", False), (2, "a", "h1", "h2", False)]


@given(fleets(max_hosts=6, max_workloads=9))
@settings(max_examples=80, deadline=None)
def test_at_every_wave_both_ends_of_every_move_have_room(case) -> None:
    fleet_, sizes = case
    try:
        result = solve(fleet_, sizes, seed=2, effort=Effort(1, 1, 10))
    except InfeasibleError:
        return
    needs = Needs(fleet_, sizes)
    schedule = schedule_moves(needs, result.placement, moves_per_host=2)
    at = {name: assignment for name, assignment in current_placement(fleet_).assignments.items()}
    workloads = {workload.name: workload for workload in fleet_.workloads}
    limits = {host.name: needs.limits[index] for index, host in enumerate(fleet_.hosts)}
    full_before = overfull(needs, limits, needs.loads(Placement(at)))
    for wave in range(1, max((step.wave for step in schedule.steps), default=0) + 1):
        during = {name: load.copy() for name, load in needs.loads(Placement(at)).items()}
        for step in (step for step in schedule.steps if step.wave == wave):
            need = needs.of(workloads[step.workload], step.isolation)
            assert need is not None
            during[step.target] = during.get(step.target, np.zeros_like(need)) + need
            at[step.workload] = Assignment(step.target, step.isolation)
        assert overfull(needs, limits, during) <= full_before, "only what was overfull before may still be"
    if not schedule.stuck:
        assert {name: a.host for name, a in at.items()} == {
            name: a.host for name, a in result.placement.assignments.items()
        }


def overfull(needs: Needs, limits: dict, loads: dict) -> set[str]:
    return {name for name, load in loads.items() if (load > limits[name][:, None]).any()}


def test_nobody_is_parked_where_a_ban_forbids_it() -> None:
    rule = Ban("never-there", ("a", "b"), ("h3",))
    case = fleet([host("h1"), host("h2"), host("h3")], [workload("a", "h1"), workload("b", "h2")], rule)
    schedule = schedule_moves(Needs(case, demands(a=(800, 1), b=(800, 1))), to(a="h2", b="h1"), moves_per_host=4)
    assert schedule.stuck == ("a", "b")
