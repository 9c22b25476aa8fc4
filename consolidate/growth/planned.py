"""Where a plan document leads: the placement whose runway counts once it is carried out."""

from __future__ import annotations

from consolidate.errors import StalePlanError
from consolidate.model.fleet import Fleet, Isolation
from consolidate.model.placement import Assignment, Placement, current_placement
from consolidate.plan.plan import Plan


def planned_placement(fleet: Fleet, plan: Plan) -> Placement:
    """The current placement with a plan's final moves made; workloads that are gone are left out.

    Raises:
        StalePlanError: where the plan moves something to a host that is no longer in the fleet.

    """
    hosts, names = {host.name for host in fleet.hosts}, {workload.name for workload in fleet.workloads}
    assignments = dict(current_placement(fleet).assignments)
    for move in plan.moves:
        if move.parking or move.workload not in names:
            continue
        if move.target not in hosts:
            raise StalePlanError(
                f"the plan moves {move.workload} to {move.target}, which is no longer there; plan again"
            )
        assignments[move.workload] = Assignment(move.target, Isolation(move.isolation))
    standby = frozenset(host.name for host in plan.hosts if host.action == "standby" and host.name in hosts)
    return Placement(assignments, standby)
