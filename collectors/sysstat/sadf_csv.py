"""``sadf -d FILE -- -A``: blocks of ``;``-separated rows, each under a ``#`` line that names its columns.

A localised decimal comma is read as a point: the separator is a semicolon, so it can be nothing else.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from collectors.records import TraceError
from collectors.sysstat.recording import (
    Reading,
    Recording,
    Restart,
    amount,
    busy_share,
    disk_sum,
    disk_totals,
    memory,
    net_sum,
    swap,
    time_of,
)

HEADER = "# hostname;interval;timestamp"
_RESTART = re.compile(r"LINUX-RESTART(?:\s*\((\d{1,6}) CPU\))?")
_KIB = {
    "kbmemfree": "memfree",
    "kbavail": "avail",
    "kbmemused": "memused",
    "%memused": "memused-percent",
    "kbbuffers": "buffers",
    "kbcached": "cached",
    "kbslab": "slab",
    "kbshmem": "shared",
    "kbswpused": "swpused",
}
_PRESSURE = {
    "%scpu": "cpu_pressure_some_ratio",
    "%smem": "memory_pressure_some_ratio",
    "%fmem": "memory_pressure_full_ratio",
    "%sio": "io_pressure_some_ratio",
    "%fio": "io_pressure_full_ratio",
}
_ALL_CPUS = ("-1", "all")


@dataclass
class _Interval:
    """What the blocks say of one time, until all are read."""

    kib: dict[str, float] = field(default_factory=dict)
    disks: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    nics: dict[str, tuple[float, float]] = field(default_factory=dict)
    cpus: set[str] = field(default_factory=set)
    busy_share: float | None = None
    values: dict[str, float] = field(default_factory=dict)

    def reading(self, at_s: int) -> Reading:
        """All of it as one reading; totals of all disks win over their sum."""
        used, total, told = memory(self.kib)
        values = {"memory_working_set_bytes": used} if used is not None else {}
        values |= swap(self.kib) | disk_sum(self.disks) | net_sum(self.nics) | self.values
        return Reading(at_s, values, self.busy_share, len(self.cpus) or None, total, told)


@dataclass
class _Host:
    intervals: dict[int, _Interval] = field(default_factory=dict)
    restarts: list[Restart] = field(default_factory=list)


def parse(text: str, name: str) -> list[Recording]:
    """Every host of a file, or a TraceError with the line, the value and the remedy."""
    hosts: dict[str, _Host] = {}
    columns: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        place = f"{name}:{number}"
        if line.startswith("#"):
            columns = _columns(line, place)
        elif line.strip():
            if not columns:
                raise TraceError(f"{place}: no line with the columns' names above; export again with `sadf -d`")
            host, at_s, cells = _row(line, place)
            _take(hosts.setdefault(host, _Host()), at_s, columns, cells, place)
    if not hosts:
        raise TraceError(f"{name}: no rows; export again with `sadf -d FILE -- -A`")
    return [
        Recording(
            name, host, tuple(it.reading(at_s) for at_s, it in sorted(one.intervals.items())), tuple(one.restarts)
        )
        for host, one in hosts.items()
    ]


def _columns(line: str, place: str) -> list[str]:
    names = [cell.strip() for cell in line.removeprefix("#").split(";")]
    if names[:3] != ["hostname", "interval", "timestamp"]:
        raise TraceError(f"{place}: {line[:40]!r} names no columns of `sadf -d`; export again, with ; between them")
    return names[3:]


def _row(line: str, place: str) -> tuple[str, int, list[str]]:
    host, _, rest = line.partition(";")
    cells = rest.split(";")
    if not host or len(cells) < 3:
        raise TraceError(f"{place}: {line[:40]!r} is cut short; export the file again or delete the line")
    return host, _time(cells[1], place), cells[2:]


def _time(written: str, place: str) -> int:
    if re.fullmatch(r"\d{9,10}", written, re.ASCII):
        return time_of(int(written), place)
    clock, _, zone = written.rpartition(" ")
    if zone != "UTC":
        raise TraceError(
            f"{place}: {written[:40]!r} is local time of an unknown zone; export in UTC, without -t and -T"
        )
    try:
        at = datetime.datetime.strptime(clock, "%Y-%m-%d %H:%M:%S")
    except ValueError:
        raise TraceError(f"{place}: {written[:40]!r} is not a date and time; delete the line") from None
    return time_of(at.replace(tzinfo=datetime.UTC).timestamp(), place)


def _take(host: _Host, at_s: int, columns: list[str], cells: list[str], place: str) -> None:
    if found := _RESTART.match(cells[0]):
        host.restarts.append(Restart(at_s, int(found[1]) if found[1] else None))
        return
    block = next((block for key, block in _BLOCKS.items() if key <= set(columns)), None)
    if block is None or cells[0].startswith("COM"):
        return
    if len(cells) != len(columns):
        raise TraceError(
            f"{place}: {len(cells) + 3} cells where {len(columns) + 3} belong; export the file again or delete the line"
        )
    block(host.intervals.setdefault(at_s, _Interval()), _Cells(dict(zip(columns, cells, strict=True)), place))


@dataclass(frozen=True)
class _Cells:
    """Cells of a row by column."""

    of: Mapping[str, str]
    place: str

    def __call__(self, *columns: str) -> float:
        """Number in the first of some columns that the row has; 0 where it has none of them."""
        for column in columns:
            if column in self.of:
                try:
                    value: object = float(self.of[column].replace(",", "."))
                except ValueError:
                    value = self.of[column]
                return amount(value, f"{self.place}: {column}")
        return 0.0


def _cpu(it: _Interval, cell: _Cells) -> None:
    if cell.of["CPU"] in _ALL_CPUS:
        it.busy_share = busy_share(cell("%idle"), cell("%iowait"), cell("%steal"))
    else:
        it.cpus.add(cell.of["CPU"])


def _levels(it: _Interval, cell: _Cells) -> None:
    it.kib |= {name: cell(column) for column, name in _KIB.items() if column in cell.of}


def _io(it: _Interval, cell: _Cells) -> None:
    it.values |= disk_totals(cell("rtps"), cell("wtps"), cell("bread/s"), cell("bwrtn/s"))


def _disk(it: _Interval, cell: _Cells) -> None:
    sectors = 0.5  # KiB
    read = cell("rkB/s") if "rkB/s" in cell.of else cell("rd_sec/s") * sectors
    written = cell("wkB/s") if "wkB/s" in cell.of else cell("wr_sec/s") * sectors
    it.disks[cell.of["DEV"]] = (cell("tps"), read, written)


def _nic(it: _Interval, cell: _Cells) -> None:
    it.nics[cell.of["IFACE"]] = (cell("rxkB/s"), cell("txkB/s"))


def _pressure(it: _Interval, cell: _Cells) -> None:
    it.values |= {metric: cell(column) / 100 for column, metric in _PRESSURE.items() if column in cell.of}


_BLOCKS: Mapping[frozenset[str], Callable[[_Interval, _Cells], None]] = {
    frozenset({"CPU", "%idle"}): _cpu,
    frozenset({"kbmemfree"}): _levels,
    frozenset({"kbswpused"}): _levels,
    frozenset({"rtps", "wtps", "bread/s", "bwrtn/s"}): _io,
    frozenset({"DEV", "tps"}): _disk,
    frozenset({"IFACE", "rxkB/s", "txkB/s"}): _nic,
    frozenset({"%scpu"}): _pressure,
    frozenset({"%smem"}): _pressure,
    frozenset({"%sio"}): _pressure,
}
"""What to do with a block of rows, by columns that only it has."""
