"""From files to grids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from collectors.inventory.grids import Grid
from collectors.inventory.separated import decode, parse_csv
from collectors.inventory.workbooks import parse_workbook
from collectors.records import TraceError

WORKBOOKS = (".xlsx", ".xlsm")


def read_grids(path: Path, sheets: Sequence[str], headings: Sequence[str]) -> dict[str, Grid]:
    """Grids of a workbook by the name of their sheet, or the one of a CSV file by the file's name without its ending.

    Args:
        path: The file.
        sheets: Those of a workbook that are wanted.
        headings: By which a CSV file's separator is told.

    """
    content = read_bytes(path)
    if is_workbook(path, content):
        return parse_workbook(content, str(path), sheets)
    return {path.stem: parse_csv(decode(content, str(path)), str(path), headings)}


def is_workbook(path: Path, content: bytes) -> bool:
    """Whether a file is, or was meant to be, a workbook."""
    return path.suffix.lower() in WORKBOOKS or content.startswith(b"PK\x03\x04")


def read_bytes(path: Path) -> bytes:
    """Content of a file.

    Raises:
        TraceError: where it cannot be read.

    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}; give the export's file") from None
