"""Segments of agents (``collectors/agent/segment.py`` has the format): one file, a spool, or what a receiver got."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from collectors.agent.segment import FORMAT, SUFFIX, SegmentError, lines_of, unpack
from collectors.records import METRICS, HostRecord, Record, Series, TraceError
from collectors.traces.files import EARLIEST_S, LARGEST, LATEST_S, find
from collectors.traces.records import parse

MOST_SERIES = 10_000_000
"""Of a segment: what is more is nonsense, and would take all memory before it is found out."""


def read(place: Path) -> Iterator[Record]:
    """Yield the records of one segment, or of every one below a folder, oldest first.

    Raises:
        TraceError: with the file, the line, the value and the remedy.

    """
    for path in find(place, f"**/*{SUFFIX}") if place.is_dir() else [place]:
        try:
            yield from decode(path.read_bytes())
        except SegmentError as error:
            raise TraceError(f"{path}: {error}; fetch the segment again or remove it") from None
        except OSError as error:
            raise TraceError(f"{path}: {error.strerror}; make the file readable or remove it") from None


def decode(packed: bytes) -> list[Record]:
    """Records of one segment: its last inventory, and one series for each of its own.

    A segment that breaks off counts as far as its last whole line.

    Raises:
        SegmentError: for anything that no agent writes, with the line.

    """
    text, whole = unpack(packed)
    if not whole:
        text = text[: text.rfind("\n") + 1]
    content = _Content()
    number = 0
    for number, fields in enumerate(lines_of(text), start=1):
        try:
            content.take(fields)
        except (KeyError, TypeError) as error:
            raise SegmentError(f"line {number}: not what an agent writes ({error!r})") from None
        except ValueError as error:
            raise SegmentError(f"line {number}: {error}") from None
    if not content.host:
        raise SegmentError("no line says which host it is of")
    return content.records()


@dataclass
class _Content:
    """What the lines so far came to."""

    host: str = ""
    inventory: list[Record] = field(default_factory=list)
    names: list[tuple[str | None, str, str]] = field(default_factory=list)
    """(workload, incarnation, metric) of each series."""
    current: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """Its value now; NaN where it is absent."""
    at_s: list[int] = field(default_factory=list)
    rows: list[NDArray[np.float64]] = field(default_factory=list)

    def take(self, fields: Mapping[str, object]) -> None:
        """One line.

        Raises:
            ValueError: where it cannot be.

        """
        kind = fields.get("type")
        if kind == "Segment":
            self._begin(fields)
        elif not self.host:
            raise ValueError("comes before the line that says which host it is of")
        elif kind == "Round":
            self._round(fields)
        elif kind == "Series":
            self._series(fields)
        else:
            record = parse(json.dumps(fields))
            if isinstance(record, HostRecord):  # an inventory begins with its host and is told whole
                self.inventory = []
            self.inventory.append(record)

    def records(self) -> list[Record]:
        """All of it."""
        if not self.rows or not self.names:
            return self.inventory
        values = np.full((len(self.rows), len(self.names)), np.nan)
        for row, measured in zip(values, self.rows, strict=True):
            row[: len(measured)] = measured
        at_s = np.array(self.at_s, dtype=np.int64)
        return [*self.inventory, *_columns(self.host, self.names, at_s, values)]

    def _begin(self, fields: Mapping[str, object]) -> None:
        if fields["format"] != FORMAT:
            raise ValueError(f"format {str(fields['format'])[:20]!r}, this version reads {FORMAT}")
        if not isinstance(fields["host"], str) or not fields["host"]:
            raise ValueError(f"{str(fields['host'])[:40]!r} is not a host's name")
        self.host = fields["host"]

    def _series(self, fields: Mapping[str, object]) -> None:
        workload, incarnation, metrics = fields["workload"], fields["incarnation"], fields["metrics"]
        if fields["first"] != len(self.names):
            raise ValueError(f"series {str(fields['first'])[:20]} where {len(self.names)} comes next")
        if not isinstance(workload, str | None) or not isinstance(incarnation, str) or not isinstance(metrics, list):
            raise ValueError("not a workload, its incarnation and its metrics")
        for metric in metrics:
            if not isinstance(metric, str) or metric not in METRICS:
                raise ValueError(f"{str(metric)[:40]!r} is not a metric")
        if len(self.names) + len(metrics) > MOST_SERIES:
            raise ValueError(f"more than {MOST_SERIES:,} series")
        self.names += [(workload, incarnation, metric) for metric in metrics]
        self.current = np.concatenate([self.current, np.full(len(metrics), np.nan)])

    def _round(self, fields: Mapping[str, object]) -> None:
        at_s = fields["at_s"]
        if not isinstance(at_s, int) or not EARLIEST_S <= at_s < LATEST_S:
            raise ValueError(f"{str(at_s)[:20]} is not a time between 2000 and 2100")
        if self.at_s and at_s <= self.at_s[-1]:
            raise ValueError(f"{at_s} does not come after {self.at_s[-1]}")
        changed, values = self._numbers(fields["series"]), fields["values"]
        if not isinstance(values, list) or len(values) != len(changed):
            raise ValueError(f"not as many values as the {len(changed)} series that change")
        row = self.current.copy()
        row[self._numbers(fields.get("absent", []))] = np.nan
        row[changed] = [self._value(number, value) for number, value in zip(changed, values, strict=True)]
        self.current = row
        self.at_s.append(at_s)
        self.rows.append(row)

    def _numbers(self, given: object) -> list[int]:
        if not isinstance(given, list):
            raise ValueError(f"{str(given)[:40]!r} are not numbers of series")
        for number in given:
            if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(self.names):
                raise ValueError(f"{str(number)[:20]!r} is not the number of a series")
        return given

    def _value(self, number: int, value: object) -> float:
        _, _, metric = self.names[number]
        if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < LARGEST:
            raise ValueError(f"{str(value)[:20]!r} is not a value of {metric}")
        if value < 0 and METRICS[metric].kind == "counter":
            raise ValueError(f"{metric} cannot be {value:g}")
        return float(value)


def _columns(
    host: str, names: Sequence[tuple[str | None, str, str]], at_s: NDArray[np.int64], values: NDArray[np.float64]
) -> Iterator[Series]:
    """One series a name; a workload that ended and came back with its incarnation continues its series."""
    columns: dict[tuple[str | None, str, str], NDArray[np.float64]] = {}
    for name, column in zip(names, values.T, strict=True):
        before = columns.get(name)
        columns[name] = column if before is None else np.where(np.isnan(column), before, column)
    for (workload, incarnation, metric), column in columns.items():
        measured = ~np.isnan(column)
        if measured.all():
            yield Series(host, workload, incarnation, metric, at_s, np.ascontiguousarray(column))
        elif measured.any():
            yield Series(host, workload, incarnation, metric, at_s[measured], column[measured])
