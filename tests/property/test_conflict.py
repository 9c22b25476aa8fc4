"""Proofs that there is no placement, against enumeration on small random fleets."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, event, given, settings

from consolidate.errors import InfeasibleError
from consolidate.model.demand import Demands
from consolidate.model.fleet import Fleet
from consolidate.model.resources import Resources
from consolidate.model.rules import FailureReserve, Spread
from consolidate.solve import Effort, solve
from consolidate.solve.conflict import Conflict, find_conflict
from consolidate.solve.exhaust import Verdict
from consolidate.solve.feasibility import Constraint, Feasibility, Kind
from consolidate.solve.shortage import ConflictError
from tests.support.enumeration import is_possible
from tests.support.fleets import fleets

QUICK = Effort(perturbed_starts=1, searched_starts=1, patience=20)
AMPLE = 1 << 45


@given(fleets(max_hosts=3, max_workloads=4))
@settings(max_examples=150)
def test_what_is_proved_impossible_is_what_enumeration_finds_nothing_for(case: tuple[Fleet, Demands]) -> None:
    fleet, demands = case
    feasibility = Feasibility(fleet, demands)
    verdict = feasibility.judge(feasibility.constraints)
    event(verdict.value)
    if verdict is Verdict.UNKNOWN:  # the reserve restarts greedily, which a proof may not rely on
        assert any(isinstance(rule, FailureReserve) for rule in fleet.rules)
    else:
        assert (verdict is Verdict.POSSIBLE) == is_possible(fleet, demands)


@given(fleets(max_hosts=3, max_workloads=4))
@settings(max_examples=150)
def test_a_conflict_is_impossible_and_nothing_of_it_can_be_spared(case: tuple[Fleet, Demands]) -> None:
    fleet, demands = case
    conflict = find_conflict(fleet, demands)
    assume(conflict is not None)
    assert conflict is not None
    assert not is_possible(fleet, demands)
    kept = frozenset(conflict.without)
    feasibility = Feasibility(fleet, demands)
    assert feasibility.impossible(kept)
    for one, verdict in conflict.without.items():
        event(f"without a {one.kind.value}: {verdict.value}")
        assert verdict is not Verdict.IMPOSSIBLE
    if enumerable(fleet, conflict):
        assert not is_possible(*only(fleet, demands, kept))
        for one, verdict in conflict.without.items():
            if verdict is Verdict.POSSIBLE:
                assert is_possible(*only(fleet, demands, kept - {one})), one


@given(fleets(max_hosts=4, max_workloads=6))
@settings(max_examples=150)
def test_a_small_fleet_gets_a_plan_or_a_proof(case: tuple[Fleet, Demands]) -> None:
    fleet, demands = case
    if any(isinstance(rule, FailureReserve) for rule in fleet.rules):
        return  # is found and kept greedily
    try:
        solve(fleet, demands, seed=1, effort=QUICK)
    except InfeasibleError as error:
        assert isinstance(error, ConflictError), error
        event(str(sorted({one.kind.value for one in error.conflict.without})))


def enumerable(fleet: Fleet, conflict: Conflict) -> bool:
    """A spread counts members that are left out as if anywhere, which no fleet can express."""
    return not any(isinstance(rule, Spread) and rule.name in conflict.rules for rule in fleet.rules)


def only(fleet: Fleet, demands: Demands, kept: frozenset[Constraint]) -> tuple[Fleet, Demands]:
    """The fleet with these rules and workloads, and ample room where room is not to matter."""
    names = {kind: {one.name for one in kept if one.kind is kind} for kind in Kind}
    hosts = []
    for host in fleet.hosts:
        amounts = {
            name: amount if name in names[Kind.ROOM] else AMPLE for name, amount in host.capacity.amounts.items()
        }
        hosts.append(replace(host, capacity=Resources(amounts)))
    systems = {
        name: system if f"{name}_vms" in names[Kind.ROOM] else replace(system, max_vms_per_host=None)
        for name, system in fleet.systems.items()
    }
    workloads = tuple(workload for workload in fleet.workloads if workload.name in names[Kind.WORKLOAD])
    rules = tuple(
        replace(rule, workloads=tuple(name for name in rule.workloads if name in names[Kind.WORKLOAD]))
        for rule in fleet.rules
        if rule.name in names[Kind.RULE]
    )
    return Fleet(tuple(hosts), workloads, rules, systems, fleet.overheads), {w.name: demands[w.name] for w in workloads}
