"""Bitbrains GWA-T-12: one ``;``-separated CSV per VM, a row every five minutes.

The header promises milliseconds, the timestamps are seconds (Shen, van Beek, Iosup 2015, and the files).
CPU in MHz becomes cores of ``capacity / cores`` MHz each. Some files hold several rows of the same second:
they are kept as measured.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from collectors.inventory.estate import listed
from collectors.records import NoteRecord, Series, TraceError, WorkloadRecord
from collectors.traces.files import EARLIEST_S, LATEST_S, find, load

COLUMNS = 11
_AT, _CORES, _CAPACITY_MHZ, _USAGE_MHZ, _PERCENT, _MEMORY_KB, _MEMORY_USED_KB, _READ, _WRITE, _RX, _TX = range(COLUMNS)
_TOO_MUCH = 2.0**53
"""From here on a float skips whole numbers, and no machine has as much of anything."""
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)


def parse(text: str, name: str) -> NDArray[np.float64]:
    """One VM's rows in order of time, shape (rows, 11); anything else is refused with its line number."""
    lines = text.splitlines()
    if not lines or not lines[0].startswith("Timestamp"):
        raise TraceError(f"{name}:1: no Bitbrains header; give the folder that holds the VMs' CSV files")
    written = [line for line in lines[1:] if line and not line.isspace()]
    if not written:
        raise TraceError(f"{name}: no rows; remove the file or export the VM again")
    try:
        rows = np.loadtxt(written, delimiter=";", comments=None, ndmin=2)
    except ValueError:
        rows = np.empty((0, 0))
    if rows.shape[1] != COLUMNS or not _good(rows):
        raise TraceError(f"{name}:{_first_fault(lines)}")
    return rows


def _good(rows: NDArray[np.float64]) -> bool:
    at_s = rows[:, _AT]
    return bool(
        ((rows >= 0) & (rows < _TOO_MUCH)).all()
        and ((at_s >= EARLIEST_S) & (at_s < LATEST_S) & (at_s % 1 == 0)).all()
        and (np.diff(at_s) >= 0).all()
    )


def _first_fault(lines: list[str]) -> str:
    """Line number and fault of the first row that ``parse`` does not accept."""
    before_s = 0.0
    for number, line in enumerate(lines[1:], start=2):
        if line and not line.isspace():
            if fault := _fault(line.split(";"), before_s):
                return f"{number}: {fault}"
            before_s = float(line.split(";")[_AT])
    raise AssertionError("a refused trace has a faulty row")


def _fault(fields: list[str], before_s: float) -> str:
    if len(fields) != COLUMNS:
        return f"{len(fields)} fields where {COLUMNS} belong; repair or delete the row"
    for field in fields:
        if not _NUMBER.fullmatch(field) or not 0 <= float(field) < _TOO_MUCH:
            return f"{field.strip()!r} is not an amount; repair or delete the row"
    written, at_s = fields[_AT].strip(), float(fields[_AT])
    if at_s % 1 or not EARLIEST_S <= at_s < LATEST_S:
        return f"timestamp {written} is not a whole second of the years 2000 to 2100; convert it to Unix seconds"
    if at_s < before_s:
        return f"timestamp {written} lies before {before_s:.0f} of the row above; sort the rows or delete it"
    return ""


def _load_vm(paths: list[Path]) -> NDArray[np.float64]:
    """Rows of one VM, whose months may be files of the same name in several folders."""
    months = sorted(((parse(load(path), str(path)), path) for path in paths), key=lambda month: month[0][0, _AT])
    for (before, first), (after, second) in itertools.pairwise(months):
        if after[0, _AT] < before[-1, _AT]:
            raise TraceError(
                f"{second}: timestamp {after[0, _AT]:.0f} lies within those of {first}, the same VM; "
                "give the folder of one data set"
            )
    return np.concatenate([rows for rows, _ in months])


def read(folder: Path) -> Iterator[Series | WorkloadRecord | NoteRecord]:
    """Yield every VM below a folder: a WorkloadRecord with its provisioned size, its series; and what was left out."""
    left_out: dict[str, int] = {}
    total = 0
    files = sorted(find(folder, "**/*.csv"), key=lambda path: (len(path.stem), path.stem))
    for stem, paths in itertools.groupby(files, key=lambda path: path.stem):
        rows = _load_vm(list(paths))
        # A VM that is provisioned no CPU is switched off: absent, not idle.
        on = rows[(rows[:, _CORES] > 0) & (rows[:, _CAPACITY_MHZ] > 0)]
        at_s = on[:, _AT].astype(np.int64)
        limits = {
            "cpu_milli": int(rows[:, _CORES].max() * 1000),
            "memory_bytes": int(rows[:, _MEMORY_KB].max() * 1024),
        }
        vm = f"vm-{stem}"
        total += len(rows)
        if len(on) < len(rows):
            left_out[vm] = len(rows) - len(on)
        yield WorkloadRecord(vm, "vm", limits={name: amount for name, amount in limits.items() if amount})
        for metric, values in (
            ("cpu_cores", on[:, _USAGE_MHZ] * on[:, _CORES] / on[:, _CAPACITY_MHZ]),
            ("memory_working_set_bytes", on[:, _MEMORY_USED_KB] * 1024),
            ("disk_read_bytes_per_s", on[:, _READ] * 1024),
            ("disk_write_bytes_per_s", on[:, _WRITE] * 1024),
            ("net_rx_bytes_per_s", on[:, _RX] * 1024),
            ("net_tx_bytes_per_s", on[:, _TX] * 1024),
        ):
            yield Series("", vm, "", metric, at_s, values)
    if left_out:
        number = f"{sum(left_out.values()):,} of {total:,} rows"
        yield NoteRecord("bitbrains", f"{number} left out: no CPU was provisioned then to {listed(left_out)}")
