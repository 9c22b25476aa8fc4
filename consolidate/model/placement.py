"""Where workloads run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from consolidate.model.demand import Demand, Demands
from consolidate.model.fleet import Fleet, Isolation, Workload


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
    """Fleet and demand as they will be once a placement is in force; the demand remembers what it was measured in."""
    workloads, after = [], dict(demands)
    for workload in fleet.workloads:
        assignment, demand = placement.assignments.get(workload.name), demands[workload.name]
        if isinstance(demand, Demand) and demand.isolation is None:
            after[workload.name] = replace(demand, isolation=workload.isolation)
        if assignment is None:
            workloads.append(workload)
        else:
            workloads.append(replace(workload, host=assignment.host, isolation=assignment.isolation))
    powered = placement.powered
    hosts = tuple(replace(host, on=host.name in powered) for host in fleet.hosts)
    return replace(fleet, hosts=hosts, workloads=tuple(workloads)), after
