"""Watts and money of a placement."""

from __future__ import annotations

from consolidate.model.demand import Demand, Demands
from consolidate.model.fleet import Fleet, Host
from consolidate.model.isolation import adds_overhead
from consolidate.model.placement import Placement
from consolidate.model.policy import Policy
from consolidate.plan.plan import Totals

HOURS_PER_MONTH = 730


def mean_cpu_milli(fleet: Fleet, demands: Demands, placement: Placement) -> dict[str, float]:
    """Average measured CPU by host, with the overhead of the isolations; unknown demand counts as none."""
    used = {host.name: 0.0 for host in fleet.hosts}
    for workload in fleet.workloads:
        assignment, demand = placement.assignments.get(workload.name), demands[workload.name]
        if assignment is None or not isinstance(demand, Demand):
            continue
        overhead = fleet.overheads[assignment.isolation].cpu_permille
        changed = adds_overhead(workload, demand, assignment.isolation)
        used[assignment.host] += demand.mean_cpu_milli * (1 + overhead / 1000 * changed)
    return used


def host_watts(host: Host, on: bool, cpu_milli: float) -> float:
    """Watts a host draws on average."""
    if not on:
        return 0.0
    return round(host.power.at(cpu_milli / max(_cpu_milli(host), 1)), 1)


def _cpu_milli(host: Host) -> int:
    return host.in_reference_cores(host.capacity).get("cpu_milli")


def totals(fleet: Fleet, demands: Demands, placement: Placement, powered: frozenset[str], policy: Policy) -> Totals:
    """Sums over the hosts that are on."""
    used = mean_cpu_milli(fleet, demands, placement)
    on = [host for host in fleet.hosts if host.name in powered]
    watts = sum(host_watts(host, True, used[host.name]) for host in on)
    capacity = sum(_cpu_milli(host) for host in on)
    energy = watts / 1000 * HOURS_PER_MONTH * policy.electricity_per_kwh
    return Totals(
        hosts=len(on),
        watts=round(watts, 1),
        cost_per_month=round(sum(host.cost_per_month for host in on) + energy, 2),
        cpu_permille=round(1000 * sum(used[host.name] for host in on) / capacity) if capacity else 0,
    )
