"""From labels to hosts and workloads: the same host has one name, whichever exporter speaks of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from collectors.prometheus.answer import Found
from collectors.prometheus.table import Info, Table, fill

START_JITTER_S = 5
"""A start time that differs by so little is the same: kernels and exporters round, and clocks are corrected."""

Labels = Mapping[str, str]
_PORT = re.compile(r"(\[(?P<v6>[^]]+)\]|(?P<other>[^:]+)):[0-9]+")


@dataclass(frozen=True)
class Subject:
    """What series belong to; the workload is None where the host itself is meant."""

    host: str
    workload: str | None


@dataclass(frozen=True)
class Sighting:
    """A host as one table shows it."""

    labels: Labels
    last_s: int
    start_s: float | None = None


def address(text: str) -> str:
    """An address without its port.

    >>> address("10.0.0.5:9100"), address("[fe80::1]:9100"), address("web-1")
    ('10.0.0.5', 'fe80::1', 'web-1')
    """
    match = _PORT.fullmatch(text)
    return match["v6"] or match["other"] if match else text


@dataclass(frozen=True)
class Joined:
    """The series of an ``info`` entry, by the labels that others are looked up with."""

    info: Info
    known: Mapping[tuple[str, ...], Labels]

    @classmethod
    def of(cls, info: Info, found: Iterable[Found]) -> Joined:
        """Keep of several series with the same key the one seen last."""
        newest: dict[tuple[str, ...], tuple[int, list[tuple[str, str]]]] = {}
        for one in found:
            key = tuple(one.labels.get(label, "") for label in info.on)
            taken = sorted((name, one.labels[label]) for label, name in info.take.items() if one.labels.get(label))
            seen = (int(one.at_s[-1]), taken)
            newest[key] = max(seen, newest.get(key, seen))
        return cls(info, {key: dict(taken) for key, (_, taken) in newest.items()})

    def add_to(self, labels: Labels) -> Labels:
        """Labels with those that are known of them."""
        key = tuple(labels.get(label, "") for label in self.info.on.values())
        found = self.known.get(key) if all(key) else None
        return {**labels, **found} if found else labels


@dataclass(frozen=True)
class Names:
    """Resolves the labels of every table."""

    joined: Mapping[str, Sequence[Joined]]
    """Table to its ``info`` entries, in order."""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Name or address to the host's one name."""
    stated: Mapping[str, str] = field(default_factory=dict)
    """What the user has said of names and addresses, which goes before."""

    def enrich(self, table: Table, labels: Labels) -> Labels:
        """Labels with everything that ``info`` adds."""
        for one in self.joined.get(table.name, ()):
            labels = one.add_to(labels)
        return labels

    def subject(self, table: Table, enriched: Labels) -> Subject | None:
        """Host and workload of a series; None where its labels do not tell them."""
        host = self._host(table, enriched)
        if not table.workload:
            return Subject(host, None) if host else None
        workload = fill(table.workload, enriched).strip("/")
        return Subject(host, workload) if workload else None

    def _host(self, table: Table, labels: Labels) -> str:
        written = fill(table.host, labels)
        alias = fill(table.aliases, labels)
        for name in (alias, address(alias), written, address(written)):
            if name and name in self.stated:
                return self.stated[name]
        for name in (address(alias), written, address(written)):
            if name and name in self.hosts:
                return self.hosts[name]
        return address(written)


def unify(
    joined: Mapping[str, Sequence[Joined]], seen: Sequence[tuple[Table, Sequence[Sighting]]], stated: Mapping[str, str]
) -> tuple[Names, list[str]]:
    """Names of all hosts, and sentences about those that could be mistaken.

    Args:
        joined: Table to its ``info`` entries.
        seen: Tables of hosts in order of precedence, with every host that they show.
        stated: What the user has said.

    """
    names = Names(joined)
    hosts: dict[str, str] = {}
    notes: list[str] = []
    for table, sightings in seen:
        by_name: dict[str, dict[str, Sighting]] = {}
        for sighting in sightings:
            labels = names.enrich(table, sighting.labels)
            name, alias = address(fill(table.host, labels)), address(fill(table.aliases, labels))
            one = Sighting(labels, sighting.last_s, sighting.start_s)
            by_name.setdefault(name, {}).setdefault(alias or name, one)
        for name, places in sorted(by_name.items()):
            if len(places) > 1 and _are_different(list(places.values())):
                notes.append(
                    f"{table.name}: {len(places)} hosts call themselves {name!r}, and are kept apart as "
                    f"{', '.join(sorted(places))}; give them names under [hosts] in a mapping file"
                )
                hosts |= {place: place for place in places if place not in hosts}
                continue
            known = [hosts[one] for one in (*sorted(places), name) if one in hosts]
            host = known[0] if known else name
            hosts = {place: host for place in (*places, name)} | hosts
    return Names(joined, hosts, stated), notes


def _are_different(places: Sequence[Sighting]) -> bool:
    """Whether hosts of one name are machines that ran at the same time, rather than one under several addresses."""
    newest_s = max(one.last_s for one in places)
    alive = [one for one in places if one.last_s == newest_s]
    identities = {one.labels.get("machine_id", "") for one in alive}
    if "" not in identities:
        return len(identities) > 1
    starts = [one.start_s for one in alive]
    if any(start is None for start in starts):
        return len(alive) > 1
    known = [start for start in starts if start is not None]
    return max(known) - min(known) > START_JITTER_S


def facts_of(seen: Iterable[tuple[Table, Labels]]) -> dict[str, str]:
    """Texts of a record; the first table that knows one counts."""
    facts: dict[str, str] = {}
    for table, labels in seen:
        for name, templates in table.facts.items():
            if text := fill(templates, labels):
                facts.setdefault(name, text.strip("/") if name == "cgroup" else text)
    return facts
