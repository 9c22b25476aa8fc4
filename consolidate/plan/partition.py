"""From a placement to the partitions of its hosts: who shares a host, and with which limits. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from consolidate.model.demand import Demand, Demands
from consolidate.model.fleet import Fleet, Host
from consolidate.model.placement import Placement
from consolidate.model.policy import PartitionPolicy
from consolidate.plan.cpuset import Claim, Layout, lay_out
from consolidate.plan.limits import MOST_WEIGHT, PROTECTED_PERMILLE, choose_limits, is_critical
from consolidate.plan.plan import Limits, Partition
from consolidate.plan.tenant import DISK, Neighbourhood, Tenant, own_cores, tenant_of


def choose_partitions(
    fleet: Fleet, demands: Demands, placement: Placement, policy: PartitionPolicy
) -> tuple[Partition, ...]:
    """Limits of every workload whose demand is known and that has, or will have, walls of its own."""
    hosts = {host.name: host for host in fleet.hosts}
    tenants: dict[str, list[Tenant]] = {}
    strangers: set[str] = set()
    for workload in fleet.workloads:
        assignment, demand = placement.assignments.get(workload.name), demands[workload.name]
        if assignment is not None and isinstance(demand, Demand):
            tenant = tenant_of(fleet, workload, demand, assignment.isolation, hosts[assignment.host])
            tenants.setdefault(assignment.host, []).append(tenant)
        elif workload.host is not None:
            strangers.add(workload.host)
    partitions: dict[str, Partition] = {}
    for name, own in tenants.items():
        around = neighbourhood(hosts[name], own, policy, strangers=name in strangers)
        partitions |= {tenant.name: partition(tenant, around) for tenant in own if tenant.has_walls}
    return tuple(partitions[workload.name] for workload in fleet.workloads if workload.name in partitions)


def neighbourhood(host: Host, tenants: Sequence[Tenant], policy: PartitionPolicy, *, strangers: bool) -> Neighbourhood:
    """What the tenants of a host share; where there are strangers, something runs whose needs nobody knows."""
    typical = sum(tenant.protectable_bytes for tenant in tenants)
    bound = host.capacity.get("memory_bytes") * PROTECTED_PERMILLE // 1000
    moved = {name: sum(tenant.disk_bytes_per_s.get(name, 0) for tenant in tenants) for name in DISK}
    return Neighbourhood(
        policy,
        _layout(host, tenants, policy, strangers=strangers),
        1000 if typical <= bound else bound * 1000 // typical,
        moved,
        sum(bool(tenant.disk_bytes_per_s) for tenant in tenants),
    )


def partition(tenant: Tenant, around: Neighbourhood) -> Partition:
    """A tenant's share of its host."""
    workload, enforced = tenant.workload, tenant.workload.enforced.amounts
    after, reasons = choose_limits(tenant, around)
    now = Limits(enforced.get("cpu_milli"), enforced.get("memory_bytes"), cpus=workload.cpus or None)
    share_milli = tenant.highest_cpu_milli if is_critical(tenant, around) else tenant.cpu_milli
    return Partition(
        workload=workload.name,
        host=tenant.host.name,
        isolation=tenant.isolation.value,
        # A cgroup is kept where the workload stays; elsewhere whoever starts it names one.
        cgroup=workload.cgroup if tenant.stays else "",
        before=now if tenant.stays else Limits(),
        after=after,
        cpu_weight=min(MOST_WEIGHT, max(1, round(share_milli / 10))),
        reason="; ".join(reasons),
    )


def _layout(host: Host, tenants: Sequence[Tenant], policy: PartitionPolicy, *, strangers: bool) -> Layout:
    alone = {tenant.name for tenant in tenants if tenant.name in policy.exclusive and tenant.has_walls}
    claims = [
        Claim(tenant.name, -(-tenant.highest_cpu_milli // 1000), tenant.memory_bytes, tenant.cpus_now)
        for tenant in tenants
        if tenant.name in alone
    ]
    shared = [tenant.demand for tenant in tenants if tenant.name not in alone]
    slots = max((demand.slots for demand in shared), default=1)
    together = sum((demand.at_slots("cpu_milli", slots) for demand in shared), np.zeros(slots, dtype=np.int64))
    peak = -(-own_cores(int(together.max()), host) // 1000)
    reserved = -(-host.reserved.get("cpu_milli") // 1000)
    return lay_out(host.topology, claims, max(peak, int(bool(shared) or strangers)), reserved)
