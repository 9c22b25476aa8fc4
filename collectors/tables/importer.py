"""Tables to records, as their mapping file says."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from collectors.records import HostRecord, Series, TraceError, WorkloadRecord
from collectors.tables import query
from collectors.tables.engine import Engine, engine
from collectors.tables.header import read_header
from collectors.tables.mapping import TableMapping, parse
from collectors.tables.packed import check
from collectors.traces.files import find, load

MAPPING = "mapping.toml"
_PARQUET, _CSV = (".parquet",), (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d*)?", re.ASCII)


def read(place: Path) -> Iterator[HostRecord | WorkloadRecord | Series]:
    """Yield hosts, workloads and series of a file, or of all tables of a folder.

    The mapping is ``NAME.mapping.toml`` beside the file, or ``mapping.toml`` in its folder.

    Raises:
        TraceError: with the file, the place, the value and the remedy.

    """
    mapping = parse(*_mapping(place))
    return read_with(mapping, _tables(place))


def _mapping(place: Path) -> tuple[str, str]:
    folder = place if place.is_dir() else place.parent
    stem = place.name.partition(".")[0]
    for path in ([] if place.is_dir() else [folder / f"{stem}.mapping.toml"]) + [folder / MAPPING]:
        if path.is_file():
            return load(path), str(path)
    wanted = MAPPING if place.is_dir() else f"{stem}.mapping.toml"
    raise TraceError(f"{place}: nothing says which column is what; write {folder / wanted}")


def _tables(place: Path) -> list[Path]:
    if place.is_file():
        if not place.name.endswith((*_PARQUET, *_CSV)):
            raise TraceError(f"{place}: neither .csv nor .parquet; give it the ending of what it is")
        return [place]
    found = [path for path in find(place, "**/*") if path.name.endswith((*_PARQUET, *_CSV))]
    if not found:
        raise TraceError(f"{place}: no .csv and no .parquet file; give the folder that holds them")
    if len({path.name.endswith(_PARQUET) for path in found}) > 1:
        raise TraceError(f"{place}: CSV and Parquet files together; give a folder of one kind")
    return found


def read_with(mapping: TableMapping, files: Sequence[Path]) -> Iterator[HostRecord | WorkloadRecord | Series]:
    """Records of tables that one mapping describes."""
    check(files)
    repair = f"repair the cell, or say in {mapping.file} what it is"
    with engine(str(files[0]), repair, f'say its unit under [time] in {mapping.file}, such as unit = "ms"') as tables:
        table, time_kind = _source(tables, mapping, files)
        long = bool(mapping.metric_column)
        amounts = ["m"] if long else [f"m{index}" for index in range(len(mapping.metrics))]
        tables.find(query.rows(mapping, table, time_kind), amounts)
        tables.refuse_nameless("host")
        yield from _inventory(tables, mapping)
        yield from tables.series([amount.name for amount in mapping.metrics], long)


def _source(tables: Engine, mapping: TableMapping, files: Sequence[Path]) -> tuple[str, str]:
    """(the table in SQL, type of its column of times)."""
    time = mapping.time
    if files[0].name.endswith(_PARQUET):
        table = query.parquet(files)
        kinds = {str(row[0]): str(row[1]) for row in tables.rows(f"DESCRIBE SELECT * FROM {table}")}
        _check_columns(mapping, list(kinds), files[0])
        kind = kinds[time.column]
    else:
        header = read_header(files, mapping.separator)
        _check_columns(mapping, header.columns, files[0])
        kind = "VARCHAR"
        if not query.is_text(time):
            table = query.separated(files, header, mapping, {})
            first = tables.rows(f"SELECT {query.quoted(time.column)} FROM {table} LIMIT 1")
            kind = "DOUBLE" if time.unit or not first or _NUMBER.fullmatch(str(first[0][0]).strip()) else "VARCHAR"
        table = query.separated(files, header, mapping, query.csv_types(mapping, kind))
    local = kind.startswith("DATE") or (kind.startswith("TIMESTAMP") and "ZONE" not in kind)
    if (local or (time.format and "%z" not in time.format)) and not time.zone:
        raise TraceError(
            f'{mapping.file}: [time]: times of column {time.column!r} name no zone; add zone = "UTC" or another'
        )
    return table, kind


def _check_columns(mapping: TableMapping, columns: Sequence[str], file: Path) -> None:
    """Refuse a mapping whose columns are not there."""
    for column in mapping.columns:
        if column not in columns:
            close = difflib.get_close_matches(column, columns, n=1)
            remedy = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(columns[:20])[:200]}"
            if len(columns) == 1:
                remedy += "; if that is more than one, say [format] separator"
            raise TraceError(f"{file}: no column {column[:40]!r} as {mapping.file} names it; {remedy}")


def _inventory(tables: Engine, mapping: TableMapping) -> Iterator[HostRecord | WorkloadRecord]:
    """Hosts and workloads with their greatest sizes."""
    greatest = "".join(f", max(s{index})" for index in range(len(mapping.sizes)))
    question = f"SELECT host, workload{greatest} FROM found GROUP BY host, workload ORDER BY host, workload"
    for host, workload, *amounts in tables.rows(question):
        sizes = _sizes(mapping, amounts)
        if workload:
            yield WorkloadRecord(str(workload), mapping.kind, host=str(host), limits=sizes)
        else:
            yield HostRecord(str(host), capacity=sizes)


def _sizes(mapping: TableMapping, amounts: Sequence[object]) -> dict[str, int]:
    named = zip((size.name for size in mapping.sizes), amounts, strict=True)
    return {name: int(amount) for name, amount in named if isinstance(amount, float) and 0 < amount < 2**63}
