"""From records to hosts, workloads and rules: what was found out, before the fleet file has its say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from collectors.records import HostRecord, NoteRecord, RuleRecord, WorkloadRecord
from collectors.topology import Topology, cpu_list, parse_cpu_list, parse_topology
from consolidate.config.systems import resolve, system_of
from consolidate.errors import InputError
from consolidate.model.fleet import Host, Hypervisor, Isolation, OperatingSystem, Workload
from consolidate.model.resources import Resources
from consolidate.model.rules import Affinity, AntiAffinity, FailureReserve, Pin, Rule

ANY_LINUX = frozenset({"", "linux"})
"""What a process is measured as: it runs on whichever Linux its host has."""
UNKNOWN = "unknown"
"""System of a virtual machine into which nobody looked."""
_ISOLATIONS: Mapping[str, Isolation] = {"vm": Isolation.VM, "container": Isolation.CONTAINER}
_HYPERVISORS = frozenset(one.value for one in Hypervisor)


@dataclass(frozen=True)
class Records:
    """Everything that a store knows but samples."""

    hosts: Sequence[HostRecord]
    workloads: Mapping[str, WorkloadRecord]
    """By their name in the fleet."""
    rules: Sequence[RuleRecord]
    notes: Sequence[NoteRecord]


def measured_host(record: HostRecord, systems: dict[str, OperatingSystem], headroom_permille: int) -> Host:
    """A host as its record says; a system that nobody knows is added to the known ones."""
    os = record.os
    if os not in systems and system_of(os) is None and (record.kernel or not os):
        os = "linux"  # whoever tells its kernel's version is an agent, and those run on Linux of any name
    return Host(
        record.name,
        Resources(record.capacity),
        _known(os, systems),
        hypervisor=Hypervisor(record.hypervisor) if record.hypervisor in _HYPERVISORS else Hypervisor.NONE,
        vendor="apple" if "apple" in record.vendor.casefold() else record.vendor,
        headroom_permille=headroom_permille,
        topology=_topology(record),
    )


def _cpus(name: str, record: WorkloadRecord) -> str:
    try:
        return cpu_list(parse_cpu_list(record.cpus))
    except ValueError as error:
        raise InputError(f"workload {name!r}: its processors cannot be read ({error}); collect from it again") from None


def _topology(record: HostRecord) -> Topology:
    try:
        return parse_topology(record.topology)
    except ValueError as error:
        raise InputError(
            f"host {record.name!r}: its topology cannot be read ({error}); collect from it again"
        ) from None


def measured_workload(
    name: str, record: WorkloadRecord, hosts: Mapping[str, Host], systems: dict[str, OperatingSystem]
) -> Workload:
    """A workload as its record says; it has no host where that is not among the hosts."""
    host = hosts.get(record.host)
    isolation = _ISOLATIONS.get(record.kind, Isolation.NATIVE)
    if isolation is Isolation.VM:
        os = _known(record.os or UNKNOWN, systems)
    elif record.os in ANY_LINUX:
        os = host.os if host is not None else "linux"
    else:
        os = _known(record.os, systems)
    return Workload(
        name,
        os,
        host.name if host is not None else None,
        isolation,
        group=record.group,
        owner=record.owner,
        copy_bytes=record.copy_bytes,
        limits=Resources(record.limits),
        enforced=Resources(record.limits),
        cgroup=record.cgroup,
        cpus=_cpus(name, record),
        peak=Resources(record.peak),
    )


def _known(name: str, systems: dict[str, OperatingSystem]) -> str:
    """Name of the system that a name means; it is among the known ones then."""
    system = resolve(name, systems)
    systems.setdefault(system.name, system)
    return system.name


def clusters_of(
    workloads: Mapping[str, Workload], records: Mapping[str, WorkloadRecord], hosts: Mapping[str, str]
) -> dict[str, str]:
    """Cluster of each workload that is in one.

    Args:
        workloads: Of the fleet.
        records: What was found out of them.
        hosts: Cluster of each host that is in one.

    """
    found = {}
    for name, workload in workloads.items():
        record = records.get(name)
        cluster = hosts.get(workload.host, "") if workload.host is not None else record.cluster if record else ""
        if cluster:
            found[name] = cluster
    return found


def stay_within(clusters: Mapping[str, str], hosts: Mapping[str, str], all_hosts: Iterable[str]) -> Iterator[Pin]:
    """Rules by which workloads stay in their cluster, where there are hosts outside of it.

    Args:
        clusters: Cluster of each workload that is in one.
        hosts: Cluster of each host that is in one.
        all_hosts: Names of all hosts, in order.

    """
    everywhere = list(all_hosts)
    for cluster in dict.fromkeys(clusters.values()):
        own = tuple(host for host in everywhere if hosts.get(host) == cluster)
        if own and len(own) < len(everywhere):
            yield Pin(f"cluster {cluster}", tuple(name for name, of in clusters.items() if of == cluster), own)


def managed_rules(
    rules: Iterable[RuleRecord], clusters: Mapping[str, str], records: Mapping[str, WorkloadRecord]
) -> Iterator[Rule]:
    """The rules that managers keep, for the workloads of the fleet that they mean."""
    by_name = {(cluster, records[name].name): name for name, cluster in clusters.items() if name in records}
    for rule in rules:
        members = [by_name[rule.cluster, one] for one in rule.workloads if (rule.cluster, one) in by_name]
        if not rule.workloads:
            members = [name for name, cluster in clusters.items() if cluster == rule.cluster]
        name = f"{rule.cluster}: {rule.name}" if rule.cluster else rule.name
        if rule.kind == "failure-reserve" and members:
            yield FailureReserve(name, tuple(members))
        elif rule.kind == "affinity" and len(members) > 1:
            yield Affinity(name, tuple(members))
        elif rule.kind == "anti-affinity" and len(members) > 1:
            yield AntiAffinity(name, tuple(members))
