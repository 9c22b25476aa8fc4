"""How full hosts are, slot by slot: the sums that every rule about room is about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consolidate.model.demand import Demand, Demands
from consolidate.model.fleet import Fleet, Isolation, Workload
from consolidate.model.isolation import demand_on, dimensions, room
from consolidate.model.placement import Placement

UNLIMITED = 1 << 60
"""Room in a dimension that a host does not limit; sums of it stay within int64."""


class Needs:
    """What the workloads of a fleet take and its hosts give, in common dimensions and slots; each computed once."""

    def __init__(self, fleet: Fleet, demands: Demands) -> None:
        """Settle the dimensions that are checked (limited by a host and measured for a workload) and the slots."""
        known = [demand for demand in demands.values() if isinstance(demand, Demand)]
        self.fleet = fleet
        self.demands = demands
        self.dimensions = dimensions(fleet, frozenset(name for demand in known for name in demand.amounts))
        self.slots = max((demand.slots for demand in known), default=1)
        limits = [[room(fleet, host, name) for name in self.dimensions] for host in fleet.hosts]
        amounts = [[UNLIMITED if limit is None else limit for limit in row] for row in limits]
        self.limits = np.array(amounts, dtype=np.int64).reshape(len(fleet.hosts), len(self.dimensions))
        """What each host can give, shape (hosts, dimensions)."""
        unknown = {workload.host for workload in fleet.workloads if not isinstance(demands[workload.name], Demand)}
        self.closed = np.array([host.name in unknown for host in fleet.hosts], dtype=np.bool_)
        """Hosts of workloads whose demand is unknown, shape (hosts,): nobody knows what room they have left."""
        self._known: dict[tuple[str, Isolation], NDArray[np.int64]] = {}

    def of(self, workload: Workload, isolation: Isolation) -> NDArray[np.int64] | None:
        """What a workload takes in an isolation, shape (dimensions, slots); None where its demand is unknown."""
        demand = self.demands[workload.name]
        if not isinstance(demand, Demand):
            return None
        key = (workload.name, isolation)
        if key not in self._known:
            self._known[key] = demand_on(self.fleet, workload, demand, isolation, self.dimensions, self.slots)
        return self._known[key]

    def loads(self, placement: Placement) -> dict[str, NDArray[np.int64]]:
        """Load of every host that has any, shape (dimensions, slots); the peak of this sum is what must fit."""
        loads: dict[str, NDArray[np.int64]] = {}
        for workload in self.fleet.workloads:
            assignment = placement.assignments.get(workload.name)
            need = self.of(workload, assignment.isolation) if assignment is not None else None
            if assignment is not None and need is not None:
                loads[assignment.host] = loads[assignment.host] + need if assignment.host in loads else need
        return loads

    def free(self, placement: Placement) -> NDArray[np.int64]:
        """What each host has left, shape (hosts, dimensions, slots); below zero where it is overfull."""
        loads = self.loads(placement)
        free = np.repeat(self.limits[:, :, None], self.slots, axis=2)
        for index, host in enumerate(self.fleet.hosts):
            if host.name in loads:
                free[index] -= loads[host.name]
        return free
