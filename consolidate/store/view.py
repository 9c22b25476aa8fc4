"""What a store's segments say together: hosts, workloads, and which series counts for what, under one name each.

Segments keep what each source said, under the names it gave. How that fits together is worked out when it is read, so
that a source that comes later can still settle it, and nothing that was stored is lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from collectors.records import HostRecord, WorkloadRecord
from collectors.sources import rank
from consolidate.model.finding import Finding
from consolidate.model.series import SeriesKey, workload_name
from consolidate.store.choice import Owner, Rival, Stream, choose, measure_of, told
from consolidate.store.identity import identify
from consolidate.store.keys import Key
from consolidate.store.merge import merged_host, merged_workload
from consolidate.store.moves import Guest, Place, moved, same_group
from consolidate.store.sightings import Known, Sighting, completed, together

_SHARED = frozenset({"process", "group", "slice"})
"""Kinds of which several may be in one control group."""


@dataclass(frozen=True)
class Segment:
    """What a segment holds, besides its samples."""

    source: str
    hosts: Sequence[HostRecord]
    workloads: Sequence[WorkloadRecord]
    keys: Sequence[Key]


@dataclass(frozen=True)
class Counted:
    """A stored series and what it is for the fleet."""

    key: Key
    series: SeriesKey
    name: str
    """Of the workload in the fleet."""
    owner: Owner
    stream: Stream
    counts: bool
    """Whether its source was chosen."""


@dataclass(frozen=True)
class View:
    """All segments together."""

    hosts: Mapping[str, HostRecord]
    workloads: Mapping[str, WorkloadRecord]
    """By their name in the fleet: those that a host had when it was last looked at."""
    findings: tuple[Finding, ...]
    """Which hosts were taken to be one or kept apart, and which samples do not count."""
    rivals: tuple[Rival, ...]
    _hosts: Sequence[Mapping[str, tuple[str, Stream]]]
    """By the order of segments: a host's name there to its name here and its stream."""
    _aliases: Mapping[Place, str]
    _now: Mapping[Place, Place]
    _chosen: Mapping[Owner, Stream]

    def counted(self, order: int, key: Key) -> Counted:
        """A stored series under its names here, and whether its source was chosen for it."""
        host, workload = key.series.host, key.series.workload
        name, stream = self._hosts[order].get(host, (host, ("", "")))
        workload = self._aliases.get((name, workload), workload)
        owner = measure_of(key.metric), name, workload
        now = self._now.get((name, workload)) if workload else None
        here, incarnation = now or (name, workload), key.series.incarnation
        series = SeriesKey(*here, incarnation, measured_on=name if now else "")
        return Counted(key, series, series.name, owner, stream, self._chosen.get(owner, stream) == stream)


def view_of(segments: Iterable[Segment]) -> View:
    """Put segments together, older ones first."""
    seen = _Seen()
    for order, segment in enumerate(segments):
        seen.add(order, segment)
    return seen.view()


Raw = tuple[str, str, str]
"""A host as one segment has it: source, name, identifier where that segment has one."""


@dataclass
class _Listing:
    order: int
    workloads: dict[str, WorkloadRecord] = field(default_factory=dict)


class _Seen:
    """Everything that segments say, as far as it is needed once they all have been read."""

    def __init__(self) -> None:
        self.sightings: list[Sighting] = []
        self.keys: list[Sequence[Key]] = []
        self.source: list[str] = []
        self.hosts: dict[Raw, tuple[int, HostRecord]] = {}
        self.listings: dict[Raw, _Listing] = {}
        self.cgroups: dict[Raw, set[tuple[str, str]]] = defaultdict(set)
        self.guests: dict[tuple[Raw, str], tuple[int, WorkloadRecord]] = {}
        self.sources: dict[str, set[str]] = defaultdict(set)

    def add(self, order: int, segment: Segment) -> None:
        """Take in the next newer segment."""
        raw = {record.name: (segment.source, record.name, record.machine_id) for record in segment.hosts}
        between = _between_s(segment.keys)
        for name in sorted({*raw, *between, *(record.host for record in segment.workloads)} - {""}):
            source, _, machine_id = raw.setdefault(name, (segment.source, name, ""))
            self.sightings.append(Sighting(order, source, name, machine_id, between.get(name)))
            self.sources[name].add(source)
        self.keys.append(segment.keys)
        self.source.append(segment.source)
        for host in segment.hosts:  # the host itself was looked at, so what is not listed has ended
            self.hosts[raw[host.name]] = order, host
            self.listings[raw[host.name]] = _Listing(order)
        for record in segment.workloads:
            own = raw.get(record.host, (segment.source, "", ""))
            listing = self.listings.setdefault(own, _Listing(order))
            listing.order = order
            listing.workloads[record.name] = record
            if record.cgroup.strip("/") and record.kind not in _SHARED:
                self.cgroups[own].add((record.cgroup.strip("/"), record.name))
            if record.kind == "vm":
                self.guests[own, record.name] = order, record

    def view(self) -> View:
        """What all of it comes to."""
        sightings = completed([self._adopted(one) for one in self.sightings])
        identities = identify(sightings)
        names = identities.names
        streams = _streams(sightings, names)
        # Workloads of no host, such as those of traces, have no machine to be identified by.
        hosts: list[dict[str, tuple[str, Stream]]] = [{"": ("", (source, ""))} for source in self.source]
        resolved: dict[Raw, list[tuple[int, Known]]] = defaultdict(list)
        for raw, one in zip(self.sightings, sightings, strict=True):
            known = one.source, one.name, one.machine_id
            hosts[one.order][one.name] = names[known], streams[known]
            resolved[raw.source, raw.name, raw.machine_id].append((one.order, known))
        latest = {raw: max(found)[1] for raw, found in resolved.items()}
        aliases = self._aliases(latest, names)
        now, moves = moved(self._guests(latest, names, aliases, hosts))
        chosen, rivals = choose(self._owners(hosts, aliases))
        records = self._host_records(latest, names)
        workloads = self._workload_records(latest, names, streams, aliases, now)
        findings = (*identities.findings, *moves, *told(rivals))
        return View(records, workloads, findings, tuple(rivals), hosts, aliases, now, chosen)

    def _adopted(self, sighting: Sighting) -> Sighting:
        """An older store does not name its sources: the one that goes on with a host's name is taken to be its."""
        named = self.sources[sighting.name] - {""}
        if sighting.source or len(named) != 1:
            return sighting
        return replace(sighting, source=named.pop())

    def _aliases(self, latest: Mapping[Raw, Known], names: Mapping[Known, str]) -> dict[Place, str]:
        by_host: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
        for raw, own in self.cgroups.items():
            if raw in latest:
                by_host[names[latest[raw]]] += [(latest[raw][0], cgroup, name) for cgroup, name in own]
        return {(host, alias): name for host, own in by_host.items() for alias, name in same_group(own).items()}

    def _guests(
        self,
        latest: Mapping[Raw, Known],
        names: Mapping[Known, str],
        aliases: Mapping[Place, str],
        hosts: Sequence[Mapping[str, tuple[str, Stream]]],
    ) -> Iterator[Guest]:
        """Virtual machines that were seen on more than one host, by name or by identifier."""
        found: dict[Place, tuple[int, str, str]] = {}
        clusters = {names[latest[raw]]: record.cluster for raw, (_, record) in self.hosts.items() if record.cluster}
        for (raw, own), (order, record) in self.guests.items():
            if raw in latest:
                host = names[latest[raw]]
                place = host, aliases.get((host, own), own)
                before = found.get(place, (-1, "", ""))
                cluster = record.cluster or clusters.get(host, "")
                found[place] = max(order, before[0]), record.machine_id or before[1], cluster or before[2]
        if len({host for host, _ in found}) < 2:
            return
        between: dict[Place, tuple[int, int]] = {}
        for keys, here in zip(self.keys, hosts, strict=True):
            for key in keys:
                host = here.get(key.series.host, ("", ("", "")))[0]
                place = host, aliases.get((host, key.series.workload), key.series.workload)
                if place in found:
                    first_s, last_s = between.get(place, (key.first_s, key.last_s))
                    between[place] = min(first_s, key.first_s), max(last_s, key.last_s)
        for place, (order, machine_id, cluster) in found.items():
            yield Guest(place, machine_id, cluster, order, between.get(place))

    def _owners(
        self, hosts: Sequence[Mapping[str, tuple[str, Stream]]], aliases: Mapping[Place, str]
    ) -> dict[Owner, dict[Stream, list[Key]]]:
        """Keys by whose they are and whose word it is, of hosts that have more than one stream."""
        known: dict[str, set[Stream]] = defaultdict(set)
        for here in hosts:
            for name, stream in here.values():
                known[name].add(stream)
        found: dict[Owner, dict[Stream, list[Key]]] = defaultdict(lambda: defaultdict(list))
        if all(len(streams) < 2 for streams in known.values()):
            return found
        for keys, here in zip(self.keys, hosts, strict=True):
            for key in keys:
                name, stream = here.get(key.series.host, ("", ("", "")))
                if len(known[name]) > 1:
                    workload = aliases.get((name, key.series.workload), key.series.workload)
                    found[measure_of(key.metric), name, workload][stream].append(key)
        return found

    def _host_records(self, latest: Mapping[Raw, Known], names: Mapping[Known, str]) -> dict[str, HostRecord]:
        by_name: dict[str, list[tuple[int, int, HostRecord]]] = defaultdict(list)
        for raw, (order, record) in self.hosts.items():
            by_name[names[latest[raw]]].append((rank(latest[raw][0]), -order, record))
        return {
            name: merged_host(name, [record for _, _, record in sorted(own, key=lambda it: (it[:2], it[2].name))])
            for name, own in by_name.items()
        }

    def _workload_records(
        self,
        latest: Mapping[Raw, Known],
        names: Mapping[Known, str],
        streams: Mapping[Known, Stream],
        aliases: Mapping[Place, str],
        now: Mapping[Place, Place],
    ) -> dict[str, WorkloadRecord]:
        newest: dict[tuple[str, Stream], _Listing] = {}
        for raw, listing in sorted(self.listings.items(), key=lambda item: item[1].order):
            host = names[latest[raw]] if raw in latest else ""
            stream = streams[latest[raw]] if raw in latest else (raw[0], "")
            newest[host, stream] = listing
        found: dict[Place, list[WorkloadRecord]] = defaultdict(list)
        for (host, _), listing in sorted(newest.items(), key=lambda item: (rank(item[0][1][0]), item[0])):
            for name, record in listing.workloads.items():
                place = host, aliases.get((host, name), name)
                if now.get(place, place) == place:
                    found[place].append(record)
        return {workload_name(*place): merged_workload(*place, records) for place, records in found.items()}


def _between_s(keys: Iterable[Key]) -> dict[str, tuple[int, int]]:
    """First and last time by host."""
    found: dict[str, tuple[int, int]] = {}
    for key in keys:
        before = found.get(key.series.host)
        if before is None:
            found[key.series.host] = key.first_s, key.last_s
        elif key.first_s < before[0] or key.last_s > before[1]:
            found[key.series.host] = min(before[0], key.first_s), max(before[1], key.last_s)
    return found


def _streams(sightings: Iterable[Sighting], names: Mapping[Known, str]) -> dict[Known, Stream]:
    """A source's stream of each host; under several names at once it has several."""
    own: dict[tuple[str, str], list[Sighting]] = defaultdict(list)
    for one in sightings:
        own[names[one.source, one.name, one.machine_id], one.source].append(one)
    found: dict[Known, Stream] = {}
    for (_, source), group in own.items():
        several = len({one.name for one in group}) > 1 and together([it for it in group if it.between_s], "name")
        for one in group:
            found[one.source, one.name, one.machine_id] = source, one.name if several else ""
    return found
