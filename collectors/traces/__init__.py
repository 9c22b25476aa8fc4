"""Importers of published traces: each yields the series of one file or folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from collectors.records import Series, WorkloadRecord
from collectors.traces import bitbrains, planetlab

TRACES: Mapping[str, Callable[[Path], Iterator[Series | WorkloadRecord]]] = {
    "bitbrains": bitbrains.read,
    "planetlab": planetlab.read,
}
"""Format name, as on the command line, to its reader."""
