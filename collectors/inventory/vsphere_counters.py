"""Values of vSphere's counters, gathered from the rows of ``Get-Stat`` by what they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from collectors.inventory.cells import Cell
from collectors.inventory.estate import KIB
from collectors.inventory.grids import Grid
from collectors.inventory.tables import Column, Row, column, fits, read_table

COUNTERS: Mapping[str, Column] = {
    name: column(name, unit=unit)
    for name, unit in {
        "cpu.usagemhz.average": 1,
        "cpu.usagemhz.maximum": 1,
        "cpu.usage.average": 1,
        "cpu.usage.maximum": 1,
        "mem.consumed.average": KIB,
        "mem.active.average": KIB,
        "disk.read.average": KIB,
        "disk.write.average": KIB,
        "net.received.average": KIB,
        "net.transmitted.average": KIB,
    }.items()
}
"""Counters that are read, with their units: MHz, percent, bytes, bytes per second."""

ENTITY = column("Entity", "VM", "Name")
ENTITY_ID = column("EntityId", "VMId")
TIME = column("Timestamp", "Time")
METRIC = column("MetricId", "Metric", "Counter")
VALUE = column("Value")
INTERVAL = column("IntervalSecs")
INSTANCE = column("Instance")
LONG_NEEDED = (ENTITY, TIME, METRIC, VALUE)
WIDE_NEEDED = (ENTITY, TIME)


@dataclass(frozen=True, order=True)
class Subject:
    """What a value is of, by name and by the vCenter's number where that is told."""

    name: str
    number: str


@dataclass
class Values:
    """Times and values of one counter of one subject, in the order of the file."""

    at_s: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Gathered:
    """What a file holds."""

    values: Mapping[tuple[Subject, str], Values]
    intervals_s: frozenset[int]
    """That its rows name."""
    unread: frozenset[str]
    """Counters that nobody here reads."""


def holds_counters(grid: Grid) -> bool:
    """Whether a file has counters, long or wide."""
    return fits(grid, LONG_NEEDED) or (fits(grid, WIDE_NEEDED) and any(fits(grid, (one,)) for one in COUNTERS.values()))


def gather(grid: Grid) -> Gathered:
    """Values of a file, long or wide; of an instance, such as one of several processors, none.

    Raises:
        TraceError: with the file, the line, the value and the remedy.

    """
    return _gather_long(grid) if fits(grid, LONG_NEEDED) else _gather_wide(grid)


def _gather_long(grid: Grid) -> Gathered:
    table = read_table(grid, (*LONG_NEEDED, ENTITY_ID, INTERVAL, INSTANCE), LONG_NEEDED)
    positions = [table.positions[one][0] for one in (METRIC, ENTITY, ENTITY_ID, INTERVAL, INSTANCE) if table.has(one)]
    found: dict[tuple[Subject, str], Values] = {}
    targets: dict[tuple[Cell, ...], Values | None] = {}
    intervals: set[int] = set()
    unread: set[str] = set()
    for row in table.rows():
        cells = grid.rows[row.index]
        kind = tuple([cells[position] for position in positions])
        if kind not in targets:  # all but the time and the value repeats from row to row
            targets[kind] = _target(row, found, unread)
            interval = row.number(INTERVAL)
            if targets[kind] is not None and interval is not None:
                intervals.add(int(interval))
        values = targets[kind]
        if values is not None:
            _add(values, row, row.number(VALUE))
    for (_, counter), values in found.items():
        unit = COUNTERS[counter].headings[counter]
        values.value[:] = [value * unit for value in values.value]
    return Gathered(found, frozenset(intervals), frozenset(unread))


def _target(row: Row, found: dict[tuple[Subject, str], Values], unread: set[str]) -> Values | None:
    """Where values like this row's belong, or None where they are not read."""
    counter = row.text(METRIC).casefold()
    if counter not in COUNTERS:
        unread.add(row.text(METRIC))
        return None
    if row.text(INSTANCE):
        return None
    return found.setdefault((_subject(row), counter), Values())


def _gather_wide(grid: Grid) -> Gathered:
    table = read_table(grid, (*WIDE_NEEDED, ENTITY_ID, INTERVAL, *COUNTERS.values()), WIDE_NEEDED)
    present = [(name, one) for name, one in COUNTERS.items() if table.has(one)]
    found: dict[tuple[Subject, str], Values] = {}
    intervals: set[int] = set()
    for row in table.rows():
        interval = row.number(INTERVAL)
        if interval is not None:
            intervals.add(int(interval))
        for name, one in present:
            _add(found.setdefault((_subject(row), name), Values()), row, row.number(one))
    return Gathered({key: values for key, values in found.items() if values.at_s}, frozenset(intervals), frozenset())


def _subject(row: Row) -> Subject:
    name = row.text(ENTITY)
    if not name:
        raise row.refuse(ENTITY, "values without their machine; export them again")
    return Subject(name, row.text(ENTITY_ID))


def _add(values: Values, row: Row, value: float | None) -> None:
    """Keep a value; an empty cell is no value."""
    if value is None:
        return
    at_s = row.moment(TIME)
    if at_s is None:
        raise row.refuse(TIME, "a value without its time; export it again")
    values.at_s.append(at_s)
    values.value.append(value)
