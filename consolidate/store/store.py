"""The sample store: a directory of immutable segments.

    STORE/store.json                 {"schema": 1}
    STORE/segment-…/samples.parquet  host, workload, incarnation, metric, at_s, value
    STORE/segment-…/inventory.json   hosts and workloads as they were seen

A segment is written under a temporary name, flushed, and renamed: a kill at any moment leaves either the whole
segment or none of it, and a reader never meets half of one. Nothing is changed afterwards; retention removes
whole segments.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from collectors.records import METRICS, HostRecord, Record, Sample, Series, WorkloadRecord
from consolidate.errors import InputError, StoreError
from consolidate.model.series import Columns, SeriesKey, workload_name

SCHEMA = 1
_TEMPORARY = "unfinished-"
_ABANDONED_S = 3600


class Store:
    """A store on disk.

    Raises:
        StoreError: where the directory is no store, of another schema, or damaged.

    """

    def __init__(self, path: Path) -> None:
        """Open an existing store."""
        self.path = path
        self._newest: dict[tuple[str, str], int] | None = None
        try:
            schema = json.loads((path / "store.json").read_text(encoding="utf-8"))["schema"]
        except (FileNotFoundError, NotADirectoryError):
            raise StoreError(f"{path}: no sample store here; collect or import into it first") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path / 'store.json'}: damaged ({error}); restore it from a backup") from None
        if schema != SCHEMA:
            raise StoreError(f"{path}: written in schema {schema}, this version reads {SCHEMA}; use a new directory")

    @classmethod
    def create(cls, path: Path) -> Store:
        """Open a store, making an empty one where there is nothing."""
        if not (path / "store.json").exists():
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise StoreError(f"{path}: not empty and not a store; name another directory")
            try:
                path.mkdir(parents=True, exist_ok=True)
                _write_durably(path / "store.json.new", json.dumps({"schema": SCHEMA}))
                (path / "store.json.new").rename(path / "store.json")
            except OSError as error:
                raise StoreError(f"{path}: cannot be made ({error.strerror}); name another directory") from None
        return cls(path)

    def append(self, records: Iterable[Record]) -> int:
        """Add one segment and return its number of samples; all of it is kept or nothing.

        Raises:
            InputError: for a negative counter, a value that is no number, or a clock that went back.

        """
        hosts, workloads, series = _sort(records)
        samples = sum(len(one.at_s) for one in series)
        if not samples and not hosts and not workloads:
            return 0
        self._check_clock(series)
        temporary = self.path / f"{_TEMPORARY}{uuid.uuid4().hex}"
        temporary.mkdir()
        try:
            inventory = {"hosts": [asdict(host) for host in hosts], "workloads": [asdict(one) for one in workloads]}
            _write_durably(temporary / "inventory.json", json.dumps(inventory))
            first = last = 0
            if samples:
                first = min(int(one.at_s[0]) for one in series if len(one.at_s))
                last = max(int(one.at_s[-1]) for one in series if len(one.at_s))
                self._write_samples(temporary / "samples.parquet", series)
            # The name orders segments by their newest sample, which retention and the inventory go by.
            # Equal ones are ordered by when they were written.
            written = f"{time.time_ns():020d}{uuid.uuid4().hex[:4]}"
            temporary.rename(self.path / f"segment-{last:012d}-{first:012d}-{written}")
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _sync_directory(self.path)
        for one in series:
            if len(one.at_s) and self._newest is not None:
                self._newest[one.host, one.workload or ""] = int(one.at_s[-1])
        return samples

    def hosts(self) -> dict[str, HostRecord]:
        """Hosts by name, as last seen."""
        found: dict[str, HostRecord] = {}
        for inventory in self._inventories():
            found |= {entry["name"]: HostRecord(**entry) for entry in inventory["hosts"]}
        return found

    def workloads(self) -> dict[str, WorkloadRecord]:
        """Workloads by their name in the fleet: those that a host had when it was last looked at."""
        found: dict[str, dict[str, WorkloadRecord]] = {}
        for inventory in self._inventories():
            for host in inventory["hosts"]:  # the host itself was looked at, so what is not listed has ended
                found[host["name"]] = {}
            for entry in inventory["workloads"]:
                found.setdefault(entry["host"], {})[entry["name"]] = WorkloadRecord(**entry)
        return {workload_name(host, name): record for host, own in found.items() for name, record in own.items()}

    def columns(self, metric: str) -> Columns:
        """Every sample of a metric, ordered by series and time."""
        with self._samples() as connection:
            if connection is None:
                return Columns.empty()
            connection.execute(
                "create temp table keys as select row_number() over (order by host, workload, incarnation) - 1 as id, *"
                " from (select distinct host, workload, incarnation from samples where metric = ?)",
                [metric],
            )
            keys = connection.execute("select host, workload, incarnation from keys order by id").fetchall()
            rows = connection.execute(
                "select id, at_s, value from samples join keys using (host, workload, incarnation)"
                " where metric = ? order by id, at_s",
                [metric],
            ).fetchnumpy()
        return Columns(
            tuple(SeriesKey(*key) for key in keys),
            np.asarray(rows["id"], dtype=np.int64),
            np.asarray(rows["at_s"], dtype=np.int64),
            np.asarray(rows["value"], dtype=np.float64),
        )

    def span(self) -> tuple[int, int] | None:
        """First and last time measured, or None where nothing was."""
        ranges = [(first, last) for _, first, last in self._segments() if last]
        return (min(first for first, _ in ranges), max(last for _, last in ranges)) if ranges else None

    def retain(self, since_s: int) -> int:
        """Remove segments whose every sample is older, and leftovers of killed writers; return how many."""
        old = [path for path, _, last in self._segments() if 0 < last < since_s]
        # What was begun long ago belongs to a writer that was killed; a younger one may still be at work.
        left = [path for path in self.path.glob(f"{_TEMPORARY}*") if path.stat().st_mtime < time.time() - _ABANDONED_S]
        for path in [*old, *left]:
            shutil.rmtree(path, ignore_errors=True)
        return len(old)

    def _segments(self) -> list[tuple[Path, int, int]]:
        """(path, first, last), oldest first."""
        found = []
        for path in sorted(self.path.glob("segment-*")):
            try:
                _, last, first, _ = path.name.split("-")
                found.append((path, int(first), int(last)))
            except ValueError:
                raise StoreError(f"{path}: not a segment's name; remove it from the store") from None
        return found

    def _inventories(self) -> Iterator[Mapping[str, Any]]:
        for path, _, _ in self._segments():
            try:
                inventory: Mapping[str, Any] = json.loads((path / "inventory.json").read_text(encoding="utf-8"))
                complete = isinstance(inventory["hosts"], list) and isinstance(inventory["workloads"], list)
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise StoreError(f"{path}: damaged ({error!r}); remove this segment and import it again") from None
            if not complete:
                raise StoreError(f"{path}: damaged; remove this segment and import it again")
            yield inventory

    @contextlib.contextmanager
    def _samples(self) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """A connection with a view ``samples``, or None where the store holds none."""
        files = [str(path / "samples.parquet") for path, _, last in self._segments() if last]
        if not files:
            yield None
            return
        with duckdb.connect() as connection:
            try:
                connection.read_parquet(files).create_view("samples")
                yield connection
            except duckdb.Error as error:
                broken = next((file for file in files if not _is_whole(file)), None)
                if broken is None:
                    raise StoreError(f"{self.path}: cannot be read ({str(error).splitlines()[0]})") from None
                message = f"{Path(broken).parent}: truncated or damaged; remove this segment and import it again"
                raise StoreError(message) from None

    def _check_clock(self, series: Sequence[Series]) -> None:
        if self._newest is None:
            self._newest = self._read_newest()
        for one in series:
            before = self._newest.get((one.host, one.workload or ""))
            if before is not None and len(one.at_s) and one.at_s[0] < before:
                name = one.workload or one.host
                raise InputError(
                    f"{self.path}: {name} is already stored until {_utc(before)}, so a sample of {_utc(one.at_s[0])} "
                    "goes back in time; correct the clock, or import into a new store"
                )

    def _read_newest(self) -> dict[tuple[str, str], int]:
        with self._samples() as connection:
            if connection is None:
                return {}
            rows = connection.execute("select host, workload, max(at_s) from samples group by all").fetchall()
        return {(host, workload): int(at_s) for host, workload, at_s in rows}

    def _write_samples(self, path: Path, series: Sequence[Series]) -> None:
        with duckdb.connect() as connection:
            connection.execute("create table keys (id int, host text, workload text, incarnation text, metric text)")
            keys = [(i, s.host, s.workload or "", s.incarnation, s.metric) for i, s in enumerate(series)]
            connection.executemany("insert into keys values (?, ?, ?, ?, ?)", keys)
            columns = {
                "id": np.repeat(np.arange(len(series), dtype=np.int32), [len(one.at_s) for one in series]),
                "at_s": np.concatenate([one.at_s for one in series]),
                "value": np.concatenate([one.value for one in series]),
            }
            connection.register("numbers", columns)
            connection.execute(
                "copy (select host, workload, incarnation, metric, at_s, value from numbers join keys using (id)"
                f" order by metric, host, workload, at_s) to '{_quoted(path)}' (format parquet, compression zstd)"
            )
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _sort(records: Iterable[Record]) -> tuple[list[HostRecord], list[WorkloadRecord], list[Series]]:
    hosts: dict[str, HostRecord] = {}
    workloads: dict[str, dict[str, WorkloadRecord]] = {}
    series: list[Series] = []
    samples: dict[tuple[str, str | None, str, str], list[Sample]] = {}
    for record in records:
        match record:
            case HostRecord():  # a further round of this host: what ran in an earlier one may have ended
                hosts[record.name] = record
                workloads[record.name] = {}
            case WorkloadRecord():
                workloads.setdefault(record.host, {})[record.name] = record
            case Series():
                series.append(record)
            case Sample():
                samples.setdefault((record.host, record.workload, record.incarnation, record.metric), []).append(record)
    for key, points in samples.items():
        at_s = np.array([point.at_s for point in points], dtype=np.int64)
        series.append(Series(*key, at_s, np.array([point.value for point in points], dtype=np.float64)))
    for one in series:
        _check(one)
    return list(hosts.values()), [one for own in workloads.values() for one in own.values()], series


def _check(series: Series) -> None:
    name = series.workload or series.host
    if series.metric not in METRICS:
        raise InputError(f"{name}: no metric {series.metric!r}; collect again with this version's collectors")
    bad = ~np.isfinite(series.value)
    if METRICS[series.metric].kind == "counter":
        bad |= series.value < 0
    if bad.any():
        index = int(bad.argmax())
        raise InputError(
            f"{name}: {series.metric} is {series.value[index]:g} at {_utc(series.at_s[index])}, which no counter or "
            "gauge can be; find out what the source did and leave this sample out"
        )
    back = np.diff(series.at_s) < 0
    if back.any():
        index = int(back.argmax())
        raise InputError(
            f"{name}: {series.metric} jumps back from {_utc(series.at_s[index])} to {_utc(series.at_s[index + 1])}; "
            "correct the source's clock and collect again"
        )


def _utc(at_s: int | np.int64) -> str:
    try:
        return datetime.datetime.fromtimestamp(int(at_s), datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"second {at_s}"


def _is_whole(file: str) -> bool:
    try:
        with duckdb.connect() as connection:
            connection.read_parquet(file).aggregate("sum(value)").fetchall()
    except duckdb.Error:
        return False
    return True


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _write_durably(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
