"""Writes small exports of inventories: sheets as lists of rows, the first of which are headings."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import openpyxl
from openpyxl.utils.datetime import CALENDAR_MAC_1904

Sheet = Sequence[Sequence[object]]


def workbook(sheets: Mapping[str, Sheet], merged: Iterable[tuple[str, str]] = (), since_1904: bool = False) -> bytes:
    """An xlsx file.

    Args:
        sheets: Rows by sheet.
        merged: Sheet and range, such as A3:A4, of cells that are one.
        since_1904: Count days as spreadsheets on a Mac once did.

    """
    book = openpyxl.Workbook()
    book.remove(book.active)
    if since_1904:
        book.epoch = CALENDAR_MAC_1904
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    for name, cells in merged:
        book[name].merge_cells(cells)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def write(path: Path, content: str | bytes) -> Path:
    """A file with this content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows_of(*machines: Mapping[str, object]) -> list[list[object]]:
    """A sheet with a column for every key that any of its rows has."""
    headings = list(dict.fromkeys(key for machine in machines for key in machine))
    return [list(headings), *([machine.get(key) for key in headings] for machine in machines)]
