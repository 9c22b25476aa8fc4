"""The first line of CSV files: their columns, and what separates them.

DuckDB would find both out by itself, and takes a damaged first line, and more after it, for something to leave out.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from collectors.records import TraceError

_SEPARATORS = ",;\t|"
_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True)
class Header:
    """Columns in order, and what stands between them."""

    columns: tuple[str, ...]
    separator: str


def read_header(files: Sequence[Path], separator: str) -> Header:
    """The header that all files share; an empty ``separator`` is found out.

    Raises:
        TraceError: for a file that has none, or another one than the first file.

    """
    first, *others = [(path, parse(_first_line(path), str(path), separator)) for path in files]
    for path, header in others:
        if header != first[1]:
            raise TraceError(f"{path}: other columns than {first[0]}; give files of one table")
    return first[1]


def parse(line: str, name: str, separator: str) -> Header:
    """Columns of a header."""
    separator = separator or max(_SEPARATORS, key=line.count)
    try:
        written = next(csv.reader([line], delimiter=separator), [])
    except csv.Error as error:
        raise TraceError(f"{name}:1: no header ({error}); export the table again") from None
    columns = [column or f"column {number}" for number, column in enumerate(written, start=1)]
    unseen = next((column for column in columns if not column.isprintable()), None)
    if unseen is not None:
        raise TraceError(f"{name}:1: {unseen[:40]!r} has letters that cannot be seen; export the table again, as text")
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise TraceError(f"{name}:1: two columns {twice[:40]!r}; name them apart")
    return Header(tuple(columns), separator)


def _first_line(path: Path) -> str:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            line = file.readline(_LIMIT_BYTES)
        return line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise TraceError(f"{path}:1: not text in UTF-8; export the table again") from None
    except OSError as error:
        raise TraceError(f"{path}: cannot be read ({error}); fetch the file again") from None
