"""Workbooks (xlsx): every sheet as a grid, unless the file is cut off, locked or made to fill the memory."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Sequence
from typing import IO

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError

from collectors.inventory.cells import Cell, CellError, moment
from collectors.inventory.grids import Grid, heading_key
from collectors.records import TraceError

_MOST_BYTES = 2 << 30
"""No export unpacks to more, but a file made to fill a disk may."""
_MOST_CELLS = 100_000_000
"""Of a sheet's rectangle, which a reader lays out in memory however few of its cells hold anything."""
_PIECE_BYTES = 1 << 20
_LONGEST_TAG_BYTES = 256
"""A tag that ends a piece is read again at the start of the next."""
_COLUMN = re.compile(rb'\br="([A-Z]{1,3})[0-9]{1,7}"')
_BROKEN = (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError)
"""What the standard library raises for damaged archives."""
_CREATED = re.compile(rb"<dcterms:created[^>]*>([^<]{1,40})<")
_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]*?\br="([0-9]{1,7})"')


def parse_workbook(content: bytes, name: str, wanted: Sequence[str]) -> dict[str, Grid]:
    """Some sheets of a workbook, as far as they are there; a cell merged downwards holds its value in each of its rows.

    Args:
        content: The file.
        name: Its name, for errors.
        wanted: Names of the sheets; capitals do not matter.

    Raises:
        TraceError: where it is no workbook, or not a whole one.

    """
    _check_sizes(content, name)
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        keys = set(map(heading_key, wanted))
        present = [sheet for sheet in workbook.sheet_names if heading_key(sheet) in keys]
        sheets = {sheet: workbook.get_sheet_by_name(sheet) for sheet in present}
        return {sheet: _grid(f"{name}, sheet {sheet}", cells) for sheet, cells in sheets.items()}
    except PasswordError:
        raise TraceError(f"{name}: locked by a password; save it without one") from None
    except (CalamineError, ValueError, OSError) as error:
        raise TraceError(f"{name}: not a whole workbook ({str(error)[:80]}); export or copy it again") from None


def created_s(content: bytes) -> int | None:
    """Unix time at which a workbook says that it was made, or None where it does not."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = _CREATED.search(archive.read("docProps/core.xml"))
        return moment(found[1].decode("ascii")) if found else None
    except (KeyError, UnicodeDecodeError, CellError, *_BROKEN):
        return None


def _check_sizes(content: bytes, name: str) -> None:
    """Refuse what is no archive of bearable size before anything is laid out in memory."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            if sum(part.file_size for part in parts) > _MOST_BYTES:
                raise TraceError(f"{name}: unpacks to more than {_MOST_BYTES >> 30} GiB; export fewer sheets")
            for part in parts:
                if part.filename.startswith("xl/worksheets/") and part.filename.endswith(".xml"):
                    with archive.open(part) as sheet:
                        cells = _extent(sheet)
                    if cells > _MOST_CELLS:
                        raise TraceError(
                            f"{name}, {part.filename}: stray cells far out; "
                            "delete the rows and columns beyond the table and save again"
                        )
    except TraceError:
        raise
    except (ValueError, *_BROKEN):  # a damaged directory leads to places before the file's beginning
        raise TraceError(f"{name}: not a whole workbook; export or copy it again") from None


def _extent(sheet: IO[bytes]) -> int:
    """Cells of the rectangle that a sheet's cells span, read piece by piece."""
    rows = columns = 0
    before = b""
    while piece := sheet.read(_PIECE_BYTES):
        text = before + piece
        columns = max(columns, *map(_number, set(_COLUMN.findall(text))), 0)
        rows = max(rows, *map(int, _ROW.findall(text)), 0)
        before = text[-_LONGEST_TAG_BYTES:]
    return rows * columns


def _grid(place: str, sheet: CalamineSheet) -> Grid:
    rows: list[list[Cell]] = [list(row) for row in sheet.to_python(skip_empty_area=False)]
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        if left == right:  # across columns it is a title, and no column's value
            for row in rows[top + 1 : bottom + 1]:
                row[left] = rows[top][left]
    return Grid(place, rows, range(1, len(rows) + 1))


def _number(letters: bytes) -> int:
    """A column's number, counted from 1."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number
