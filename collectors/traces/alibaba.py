"""Alibaba cluster trace 2018 (4,000 machines, 8 days): machines and containers, with headerless CSV tables.

Columns are those of the data set's ``schema.txt``. A container's CPU is percent of what it requested, as the trace of
2017 defines the same column; a machine's is percent of its processors. Memory is published in hundredths of the
largest machine's: ``MEMORY_UNIT_BYTES`` makes one of them up, the same for machines and containers, so that what fits
is what fitted. Disk and network are normalised to nobody knows what, and left out. Times count seconds from a start
without a date; ``ORIGIN_S`` is made up as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from collectors.records import HostRecord, NoteRecord, Series, TraceError, WorkloadRecord
from collectors.tables.engine import Engine, engine
from collectors.tables.packed import check
from collectors.tables.query import headless
from collectors.traces.files import find

ORIGIN_S = 1_514_764_800
"""2018-01-01 00:00 UTC."""
MEMORY_UNIT_BYTES = 1 << 30
_MACHINE_META = {
    "machine": "VARCHAR",
    "second": "DOUBLE",
    "domain_1": "VARCHAR",
    "domain_2": "VARCHAR",
    "cpus": "DOUBLE",
    "memory": "DOUBLE",
    "status": "VARCHAR",
}
_CONTAINER_META = {
    "container": "VARCHAR",
    "machine": "VARCHAR",
    "second": "DOUBLE",
    "app": "VARCHAR",
    "status": "VARCHAR",
    "cpu_request": "DOUBLE",
    "cpu_limit": "DOUBLE",
    "memory": "DOUBLE",
}
_USAGE = {"second": "DOUBLE", "cpu_percent": "DOUBLE", "memory_percent": "DOUBLE"}
_MACHINE_REST = ("mem_gps", "mkpi", "net_in", "net_out", "disk_io_percent")
_CONTAINER_REST = ("cpi", "mem_gps", "mpki", "net_in", "net_out", "disk_io_percent")
_MACHINE_USAGE = {"machine": "VARCHAR", **_USAGE, **dict.fromkeys(_MACHINE_REST, "VARCHAR")}
_CONTAINER_USAGE = {
    "container": "VARCHAR",
    "machine": "VARCHAR",
    **_USAGE,
    **dict.fromkeys(_CONTAINER_REST, "VARCHAR"),
}
_REPAIR = "repair the line, or fetch the file again"
_METRICS = ("cpu_cores", "memory_working_set_bytes")


def read(folder: Path) -> Iterator[HostRecord | WorkloadRecord | Series | NoteRecord]:
    """Yield machines and containers of a folder that holds the tables' CSV files, plain or gzipped."""
    files = {
        name: _files(folder, name) for name in ("machine_meta", "machine_usage", "container_meta", "container_usage")
    }
    if not any(files.values()):
        raise TraceError(f"{folder}: no table of the trace; unpack its archives and give their folder")
    for kind in ("machine", "container"):
        if files[f"{kind}_usage"] and not files[f"{kind}_meta"]:
            raise TraceError(
                f"{folder}: {kind}_usage.csv without {kind}_meta.csv, which says what its percentages are of"
            )
    check(path for paths in files.values() for path in paths)
    if files["machine_meta"]:
        yield from _machines(files)
    if files["container_meta"]:
        yield from _containers(files)
    yield NoteRecord("alibaba", "memory sizes and dates are made up, disk and network are not known in bytes")


def _files(folder: Path, name: str) -> list[Path]:
    return [path for path in find(folder, "**/*") if path.name in (f"{name}.csv", f"{name}.csv.gz")]


def _machines(files: Mapping[str, list[Path]]) -> Iterator[HostRecord | Series]:
    meta = files["machine_meta"]
    with engine(str(meta[0]), _REPAIR, _REPAIR) as trace:
        trace.rows(f"""
            CREATE TEMP TABLE sizes AS
            SELECT machine AS name, max(cpus) AS cores, max(memory) AS memory, '' AS app
            FROM {headless(meta, _MACHINE_META)} GROUP BY machine
        """)
        for name, cores, memory, _ in _sizes(trace, meta[0]):
            yield HostRecord(str(name), capacity=_amounts(cores, memory))
        if files["machine_usage"]:
            yield from _usage(trace, "machine", headless(files["machine_usage"], _MACHINE_USAGE), "machine", "''")


def _containers(files: Mapping[str, list[Path]]) -> Iterator[WorkloadRecord | Series]:
    meta = files["container_meta"]
    with engine(str(meta[0]), _REPAIR, _REPAIR) as trace:
        trace.rows(f"""
            CREATE TEMP TABLE sizes AS
            SELECT container AS name, max(cpu_request) / 100 AS cores, max(memory) AS memory, min(app) AS app,
                   arg_max(machine, second) AS machine
            FROM {headless(meta, _CONTAINER_META)} GROUP BY container
        """)
        machines = dict(trace.rows("SELECT name, machine FROM sizes"))
        for name, cores, memory, app in _sizes(trace, meta[0]):
            limits, host = _amounts(cores, memory), str(machines[name] or "")
            yield WorkloadRecord(str(name), "container", host=host, limits=limits, group=str(app or ""))
        if files["container_usage"]:
            usage = headless(files["container_usage"], _CONTAINER_USAGE)
            yield from _usage(trace, "container", usage, "coalesce(sizes.machine, '')", "name")


def _sizes(trace: Engine, file: Path) -> list[tuple[Any, ...]]:
    """(name, cores, memory, application) of everything; refused where that is no size."""
    fault = "name IS NULL OR NOT coalesce(cores, 1) BETWEEN 0 AND 1e6 OR NOT coalesce(memory, 1) BETWEEN 0 AND 1e6"
    for name, cores, memory in trace.rows(f"SELECT name, cores, memory FROM sizes WHERE {fault} LIMIT 1"):
        raise TraceError(f"{file}: {str(name)[:40]}: {cores} cores and {memory} of memory are no size; {_REPAIR}")
    return trace.rows("SELECT name, cores, memory, app FROM sizes ORDER BY name")


def _amounts(cores: object, memory: object) -> dict[str, int]:
    amounts = {}
    if isinstance(cores, float) and cores > 0:
        amounts["cpu_milli"] = int(cores * 1000)
    if isinstance(memory, float) and memory > 0:
        amounts["memory_bytes"] = int(memory * MEMORY_UNIT_BYTES)
    return amounts


def _usage(trace: Engine, key: str, usage: str, host: str, workload: str) -> Iterator[Series]:
    """Percentages of what is known of sizes; a cell that is empty, or beyond 0 to 100 as some are, is absent."""
    trace.find(
        f"""
        SELECT {host} AS host, {workload} AS workload, floor({ORIGIN_S} + usage.second)::BIGINT AS at_s,
               CASE WHEN cpu_percent >= 0 THEN cpu_percent / 100 * cores END AS m0,
               CASE WHEN memory_percent BETWEEN 0 AND 100
                    THEN memory_percent / 100 * memory * {MEMORY_UNIT_BYTES} END AS m1
        FROM {usage} AS usage JOIN sizes ON usage.{key} = sizes.name
        """,
        ("m0", "m1"),
    )
    yield from trace.series(_METRICS)
