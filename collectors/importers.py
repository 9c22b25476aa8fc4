"""What can be imported from files: one line per format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from collectors.records import Record
from collectors.traces import bitbrains, planetlab, records


@dataclass(frozen=True)
class Importer:
    """One format of files."""

    read: Callable[[Path], Iterator[Record]]
    """Yields the records of a file or folder, or raises a TraceError: file, place, value and remedy."""
    what: str
    """What the files are, in a few words."""


IMPORTERS: Mapping[str, Importer] = {
    "bitbrains": Importer(bitbrains.read, "folder of GWA-T-12 CSV files, one a VM"),
    "planetlab": Importer(planetlab.read, "folder of PlanetLab CPU traces, one folder a day"),
    "records": Importer(records.read, "what `python -m collectors` printed on other hosts"),
}
"""Format, as on the command line, to its reader."""
