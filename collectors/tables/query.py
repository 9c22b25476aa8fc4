"""The questions that DuckDB is asked about a table: SQL from a mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from collectors.tables.header import Header
from collectors.tables.mapping import TIME_UNITS, Amount, Given, TableMapping, TimeColumn


def quoted(name: str) -> str:
    """A column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"


def parquet(files: Sequence[Path]) -> str:
    """The table of Parquet files."""
    return f"read_parquet({_list(files)}, union_by_name = true)"


def separated(files: Sequence[Path], header: Header, mapping: TableMapping, types: Mapping[str, str]) -> str:
    """The table of CSV files that share a header; what is not used is read as text."""
    columns = ", ".join(f"{text(name)}: '{types.get(name, 'VARCHAR')}'" for name in header.columns)
    options = f"auto_detect = false, header = true, delim = {text(header.separator)}, quote = '\"', escape = '\"'"
    return f"read_csv({_list(files)}, {options}, decimal_separator = {text(mapping.decimal)}, columns = {{{columns}}})"


def _list(files: Sequence[Path]) -> str:
    return "[" + ", ".join(text(str(file)) for file in files) + "]"


def csv_types(mapping: TableMapping, time_kind: str) -> dict[str, str]:
    """How the columns that are used are to be read, so that a cell that is no number is refused with its line."""
    numbers = [it.column for it in (*mapping.metrics, *mapping.sizes)]
    numbers += [it.reference.column for it in (*mapping.metrics, *mapping.sizes) if it.reference]
    texts = [mapping.host.column, mapping.workload.column if mapping.workload else "", mapping.metric_column]
    types = (
        {name: "DOUBLE" for name in numbers} | {mapping.time.column: time_kind} | {name: "VARCHAR" for name in texts}
    )
    return {name: kind for name, kind in types.items() if name}


def is_text(time: TimeColumn) -> bool:
    """Whether times are read as text."""
    return time.unit == "text" or (bool(time.format or time.zone) and not time.unit)


def at_s(time: TimeColumn, kind: str) -> str:
    """Unix seconds of a row, from a column of a type."""
    column = quoted(time.column)
    if kind.startswith("TIMESTAMP WITH TIME ZONE"):
        return f"epoch({column})"
    if kind.startswith(("TIMESTAMP", "DATE")):
        return f"epoch(timezone({text(time.zone)}, {column}::TIMESTAMP))"
    if kind == "VARCHAR":
        return _at_s_of_text(time, column)
    return f"({column} * {TIME_UNITS[time.unit or 's']!r} + {time.origin_s!r})"


def _at_s_of_text(time: TimeColumn, column: str) -> str:
    if time.format and "%z" in time.format:
        return f"epoch(strptime({column}, {text(time.format)}))"
    local = f"strptime({column}, {text(time.format)})" if time.format else f"{column}::TIMESTAMP"
    unzoned = f"timezone({text(time.zone)}, {local})" if time.zone else _NO_ZONE.format(column)
    if time.format:
        return f"epoch({unzoned})"
    return f"epoch(CASE WHEN regexp_matches({column}, {_ZONED}) THEN {column}::TIMESTAMPTZ ELSE {unzoned} END)"


_ZONED = text(r":\d\d.*(Z|UTC|[+-]\d\d(:?\d\d)?)$")
"""Text of a time that ends in its zone."""
_NO_ZONE = "error('Value ' || {} || ' names no zone, and neither does [time]')::TIMESTAMPTZ"


def value(amount: Amount) -> str:
    """An amount in our unit; NULL where the cell is empty."""
    factor = f"{quoted(amount.column)}::DOUBLE * {amount.unit.factor!r}"
    if amount.reference is not None:
        factor += f" {'*' if amount.unit.times else '/'} {given(amount.reference)}"
    return factor


def given(it: Given) -> str:
    """A column as a number, or a number."""
    return f"{quoted(it.column)}::DOUBLE" if it.column else repr(it.value)


def name(it: Given | None) -> str:
    """A name in every row; empty where there is none."""
    if it is None:
        return "''"
    return f"coalesce({quoted(it.column)}::VARCHAR, '')" if it.column else text(str(it.value))


_OURS = quoted("metric of ours")
"""Named so that it is not a column of the table as well."""


def rows(mapping: TableMapping, table: str, time_kind: str) -> str:
    """Every row that is used: host, workload, at_s, amounts m0, m1 and on, sizes s0, s1 and on."""
    columns = [f"{name(mapping.host)} AS host", f"{name(mapping.workload)} AS workload"]
    columns.append(f"floor({at_s(mapping.time, time_kind)})::BIGINT AS at_s")
    if mapping.metric_column:
        # Texts are compared once a row, what follows compares numbers.
        known = " ".join(f"WHEN {text(it.entry)} THEN {index}" for index, it in enumerate(mapping.metrics))
        numbered = f"CASE {quoted(mapping.metric_column)}::VARCHAR {known} END::UTINYINT AS {_OURS}"
        table = f"(SELECT *, {numbered} FROM {table}) WHERE {_OURS} IS NOT NULL"
        values = " ".join(f"WHEN {index} THEN {value(it)}" for index, it in enumerate(mapping.metrics))
        columns += [f"CASE {_OURS} {values} END AS m", f"{_OURS} AS metric"]
    else:
        columns += [f"{value(amount)} AS m{index}" for index, amount in enumerate(mapping.metrics)]
    columns += [f"{value(size)} AS s{index}" for index, size in enumerate(mapping.sizes)]
    return f"SELECT {', '.join(columns)} FROM {table}"


def headless(files: Sequence[Path], types: Mapping[str, str]) -> str:
    """A table of CSV files without header, whose columns are known by place."""
    columns = "{" + ", ".join(f"{text(name)}: '{kind}'" for name, kind in types.items()) + "}"
    return f"read_csv({_list(files)}, header = false, delim = ',', auto_detect = false, columns = {columns})"
