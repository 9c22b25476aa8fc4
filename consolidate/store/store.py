"""The sample store: a directory of immutable segments.

    STORE/store.json                 {"schema": 1}
    STORE/segment-…/samples.parquet  key, at_s, value; ordered by key and time
    STORE/segment-…/keys.json        metric, host, workload, incarnation, first and last time, samples; in order
    STORE/segment-…/inventory.json   hosts and workloads as they were seen, and by which source
    STORE/segment-…/replaces.json    names of the segments that this one was made of, see `consolidate.store.compaction`

Names stand in the keys once, not beside every sample: a metric of some workloads is then a range of numbers, which a
reader gets in order without a join or a sort.

A segment is written under a temporary name, flushed, and renamed: a kill at any moment leaves either the whole
segment or none of it, and a reader never meets half of one. Nothing is changed afterwards; retention removes
whole segments, and so does compaction once it has put another in their place.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from collectors.records import HostRecord, NoteRecord, Record, RuleRecord, WorkloadRecord, as_fields
from consolidate.errors import InputError, StoreError
from consolidate.model.dimensions import DIMENSION_OF
from consolidate.model.finding import Finding
from consolidate.model.series import Columns
from consolidate.store.choice import Rival
from consolidate.store.columns import joined
from consolidate.store.incoming import Incoming, sort, utc
from consolidate.store.keys import Key
from consolidate.store.newest import Newest
from consolidate.store.segment import (
    INVENTORY,
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
    write_samples,
)
from consolidate.store.sightings import tell_apart
from consolidate.store.view import Counted, Segment, View, view_of

SCHEMA = 1
TEMPORARY = "unfinished-"
ABANDONED_S = 3600
"""No writer takes as long, and no reader."""


class Store:
    """A store on disk.

    Raises:
        StoreError: where the directory is no store, of another schema, or damaged.

    """

    def __init__(self, path: Path) -> None:
        """Open an existing store."""
        self.path = path
        self._known_keys: dict[str, list[Key]] = {}
        self._known_origins: dict[str, Origin] = {}
        self._known_replaced: dict[str, frozenset[str]] = {}
        self._newest = Newest()
        self._known_view: tuple[tuple[str, ...], View] = ((), view_of(()))
        self._orders: dict[str, int] = {}
        """Place of a segment's series in the view."""
        self._known_series: dict[str, list[tuple[Path, list[Counted]]]] = {}
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
                write_durably(path / "store.json.new", json.dumps({"schema": SCHEMA}))
                (path / "store.json.new").rename(path / "store.json")
            except OSError as error:
                raise StoreError(f"{path}: cannot be made ({error.strerror}); name another directory") from None
        return cls(path)

    def append(self, records: Iterable[Record], source: str = "", received: str = "") -> int:
        """Add one segment of one source and return its number of samples; all of it is kept or nothing.

        Two sources may have measured the same at the same time; which one counts is decided where it is read. What
        arrives again under the name that it was ``received`` under is there already: nothing is added.

        Raises:
            InputError: for a negative counter, a value that is no number, or a clock that went back.

        """
        if received and received in self._received():
            return 0
        found = sort(tell_apart(records))
        samples = sum(len(one.at_s) for one in found.series)
        if not samples and not found.hosts and not found.workloads:
            return 0
        self._check_clock(found, source)
        temporary = self.path / f"{TEMPORARY}{uuid.uuid4().hex}"
        temporary.mkdir()
        try:
            write_durably(temporary / INVENTORY, json.dumps(_inventory(found, source, received)))
            first = last = 0
            if samples:
                first = min(int(one.at_s[0]) for one in found.series)
                last = max(int(one.at_s[-1]) for one in found.series)
                write_samples(temporary, found.series)
            name = segment_name(first, last)
            temporary.rename(self.path / name)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_directory(self.path)
        self._newest.add_series(name, source, {host.name: host.machine_id for host in found.hosts}, found.series)
        return samples

    def hosts(self) -> dict[str, HostRecord]:
        """Hosts by name; one that several sources saw is one, see `consolidate.store.identity`."""
        return dict(self._view().hosts)

    def workloads(self) -> dict[str, WorkloadRecord]:
        """Workloads by their name in the fleet: those that a host had when it was last looked at."""
        return dict(self._view().workloads)

    def findings(self) -> tuple[Finding, ...]:
        """What was found out about hosts that several sources saw, and which samples do not count."""
        return self._view().findings

    def rivals(self) -> tuple[Rival, ...]:
        """Samples that do not count, since another source's do."""
        return self._view().rivals

    def measured(self) -> dict[str, frozenset[str]]:
        """Dimensions that were measured by name in the fleet; a host's own under its name and a colon."""
        found: dict[str, set[str]] = {}
        for metric, dimension in DIMENSION_OF.items():
            for _, series in self._series(metric):
                for one in series:
                    found.setdefault(one.name, set()).add(dimension)
        return {name: frozenset(dimensions) for name, dimensions in found.items()}

    def rules(self) -> list[RuleRecord]:
        """What managers keep for their clusters, as last seen: a cluster that was looked at anew has none of before."""
        found: dict[str, list[RuleRecord]] = {}
        for inventory in self._inventories():
            for entry in (*inventory["hosts"], *inventory["workloads"]):
                found[entry.get("cluster", "")] = []
            for entry in inventory.get("rules", ()):
                rule = RuleRecord(**entry | {"workloads": tuple(entry["workloads"])})
                found.setdefault(rule.cluster, []).append(rule)
        return [rule for own in found.values() for rule in own]

    def notes(self) -> list[NoteRecord]:
        """What the sources last said of themselves."""
        found: dict[str, list[NoteRecord]] = {}
        for inventory in self._inventories():
            said = [NoteRecord(**entry) for entry in inventory.get("notes", ())]
            for source in {note.source for note in said}:
                found[source] = [note for note in said if note.source == source]
        return [note for own in found.values() for note in own]

    def columns(self, metric: str, workloads: Container[str] | None = None) -> Columns:
        """The samples of a metric that count, ordered by series and time.

        Args:
            metric: Its name.
            workloads: Those of the fleet that are wanted; None is all, and the hosts themselves.

        """
        return self._columns(metric, lambda one: one.counts and (workloads is None or one.name in workloads))

    def of_rival(self, metric: str, rival: Rival) -> Columns:
        """The samples of a metric that another source's were chosen over."""
        return self._columns(metric, lambda one: one.owner == rival.owner and one.stream == rival.other)

    def _columns(self, metric: str, wanted: Callable[[Counted], bool]) -> Columns:
        return joined([(path, [one for one in series if wanted(one)]) for path, series in self._series(metric)])

    def span(self) -> tuple[int, int] | None:
        """First and last time measured, or None where nothing was."""
        ranges = [(first, last) for _, first, last in self.segments() if last]
        return (min(first for first, _ in ranges), max(last for _, last in ranges)) if ranges else None

    def retain(self, since_s: int) -> int:
        """Remove segments whose every sample is older, and leftovers of killed writers; return how many."""
        self.sweep()
        old = [path for path, _, last in self.segments() if 0 < last < since_s]
        hidden = [self.path / name for path in old for name in self._replaced(path)]
        for path in [*hidden, *old]:  # in this order, or what was replaced would be seen again
            shutil.rmtree(path, ignore_errors=True)
        return len(old)

    def sweep(self) -> None:
        """Remove what killed writers left behind, and what was replaced so long ago that nobody reads it any more."""
        abandoned_s = time.time() - ABANDONED_S
        # What was begun long ago belongs to a writer that was killed; a younger one may still be at work.
        left = [path for path in self.path.glob(f"{TEMPORARY}*") if path.stat().st_mtime < abandoned_s]
        for path, _, _ in self.segments():
            if (names := self._replaced(path)) and path.stat().st_mtime < abandoned_s:
                left += [self.path / name for name in names]
        for path in left:
            shutil.rmtree(path, ignore_errors=True)

    def segments(self) -> list[tuple[Path, int, int]]:
        """(path, first, last) of the segments that count, oldest first."""
        paths = sorted(self.path.glob("segment-*"))
        replaced = frozenset[str]().union(*map(self._replaced, paths))
        return [(path, *times_of(path)) for path in paths if path.name not in replaced]

    def origin(self, path: Path) -> Origin:
        """Where a segment comes from."""
        if path.name not in self._known_origins:
            self._known_origins[path.name] = origin_of(read_inventory(path))
        return self._known_origins[path.name]

    def _replaced(self, path: Path) -> frozenset[str]:
        """Names of the segments that a segment was made of; they are there for those who began to read before."""
        if path.name not in self._known_replaced:
            self._known_replaced[path.name] = replaced_by(path)
        return self._known_replaced[path.name]

    def _received(self) -> frozenset[str]:
        """Names under which segments were received."""
        return frozenset[str]().union(*(self.origin(path).received for path, _, _ in self.segments()))

    def _inventories(self) -> Iterator[Mapping[str, Any]]:
        return (one for path, _, _ in self.segments() for one in inventories(read_inventory(path)))

    def _keys(self) -> list[tuple[Path, list[Key]]]:
        """Keys of every segment that holds samples, oldest first; read once, since segments never change."""
        paths = [path for path, _, last in self.segments() if last]
        self._known_keys = {path.name: self._known_keys.get(path.name) or read_keys(path) for path in paths}
        return [(path, self._known_keys[path.name]) for path in paths]

    def _view(self) -> View:
        """All segments together; worked out again only when there are others."""
        paths = [path for path, _, _ in self.segments()]
        names = tuple(path.name for path in paths)
        if self._known_view[0] != names:
            keys = dict(self._keys())
            segments = []
            for path in paths:
                *earlier, last = inventories(read_inventory(path))
                segments += [_segment(inventory, ()) for inventory in earlier]
                self._orders[path.name] = len(segments)
                segments.append(_segment(last, keys.get(path, ())))
            self._known_view = names, view_of(segments)
            self._known_series = {}
        return self._known_view[1]

    def _series(self, metric: str) -> list[tuple[Path, list[Counted]]]:
        """Every segment's series of a metric under their names in the fleet."""
        view = self._view()
        if metric not in self._known_series:
            found = []
            for path, keys in self._keys():
                order = self._orders[path.name]
                found.append((path, [view.counted(order, key) for key in keys if key.metric == metric]))
            self._known_series[metric] = found
        return self._known_series[metric]

    def _check_clock(self, found: Incoming, source: str) -> None:
        """Refuse what a source measured before what it has measured already; others may look at the same past."""
        for path, _, last in self.segments():
            if last and path.name not in self._newest.known:
                keys = self._known_keys.get(path.name) or read_keys(path)
                self._newest.add_segment(path.name, self.origin(path).source, self.origin(path).machines, keys)
        machines = {host.name: host.machine_id for host in found.hosts}
        for one in found.series:
            before = self._newest.before(source, machines.get(one.host, ""), (one.host, one.workload or ""))
            if before is not None and one.at_s[0] < before:
                name = one.workload or one.host
                raise InputError(
                    f"{self.path}: {name} is already stored until {utc(before)}, so a sample of {utc(one.at_s[0])} "
                    "goes back in time; correct the clock, or import into a new store"
                )


def _segment(inventory: Mapping[str, Any], keys: Iterable[Key]) -> Segment:
    hosts = [HostRecord(**entry) for entry in inventory["hosts"]]
    workloads = [WorkloadRecord(**entry) for entry in inventory["workloads"]]
    return Segment(inventory.get("source", ""), hosts, workloads, tuple(keys))


def _inventory(found: Incoming, source: str, received: str) -> dict[str, object]:
    """What ``inventory.json`` says; what is empty is left out, but for hosts and workloads."""
    kinds = (("rules", found.rules), ("notes", found.notes))
    return {
        "hosts": list(map(as_fields, found.hosts)),
        "workloads": list(map(as_fields, found.workloads)),
        **{name: list(map(as_fields, records)) for name, records in kinds if records},
        **({"source": source} if source else {}),
        **({"received": [received]} if received else {}),
    }
