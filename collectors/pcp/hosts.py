"""From tables of ``pmrep`` to hosts, control groups and their series."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collectors.cgroup import group_kind
from collectors.devices import physical_disks, physical_nics
from collectors.pcp import mapping
from collectors.pcp.mapping import Source
from collectors.pcp.table import Table
from collectors.records import METRICS, HostRecord, NoteRecord, Series, TraceError, WorkloadRecord

Found = HostRecord | WorkloadRecord | Series | NoteRecord
_SAME_BOOT_S = 60
"""The kernel works the boot time out from the clock, which is corrected now and then."""
_UNLIMITED_BYTES = 1 << 60
"""What version 1 writes where there is no limit is near the greatest number."""


def records(tables: Iterable[tuple[str, Table]]) -> Iterator[Found]:
    """Records of (host, table) pairs: a host's facts are those of its last table."""
    full = [(host, table) for host, table in tables if len(table.at_s)]
    for host, group in itertools.groupby(
        sorted(full, key=lambda one: (one[0], one[1].at_s[0])), key=lambda one: one[0]
    ):
        own = [table for _, table in group]
        for before, after in itertools.pairwise(own):
            if after.at_s[0] < before.at_s[-1]:
                raise TraceError(
                    f"{after.name}: overlaps {before.name}, of the same host {host}; give each archive once, and hosts "
                    "of one name different names"
                )
        yield _host(host, own[-1])
        yield from _workloads(host, own[-1])
        found: set[str] = set()
        for table in own:
            for series in _series(host, table):
                found.add(series.metric)
                yield series
        missing = sorted({source.metric for source in mapping.HOST if "pressure" not in source.metric} - found)
        if missing:
            yield NoteRecord("pcp", f"{', '.join(missing)} of {host} not logged")


def _host(host: str, table: Table) -> HostRecord:
    cpus, kib, mib = (_whole(table, name) for name in (mapping.CPUS, mapping.MEMORY_KIB, mapping.MEMORY_MIB))
    capacity = {"cpu_milli": cpus * 1000, "memory_bytes": kib * 1024 or mib << 20}
    return HostRecord(
        host,
        os=table.last(mapping.SYSNAME).lower(),
        kernel=table.last(mapping.RELEASE),
        cpu_model=table.last(mapping.CPU_MODEL),
        capacity={dimension: size for dimension, size in capacity.items() if size},
    )


def _whole(table: Table, metric: str) -> int:
    """A fact that is a whole number, or 0 where it was not logged."""
    written = table.last(metric)
    return _number(written, table, metric) if written else 0


def _number(written: str, table: Table, metric: str) -> int:
    if not (written.isascii() and written.isdecimal() and len(written) < 20):
        raise TraceError(f"{table.name}: {metric}: {written[:40]!r} is not a whole number; export the file again")
    return int(written)


def _workloads(host: str, table: Table) -> Iterator[WorkloadRecord]:
    for path in outermost(filter(None, _logged(table))):
        limits = _limits(table, path)
        yield WorkloadRecord(path, group_kind(path), host=host, cgroup=path, limits=limits)


def _limits(table: Table, path: str) -> dict[str, int]:
    instance = f"/{path}"
    quota, period, memory = (
        _last_number(table, metric, instance) for metric in (mapping.QUOTA_US, mapping.PERIOD_US, mapping.MEMORY_LIMIT)
    )
    limits = {}
    if quota > 0 and period > 0:
        limits["cpu_milli"] = int(quota * 1000 / period)
    if 0 < memory < _UNLIMITED_BYTES:
        limits["memory_bytes"] = int(memory)
    return limits


def _last_number(table: Table, metric: str, instance: str) -> float:
    """Last value of an instance, or 0 where it has none."""
    if (metric, instance) not in table.cells:
        return 0.0
    numbers = table.numbers(metric, instance, whole=False)
    known = numbers[~np.isnan(numbers)]
    return float(known[-1]) if len(known) else 0.0


def outermost(paths: Iterable[str]) -> list[str]:
    """Groups that run something as a unit and lie in no other such group; those that only hold others are left out.

    >>> outermost(["system.slice", "system.slice/web.service", "system.slice/web.service/worker"])
    ['system.slice/web.service']
    """
    known = list(paths)
    holders = {path[:at] for path in known for at, letter in enumerate(path) if letter == "/"}
    units = {path for path in known if group_kind(path) not in ("slice", "group")}
    units |= {path for path in known if group_kind(path) == "group" and path not in holders}
    above = {path: [path[:at] for at, letter in enumerate(path) if letter == "/"] for path in units}
    return [path for path in known if path in units and not units.intersection(above[path])]


def _series(host: str, table: Table) -> Iterator[Series]:
    boots = _boots(table)
    logged = _logged(table)
    for source in _chosen(mapping.HOST, logged.get("", {}).keys()):
        yield from _cut(host, None, source.metric, table, _amounts(source, table, logged[""]), boots)
    for path in outermost(filter(None, logged)):
        for source in _chosen(mapping.GROUP, logged[path].keys()):
            yield from _cut(host, path, source.metric, table, _amounts(source, table, logged[path]), boots)


def _logged(table: Table) -> dict[str, dict[str, list[str]]]:
    """Instances by metric, by control group; the host's own stand under no path."""
    found: dict[str, dict[str, list[str]]] = {}
    for metric, instance in table.cells:
        path = instance.partition("::")[0].strip("/") if metric.startswith("cgroup.") else ""
        if path or not metric.startswith("cgroup."):  # the root group is the host itself
            found.setdefault(path, {}).setdefault(metric, []).append(instance)
    return found


def _chosen(sources: Sequence[Source], logged: Set[str]) -> Iterator[Source]:
    """The first source of each metric whose parts were all logged."""
    done = set()
    for source in sources:
        if source.metric not in done and logged >= {*source.plus, *source.less}:
            done.add(source.metric)
            yield source


@dataclass(frozen=True, eq=False)
class _Amounts:
    """A source's amounts, by row of its table."""

    value: NDArray[np.float64]
    """NaN where a part was not logged."""
    generation: NDArray[np.int64]
    """Rises where a device came or went, so that a sum of counters starts anew."""


def _amounts(source: Source, table: Table, logged: Mapping[str, Sequence[str]]) -> _Amounts:
    whole = METRICS[source.metric].kind == "counter"
    value, there = np.zeros(len(table.at_s)), []
    for part in (*source.plus, *source.less):
        instances = _KEPT[source.devices](logged[part])
        columns = np.array([table.numbers(part, one, whole) for one in instances]).reshape(-1, len(table.at_s))
        if part in mapping.CONSTANT:
            columns = np.full_like(columns, _last_number(table, part, instances[0]))
        present = ~np.isnan(columns)
        there.append(present)
        total = np.where(present.any(axis=0), np.nansum(columns, axis=0), np.nan)
        value += total if part in source.plus else -total
    there_now = np.concatenate(there)[:, ~np.isnan(value)]
    changes = (np.diff(there_now, axis=1) != 0).any(axis=0)
    generation = np.zeros(len(value), dtype=np.int64)
    generation[~np.isnan(value)] = np.concatenate([[0], np.cumsum(changes)])[: there_now.shape[1]]
    return _Amounts(value * source.factor, generation)


_KEPT: Mapping[str, Callable[[Sequence[str]], Sequence[str]]] = {
    "disk": physical_disks,
    "nic": physical_nics,
    "": lambda names: names,
}
"""Which of a metric's instances are added up."""


def _cut(
    host: str, workload: str | None, metric: str, table: Table, amounts: _Amounts, boots: Sequence[str]
) -> Iterator[Series]:
    """The rows that have a value, a series for each start of the host or change of its devices."""
    rows = np.flatnonzero(~np.isnan(amounts.value)).tolist()
    for (boot, generation), run in itertools.groupby(rows, key=lambda row: (boots[row], int(amounts.generation[row]))):
        own = np.fromiter(run, dtype=np.int64)
        incarnation = f"{boot}+{generation}" if generation else boot
        yield Series(host, workload, incarnation, metric, table.at_s[own], np.maximum(amounts.value[own], 0.0))


def _boots(table: Table) -> list[str]:
    """Boot time at each row, as a string; empty where it was not logged."""
    boot, boots = 0, []
    for cell in table.cells.get((mapping.BOOT, ""), [""] * len(table.at_s)):
        if cell:
            at_s = _number(cell, table, mapping.BOOT)
            boot = at_s if abs(at_s - boot) > _SAME_BOOT_S else boot
        boots.append(str(boot) if boot else "")
    first = next(filter(None, boots), "")
    return [one or first for one in boots]
