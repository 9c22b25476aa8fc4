"""A workload as a tenant of the host that it is planned on, and what it shares with the others there. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from collectors.topology import parse_cpu_list
from consolidate.model.demand import Demand
from consolidate.model.fleet import Fleet, Host, Isolation, Workload
from consolidate.model.isolation import VIRTUAL, cost_of, demand_on
from consolidate.model.policy import PartitionPolicy
from consolidate.plan.cpuset import Layout

DISK = ("disk_read_bytes_per_s", "disk_write_bytes_per_s")


@dataclass(frozen=True, eq=False)
class Tenant:
    """What a workload takes on a host; CPU in that host's own cores."""

    workload: Workload
    demand: Demand
    isolation: Isolation
    host: Host
    cpu_milli: int
    """What its busiest hour reserves."""
    highest_cpu_milli: int
    """The highest that was seen, with margin."""
    memory_bytes: int
    disk_bytes_per_s: Mapping[str, int]
    """Of those dimensions of a disk that were measured."""

    @property
    def name(self) -> str:
        """The workload's."""
        return self.workload.name

    @property
    def stays(self) -> bool:
        """Whether it is on this host today."""
        return self.workload.host == self.host.name

    @property
    def has_walls(self) -> bool:
        """Whether it has, or will have, something that limits can be set on."""
        return self.isolation is not Isolation.NATIVE or bool(self.workload.cgroup)

    @property
    def cpus_now(self) -> frozenset[int]:
        """Processors that it is kept to today; empty where it is not, or comes from elsewhere."""
        return frozenset(parse_cpu_list(self.workload.cpus)) if self.stays else frozenset()

    @property
    def protectable_bytes(self) -> int:
        """Memory that protection is for: what it typically has in use. A machine's is all of it, in use or not."""
        typical = self.demand.seen.typical_memory_bytes
        return 0 if typical is None or self.isolation in VIRTUAL or not self.has_walls else typical


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """What the limits of one tenant depend on besides itself."""

    policy: PartitionPolicy
    layout: Layout
    protected_permille: int
    """Of its typical memory, that is protected without going over the host's bound."""
    disk_bytes_per_s: Mapping[str, int]
    """What all tenants together move, of each dimension of a disk."""
    disk_users: int
    """Tenants that it was measured of."""


def tenant_of(fleet: Fleet, workload: Workload, demand: Demand, isolation: Isolation, host: Host) -> Tenant:
    """What a workload takes on a host in an isolation."""
    disks = tuple(name for name in DISK if name in demand.amounts)
    names = ("cpu_milli", "memory_bytes", *disks)
    cpu, memory, *disk = demand_on(fleet, workload, demand, isolation, names, demand.slots).max(axis=1).tolist()
    # What is packed is a quantile; what is limited must leave room for the highest that was seen.
    permille, _ = cost_of(fleet, workload, demand, isolation, "cpu_milli")
    highest = max(cpu, demand.highest_cpu_milli * (1000 + permille) // 1000)
    return Tenant(
        workload,
        demand,
        isolation,
        host,
        own_cores(cpu, host),
        own_cores(highest, host),
        memory,
        dict(zip(disks, disk, strict=True)),
    )


def own_cores(reference_milli: int, host: Host) -> int:
    """Reference cores in a host's own, rounded up."""
    return -(-int(reference_milli * 1000) // int(host.cpu_rating * 1000))
