"""Machines of a list of servers: what every format that has one line a machine makes of a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from collectors.inventory.estate import RATES, Notes, amounts, apart, not_planned
from collectors.inventory.tables import Row, Table
from collectors.records import HostRecord, Record, TraceError, WorkloadRecord

ESSENTIAL = ("cpu_milli", "memory_bytes")
TOLERATED_PERCENT = 5
SERVER = "server"
"""Kind of a whole machine that is not known to be virtual."""


@dataclass(frozen=True)
class Machine:
    """One line of a list of servers."""

    name: str
    os: str = ""
    virtual: bool | None = None
    """None where the list does not say it."""
    identity: str = ""
    state: str = ""
    group: str = ""
    owner: str = ""
    copy_bytes: float | None = None
    vcpus: float | None = None
    memory_bytes: float | None = None
    peak: Mapping[str, float | None] = field(default_factory=dict)
    """By dimension; None where the line does not say it."""


def machine_records(machines: Sequence[Machine], notes: Notes) -> Iterator[Record]:
    """Records of a list's machines: a physical one is a host and what runs on it, any other is to be placed."""
    names = apart([("", one.name, (one.identity,)) for one in machines])
    unsaid = sum(one.virtual is None for one in machines)
    for one, name in zip(machines, names, strict=True):
        yield from _records(one, name)
    if unsaid and not any(one.virtual is False for one in machines):
        notes.tell("The export does not say what the machines run on: state the hosts in the fleet file.")


def _records(one: Machine, name: str) -> Iterator[Record]:
    size = amounts(
        cpu_milli=None if one.vcpus is None else one.vcpus * 1000,
        memory_bytes=one.memory_bytes,
    )
    limits = {dimension: amount for dimension, amount in size.items() if amount}
    host = ""
    if one.virtual is False and limits.keys() >= set(ESSENTIAL):
        host = name
        yield HostRecord(name, one.os, capacity=limits, machine_id=one.identity)
    yield WorkloadRecord(
        name,
        "vm" if one.virtual is not False else SERVER,
        host,
        one.os,
        limits=limits,
        group=one.group,
        owner=one.owner,
        peak=amounts(**one.peak),
        copy_bytes=int(one.copy_bytes or 0),
        machine_id=one.identity,
        state=one.state,
    )


def tell_what_is_missing(machines: Iterable[Machine], notes: Notes) -> None:
    """Say which dimensions no line holds, and how many machines have no summary of CPU or memory."""
    listed = list(machines)
    held = {name for one in listed for name, amount in one.peak.items() if amount is not None}
    absent = [name for name in (*ESSENTIAL, *RATES) if name not in held]
    essential = [name.partition("_")[0] for name in ESSENTIAL if name in absent]
    if essential:
        notes.tell(f"The export holds no greatest use of {' and '.join(essential)}: sizes take its place.")
    rates = [name for name in absent if name in RATES]
    if rates:
        notes.tell(not_planned(rates))


def share(percent: float | None, whole: float | None, row: Row, what: str) -> float | None:
    """A percentage of something, or None where either is not known.

    Raises:
        TraceError: above 100 %, but for what clocks that do not agree can add.

    """
    if percent is None or whole is None:
        return None
    if percent > 100 + TOLERATED_PERCENT:
        raise TraceError(f"{row.place}: {percent:g} % of {what} is more than there is; mend the row")
    return whole * min(percent, 100) / 100


def added(parts: Iterable[float | None]) -> float | None:
    """A sum of what is known, or None where nothing is."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def rows_of(table: Table) -> list[Row]:
    """Rows of a table that must have some.

    Raises:
        TraceError: where it has none.

    """
    rows = list(table.rows())
    if not rows:
        raise TraceError(f"{table.grid.place}: no rows below the headings; export it again")
    return rows
