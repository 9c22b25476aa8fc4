"""Files and folders of sysstat to records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from collectors.records import HostRecord, NoteRecord, Series, TraceError
from collectors.sysstat import sadc_file, sadf_csv, sadf_json
from collectors.sysstat.recording import Recording, records
from collectors.traces.files import find, load


def read(place: Path) -> Iterator[HostRecord | Series | NoteRecord]:
    """Yield hosts and series of one file, or of every file of a folder of days and hosts.

    Binary files need ``sadf`` here; what ``sadf -j`` and ``sadf -d`` printed elsewhere needs nothing.

    Raises:
        TraceError: with the file, the place, the value and the remedy.

    """
    if place.is_file():
        return records(_file(place))
    # Beside the binary sa21, sa2 leaves the report sar21, which says the same in words.
    files = [path for path in find(place, "**/*") if not path.name.startswith("sar")]
    if not files:
        raise TraceError(f"{place}: only reports of sar; give the binary sa files, or `sadf -j FILE -- -A` of them")
    return records(recording for path in files for recording in _file(path))


def _file(path: Path) -> list[Recording]:
    try:
        with path.open("rb") as file:
            start = file.read(256)
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}; make the file readable or remove it") from None
    if start[:2] in (*sadc_file.MAGIC, *sadc_file.COMPRESSED):
        return sadc_file.read(path)
    text = start.decode(errors="replace").removeprefix("\ufeff").lstrip()
    if text.startswith("{"):
        return sadf_json.parse(load(path), str(path))
    if text.startswith(sadf_csv.HEADER):
        return sadf_csv.parse(load(path), str(path))
    raise TraceError(f"{path}: neither a file of sadc nor of `sadf -j` or `sadf -d`; remove it, or export it again")
