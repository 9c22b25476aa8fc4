"""Text that exporters answer a scrape with, saved to a file: one round of samples, by the same tables as a pull.

The format is Prometheus' text format 0.0.4. A sample without a timestamp is of the time that the file was written.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from collectors.prometheus.answer import Found
from collectors.prometheus.assemble import Assembler
from collectors.prometheus.identity import Joined, Names, Sighting, Subject, unify
from collectors.prometheus.mapping import load_mapping
from collectors.prometheus.plan import START, Ask, Grid
from collectors.prometheus.promql import Source
from collectors.prometheus.survey import Survey, host_facts, reduced_to
from collectors.prometheus.table import Mapped, Table
from collectors.records import NoteRecord, Record, TraceError
from collectors.traces.files import EARLIEST_S, LATEST_S, find, load

SOURCE = "exposition"
_COMBINE: Mapping[str, Callable[[list[float]], float]] = {"sum": sum, "max": max, "count": len}


@dataclass(frozen=True)
class Line:
    """One sample as it is written."""

    metric: str
    labels: Mapping[str, str]
    value: float
    at_s: int


def read(place: Path) -> Iterator[Record]:
    """Yield the records of one file, or of every file below a folder, each of one exporter.

    Raises:
        TraceError: with the file, the line, the value and the remedy.

    """
    mapped = load_mapping()
    for path in find(place, "**/*") if place.is_dir() else [place]:
        text = load(path)
        lines = parse(text, str(path), int(path.stat().st_mtime))
        yield from _Round(lines, path.stem).records(mapped, str(path))


def parse(text: str, name: str, written_s: int) -> list[Line]:
    """Every sample of a file; ``written_s`` is the time of those that have none of their own."""
    lines = []
    # Labels may hold what other functions take for the end of a line: firmware leaves odd bytes in its names.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                (family,) = text_string_to_metric_families(line)
                (sample,) = family.samples
                at_s = written_s if sample.timestamp is None else int(float(sample.timestamp))
                value = float(sample.value)
            except (ValueError, TypeError, IndexError, KeyError, OverflowError):
                raise TraceError(
                    f"{name}:{number}: {line[:60]!r} is not a sample; save what the exporter answers, as it is"
                ) from None
            if not EARLIEST_S <= at_s < LATEST_S:
                raise TraceError(
                    f"{name}:{number}: {at_s} s is not a time between 2000 and 2100; correct the timestamp or the "
                    "file's date"
                )
            lines.append(Line(sample.name, sample.labels, value, at_s))
    if not lines:
        raise TraceError(f"{name}: no samples; save what the exporter answers to a scrape")
    return lines


class _Round:
    """The samples of one file."""

    def __init__(self, lines: Sequence[Line], target: str) -> None:
        """A target's name stands in for the labels that a scrape would add."""
        self._by_metric: dict[str, list[Line]] = defaultdict(list)
        for line in lines:
            labels = {"instance": target, **line.labels}
            self._by_metric[line.metric].append(replace(line, labels=labels))
        self._last_s = max(line.at_s for line in lines)

    def records(self, mapped: Mapped, name: str) -> Iterator[Record]:
        """Everything that a table knows."""
        survey = self._survey(mapped)
        asks = [
            (Ask(table, metric, "raw", (source,)), self._found(table, source))
            for table in survey.tables
            for metric, source in [*table.metrics.items(), *([(START, table.start)] if table.start else [])]
        ]
        if not any(found for _, found in asks):
            known = ", ".join(table.name for table in mapped.tables)
            raise TraceError(f"{name}: nothing that a table knows ({known}); give an exporter of one of them")
        assembler = Assembler(survey, window_s=0)
        yield from assembler.records(asks, Grid(self._last_s, self._last_s, 1))
        yield from (NoteRecord(SOURCE, note) for note in survey.notes)

    def _survey(self, mapped: Mapped) -> Survey:
        there = self._by_metric.keys()
        tables, notes = [], []
        for table in mapped.tables:
            reduced, missing = reduced_to(_without_expressions(table), there)
            if reduced is not None and any(self._found(reduced, source) for source in reduced.sources):
                tables.append(reduced)
                notes += missing
        joined = {table.name: [Joined.of(one, self._info(one.series)) for one in table.info] for table in tables}
        hosts = [(table, self._sightings(table)) for table in tables if table.record == "host"]
        names, doubts = unify(joined, hosts, mapped.hosts)
        amounts = self._amounts(tables, names)
        return Survey(tuple(tables), {}, names, host_facts(hosts, names), amounts, (*notes, *doubts))

    def _amounts(self, tables: Iterable[Table], names: Names) -> dict[Subject, dict[str, int]]:
        amounts: dict[Subject, dict[str, int]] = {}
        for table in tables:
            for dimension, source in table.amounts.items():
                for one in self._found(table, source):
                    subject = names.subject(table, names.enrich(table, one.labels))
                    if subject is not None and one.value[-1] > 0:
                        amounts.setdefault(subject, {}).setdefault(dimension, int(one.value[-1]))
        return amounts

    def _sightings(self, table: Table) -> list[Sighting]:
        found = [one for source in table.sources for one in self._found(table, source)]
        return [Sighting(dict(labels), self._last_s) for labels in {tuple(one.labels.items()) for one in found}]

    def _info(self, metric: str) -> list[Found]:
        return [_point(line.labels, line.at_s, line.value) for line in self._by_metric.get(metric, ())]

    def _found(self, table: Table, source: Source) -> list[Found]:
        """Values of a source, one for each set of labels that matter, as PromQL would have them."""
        gained = self._combined(table, source, source.metric)
        lost = self._combined(table, source, source.less) if source.less else {key: (0.0, 0) for key in gained}
        points = []
        for key, (value, at_s) in gained.items():
            if key in lost:
                amount = (value - lost[key][0]) * source.factor
                if np.isfinite(amount) and (source.above is None or amount > source.above):
                    points.append(_point(dict(key), at_s, amount))
        return points

    def _combined(
        self, table: Table, source: Source, metric: str
    ) -> dict[tuple[tuple[str, str], ...], tuple[float, int]]:
        values: dict[tuple[tuple[str, str], ...], list[Line]] = defaultdict(list)
        for line in self._by_metric.get(metric, ()):
            if _matches(line.labels, source):
                values[tuple((label, line.labels[label]) for label in table.by if line.labels.get(label))].append(line)
        combine = _COMBINE[source.combine]
        return {
            key: (combine([line.value for line in own]), max(line.at_s for line in own)) for key, own in values.items()
        }


def _without_expressions(table: Table) -> Table:
    """A table of what can be told without a monitoring system to calculate it."""
    plain = {name: source for name, source in table.metrics.items() if not source.expression}
    amounts = {name: source for name, source in table.amounts.items() if not source.expression}
    start = table.start if table.start is not None and not table.start.expression else None
    return replace(table, metrics=plain, amounts=amounts, start=start, resets=None)


def _matches(labels: Mapping[str, str], source: Source) -> bool:
    return all(re.fullmatch(pattern, labels.get(label, "")) for label, pattern in source.where.items()) and not any(
        re.fullmatch(pattern, labels.get(label, "")) for label, pattern in source.without.items()
    )


def _point(labels: Mapping[str, str], at_s: int, value: float) -> Found:
    return Found(labels, np.array([at_s], dtype=np.int64), np.array([value], dtype=np.float64))
