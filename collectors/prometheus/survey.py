"""What a monitoring system has, before anything is pulled: exporters, hosts, sizes, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from collectors.prometheus.answer import Found
from collectors.prometheus.identity import Joined, Labels, Names, Sighting, Subject, facts_of, unify
from collectors.prometheus.plan import Grid
from collectors.prometheus.promql import Scope, Source, matched_labels, raw, select
from collectors.prometheus.table import Info, Mapped, Table

if TYPE_CHECKING:
    from collectors.prometheus.client import Client

_LOOKS = 100
"""How many times over the whole range labels are looked at."""


@dataclass(frozen=True)
class Survey:
    """Everything that is known before the first chunk."""

    tables: tuple[Table, ...]
    """Those that have series, with only the metrics that are there."""
    counts: Mapping[str, Mapping[str, int]]
    """Table to value of its label to number of series."""
    names: Names
    facts: Mapping[str, Mapping[str, str]]
    """Host to the texts of its record."""
    amounts: Mapping[Subject, Mapping[str, int]]
    """Capacity or limits by dimension, as of the end."""
    notes: tuple[str, ...]
    """Sentences about what is missing or could be mistaken."""

    def amounts_of(self, subject: Subject) -> dict[str, int]:
        """Capacity or limits by dimension; kube-state-metrics may not say on which host a container is."""
        return {**self.amounts.get(Subject("", subject.workload), {}), **self.amounts.get(subject, {})}


def scope_of(table: Table, matchers: tuple[str, ...], window_s: int) -> Scope:
    """What all expressions of a table share; labels that the user selects by stay, so that rules have them too."""
    return Scope(tuple(dict.fromkeys((*table.by, *matched_labels(matchers)))), matchers, window_s)


def take_survey(client: Client, mapped: Mapped, matchers: tuple[str, ...], grid: Grid) -> Survey:
    """Ask what is there.

    Raises:
        PullError: where it cannot be asked, or has nothing that any table knows.

    """
    look = _Look(client, matchers, grid)
    # A server refuses a selector that all series could match, which one of matchers alone may be.
    selector = "{" + ",".join(('__name__=~".+"', *matchers)) + "}" if matchers else ""
    there = set(client.label_values("__name__", selector, grid.first_s, grid.last_s))
    tables, counts, notes = [], {}, []
    for table in mapped.tables:
        reduced, missing = reduced_to(table, there)
        if reduced is None:
            continue
        own = look.counts(reduced)
        if own:
            tables.append(reduced)
            counts[table.name] = own
            notes += missing
    joined = {table.name: [look.joined(table, info) for info in table.info if info.series in there] for table in tables}
    hosts = [(table, look.sightings(table)) for table in tables if table.record == "host"]
    names, doubts = unify(joined, hosts, mapped.hosts)
    return Survey(
        tuple(tables), counts, names, host_facts(hosts, names), look.amounts(tables, names), (*notes, *doubts)
    )


def reduced_to(table: Table, there: Set[str]) -> tuple[Table | None, list[str]]:
    """A table without what is not there, and a sentence about that; None where nothing of it is."""
    metrics = {name: one for name, one in table.metrics.items() if there >= set(one.metrics)}
    amounts = {name: one for name, one in table.amounts.items() if there >= set(one.metrics)}
    if not metrics and not amounts:
        return None, []
    missing = [
        f"{name} (no {', '.join(one for one in source.metrics if one not in there)})"
        for name, source in table.metrics.items()
        if name not in metrics
    ]
    notes = [f"{table.name}: missing are {', '.join(missing)}"] if missing else []

    def kept(source: Source | None) -> Source | None:
        return source if source is not None and there >= set(source.metrics) else None

    start, resets = kept(table.start), kept(table.resets)
    return replace(table, metrics=metrics, amounts=amounts, start=start, resets=resets), notes


def host_facts(hosts: Sequence[tuple[Table, Sequence[Sighting]]], names: Names) -> dict[str, dict[str, str]]:
    """What is known of each host, by when it was seen last."""
    seen: dict[str, list[tuple[Table, Labels]]] = {}
    for table, sightings in hosts:
        for sighting in sorted(sightings, key=lambda one: -one.last_s):
            labels = names.enrich(table, sighting.labels)
            subject = names.subject(table, labels)
            if subject is not None:
                seen.setdefault(subject.host, []).append((table, labels))
    return {host: facts_of(own) for host, own in seen.items()}


class _Look:
    """Requests of a survey, which share their time and their matchers."""

    def __init__(self, client: Client, matchers: tuple[str, ...], grid: Grid) -> None:
        self._client, self._matchers, self._grid = client, matchers, grid
        looks = min(_LOOKS, grid.steps)
        self._step_s = -(-grid.steps // looks) * grid.step_s

    def counts(self, table: Table) -> dict[str, int]:
        """How many series a metric has, by value of the label that requests are divided by.

        What is no longer there at the end is taken to have had as many as others.
        """
        anchor = next(iter(table.sources))
        scope = scope_of(table, self._matchers, self._grid.step_s)
        metric = anchor.metrics[0]
        selector = select(metric, anchor, scope)
        values = self._client.label_values(table.split, selector, self._grid.first_s, self._grid.last_s)
        inner = f"max by ({', '.join(scope.by)}) ({selector})"
        now = self._client.query(f"count by ({table.split}) ({inner})", self._grid.last_s).series
        counted = {one.labels.get(table.split, ""): int(one.value[-1]) for one in now}
        usual = max(1, sum(counted.values()) // max(1, len(counted)))
        return {value: usual for value in values} | counted

    def joined(self, table: Table, info: Info) -> Joined:
        """The series of an ``info`` entry over the whole range."""
        by = tuple(dict.fromkeys((*info.on, *info.take)))
        return Joined.of(info, self._over_time(Source("max", info.series), Scope(by, self._matchers)))

    def sightings(self, table: Table) -> list[Sighting]:
        """Every host of a table, with when it was seen last and since when it ran then."""
        scope = scope_of(table, self._matchers, self._grid.step_s)
        anchor = next(iter(table.sources))
        seen = self._over_time(replace(anchor, combine="max", metric=anchor.metrics[0], expression="", less=""), scope)
        starts = self._over_time(table.start, scope) if table.start is not None else ()
        start_s = {_key(one.labels): float(one.value[-1]) for one in starts}
        return [Sighting(one.labels, int(one.at_s[-1]), start_s.get(_key(one.labels))) for one in seen]

    def amounts(self, tables: Sequence[Table], names: Names) -> dict[Subject, dict[str, int]]:
        """Capacities and limits as of the end; the first table that knows one counts."""
        found: dict[Subject, dict[str, int]] = {}
        for table in tables:
            scope = scope_of(table, self._matchers, self._grid.step_s)
            for dimension, source in table.amounts.items():
                for one in self._client.query(raw(source, scope), self._grid.last_s).series:
                    subject = names.subject(table, names.enrich(table, one.labels))
                    if subject is not None and one.value[-1] > 0:
                        found.setdefault(subject, {}).setdefault(dimension, int(one.value[-1]))
        return found

    def _over_time(self, source: Source, scope: Scope) -> tuple[Found, ...]:
        first_s = self._grid.last_s - (self._grid.last_s - self._grid.first_s) // self._step_s * self._step_s
        return self._client.query_range(raw(source, scope), first_s, self._grid.last_s, self._step_s).series


def _key(labels: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))
