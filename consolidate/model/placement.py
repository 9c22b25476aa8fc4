"""Where workloads run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from consolidate.model.demand import Demand, Demands
from consolidate.model.fleet import Fleet, Isolation, Workload
from consolidate.model.isolation import demand_on


@dataclass(frozen=True)
class Assignment:
    """One workload's host and isolation."""

    host: str
    isolation: Isolation


@dataclass(frozen=True)
class Placement:
    """Every placed workload's assignment, and the empty hosts kept on in case another fails."""

    assignments: Mapping[str, Assignment]
    standby: frozenset[str] = frozenset()

    @property
    def powered(self) -> frozenset[str]:
        """Hosts that stay on."""
        return frozenset(assignment.host for assignment in self.assignments.values()) | self.standby


def current_placement(fleet: Fleet) -> Placement:
    """Where the workloads run today; those that run nowhere yet are left out."""
    return Placement(
        {w.name: Assignment(w.host, w.isolation) for w in fleet.workloads if w.host is not None},
    )


def is_move(workload: Workload, assignment: Assignment) -> bool:
    """Whether a workload changes hosts; a first placement is not a move."""
    return workload.host is not None and workload.host != assignment.host


def carry_out(fleet: Fleet, demands: Demands, placement: Placement) -> tuple[Fleet, Demands]:
    """Fleet and demand as they will be once a placement is in force.

    What is measured then includes the cost of the new isolation, so the demand grows by it here.
    """
    workloads, after = [], dict(demands)
    for workload in fleet.workloads:
        assignment = placement.assignments.get(workload.name)
        if assignment is None:
            workloads.append(workload)
            continue
        demand = demands.get(workload.name)
        if isinstance(demand, Demand) and assignment.isolation is not workload.isolation:
            names = tuple(demand.amounts)
            rows = demand_on(fleet, workload, demand, assignment.isolation, names, demand.slots)
            after[workload.name] = replace(demand, amounts=dict(zip(names, rows, strict=True)))
        workloads.append(replace(workload, host=assignment.host, isolation=assignment.isolation))
    hosts = tuple(replace(host, on=host.name in placement.powered) for host in fleet.hosts)
    return replace(fleet, hosts=hosts, workloads=tuple(workloads)), after
