"""What ``python -m collectors`` printed on a host: one JSON object a line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from collectors.records import METRICS, HostRecord, NoteRecord, Record, RuleRecord, Sample, TraceError, WorkloadRecord
from collectors.traces.files import EARLIEST_S, LARGEST, LATEST_S, find, load


def read(place: Path) -> Iterator[Record]:
    """Yield the records of one file, or of every ``*.jsonl`` below a folder.

    Raises:
        TraceError: with the file, the line, the value and the remedy.

    """
    for path in find(place, "**/*.jsonl") if place.is_dir() else [place]:
        for number, line in enumerate(load(path).splitlines(), start=1):
            if line.strip():
                try:
                    yield parse(line)
                except ValueError as error:
                    raise TraceError(f"{path}:{number}: {error}; collect again or delete the line") from None


def parse(line: str) -> Record:
    """One record, or a ValueError that says what is wrong with it."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("not a JSON object") from None
    kind = fields.pop("type", None) if isinstance(fields, dict) else None
    if kind == "Sample":
        return _sample(fields)
    if kind == "HostRecord":
        return HostRecord(**_inventory(HostRecord, fields))
    if kind == "WorkloadRecord":
        return WorkloadRecord(**_inventory(WorkloadRecord, fields))
    if kind == "RuleRecord":
        rule = _inventory(RuleRecord, fields)
        return RuleRecord(**rule | {"workloads": tuple(rule["workloads"])})
    if kind == "NoteRecord":
        return NoteRecord(**_inventory(NoteRecord, fields))
    raise ValueError(f"{str(kind)[:40]!r} is not a type of record")


def _sample(fields: dict[str, object]) -> Sample:
    types = {"at_s": int, "host": str, "workload": str | None, "incarnation": str, "metric": str, "value": int | float}
    _expect(fields, types)
    sample = Sample(**fields)  # type: ignore[arg-type]  # _expect has checked each
    if sample.metric not in METRICS:
        raise ValueError(f"{sample.metric[:40]!r} is not a metric")
    if not EARLIEST_S <= sample.at_s < LATEST_S:
        raise ValueError(f"{sample.at_s} is not a time between 2000 and 2100")
    if not abs(sample.value) < LARGEST or (METRICS[sample.metric].kind == "counter" and sample.value < 0):
        raise ValueError(f"{sample.metric} cannot be {str(sample.value)[:20]}")
    return sample


def _inventory(
    record: type[HostRecord | WorkloadRecord | RuleRecord | NoteRecord], fields: dict[str, Any]
) -> dict[str, Any]:
    """Checked fields of a record without samples; a collector of another version may leave out what has a default."""
    types = {it.name: _INVENTORY_TYPES[str(it.type)] for it in dataclasses.fields(record)}
    needed = {it.name for it in dataclasses.fields(record) if it.default is it.default_factory is dataclasses.MISSING}
    _expect(fields, {name: kind for name, kind in types.items() if name in needed | fields.keys()})
    for amounts in (value for name, value in fields.items() if types[name] is dict):
        _amounts(amounts)
    for name in (name for name in fields if types[name] is int):
        _amounts({name: fields[name]})
    for text in (text for name in fields if types[name] is list for text in fields[name]):
        if not isinstance(text, str):
            raise ValueError(f"{str(text)[:40]!r} is not a workload's name")
    return fields


_INVENTORY_TYPES: Mapping[str, type] = {"str": str, "int": int, "Mapping[str, int]": dict, "tuple[str, ...]": list}


def _expect(fields: Mapping[str, object], types: Mapping[str, object]) -> None:
    for name in types.keys() ^ fields.keys():
        raise ValueError(f"the key {name[:40]!r} is {'missing' if name in types else 'unknown'}")
    for name, kind in types.items():
        value = fields[name]
        if not isinstance(value, kind) or isinstance(value, bool):  # type: ignore[arg-type]
            raise ValueError(f"{str(value)[:40]!r} cannot be its {name}")


def _amounts(amounts: Mapping[str, object]) -> None:
    for name, amount in amounts.items():
        if not isinstance(amount, int) or isinstance(amount, bool) or amount < 0:
            raise ValueError(f"{str(amount)[:40]!r} is not an amount of {name[:40]}")
