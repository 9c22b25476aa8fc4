"""From a solver's result to the document: moves in order, partitions, and a reason for everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from consolidate.errors import InfeasibleError
from consolidate.model.demand import Demand, Demands, Unknown
from consolidate.model.fleet import Fleet, Host
from consolidate.model.isolation import explain_isolation
from consolidate.model.placement import Placement, current_placement
from consolidate.model.policy import Policy
from consolidate.plan.basis import basis
from consolidate.plan.moves import Schedule, schedule_moves
from consolidate.plan.partition import choose_partitions
from consolidate.plan.plan import (
    VERSION,
    HostPlan,
    HostState,
    Move,
    Plan,
    Proof,
    Refusal,
    digest,
)
from consolidate.plan.pricing import host_watts, mean_cpu_milli, totals
from consolidate.plan.reasons import Reasons
from consolidate.solve.loads import Needs
from consolidate.solve.solve import Result


def build_plan(
    fleet: Fleet,
    demands: Demands,
    policy: Policy,
    result: Result,
    tool: str,
    as_of_s: int | None,
    notes: Sequence[str] = (),
) -> Plan:
    """Write the document; ``notes`` are further sentences on what it rests on.

    Raises:
        InfeasibleError: where no order of moves reaches the placement without overfilling a host.

    """
    needs = Needs(fleet, demands)
    schedule = schedule_moves(needs, result.placement, policy.moves_per_host)
    if schedule.stuck:
        raise InfeasibleError(
            f"no order of moves reaches the plan without overfilling a host on the way ({', '.join(schedule.stuck)} "
            "cannot start); offer one empty host as a parking place, or move fewer workloads by pinning some"
        )
    before = current_placement(fleet)
    on = frozenset(host.name for host in fleet.hosts if host.on)
    reasons = Reasons(needs, result)
    limited = {name for host in fleet.hosts for name in host.allocatable}
    return Plan(
        version=VERSION,
        tool=tool,
        fleet_digest=fleet_digest(fleet, demands),
        seed=result.seed,
        as_of_s=as_of_s,
        currency=policy.currency,
        before=totals(fleet, demands, before, on, policy),
        after=totals(fleet, demands, result.placement, result.placement.powered, policy),
        proof=Proof(
            policy.objective.value, result.score.cost, result.bound.cost, result.bound.kind, result.bound.because
        ),
        placed=_placed(fleet, result.placement),
        moves=_moves(fleet, result.placement, schedule),
        partitions=choose_partitions(fleet, demands, result.placement, policy.partition),
        hosts=_hosts(needs, before, result.placement, reasons),
        refusals=_refusals(fleet, demands),
        basis=(*basis(fleet, demands, policy), *notes),
        unmeasured=tuple(sorted(limited - set(needs.dimensions))),
    )


def fleet_digest(fleet: Fleet, demands: Demands) -> str:
    """Digest of everything the plan was made for."""
    sizes = {
        name: {dimension: slots.tolist() for dimension, slots in demand.amounts.items()}
        if isinstance(demand, Demand)
        else demand.reason
        for name, demand in demands.items()
    }
    hosts = [_plain(asdict(host)) for host in fleet.hosts]
    workloads = [_plain(asdict(workload)) for workload in fleet.workloads]
    rules = [[type(rule).__name__, _plain(asdict(rule))] for rule in fleet.rules]
    return digest([hosts, workloads, rules, sizes])


def _plain(value: object) -> object:
    """JSON's own types, sets in order."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(str(one) for one in value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _placed(fleet: Fleet, placement: Placement) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for workload in fleet.workloads:
        assignment = placement.assignments.get(workload.name)
        if assignment is not None:
            reason = explain_isolation(fleet, workload, assignment.isolation)
            counts.setdefault(assignment.isolation.value, Counter())[reason] += 1
    return {isolation: dict(sorted(reasons.items())) for isolation, reasons in sorted(counts.items())}


def _moves(fleet: Fleet, placement: Placement, schedule: Schedule) -> tuple[Move, ...]:
    workloads = {workload.name: workload for workload in fleet.workloads}
    moves = []
    for step in schedule.steps:
        workload = workloads[step.workload]
        if step.parking:
            purpose = "waits here until its final host has room"
        elif workload.host is None:
            purpose = "placed for the first time"
        elif workload.host in placement.powered:
            purpose = f"makes room on {workload.host}"
        else:
            purpose = f"empties {workload.host}"
        how = explain_isolation(fleet, workload, step.isolation)
        moves.append(
            Move(
                step.wave,
                step.workload,
                step.source,
                step.target,
                step.isolation.value,
                workload.copy_bytes,
                step.parking,
                f"{purpose}; {step.isolation.value}, since {how}",
            )
        )
    return tuple(moves)


def _hosts(needs: Needs, before: Placement, after: Placement, reasons: Reasons) -> tuple[HostPlan, ...]:
    fleet = needs.fleet
    states = [
        _states(needs, placement, on)
        for placement, on in (
            (before, frozenset(host.name for host in fleet.hosts if host.on)),
            (after, after.powered),
        )
    ]
    plans = []
    for index, host in enumerate(fleet.hosts):
        action = _action(host, after)
        plans.append(
            HostPlan(host.name, host.os, states[0][index], states[1][index], action, reasons.of_host(host, action))
        )
    return tuple(plans)


def _action(host: Host, after: Placement) -> str:
    if host.name in after.standby:
        return "standby"
    if host.name in after.powered:
        return "keep" if host.on else "start"
    return "free" if host.on else "off"


def _states(needs: Needs, placement: Placement, on: frozenset[str]) -> list[HostState]:
    loads = needs.loads(placement)
    used = mean_cpu_milli(needs.fleet, needs.demands, placement)
    count = Counter(assignment.host for assignment in placement.assignments.values())
    states = []
    for index, host in enumerate(needs.fleet.hosts):
        daily = {
            name: _by_hour(loads[host.name][row], int(needs.limits[index, row]))
            for row, name in enumerate(needs.dimensions)
            if host.name in loads
        }
        states.append(
            HostState(
                host.name in on,
                count[host.name],
                daily.get("cpu_milli", (0,)),
                daily.get("memory_bytes", (0,)),
                host_watts(host, host.name in on, used[host.name]),
            )
        )
    return states


def _by_hour(load: NDArray[np.int64], limit: int) -> tuple[int, ...]:
    """Permille of the limit by hour of the day, the busiest day counting; one number where the load is flat."""
    hours = load.reshape(-1, 24).max(axis=0) if len(load) >= 24 else load
    return tuple((hours * 1000 // max(limit, 1)).tolist())


def _refusals(fleet: Fleet, demands: Demands) -> tuple[Refusal, ...]:
    """Workloads left alone; why each host is kept stands with the host."""
    found = []
    for workload in fleet.workloads:
        demand = demands[workload.name]
        if isinstance(demand, Unknown):
            found.append(Refusal(workload.name, f"left alone: its demand is unknown ({demand.reason})"))
        elif not workload.movable:
            found.append(Refusal(workload.name, "left alone: declared immovable"))
        elif demand.source == "limit":
            found.append(Refusal(workload.name, "sized by its limit: too little was measured"))
    return tuple(found)
