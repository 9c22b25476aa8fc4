"""One segment's files: written whole, never changed, checked when they are read."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from collectors.records import Series
from consolidate.errors import StoreError
from consolidate.model.series import SeriesKey
from consolidate.store.keys import Key

INVENTORY = "inventory.json"
REPLACES = "replaces.json"


@dataclass(frozen=True)
class Origin:
    """Where a segment comes from."""

    source: str
    machines: Mapping[str, str]
    """Identifier of each of its hosts, empty where it is not known."""
    received: frozenset[str]
    """Names under which its parts were received."""


def segment_name(first_s: int, last_s: int) -> str:
    """Name of a new segment, by which they are ordered: by their newest sample, then by when they were written."""
    return f"segment-{last_s:012d}-{first_s:012d}-{time.time_ns():020d}{uuid.uuid4().hex[:4]}"


def times_of(path: Path) -> tuple[int, int]:
    """Time of a segment's first and last sample; 0 where it has none.

    Raises:
        StoreError: where it has not the name of a segment.

    """
    try:
        _, last, first, _ = path.name.split("-")
        return int(first), int(last)
    except ValueError:
        raise StoreError(f"{path}: not a segment's name; remove it from the store") from None


def read_inventory(path: Path) -> Mapping[str, Any]:
    """What a segment says that it has seen.

    Raises:
        StoreError: where it is damaged.

    """
    try:
        inventory: Mapping[str, Any] = json.loads((path / INVENTORY).read_text(encoding="utf-8"))
        complete = isinstance(inventory["hosts"], list) and isinstance(inventory["workloads"], list)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: damaged ({error!r}); remove this segment and import it again") from None
    if not complete:
        raise StoreError(f"{path}: damaged; remove this segment and import it again")
    return inventory


def inventories(inventory: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A segment's inventory, after those of the segments that it was made of."""
    return [*inventory.get("earlier", ()), inventory]


def origin_of(inventory: Mapping[str, Any]) -> Origin:
    """Where the segment with this inventory comes from."""
    machines: dict[str, str] = {}
    for one in inventories(inventory):
        machines |= {entry["name"]: entry.get("machine_id", "") for entry in one["hosts"]}
    return Origin(inventory.get("source", ""), machines, frozenset(inventory.get("received", ())))


def replaced_by(path: Path) -> frozenset[str]:
    """Names of the segments that this one was made of."""
    try:
        return frozenset(json.loads((path / REPLACES).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{path}: damaged ({error!r}); remove this segment and import it again") from None


def read_keys(segment: Path) -> list[Key]:
    """Which series it holds, in order.

    Raises:
        StoreError: where it is damaged.

    """
    try:
        rows = json.loads((segment / "keys.json").read_text(encoding="utf-8"))
        return [
            Key(number, metric, SeriesKey(host, workload, incarnation), first_s, last_s, samples)
            for number, (metric, host, workload, incarnation, first_s, last_s, samples) in enumerate(rows)
        ]
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{segment}: damaged ({error}); remove this segment and import it again") from None


def read_samples(
    segment: Path, keys: Sequence[Key], owners: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """(owner, at_s, value) of some keys of a segment, in their order; the keys are those of a few neighbours.

    Raises:
        StoreError: where it is damaged.

    """
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


def write_samples(segment: Path, series: Sequence[Series]) -> None:
    """Write the samples and their keys, and wait until the disk has them."""
    ordered = sorted(series, key=lambda one: (one.metric, one.host, one.workload or "", one.incarnation))
    write_keys(
        segment,
        [
            Key(
                number,
                one.metric,
                SeriesKey(one.host, one.workload or "", one.incarnation),
                int(one.at_s[0]),
                int(one.at_s[-1]),
                len(one.at_s),
            )
            for number, one in enumerate(ordered)
        ],
    )
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


def write_keys(segment: Path, keys: Sequence[Key]) -> None:
    """Write which series it holds, given in order, and wait until the disk has it."""
    rows = [(*key.identity, key.first_s, key.last_s, key.samples) for key in keys]
    write_durably(segment / "keys.json", json.dumps(rows))


def write_durably(path: Path, text: str) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Wait until the disk has a directory's entries."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
