"""Many small segments become one, so that months of live samples open as fast as a day's.

An hour's segments become one when the hour is over, and a day's when the day is. The new segment names those that it
was made of (``replaces.json``), and the rename that makes it visible is what hides them: a reader sees either the
parts or the whole. The parts' files stay for an hour more, for readers that had begun before.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from consolidate.errors import StoreError
from consolidate.store.keys import Identity, Key
from consolidate.store.segment import (
    INVENTORY,
    REPLACES,
    Origin,
    inventories,
    origin_of,
    read_inventory,
    read_keys,
    replaced_by,
    segment_name,
    sync_directory,
    times_of,
    write_durably,
    write_keys,
)
from consolidate.store.store import TEMPORARY, Store

HOUR_S, DAY_S = 3600, 86400
SETTLED_S = 600
"""After the end of an hour or day, most of its segments have arrived; later ones are added by another compaction."""
_MEMORY = "512MB"
"""What is sorted beyond this spills to disk."""


@dataclass(frozen=True)
class Part:
    """A segment that may be put together with others."""

    name: str
    last_s: int
    origin: Origin


def plan(parts: Sequence[Part], now_s: int) -> list[list[Part]]:
    """Which segments become one: those of a source and of an hour or day that is over, two or more.

    A host's name that means two machines keeps its segments as they are.
    """
    together: dict[tuple[str, str, int], list[Part]] = defaultdict(list)
    for part in parts:
        for name, length_s in (("day", DAY_S), ("hour", HOUR_S)):
            number = part.last_s // length_s
            if (number + 1) * length_s + SETTLED_S <= now_s:
                together[part.origin.source, name, number].append(part)
                break
    return [one for one in together.values() if len(one) > 1 and not _ambiguous(one)]


def _ambiguous(parts: Sequence[Part]) -> bool:
    machines: dict[str, str] = {}
    return any(
        machine and machines.setdefault(host, machine) != machine
        for part in parts
        for host, machine in part.origin.machines.items()
    )


def compact(store: Store, now_s: int) -> int:
    """Put together what is over, and return how many segments were replaced.

    Only one process at a time may compact a store. A kill at any moment leaves the store as it was, or done.

    Raises:
        StoreError: where a segment is damaged.

    """
    store.sweep()
    replaced = 0
    parts = []
    for path, _, last_s in store.segments():
        inventory = read_inventory(path)
        # What managers keep for their clusters, and what an import says of itself, belongs to its own segment.
        if last_s and not inventory.get("rules") and not inventory.get("notes"):
            parts.append(Part(path.name, last_s, origin_of(inventory)))
    for together in plan(parts, now_s):
        _merge(store.path, [store.path / part.name for part in together])
        replaced += len(together)
    return replaced


def combine(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One inventory of several, oldest first: what a host was seen to have, once for as long as it did not change.

    What has changed meanwhile stays under ``earlier``, as if it still stood in segments of its own.
    """
    told: dict[str, object] = {}
    combined: list[dict[str, Any]] = [{"hosts": [], "workloads": []}]
    for one in found:
        own: dict[str, dict[str, list[Any]]] = defaultdict(lambda: {"hosts": [], "workloads": []})
        for host in one["hosts"]:
            own[host["name"]]["hosts"].append(host)
        for workload in one["workloads"]:
            own[workload.get("host", "")]["workloads"].append(workload)
        new = {name: listed for name, listed in own.items() if told.get(name) != listed}
        known = {host["name"] for host in combined[-1]["hosts"]}
        known |= {workload.get("host", "") for workload in combined[-1]["workloads"]}
        if new.keys() & known:
            combined.append({"hosts": [], "workloads": []})
        for name, listed in new.items():
            told[name] = listed
            for kind, entries in listed.items():
                combined[-1][kind] += entries
    source = found[-1].get("source", "") if found else ""
    *earlier, last = ({**one, "source": source} if source else one for one in combined)
    return {**last, "earlier": earlier} if earlier else last


def _merge(store: Path, paths: Sequence[Path]) -> None:
    temporary = store / f"{TEMPORARY}{uuid.uuid4().hex}"
    temporary.mkdir()
    try:
        found = [read_inventory(path) for path in paths]
        inventory = combine([part for one in found for part in inventories(one)])
        if received := sorted({name for one in found for name in one.get("received", ())}):
            inventory["received"] = received
        write_durably(temporary / INVENTORY, json.dumps(inventory))
        names = {path.name for path in paths}.union(*map(replaced_by, paths))
        write_durably(temporary / REPLACES, json.dumps(sorted(names)))
        _merge_samples(temporary, paths)
        times = [times_of(path) for path in paths]
        name = segment_name(min(first for first, _ in times), max(last for _, last in times))
        temporary.rename(store / name)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_directory(store)


def _merge_samples(target: Path, paths: Sequence[Path]) -> None:
    """All samples in order of their series and time, without ever holding all of them in memory."""
    stored = [read_keys(path) for path in paths]
    merged: dict[Identity, Key] = {}
    for keys in stored:
        for key in keys:
            before = merged.get(key.identity)
            merged[key.identity] = key if before is None else before.extended_by(key)
    ordered = [replace(merged[identity], number=number) for number, identity in enumerate(sorted(merged))]
    write_keys(target, ordered)
    numbers = {key.identity: key.number for key in ordered}
    files = [str(path / "samples.parquet") for path in paths]
    expected = sum(key.samples for key in ordered)
    with duckdb.connect() as connection:
        connection.execute(f"set memory_limit = '{_MEMORY}'; set threads = 1; set preserve_insertion_order = false")
        connection.execute("set temp_directory = $folder", {"folder": str(target / "sorting")})
        connection.execute("create table renumbered (filename varchar, key integer, number integer)")
        connection.register("rows", _columns(files, stored, numbers))
        connection.execute("insert into renumbered select * from rows")
        out = str(target / "samples.parquet").replace("'", "''")
        try:
            (written,) = connection.execute(
                f"""copy (
                    select number as key, at_s, value
                    from read_parquet($files, filename = true) join renumbered using (filename, key)
                    order by number, at_s
                ) to '{out}' (format parquet, parquet_version v2, compression zstd)""",
                {"files": files},
            ).fetchone() or (0,)
        except duckdb.Error as error:
            raise StoreError(f"{paths[0].parent}: cannot be compacted ({error}); check its disk") from None
    if written != expected:
        raise StoreError(
            f"{paths[0]} and {len(paths) - 1} more: hold {written} samples where {expected} were stored; remove the "
            "damaged segment and import it again"
        )
    shutil.rmtree(target / "sorting", ignore_errors=True)
    with (target / "samples.parquet").open("rb") as file:
        os.fsync(file.fileno())


def _columns(files: Sequence[str], stored: Sequence[Sequence[Key]], numbers: Mapping[Identity, int]) -> dict[str, Any]:
    """Which number each series of each file has from now on."""
    rows = [(index, key) for index, keys in enumerate(stored) for key in keys]
    return {
        "filename": np.array(files, dtype=object)[[index for index, _ in rows]],
        "key": np.array([key.number for _, key in rows], dtype=np.int32),
        "number": np.array([numbers[key.identity] for _, key in rows], dtype=np.int32),
    }
