"""What is to be stored: sorted by kind, and refused where no source can have measured it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from collectors.records import METRICS, HostRecord, NoteRecord, Record, RuleRecord, Sample, Series, WorkloadRecord
from consolidate.errors import InputError


@dataclass(frozen=True)
class Incoming:
    """Records by kind; of hosts and workloads the last ones, of samples one series each."""

    hosts: list[HostRecord]
    workloads: list[WorkloadRecord]
    series: list[Series]
    rules: list[RuleRecord]
    notes: list[NoteRecord]


def sort(records: Iterable[Record]) -> Incoming:
    """Sort records by kind.

    Raises:
        InputError: for a sample that cannot be, with its series, value and time.

    """
    hosts: dict[str, HostRecord] = {}
    workloads: dict[str, dict[str, WorkloadRecord]] = {}
    series: list[Series] = []
    rules: list[RuleRecord] = []
    notes: list[NoteRecord] = []
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
            case RuleRecord():
                rules.append(record)
            case NoteRecord():
                notes.append(record)
            case Sample():
                samples.setdefault((record.host, record.workload, record.incarnation, record.metric), []).append(record)
    for key, points in samples.items():
        at_s = np.array([point.at_s for point in points], dtype=np.int64)
        series.append(Series(*key, at_s, np.array([point.value for point in points], dtype=np.float64)))
    series = [one for one in series if len(one.at_s)]
    for one in series:
        _check(one)
    listed = [one for own in workloads.values() for one in own.values()]
    return Incoming(list(hosts.values()), listed, series, rules, notes)


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
            f"{name}: {series.metric} is {series.value[index]:g} at {utc(series.at_s[index])}, which no counter or "
            "gauge can be; find out what the source did and leave this sample out"
        )
    back = np.diff(series.at_s) < 0
    if back.any():
        index = int(back.argmax())
        raise InputError(
            f"{name}: {series.metric} jumps back from {utc(series.at_s[index])} to {utc(series.at_s[index + 1])}; "
            "correct the source's clock and collect again"
        )


def utc(at_s: int | np.int64) -> str:
    """A time in words."""
    try:
        return datetime.datetime.fromtimestamp(int(at_s), datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"second {at_s}"
