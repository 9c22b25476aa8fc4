"""What a vCenter manages, whoever exported it: clusters, hosts, and the rules that it keeps for virtual machines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from collectors.inventory.estate import Notes, apart, counted
from collectors.records import HostRecord, RuleRecord

OS = "esxi"
_LISTED = re.compile(r"\s*[,;\n]\s*")
_TOGETHER = frozenset({"affinity", "keepvirtualmachinestogether", "vmaffinity", "vm-vmaffinity"})


@dataclass(frozen=True, order=True)
class Site:
    """Where something is: names repeat from one vCenter, and from one datacenter, to another."""

    server: str = ""
    datacenter: str = ""
    cluster: str = ""

    def may_be(self, other: Site) -> bool:
        """Whether two sites can be the same, what one of them leaves open left aside."""
        pairs = ((self.server, other.server), (self.datacenter, other.datacenter))
        return all(one == two or not one or not two for one, two in pairs)


class Clusters:
    """Names of clusters, with their datacenter where another one has a cluster of the same name."""

    def __init__(self, sites: Iterable[Site]) -> None:
        """Name the clusters of all sites that there are."""
        known = sorted(set(sites))
        named = [("", _cluster(site), (f"{site.datacenter}", f"{site.server}")) for site in known]
        self._names = dict(zip(known, apart(named), strict=True))

    def name(self, site: Site) -> str:
        """A cluster's name; hosts of a datacenter that are in none are one among themselves."""
        return self._names[site]


def _cluster(site: Site) -> str:
    return site.cluster or (f"{site.datacenter} without cluster" if site.datacenter else "")


@dataclass(frozen=True)
class FoundHost:
    """A host as its manager lists it."""

    site: Site
    record: HostRecord
    running: float | None = None
    """Virtual machines that it runs, as it counts them itself."""
    running_milli: float | None = None
    """Their virtual CPUs, in thousandths."""
    running_bytes: float | None = None
    """Their memory as configured."""


class Hosts:
    """The hosts of an export, under names of their own."""

    def __init__(self, found: Sequence[FoundHost], clusters: Clusters) -> None:
        """Name the hosts; what is listed twice counts once."""
        once = list({(host.site, host.record.name, host.record.machine_id): host for host in found}.values())
        marks = [
            ("", host.record.name, (host.site.datacenter, host.site.server, host.record.machine_id)) for host in once
        ]
        self._by_name: dict[str, list[FoundHost]] = {}
        for host, name in zip(once, apart(marks), strict=True):
            cluster = clusters.name(host.site)
            named = replace(host, record=replace(host.record, name=name, cluster=cluster))
            self._by_name.setdefault(host.record.name, []).append(named)

    def __iter__(self) -> Iterator[FoundHost]:
        return (host for hosts in self._by_name.values() for host in hosts)

    def find(self, name: str, site: Site) -> FoundHost | None:
        """The host of a name as a virtual machine of a site gives it, or None where it is not listed or not clear."""
        fitting = [host for host in self._by_name.get(name, ()) if host.site.may_be(site)]
        return fitting[0] if len(fitting) == 1 else None


@dataclass
class Rules:
    """Rules of the Distributed Resource Scheduler, gathered from the virtual machines that they name."""

    notes: Notes
    _members: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    _of_hosts: set[tuple[str, str]] = field(default_factory=set)
    _unclear: int = 0

    def add(self, cluster: str, machine: str, kinds: str, names: str) -> None:
        """One virtual machine's rules, as two lists of the same order."""
        if not names:
            return
        rules = parse_rules(kinds, names)
        if rules is None:
            self._unclear += 1
            return
        for name, kind in rules:
            if kind:
                self._members.setdefault((cluster, name, kind), []).append(machine)
            else:
                self._of_hosts.add((cluster, name))

    def records(self) -> Iterator[RuleRecord]:
        """Rules of two virtual machines or more; the others are told of."""
        for (cluster, name, kind), machines in self._members.items():
            if len(machines) > 1:
                yield RuleRecord(name, kind, tuple(machines), cluster)
        if self._of_hosts:
            rules = counted(len(self._of_hosts), "rule that ties", "rules that tie")
            self.notes.tell(
                f"{rules} virtual machines to hosts: the export does not name the hosts; pin them in the fleet file."
            )
        if self._unclear:
            have = counted(self._unclear, "virtual machine has", "virtual machines have")
            self.notes.tell(f"{have} cluster rules whose kinds are not clear; state them in the fleet file.")


def parse_rules(kinds: str, names: str) -> list[tuple[str, str]] | None:
    """(name, kind) of each rule, the kind empty where it is about hosts; None where the lists do not fit together."""
    kind_list = _LISTED.split(kinds)
    # Of one rule the name may hold a comma.
    name_list = _LISTED.split(names) if len(kind_list) > 1 else [names]
    if len(kind_list) != len(name_list):
        return None
    told = {name: _kind(kind) for name, kind in zip(name_list, kind_list, strict=True)}
    return None if None in told.values() else [(name, kind or "") for name, kind in told.items()]


def _kind(text: str) -> str | None:
    """Kind of a rule in our words, empty for one about hosts, None for what is not known."""
    word = "".join(text.split()).casefold()
    if "host" in word:
        return ""
    if "anti" in word or "separate" in word:
        return "anti-affinity"
    return "affinity" if word in _TOGETHER or "together" in word else None
