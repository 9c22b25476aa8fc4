"""Rows by the names of their columns: what is absent is absent, what is nonsense is refused with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from collectors.inventory import cells
from collectors.inventory.cells import Cell, CellError
from collectors.inventory.grids import HEADER_ROWS, Grid, heading_key
from collectors.records import TraceError

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Column:
    """A column that a format may have, under any of several headings."""

    headings: Mapping[str, float]
    """Heading to the size of its unit in ours: bytes, bytes per second, or the thing itself."""
    whole: bool = False
    """Only whole numbers belong here, in the heading's own unit."""

    @property
    def name(self) -> str:
        """The heading by which it is called when it is missing."""
        return next(iter(self.headings))


def column(*headings: str, unit: float = 1, whole: bool = False) -> Column:
    """A column whose headings all mean the same unit."""
    return Column(dict.fromkeys(headings, unit), whole)


@dataclass(frozen=True, eq=False)
class Table:
    """A grid below its row of headings."""

    grid: Grid
    header: int
    """Index of the row of headings."""
    positions: Mapping[Column, tuple[int, float]]
    """Where each column is, and its unit; without those that are absent."""
    absent: tuple[Column, ...]
    moments: dict[tuple[int, Cell], int | None] = field(default_factory=dict)
    """Times that were read already: in a list of samples each repeats once a machine."""
    _marks: dict[int, str] = field(default_factory=dict)
    _orders: dict[int, bool | None] = field(default_factory=dict)

    def has(self, column: Column) -> bool:
        """Whether the column is there."""
        return column in self.positions

    def rows(self) -> Iterator[Row]:
        """Every row that holds anything.

        Raises:
            TraceError: for a CSV row of another length than its headings.

        """
        width = len(self.grid.rows[self.header])
        for index in range(self.header + 1, len(self.grid.rows)):
            row = self.grid.rows[index]
            if not any(row) or (_blank(row[0]) and all(map(_blank, row))):
                continue
            if self.grid.separator and len(row) != width:
                raise TraceError(
                    f"{self.grid.place}:{self.grid.lines[index]}: {len(row)} fields where the headings are {width}; "
                    "the file is cut off, or a field holds a separator without quotation marks: export it again"
                )
            yield Row(self, index)

    def mark(self, position: int) -> str:
        """The decimal mark that a column's own numbers show, worked out once."""
        if position not in self._marks:
            self._marks[position] = self._of_column(position, cells.decimal_mark)
        return self._marks[position]

    def day_first(self, position: int) -> bool | None:
        """Whether a column's dates have the day before the month, worked out once."""
        if position not in self._orders:
            self._orders[position] = self._of_column(position, cells.day_first)
        return self._orders[position]

    def _of_column(self, position: int, tell: Callable[[Iterable[str]], T]) -> T:
        rows = self.grid.rows[self.header + 1 :]
        texts = (row[position] for row in rows if position < len(row))
        try:
            return tell(text for text in texts if isinstance(text, str))
        except CellError as error:
            heading = str(self.grid.rows[self.header][position]).strip()
            raise TraceError(f"{self.grid.cell(self.header, position)}: {heading}: {error}") from None


@dataclass(frozen=True, eq=False, slots=True)
class Row:
    """One row of a table."""

    table: Table
    index: int

    @property
    def place(self) -> str:
        """File, sheet and row, in words."""
        grid = self.table.grid
        line = grid.lines[self.index]
        return f"{grid.place}:{line}" if grid.separator else f"{grid.place}, row {line}"

    def text(self, column: Column) -> str:
        """What stands in a column; empty where nothing does or the column is absent."""
        cell = self._cell(column)
        if isinstance(cell, float) and cell.is_integer():
            return str(int(cell))  # a name of digits only, which the spreadsheet took for a number
        return " ".join(str(cell).split()) if cell else ""

    def number(self, column: Column) -> float | None:
        """A number of zero or more in our unit, or None where there is none."""
        value = self.signed(column)
        if value is not None and value < 0:
            raise self.refuse(column, f"{value:g} is negative; mend the cell")
        return value

    def signed(self, column: Column) -> float | None:
        """A number in our unit that may be negative, or None where there is none."""
        found = self.table.positions.get(column)
        if found is None:
            return None
        position, unit = found
        cell = self._cell(column)
        try:
            mark = self.table.mark(position) if isinstance(cell, str) else ""
            value = cells.number(cell, mark, column.whole, self.table.grid.separator)
        except CellError as error:
            raise self.refuse(column, str(error)) from None
        return None if value is None else value * unit

    def flag(self, column: Column) -> bool:
        """Whether a column says yes; what is empty or absent does not."""
        try:
            return cells.flag(self._cell(column)) or False
        except CellError as error:
            raise self.refuse(column, str(error)) from None

    def moment(self, column: Column) -> int | None:
        """Unix time, or None where there is none."""
        found = self.table.positions.get(column)
        if found is None:
            return None
        cell = self._cell(column)
        known, key = self.table.moments, (found[0], cell)
        if key not in known:
            try:
                known[key] = cells.moment(cell, self.table.day_first(found[0]))
            except CellError as error:
                raise self.refuse(column, str(error)) from None
        return known[key]

    def refuse(self, column: Column, problem: str) -> TraceError:
        """An error at a cell of this row."""
        found = self.table.positions.get(column)
        if found is None:
            return TraceError(f"{self.place}: {problem}")
        heading = str(self.table.grid.rows[self.table.header][found[0]]).strip()
        return TraceError(f"{self.table.grid.cell(self.index, found[0])}: {heading}: {problem}")

    def _cell(self, column: Column) -> Cell:
        found = self.table.positions.get(column)
        row = self.table.grid.rows[self.index]
        return row[found[0]] if found is not None and found[0] < len(row) else None


def read_table(grid: Grid, columns: Sequence[Column], needed: Sequence[Column]) -> Table:
    """Find the row of headings and where each column is.

    Args:
        grid: The cells.
        columns: All that the format may have.
        needed: Those without which it is not this format.

    Raises:
        TraceError: where a needed column is missing, or a heading stands there twice.

    """
    best: tuple[int, int] = (0, 0)
    keys = {heading_key(heading) for one in columns for heading in one.headings}
    for index, row in enumerate(grid.rows[:HEADER_ROWS]):
        found = len(keys & {heading_key(str(cell)) for cell in row})
        best = max(best, (found, -index))
    header = -best[1]
    if not best[0]:
        raise TraceError(
            f"{grid.place}: no row with the headings {_quoted(needed)}; "
            "export it again with its headings in English, or name the format that it has"
        )
    positions = _positions(grid, header, columns)
    missing = [one for one in needed if one not in positions]
    if missing:
        raise TraceError(
            f"{grid.place}, row {grid.lines[header]}: no column {_quoted(missing)}; export it again with that column"
        )
    return Table(grid, header, positions, tuple(one for one in columns if one not in positions))


def _blank(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def fits(grid: Grid, needed: Sequence[Column]) -> bool:
    """Whether some row near the top has headings for all the needed columns."""
    wanted = [{heading_key(heading) for heading in one.headings} for one in needed]
    rows = ({heading_key(str(cell)) for cell in row} for row in grid.rows[:HEADER_ROWS])
    return any(all(headings & row for headings in wanted) for row in rows)


def _positions(grid: Grid, header: int, columns: Sequence[Column]) -> dict[Column, tuple[int, float]]:
    found: dict[str, list[int]] = {}
    for position, cell in enumerate(grid.rows[header]):
        found.setdefault(heading_key("" if cell is None else str(cell)), []).append(position)
    positions: dict[Column, tuple[int, float]] = {}
    for one in columns:
        for heading, unit in one.headings.items():
            at = found.get(heading_key(heading), [])
            if len(at) > 1:
                raise TraceError(
                    f"{grid.cell(header, at[1])}: {heading!r} stands here a second time; rename one of them"
                )
            if at:
                positions[one] = at[0], unit
                break
    return positions


def _quoted(columns: Sequence[Column]) -> str:
    return ", ".join(repr(one.name) for one in columns)
