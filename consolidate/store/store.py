"""The sample store: a directory of immutable segments.

    STORE/store.json                 {"schema": 1}
    STORE/segment-…/samples.parquet  key, at_s, value; ordered by key and time
    STORE/segment-…/keys.json        metric, host, workload, incarnation, first and last time, samples; in order
    STORE/segment-…/inventory.json   hosts and workloads as they were seen

Names stand in the keys once, not beside every sample: a metric of some workloads is then a range of numbers, which a
reader gets in order without a join or a sort.

A segment is written under a temporary name, flushed, and renamed: a kill at any moment leaves either the whole
segment or none of it, and a reader never meets half of one. Nothing is changed afterwards; retention removes
whole segments.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import time
import uuid
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from collectors.records import METRICS, HostRecord, Record, Sample, Series, WorkloadRecord, as_fields
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
        self._known_keys: dict[str, list[_Key]] = {}
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
            inventory = {"hosts": list(map(as_fields, hosts)), "workloads": list(map(as_fields, workloads))}
            _write_durably(temporary / "inventory.json", json.dumps(inventory))
            first = last = 0
            if samples:
                first = min(int(one.at_s[0]) for one in series)
                last = max(int(one.at_s[-1]) for one in series)
                _write_samples(temporary, series)
            # The name orders segments by their newest sample, which retention and the inventory go by.
            # Equal ones are ordered by when they were written.
            written = f"{time.time_ns():020d}{uuid.uuid4().hex[:4]}"
            temporary.rename(self.path / f"segment-{last:012d}-{first:012d}-{written}")
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _sync_directory(self.path)
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
                found.setdefault(entry.get("host", ""), {})[entry["name"]] = WorkloadRecord(**entry)
        return {workload_name(host, name): record for host, own in found.items() for name, record in own.items()}

    def columns(self, metric: str, workloads: Container[str] | None = None) -> Columns:
        """Every sample of a metric, ordered by series and time; of some of the fleet's workloads, or of all."""
        chosen = [
            (
                path,
                [key for key in keys if key.metric == metric and (workloads is None or key.series.name in workloads)],
            )
            for path, keys in self._keys()
        ]
        series = sorted({key.series for _, keys in chosen for key in keys})
        position = {one: index for index, one in enumerate(series)}
        parts = [
            _read_samples(path, keys, np.array([position[key.series] for key in keys])) for path, keys in chosen if keys
        ]
        if not parts:
            return Columns.empty()
        if len(parts) == 1:
            return Columns(tuple(series), *parts[0])
        owner, at_s, value = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        # Segments are older and newer: within a series their order is that of time.
        if (np.diff(owner) < 0).any():
            order = np.argsort(owner, kind="stable")
            owner, at_s, value = owner[order], at_s[order], value[order]
        return Columns(tuple(series), owner, at_s, value)

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

    def _keys(self) -> list[tuple[Path, list[_Key]]]:
        """Keys of every segment that holds samples, oldest first; read once, since segments never change."""
        found = []
        for path, _, last in self._segments():
            if last:
                if path.name not in self._known_keys:
                    self._known_keys[path.name] = _read_keys(path)
                found.append((path, self._known_keys[path.name]))
        return found

    def _check_clock(self, series: Sequence[Series]) -> None:
        newest: dict[tuple[str, str], int] = {}
        for _, keys in self._keys():
            for key in keys:
                owner = (key.series.host, key.series.workload)
                newest[owner] = max(key.last_s, newest.get(owner, 0))
        for one in series:
            before = newest.get((one.host, one.workload or ""))
            if before is not None and one.at_s[0] < before:
                name = one.workload or one.host
                raise InputError(
                    f"{self.path}: {name} is already stored until {_utc(before)}, so a sample of {_utc(one.at_s[0])} "
                    "goes back in time; correct the clock, or import into a new store"
                )


@dataclass(frozen=True)
class _Key:
    """One series of one metric in a segment."""

    number: int
    metric: str
    series: SeriesKey
    last_s: int
    samples: int


def _read_keys(segment: Path) -> list[_Key]:
    try:
        rows = json.loads((segment / "keys.json").read_text(encoding="utf-8"))
        return [
            _Key(number, metric, SeriesKey(host, workload, incarnation), last_s, samples)
            for number, (metric, host, workload, incarnation, _, last_s, samples) in enumerate(rows)
        ]
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{segment}: damaged ({error}); remove this segment and import it again") from None


def _read_samples(
    segment: Path, keys: Sequence[_Key], owners: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """(owner, at_s, value) of some keys of a segment, in their order; the keys are those of a few neighbours."""
    low, high = keys[0].number, keys[-1].number
    columns = "at_s, value" if len(keys) == high - low + 1 else "at_s, value, key"
    try:
        with duckdb.connect() as connection:
            samples = connection.read_parquet(str(segment / "samples.parquet"))
            rows = samples.filter(f"key between {low} and {high}").project(columns).fetchnumpy()
    except duckdb.Error:
        rows = {"at_s": np.empty(0)}
    at_s, value = np.asarray(rows["at_s"], dtype=np.int64), np.asarray(rows.get("value", np.empty(0)), dtype=np.float64)
    if "key" in rows:
        wanted = np.isin(rows["key"], [key.number for key in keys])
        at_s, value = at_s[wanted], value[wanted]
    if len(at_s) != sum(key.samples for key in keys):
        raise StoreError(f"{segment}: truncated or damaged; remove this segment and import it again")
    return np.repeat(owners, [key.samples for key in keys]), at_s, value


def _write_samples(segment: Path, series: Sequence[Series]) -> None:
    ordered = sorted(series, key=lambda one: (one.metric, one.host, one.workload or "", one.incarnation))
    keys = [
        (one.metric, one.host, one.workload or "", one.incarnation, int(one.at_s[0]), int(one.at_s[-1]), len(one.at_s))
        for one in ordered
    ]
    _write_durably(segment / "keys.json", json.dumps(keys))
    columns = {
        "key": np.repeat(np.arange(len(ordered), dtype=np.int32), [len(one.at_s) for one in ordered]),
        "at_s": np.concatenate([one.at_s for one in ordered]).astype(np.int64, copy=False),
        "value": np.concatenate([one.value for one in ordered]),
    }
    path = segment / "samples.parquet"
    with duckdb.connect() as connection:
        connection.register("samples", columns)
        target = str(path).replace("'", "''")
        connection.execute(f"copy samples to '{target}' (format parquet, parquet_version v2, compression zstd)")
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
    series = [one for one in series if len(one.at_s)]
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
