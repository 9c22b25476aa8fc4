"""What exports of inventories have in common: units, names that stay apart, and what is told of the rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from collectors.inventory.tables import Column, Row
from collectors.records import NoteRecord

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SHOWN = 3
"""Of names that a note is about, so many are written out."""
OFF = "off"
_RUNNING = frozenset({"poweredon", "on", "running", "true"})
_OFF = frozenset({"poweredoff", "off", "suspended", "notrunning", "stopped", "false"})
RATES = ("disk_read_bytes_per_s", "disk_write_bytes_per_s", "disk_iops", "net_rx_bytes_per_s", "net_tx_bytes_per_s")
"""Dimensions that few inventories hold."""


def amounts(**by_dimension: float | None) -> dict[str, int]:
    """Amounts that are known, rounded up."""
    return {name: math.ceil(amount - 1e-9) for name, amount in by_dimension.items() if amount is not None}


def state_of(row: Row, power: Column) -> str:
    """``off`` for what is there and does not run; empty for what runs, and where nothing is said.

    Raises:
        TraceError: for a word that means neither.

    """
    word = row.text(power).replace(" ", "").casefold()
    if word in _OFF:
        return OFF
    if word and word not in _RUNNING:
        raise row.refuse(power, f"{row.text(power)[:40]!r} is no state such as poweredOn or poweredOff; mend the cell")
    return ""


def apart(named: Sequence[tuple[str, str, Sequence[str]]]) -> list[str]:
    """Names of things, told apart where a place has several of one name.

    All that share a name get a mark, so that the order in which a source lists them does not change their names.

    Args:
        named: Place, name, and marks such as the datacenter or an identifier, of which the first that differ are taken.

    """
    groups: dict[tuple[str, str], list[int]] = {}
    for position, (place, name, _) in enumerate(named):
        groups.setdefault((place, name), []).append(position)
    names = [name for _, name, _ in named]
    taken = set(groups)
    for (place, name), positions in groups.items():
        if len(positions) > 1:
            columns = zip(*(named[position][2] for position in positions), strict=True)
            telling = next((marks for marks in columns if all(marks) and len(set(marks)) == len(marks)), None)
            for number, position in enumerate(positions, start=1):
                marked = f"{name} ({telling[number - 1] if telling else number})"
                while (place, marked) in taken:  # somebody gave another thing this very name
                    marked += "'"
                taken.add((place, marked))
                names[position] = marked
    return names


@dataclass(frozen=True)
class Notes:
    """Sentences on a source, in the order in which they were told."""

    source: str
    _texts: dict[str, None] = field(default_factory=dict)

    def tell(self, text: str) -> None:
        """Keep a sentence, once."""
        self._texts[text] = None

    def left_out(self, number: int, one: str, many: str, why: str) -> None:
        """Say how many rows were left out, if any."""
        if number:
            self.tell(f"{counted(number, one, many)} left out: {why}.")

    def records(self) -> Iterator[NoteRecord]:
        """The sentences, as records."""
        return (NoteRecord(self.source, text) for text in self._texts)


def counted(number: int, one: str, many: str) -> str:
    """``1 template is``, ``1,200 templates are``."""
    return f"{number:,} {one if number == 1 else many}"


def listed(names: Iterable[str]) -> str:
    """A few names, and how many more there are."""
    found = sorted(set(names))
    more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more


def not_planned(dimensions: Iterable[str]) -> str:
    """What a source does not hold, in a sentence."""
    return f"The export says nothing of these, so they are not planned for: {', '.join(dimensions)}."
