"""DuckDB as the reader of tables: it reads, checks and sorts, numpy cuts; nothing here loops over samples."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from collectors.records import Series, TraceError
from collectors.tables.query import text
from collectors.traces.files import EARLIEST_S, LATEST_S

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "4GB"
"""What DuckDB may hold; beyond, it goes on on disk."""
_LINE = re.compile(r"on Line: (\d+)")


@dataclass(frozen=True)
class Engine:
    """One import: rows of host, workload, at_s and amounts, that become series."""

    connection: duckdb.DuckDBPyConnection
    file: str
    """What refusals name where DuckDB names no file."""
    repair: str
    """What to do about a cell that cannot be read."""
    when: str
    """What to do about a time that cannot be."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Answer to a question, or a TraceError with the line and what stands there."""
        import duckdb  # noqa: PLC0415 - only a table that is read takes the time to load it

        try:
            return self.connection.execute(query).fetchall()
        except duckdb.ParserException:
            raise  # no file makes a question of ours wrong
        except duckdb.Error as error:
            raise TraceError(f"{self.file}{_told(error)}; {self.repair}") from None

    def find(self, query: str, amounts: Sequence[str]) -> None:
        """Read host, workload, at_s and some amounts of every row; refuse what cannot be, with the first of it."""
        self.rows(f"CREATE TEMP TABLE found AS {query}")
        for column in amounts:
            self._refuse(f"{column} < 0 OR isinf({column})", column, "is not an amount; leave the row out")
        outside = f"at_s IS NULL OR at_s < {EARLIEST_S} OR at_s >= {LATEST_S}"
        self._refuse(outside, "at_s", f"is not a time between 2000 and 2100; {self.when}")

    def _refuse(self, fault: str, column: str, remedy: str) -> None:
        for host, workload, at_s, value in self.rows(
            f"SELECT host, workload, at_s, {column} FROM found WHERE {fault} LIMIT 1"
        ):
            at = f" at {_utc(at_s)}" if column != "at_s" and isinstance(at_s, int) else ""
            place = " ".join(str(name) for name in (host, workload) if name)
            raise TraceError(f"{self.file}: {place}{at}: {str(value)[:40]!r} {remedy}")

    def refuse_nameless(self, column: str) -> None:
        """Refuse a row whose host or workload is empty."""
        self._refuse(f"{column} = ''", column, f"names no {column}; fill it in or leave the row out")

    def series(self, metrics: Sequence[str], long: bool = False) -> Iterator[Series]:
        """Cut what was found: column m0 is the first metric, or in the ``long`` form m where ``metric`` is 0."""
        self.rows("""
            CREATE TEMP TABLE keys AS
            SELECT host, workload, (row_number() OVER (ORDER BY host, workload) - 1)::INTEGER AS id
            FROM (SELECT DISTINCT host, workload FROM found)
        """)
        keys = self.rows("SELECT host, workload FROM keys ORDER BY id")
        self.rows("""
            CREATE TEMP TABLE samples AS
            SELECT id, found.* EXCLUDE (host, workload) FROM found JOIN keys USING (host, workload) ORDER BY id, at_s
        """)
        self.rows("DROP TABLE found")
        for index, metric in enumerate(metrics):
            column, chosen = ("m", f"metric = {index} AND ") if long else (f"m{index}", "")
            # An empty cell is NULL, and what is not a number to whoever wrote it is not one here either.
            query = f"SELECT id, at_s, {column} FROM samples WHERE {chosen}{column} IS NOT NULL AND NOT isnan({column})"
            columns = self.connection.execute(query).fetchnumpy()
            ids, at_s, values = columns["id"], columns["at_s"], columns[column]
            for start, end in _runs(ids):
                host, workload = keys[ids[start]]
                yield Series(str(host), str(workload) or None, "", metric, at_s[start:end], values[start:end])


@contextlib.contextmanager
def engine(file: str, repair: str, when: str) -> Iterator[Engine]:
    """An engine that holds nothing yet, and leaves nothing behind."""
    import duckdb  # noqa: PLC0415 - only a table that is read takes the time to load it

    with tempfile.TemporaryDirectory(prefix="consolidate-table-") as folder, duckdb.connect() as connection:
        connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'; SET temp_directory = {text(folder)}")
        connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
        yield Engine(connection, file, repair, when)


def _told(error: Exception) -> str:
    """What DuckDB says, on one line, with the line of the file where it names one."""
    words = str(error).splitlines() or [""]
    line = _LINE.search(str(error))
    reason = next((one for one in words if one.startswith(("Error when", "Expected", "Value"))), words[0])
    reason = re.sub(r"^[\w ]+ Error: ", "", reason).strip().rstrip(".")
    return f"{f':{line[1]}' if line else ''}: {reason[:200]}"


def _utc(at_s: int) -> str:
    return f"{datetime.datetime.fromtimestamp(at_s, datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"


def _runs(ids: NDArray[np.int32]) -> Iterator[tuple[int, int]]:
    """(start, end) of every stretch of equal numbers."""
    edges = np.flatnonzero(np.diff(ids)) + 1
    bounds = [0, *edges.tolist(), len(ids)] if len(ids) else []
    yield from itertools.pairwise(bounds)
