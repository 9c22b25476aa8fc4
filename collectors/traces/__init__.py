"""Importers: each yields the records of one file or folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from collectors.records import Record
from collectors.traces import bitbrains, planetlab, records

TRACES: Mapping[str, Callable[[Path], Iterator[Record]]] = {
    "bitbrains": bitbrains.read,
    "planetlab": planetlab.read,
    "records": records.read,
}
"""Format name, as on the command line, to its reader."""
