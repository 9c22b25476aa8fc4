"""From the answers of one chunk to records: restarts found, duplicates left out, names resolved. No effects."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collectors.prometheus.answer import Found
from collectors.prometheus.identity import START_JITTER_S, Labels, Subject, facts_of
from collectors.prometheus.plan import RESETS, START, Ask, Grid
from collectors.prometheus.survey import Survey
from collectors.prometheus.table import Table
from collectors.records import HostRecord, Record, Series, WorkloadRecord

ALIVE_S = 300
"""What was seen so shortly before the end of a chunk is there; Prometheus itself looks back as far."""

_Key = tuple[str, tuple[tuple[str, str], ...]]
"""Table and labels of a series."""


@dataclass(frozen=True, eq=False)
class _Piece:
    """Values of one metric of one subject from one series of labels."""

    order: tuple[int, tuple[tuple[str, str], ...]]
    """Place of its table and its labels: of two series for the same, the first counts."""
    at_s: NDArray[np.int64]
    value: NDArray[np.float64]
    start_s: NDArray[np.int64]
    """Since when it runs, at each time; 0 where that is not known."""


@dataclass
class Tally:
    """What was left out, for the notes."""

    restarts: int = 0
    """Rates over a window in which something restarted."""
    not_finite: int = 0
    twice: dict[str, str] = field(default_factory=dict)
    """Host or workload to the labels of a second series of the same, an example each."""
    nameless: dict[str, str] = field(default_factory=dict)
    """Table to the labels of a series that tell no name, an example each."""


class Assembler:
    """Turns chunks into records, one after another: a start time is remembered from one chunk to the next."""

    def __init__(self, survey: Survey, window_s: int) -> None:
        """Begin with what is known before the first chunk."""
        self._survey, self._window_s = survey, window_s
        self._order = {table.name: place for place, table in enumerate(survey.tables)}
        self._start_s: dict[_Key, int] = {}
        self._subjects: dict[_Key, tuple[Subject | None, Labels]] = {}
        self.tally = Tally()

    def records(self, answers: Iterable[tuple[Ask, Sequence[Found]]], grid: Grid) -> Iterator[Record]:
        """Series of a chunk, then every host that is there at its end with its workloads."""
        answers = list(answers)
        starts = {_key(ask.table, one.labels): one for ask, found in answers if ask.metric == START for one in found}
        resets = {_key(ask.table, one.labels): one for ask, found in answers if ask.metric == RESETS for one in found}
        columns: dict[tuple[Subject, str], list[_Piece]] = defaultdict(list)
        present: dict[Subject, dict[str, tuple[Table, Labels]]] = defaultdict(dict)
        for ask, found in answers:
            if ask.metric in (START, RESETS):
                continue
            for one in found:
                key = _key(ask.table, one.labels)
                subject, labels = self._resolve(key, ask.table, one.labels)
                if subject is None:
                    continue
                piece = self._piece(ask, key, one, starts.get(key), resets.get(key))
                columns[subject, ask.metric].append(piece)
                if one.at_s[-1] > grid.last_s - max(ALIVE_S, grid.step_s):
                    present[subject].setdefault(ask.table.name, (ask.table, labels))
        for (subject, metric), pieces in columns.items():
            yield from self._series(subject, metric, pieces)
        yield from self._inventory(present)

    def _resolve(self, key: _Key, table: Table, labels: Labels) -> tuple[Subject | None, Labels]:
        if key not in self._subjects:
            enriched = self._survey.names.enrich(table, labels)
            subject = self._survey.names.subject(table, enriched)
            if subject is None:
                self.tally.nameless.setdefault(table.name, _told(labels))
            self._subjects[key] = subject, enriched
        return self._subjects[key]

    def _piece(self, ask: Ask, key: _Key, one: Found, start: Found | None, resets: Found | None) -> _Piece:
        at_s, value = one.at_s, one.value
        begun_s = np.zeros(len(at_s), dtype=np.int64) if start is None else self._begun(key, start, at_s)
        if ask.kind in ("rate", "peak"):
            # A rate over a window that something restarted in would count the pause before as idle.
            whole = (begun_s == 0) | (begun_s <= at_s - self._window_s)
            if resets is not None:
                whole &= ~np.isin(at_s, resets.at_s[resets.value > 0])
            if not whole.all():
                self.tally.restarts += int((~whole).sum())
                at_s, value, begun_s = at_s[whole], value[whole], begun_s[whole]
        return _Piece((self._order[ask.table.name], key[1]), at_s, value, begun_s)

    def _begun(self, key: _Key, start: Found, at_s: NDArray[np.int64]) -> NDArray[np.int64]:
        """Start time at each time, the same for all of a run however it is rounded."""
        steady = np.rint(start.value).astype(np.int64)
        current = self._start_s.get(key, int(steady[0]))
        if np.abs(steady - current).max() <= START_JITTER_S:
            steady[:] = current
        else:
            for index, value in enumerate(steady.tolist()):
                current = current if abs(value - current) <= START_JITTER_S else value
                steady[index] = current
        self._start_s[key] = int(steady[-1])
        return steady[np.maximum(np.searchsorted(start.at_s, at_s, side="right") - 1, 0)]

    def _series(self, subject: Subject, metric: str, pieces: list[_Piece]) -> Iterator[Series]:
        at_s, value, start_s = self._merged(subject, pieces)
        if not len(at_s):
            return
        bounds = [0, *(np.flatnonzero(np.diff(start_s)) + 1).tolist(), len(at_s)]
        for first, end in itertools.pairwise(bounds):
            incarnation = str(start_s[first]) if start_s[first] else ""
            part = slice(first, end)
            yield Series(subject.host, subject.workload, incarnation, metric, at_s[part], value[part])

    def _merged(
        self, subject: Subject, pieces: list[_Piece]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """One value a time: series that follow one another are joined, of two at once the first counts."""
        if len(pieces) == 1:
            return pieces[0].at_s, pieces[0].value, pieces[0].start_s
        pieces = sorted(pieces, key=lambda piece: piece.order)
        at_s = np.concatenate([piece.at_s for piece in pieces])
        order = np.argsort(at_s, kind="stable")
        first = np.concatenate([[True], np.diff(at_s[order]) > 0]) if len(at_s) else np.empty(0, dtype=bool)
        shortest = min(len(piece.at_s) for piece in pieces)
        if 0 < shortest < 2 * int((~first).sum()):
            self.tally.twice.setdefault(subject.workload or subject.host, _told(dict(pieces[1].order[1])))
        kept = order[first]
        value = np.concatenate([piece.value for piece in pieces])
        start_s = np.concatenate([piece.start_s for piece in pieces])
        return at_s[kept], value[kept], start_s[kept]

    def _inventory(self, present: Mapping[Subject, Mapping[str, tuple[Table, Labels]]]) -> Iterator[Record]:
        """Every host that something is there of, then what is there of it."""
        for host in sorted({subject.host for subject in present if subject.host}):
            facts: dict[str, Any] = {**self._survey.facts.get(host, {})}
            capacity = self._survey.amounts_of(Subject(host, None))
            yield replace(HostRecord(host, capacity=capacity), **facts)
        for subject, seen in present.items():
            if subject.workload is not None:
                kind = next(iter(seen.values()))[0].subject
                facts = {**facts_of(seen.values())}
                limits = self._survey.amounts_of(subject)
                yield replace(WorkloadRecord(subject.workload, kind, subject.host, limits=limits), **facts)


def _key(table: Table, labels: Labels) -> _Key:
    return table.name, tuple(sorted(labels.items()))


def _told(labels: Labels) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if value)
