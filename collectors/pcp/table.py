"""The CSV of ``pmrep -r -u -f %s -o csv``: a column for each metric and instance, a row for each time."""

from __future__ import annotations

import csv
import datetime
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collectors.records import TraceError
from collectors.traces.files import EARLIEST_S, LATEST_S

EXPORT = "pmrep -a ARCHIVE -r -u -f %s -o csv METRIC…"
_COLUMN = re.compile(r"([A-Za-z]\w*(?:\.\w+)+)(?:-(.+))?", re.ASCII | re.DOTALL)
_EPOCH = re.compile(r"\d{9,10}(\.\d*)?", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,20}(\.\d*)?(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """Cells by column, in order of time; an empty cell is a value that was not logged then, an empty column is none."""

    name: str
    at_s: NDArray[np.int64]
    cells: Mapping[tuple[str, str], Sequence[str]]
    """By metric and instance; the instance is empty for a metric that has but one value."""

    def instances(self, metric: str) -> list[str]:
        """Instances of a metric, in the file's order."""
        return [instance for name, instance in self.cells if name == metric]

    def last(self, metric: str) -> str:
        """Last word on a metric, of whichever of its instances comes first; empty where it was not logged."""
        for instance in self.instances(metric):
            for cell in reversed(self.cells[metric, instance]):
                if cell:
                    return cell
        return ""

    def numbers(self, metric: str, instance: str, whole: bool) -> NDArray[np.float64]:
        """A column as numbers, NaN where it is empty.

        Raises:
            TraceError: for a cell that is no number, or a counter that is not ``whole`` and so must be a rate.

        """
        cells = self.cells[metric, instance]
        try:
            numbers = np.array([float(cell) if _NUMBER.fullmatch(cell) else _absent(cell) for cell in cells])
        except ValueError:
            row = next(row for row, cell in enumerate(cells) if cell and not _NUMBER.fullmatch(cell))
            raise TraceError(
                f"{self.name}: row {row + 2}, {metric}: {cells[row][:40]!r} is not a number; export with `{EXPORT}`"
            ) from None
        if whole and (numbers != np.floor(numbers))[~np.isnan(numbers)].any():
            row = int(np.flatnonzero((numbers != np.floor(numbers)) & ~np.isnan(numbers))[0])
            raise TraceError(
                f"{self.name}: row {row + 2}, {metric}: {cells[row][:40]!r} is a rate, and a counter is wanted; "
                f"export with -r: `{EXPORT}`"
            )
        return numbers


def _absent(cell: str) -> float:
    if cell:
        raise ValueError
    return np.nan


def parse(text: str, name: str) -> Table:
    """The table of a file, or a TraceError with the row, the value and the remedy."""
    rows = _rows(text, name)
    header = next(rows, [])
    if not header or header[0] != "Time":
        raise TraceError(f"{name}:1: no header of pmrep, which begins with Time; export with `{EXPORT}`")
    columns = [_COLUMN.fullmatch(title) for title in header[1:]]
    unknown = next((title for title, found in zip(header[1:], columns, strict=True) if not found), None)
    if unknown is not None:
        raise TraceError(f"{name}:1: {unknown[:40]!r} is not a metric; export with `{EXPORT}`")
    times: list[int] = []
    body: list[list[str]] = []
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != len(header):
            raise TraceError(
                f"{name}: row {number}: {len(row)} cells where {len(header)} belong; export the file again"
            )
        times.append(_time(row[0], times[-1] if times else 0, f"{name}: row {number}"))
        body.append(row)
    keys = [(found[1], found[2] or "") for found in columns if found]
    values = list(zip(*body, strict=True))[1:]
    # pmrep makes a column for every instance of a metric, also where none of them ever had a value.
    cells = {key: column for key, column in zip(keys, values, strict=False) if any(column)}
    return Table(name, np.array(times, dtype=np.int64), cells)


def _rows(text: str, name: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text))
    except csv.Error as error:
        raise TraceError(f"{name}: not a CSV file ({error}); export with `{EXPORT}`") from None


def _time(written: str, before_s: int, place: str) -> int:
    at_s = float(written) if _EPOCH.fullmatch(written) else _iso(written, place)
    if not EARLIEST_S <= at_s < LATEST_S:
        raise TraceError(
            f"{place}: {written[:40]!r} is not a time between 2000 and 2100; correct the clock or delete it"
        )
    if int(at_s) < before_s:
        raise TraceError(f"{place}: {written[:40]!r} lies before the row above; sort the rows or delete it")
    return int(at_s)


def _iso(written: str, place: str) -> float:
    try:
        at = datetime.datetime.fromisoformat(written)
    except ValueError:
        raise TraceError(f"{place}: {written[:40]!r} is not a time; export with -f %s: `{EXPORT}`") from None
    if at.tzinfo is None:
        raise TraceError(
            f"{place}: {written[:40]!r} is of an unknown zone; export Unix seconds, with -f %s: `{EXPORT}`"
        )
    return at.timestamp()
