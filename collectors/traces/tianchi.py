"""Alibaba's global scheduling contest (Tianchi 2018): a day of applications at 98 points, and where they run.

An archive or a folder with ``…app_resources…``, ``…machine_resources…`` and ``…instance_deploy…`` CSV files, without
headers: application, CPU and memory curves, disk and three kinds of slots; machine and its capacities; instance,
application and machine, which is empty for an instance that is yet to be placed. The points are taken to be 15 minutes
apart, from a day that is made up; memory is in units of one GiB.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from collectors.records import HostRecord, NoteRecord, Series, TraceError, WorkloadRecord
from collectors.traces.files import find, load

T = TypeVar("T")
ORIGIN_S = 1_514_764_800
"""2018-01-01 00:00 UTC."""
POINTS = 98
INTERVAL_S = 900
MEMORY_UNIT_BYTES = 1 << 30
_LIMIT_BYTES = 1 << 30
_TOO_MUCH = 1e9
_REPAIR = "repair the line, or fetch the archive again"


@dataclass(frozen=True, eq=False)
class App:
    """What every instance of an application takes, at each point."""

    cores: NDArray[np.float64]
    memory_bytes: NDArray[np.float64]


def read(place: Path) -> Iterator[HostRecord | WorkloadRecord | Series | NoteRecord]:
    """Yield machines, instances and their curves."""
    texts = _texts(place)
    apps = dict(_rows(*texts["app_resources"], parse_app))
    hosts = [host for host in _rows(*texts["machine_resources"], parse_machine)]
    yield from hosts
    machines = {host.name for host in hosts}
    at_s = ORIGIN_S + INTERVAL_S * np.arange(POINTS, dtype=np.int64)
    name, text = texts["instance_deploy"]
    for number, (instance, app, machine) in enumerate(_rows(name, text, parse_instance), start=1):
        if app not in apps or (machine and machine not in machines):
            missing = f"application {app[:40]!r}" if app not in apps else f"machine {machine[:40]!r}"
            raise TraceError(f"{name}: instance {number}: no {missing} in the other tables; {_REPAIR}")
        curve = apps[app]
        limits = {"cpu_milli": int(curve.cores.max() * 1000), "memory_bytes": int(curve.memory_bytes.max())}
        yield WorkloadRecord(instance, "container", host=machine, limits=limits, group=app)
        yield Series(machine, instance, "", "cpu_cores", at_s, curve.cores)
        yield Series(machine, instance, "", "memory_working_set_bytes", at_s, curve.memory_bytes)
    yield NoteRecord("tianchi", "disk, slots and the rules of interference are not imported; the date is made up")


def _texts(place: Path) -> dict[str, tuple[str, str]]:
    """(file name, text) of the three tables."""
    tables = ("app_resources", "machine_resources", "instance_deploy")
    if place.is_dir():
        paths = find(place, "**/*.csv")
        found = {table: [(str(path), load(path)) for path in paths if table in path.name] for table in tables}
    else:
        found = {table: list(_unzipped(place, table)) for table in tables}
    for table, texts in found.items():
        if len(texts) != 1:
            raise TraceError(f"{place}: {len(texts)} tables {table}; give an archive or folder with one of each")
    return {table: texts[0] for table, texts in found.items()}


def _unzipped(archive: Path, table: str) -> Iterator[tuple[str, str]]:
    try:
        with zipfile.ZipFile(archive) as files:
            for entry in files.infolist():
                if table in entry.filename and entry.filename.endswith(".csv"):
                    if entry.file_size > _LIMIT_BYTES:
                        raise TraceError(f"{archive}: {entry.filename} unpacks to more than 1 GiB; give its folder")
                    yield f"{archive}/{entry.filename}", files.read(entry).decode("utf-8-sig")
    except TraceError:
        raise
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise TraceError(f"{archive}: cannot be unpacked ({str(error)[:100]}); fetch it again") from None


def _rows(name: str, text: str, parse: Callable[[Sequence[str]], T]) -> Iterator[T]:
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text)), start=1):
            if row:
                try:
                    yield parse(row)
                except ValueError as error:
                    raise TraceError(f"{name}:{number}: {error}; {_REPAIR}") from None
    except csv.Error as error:
        raise TraceError(f"{name}: not a CSV file ({error}); fetch it again") from None


def parse_app(row: Sequence[str]) -> tuple[str, App]:
    """An application's name and curves, or a ValueError."""
    if len(row) != 7:
        raise ValueError(f"{len(row)} cells where 7 belong")
    return row[0], App(_curve(row[1]), _curve(row[2]) * MEMORY_UNIT_BYTES)


def _curve(cell: str) -> NDArray[np.float64]:
    values = np.array([_amount(value) for value in cell.split("|")])
    if len(values) != POINTS:
        raise ValueError(f"{len(values)} points where {POINTS} belong")
    return values


def _amount(cell: str) -> float:
    try:
        amount = float(cell)
    except ValueError:
        raise ValueError(f"{cell[:40]!r} is not an amount") from None
    if not 0 <= amount < _TOO_MUCH:
        raise ValueError(f"{cell[:40]!r} is not an amount")
    return amount


def parse_machine(row: Sequence[str]) -> HostRecord:
    """A machine with its CPU and memory, or a ValueError."""
    if len(row) != 7:
        raise ValueError(f"{len(row)} cells where 7 belong")
    capacity: Mapping[str, int] = {
        "cpu_milli": int(_amount(row[1]) * 1000),
        "memory_bytes": int(_amount(row[2]) * MEMORY_UNIT_BYTES),
    }
    return HostRecord(row[0], capacity={name: size for name, size in capacity.items() if size})


def parse_instance(row: Sequence[str]) -> tuple[str, str, str]:
    """(instance, application, machine or empty), or a ValueError."""
    if len(row) != 3 or not row[0]:
        raise ValueError(f"{','.join(row)[:40]!r} is not an instance, its application and its machine")
    return row[0], row[1], row[2]
