"""CSV files: any encoding and separator that spreadsheets and PowerShell write."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from collectors.inventory.cells import Cell
from collectors.inventory.grids import HEADER_ROWS, Grid, heading_key
from collectors.records import TraceError

SEPARATORS = ",;\t|"
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def decode(content: bytes, name: str) -> str:
    """Text of a CSV file: Unicode with or without a byte order mark, else Windows' western code page.

    Raises:
        TraceError: where it is no text.

    """
    marked = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)
    for encoding in (marked,) if marked else ("utf-8", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise TraceError(f"{name}: not a text file; give the export's CSV or workbook")


def parse_csv(text: str, name: str, wanted: Sequence[str]) -> Grid:
    """The rows of a CSV file, separated as its headings are.

    Raises:
        TraceError: for a quotation that does not end.

    """
    separator = _separator(text, {heading_key(heading) for heading in wanted})
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[list[Cell]] = []
    lines: list[int] = []
    known: dict[str, str] = {}
    before = 0
    try:
        for row in reader:
            rows.append([known.setdefault(field, field) for field in row])  # names and times repeat, and memory is dear
            lines.append(before + 1)
            before = reader.line_num
    except csv.Error as error:
        raise TraceError(
            f"{name}:{before + 1}: {error}; the file is cut off, or a quotation mark is missing: export it again"
        ) from None
    return Grid(name, rows, lines, separator)


def _separator(text: str, wanted: set[str]) -> str:
    """The separator by which most of the wanted headings stand in one row."""
    top = [line for _, line in zip(range(HEADER_ROWS), io.StringIO(text), strict=False)]

    def most(separator: str) -> int:
        rows = ([heading_key(field.strip(' "\r\n')) for field in line.split(separator)] for line in top)
        return max((len(wanted & set(row)) for row in rows), default=0)

    return max(SEPARATORS, key=most)
