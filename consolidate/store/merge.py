"""One record of what several sources say of the same host or workload: the most trusted first, others fill the gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TypeVar

from collectors.records import HostRecord, WorkloadRecord

R = TypeVar("R", HostRecord, WorkloadRecord)


def merged_host(name: str, records: Sequence[HostRecord]) -> HostRecord:
    """A host under one name; the records come in the order of trust. Each amount of its capacity is one fact."""
    capacity: dict[str, int] = {}
    for record in reversed(records):
        capacity |= record.capacity
    return replace(_first_known(records), name=name, capacity=capacity)


def merged_workload(host: str, name: str, records: Sequence[WorkloadRecord]) -> WorkloadRecord:
    """A workload under one name; the records come in the order of trust.

    Limits are one fact, since one that is absent is not in force; and whether it runs is known best to the first.
    """
    return replace(_first_known(records), name=name, host=host, state=records[0].state)


def _first_known(records: Sequence[R]) -> R:
    """Of every field the first value that is not empty."""
    if len(records) == 1:
        return records[0]
    known = {
        field.name: next(filter(None, (getattr(record, field.name) for record in records)), None)
        for field in fields(records[0])
    }
    return replace(records[0], **{name: value for name, value in known.items() if value is not None})
