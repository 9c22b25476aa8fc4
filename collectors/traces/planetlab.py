"""PlanetLab CPU traces (Beloglazov and Buyya 2012): one file per VM, 288 integers, percent every 5 minutes.

The traces hold CPU only. The paper's four VM types supply MIPS and memory, dealt out in equal blocks as
CloudSim does; one reference core is 1,000 MIPS.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from collectors.records import Series, TraceError, WorkloadRecord
from collectors.traces.files import EARLIEST_S, LATEST_S, find, load

SAMPLES = 288
INTERVAL_S = 300
VM_TYPES = ((2500, 870), (2000, 1740), (1000, 1740), (500, 613))
"""(MIPS, memory in MB) of the paper's VM types, largest CPU first."""
_PERCENT = re.compile(r"\s*(100|[0-9]{1,2})\s*")


def parse(text: str, name: str) -> NDArray[np.int64]:
    """Percentages of one VM, shape (288,); anything else is refused with its line number."""
    lines = text.rstrip().splitlines()
    for number, line in enumerate(lines, start=1):
        if not _PERCENT.fullmatch(line):
            raise TraceError(f"{name}:{number}: {line[:40]!r} is not a percentage; repair or remove the file")
    if len(lines) != SAMPLES:
        raise TraceError(f"{name}: {len(lines)} values where {SAMPLES} belong; fetch the file again")
    return np.array([int(line) for line in lines], dtype=np.int64)


def parse_day(name: str) -> int:
    """Unix time at which the day of a folder's name, such as ``20110303``, begins."""
    refusal = TraceError(f"{name}: not a date from 2000 on; give one day's folder, such as 20110303")
    if not re.fullmatch(r"[0-9]{8}", name):
        raise refusal
    try:
        day_s = int(datetime.datetime.strptime(name + "+0000", "%Y%m%d%z").timestamp())
    except ValueError:
        raise refusal from None
    if not EARLIEST_S <= day_s < LATEST_S:
        raise refusal
    return day_s


def read(folder: Path) -> Iterator[Series | WorkloadRecord]:
    """Yield every VM of one day's folder, whose name is the date."""
    at_s = parse_day(folder.absolute().name) + INTERVAL_S * np.arange(SAMPLES, dtype=np.int64)
    files = find(folder, "*")
    block = -(-len(files) // len(VM_TYPES))
    for index, path in enumerate(files):
        percent = parse(load(path), str(path))
        mips, memory_mb = VM_TYPES[index // block]
        memory_bytes = memory_mb * 1_000_000
        yield WorkloadRecord(path.name, "vm", limits={"cpu_milli": mips, "memory_bytes": memory_bytes})
        yield Series("", path.name, "", "cpu_cores", at_s, percent * mips / 100_000)
        memory = np.full(SAMPLES, float(memory_bytes))
        yield Series("", path.name, "", "memory_working_set_bytes", at_s, memory)
