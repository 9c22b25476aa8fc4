"""PlanetLab CPU traces (Beloglazov and Buyya 2012): one file per VM, 288 integers, percent every 5 minutes.

The traces hold CPU only. The paper's four VM types supply MIPS and memory, dealt out in equal blocks as
CloudSim does; one reference core is 1,000 MIPS.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from collectors.records import Series, TraceError, WorkloadRecord

SAMPLES = 288
INTERVAL_S = 300
VM_TYPES = ((2500, 870), (2000, 1740), (1000, 1740), (500, 613))
"""(MIPS, memory in MB) of the paper's VM types, largest CPU first."""


def parse(text: str, name: str) -> NDArray[np.int64]:
    """Percentages of one VM, shape (288,); anything else is refused with its line number."""
    lines = text.split()
    if len(lines) != SAMPLES:
        raise TraceError(f"{name}: {len(lines)} values where {SAMPLES} belong; fetch the file again")
    for number, line in enumerate(lines, start=1):
        if not (line.isdecimal() and int(line) <= 100):
            raise TraceError(f"{name}:{number}: {line!r} is not a percentage; repair or remove the file")
    return np.array(lines, dtype=np.int64)


def read(folder: Path) -> Iterator[Series | WorkloadRecord]:
    """Yield every VM of one day's folder, whose name (``20110303``) is the date."""
    try:
        day = datetime.datetime.strptime(folder.name, "%Y%m%d").replace(tzinfo=datetime.UTC)
    except ValueError:
        raise TraceError(f"{folder}: not named by a date; give one day's folder, such as 20110303") from None
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    if not files:
        raise TraceError(f"{folder}: no trace files; unpack the trace and give one day's folder")
    at_s = int(day.timestamp()) + INTERVAL_S * np.arange(SAMPLES, dtype=np.int64)
    block = -(-len(files) // len(VM_TYPES))
    for index, path in enumerate(files):
        try:
            percent = parse(path.read_text(), str(path))
        except UnicodeDecodeError:
            raise TraceError(f"{path}: not a text file; remove it from the folder") from None
        mips, memory_mb = VM_TYPES[index // block]
        memory_bytes = memory_mb * 1_000_000
        yield WorkloadRecord(path.name, "vm", limits={"cpu_milli": mips, "memory_bytes": memory_bytes})
        yield Series("", path.name, "", "cpu_cores", at_s, percent * mips / 100_000)
        memory = np.full(SAMPLES, float(memory_bytes))
        yield Series("", path.name, "", "memory_working_set_bytes", at_s, memory)
