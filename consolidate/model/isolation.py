"""Container or virtual machine: what a workload may become on a host, and what it then takes there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consolidate.model.demand import Demand
from consolidate.model.fleet import Fleet, Host, Hypervisor, Isolation, Workload

VIRTUAL = frozenset({Isolation.VM, Isolation.HOSTED_VM})
_OFFERED = {Hypervisor.NATIVE: Isolation.VM, Hypervisor.HOSTED: Isolation.HOSTED_VM}
_COPIES = "_vms"


def choose_isolation(fleet: Fleet, workload: Workload, host: Host) -> Isolation | None:
    """Cheapest isolation in which a workload can run on a host, or None where none can.

    At home nothing changes. Elsewhere it is a container where the kernel is shared, else a virtual machine
    where the host has a hypervisor and the guest's licence accepts its hardware.
    """
    if workload.host == host.name:
        return workload.isolation
    system = fleet.systems[workload.os]
    on = fleet.systems[host.os]
    can_share_kernel = workload.isolation not in VIRTUAL and system.family == on.family and on.containers
    if can_share_kernel and Isolation.CONTAINER in workload.allowed:
        return Isolation.CONTAINER
    if system.hardware is not None and host.vendor != system.hardware:
        return None
    offered = _OFFERED.get(host.hypervisor)
    return offered if offered in workload.allowed else None


def explain_isolation(fleet: Fleet, workload: Workload, isolation: Isolation) -> str:
    """Why a workload runs in this isolation, in half a sentence."""
    system = fleet.systems[workload.os]
    if isolation is workload.isolation:
        return "it stays as it is"
    if isolation is Isolation.CONTAINER:
        return f"it shares the host's {system.family} kernel"
    return f"{system.name} brings its own {system.family} kernel"


def copies_dimension(system: str) -> str:
    """Name of the dimension that counts a system's virtual machines on a host."""
    return system + _COPIES


def dimensions(fleet: Fleet, measured: frozenset[str]) -> tuple[str, ...]:
    """Every dimension that some host limits and that some workload uses, in a fixed order."""
    limited = {dimension for host in fleet.hosts for dimension in host.allocatable}
    used_systems = {workload.os for workload in fleet.workloads}
    copies = {copies_dimension(name) for name in used_systems if fleet.systems[name].max_vms_per_host is not None}
    return tuple(sorted(limited & measured | copies))


def room(fleet: Fleet, host: Host, dimension: str) -> int | None:
    """What a host can give to workloads in a dimension; None where the host does not limit it."""
    if dimension.endswith(_COPIES):
        return fleet.systems[dimension.removesuffix(_COPIES)].max_vms_per_host
    allocatable = host.allocatable
    return allocatable.get(dimension) if dimension in allocatable else None


def adds_overhead(workload: Workload, demand: Demand, isolation: Isolation) -> bool:
    """Whether an isolation costs something that the measurement does not hold yet."""
    return isolation is not (demand.isolation or workload.isolation)


def cost_of(fleet: Fleet, workload: Workload, demand: Demand, isolation: Isolation, dimension: str) -> tuple[int, int]:
    """What an isolation adds to a workload's demand in a dimension: permille of it, and a fixed amount."""
    system = fleet.systems[workload.os]
    if dimension == copies_dimension(system.name):
        return 0, int(isolation in VIRTUAL)
    if not adds_overhead(workload, demand, isolation):
        return 0, 0
    overhead = fleet.overheads[isolation]
    if dimension == "cpu_milli":
        return overhead.cpu_permille, 0
    if dimension == "memory_bytes":
        guest = system.guest_memory_bytes if isolation in VIRTUAL else 0
        return overhead.memory_permille, overhead.memory_bytes + guest
    return (overhead.io_permille, 0) if dimension.startswith(("disk_", "net_")) else (0, 0)


def demand_on(
    fleet: Fleet, workload: Workload, demand: Demand, isolation: Isolation, names: tuple[str, ...], slots: int
) -> NDArray[np.int64]:
    """What a workload takes in an isolation, shape (dimensions, slots), rounded up.

    The measurement already holds the cost of the isolation it was made in; another one adds its own.
    """
    amounts = np.zeros((len(names), slots), dtype=np.int64)
    for row, name in enumerate(names):
        permille, fixed = cost_of(fleet, workload, demand, isolation, name)
        amount = demand.at_slots(name, slots)
        amounts[row] = amount + (amount * permille + 999) // 1000 + fixed
    return amounts
