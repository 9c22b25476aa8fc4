"""Rows of cells with their places: what workbooks and CSV files have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collectors.inventory.cells import Cell

HEADER_ROWS = 20
"""The row of headings is among the first so many: titles and empty rows may stand above it."""


@dataclass(frozen=True, eq=False)
class Grid:
    """The cells of a sheet or a CSV file."""

    place: str
    """File, and sheet where it has several."""
    rows: Sequence[Sequence[Cell]]
    lines: Sequence[int]
    """Number of each row, as a spreadsheet or an editor counts them."""
    separator: str = ""
    """Of a CSV file's fields; empty in a workbook."""

    def cell(self, row: int, column: int) -> str:
        """Where a cell is, in words."""
        if self.separator:
            return f"{self.place}:{self.lines[row]}, column {column + 1}"
        return f"{self.place}, cell {_letters(column)}{self.lines[row]}"


def heading_key(text: str) -> str:
    """A heading for comparison: neither spaces nor capitals nor a star for what is required tell headings apart."""
    return "".join(text.replace("*", "").split()).casefold()


def named(grids: Mapping[str, Grid], *names: str) -> Grid | None:
    """The grid of one of several names, whatever their capitals."""
    by_key = {heading_key(name): grid for name, grid in grids.items()}
    return next((by_key[heading_key(name)] for name in names if heading_key(name) in by_key), None)


def _letters(column: int) -> str:
    """A column's letters, counted from 0: A, Z, AA."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
