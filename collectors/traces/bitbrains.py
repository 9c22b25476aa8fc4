"""Bitbrains GWA-T-12: one ``;``-separated CSV per VM, a row every five minutes.

The header promises milliseconds, the timestamps are seconds (Shen, van Beek, Iosup 2015, and the files).
CPU in MHz becomes cores of ``capacity / cores`` MHz each.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from collectors.records import Series, TraceError, WorkloadRecord

COLUMNS = 11
_AT, _CORES, _CAPACITY_MHZ, _USAGE_MHZ, _PERCENT, _MEMORY_KB, _MEMORY_USED_KB, _READ, _WRITE, _RX, _TX = range(COLUMNS)


def parse(text: str, name: str) -> NDArray[np.float64]:
    """One VM's rows, shape (rows, 11); a malformed row is refused with its line number."""
    lines = text.splitlines()
    if not lines or not lines[0].startswith("Timestamp"):
        raise TraceError(f"{name}:1: no Bitbrains header; give the folder that holds the VMs' CSV files")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "input contained no data" is told below
            rows = np.loadtxt(lines[1:], delimiter=";", dtype=np.float64, ndmin=2)
    except ValueError:
        rows = np.empty((0, 0))
    bad_shape = rows.shape[1:] != (COLUMNS,)
    if bad_shape or not np.isfinite(rows).all() or (rows < 0).any():
        raise TraceError(_locate(lines, name))
    return rows


def _locate(lines: list[str], name: str) -> str:
    for number, line in enumerate(lines[1:], start=2):
        fields = line.split(";")
        if len(fields) != COLUMNS:
            return f"{name}:{number}: {len(fields)} fields where {COLUMNS} belong; repair or delete the row"
        for field in fields:
            try:
                good = 0 <= float(field) < float("inf")
            except ValueError:
                good = False
            if not good:
                return f"{name}:{number}: {field.strip()!r} is not an amount; repair or delete the row"
    return f"{name}: no rows; remove the file or export the VM again"


def read(folder: Path) -> Iterator[Series | WorkloadRecord]:
    """Yield every VM below a folder: a WorkloadRecord with its provisioned size, and its series."""
    files = sorted(folder.rglob("*.csv"), key=lambda path: (len(path.stem), path.stem))
    if not files:
        raise TraceError(f"{folder}: no CSV files; unpack the trace and give its folder")
    for path in files:
        try:
            rows = parse(path.read_text(), str(path))
        except UnicodeDecodeError:
            raise TraceError(f"{path}: not a text file; give the folder that holds the VMs' CSV files") from None
        at_s = rows[:, _AT].astype(np.int64)
        cores = rows[:, _CORES]
        mhz = np.divide(rows[:, _CAPACITY_MHZ], cores, out=np.zeros_like(cores), where=cores > 0)
        limits = {"cpu_milli": int(cores.max() * 1000), "memory_bytes": int(rows[:, _MEMORY_KB].max() * 1024)}
        vm = f"vm-{path.stem}"
        yield WorkloadRecord(vm, "vm", limits={name: amount for name, amount in limits.items() if amount})
        for metric, values in (
            ("cpu_cores", np.divide(rows[:, _USAGE_MHZ], mhz, out=np.zeros_like(mhz), where=mhz > 0)),
            ("memory_working_set_bytes", rows[:, _MEMORY_USED_KB] * 1024),
            ("disk_read_bytes_per_s", rows[:, _READ] * 1024),
            ("disk_write_bytes_per_s", rows[:, _WRITE] * 1024),
            ("net_rx_bytes_per_s", rows[:, _RX] * 1024),
            ("net_tx_bytes_per_s", rows[:, _TX] * 1024),
        ):
            # A VM that is provisioned nothing is switched off: absent, not idle.
            on = cores > 0
            yield Series("", vm, "", metric, at_s[on], values[on])
