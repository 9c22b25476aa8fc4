"""Files of a trace: found and read, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

from collectors.records import TraceError

EARLIEST_S, LATEST_S = 946_684_800, 4_102_444_800
"""The years 2000 to 2100: a timestamp outside is in another unit, or damaged."""

LARGEST = 2.0**1023
"""Numbers from here on are refused: no measurement is as large, and a whole number may not even fit into a float."""


def find(folder: Path, pattern: str) -> list[Path]:
    """Files that match below a folder, but for the hidden ones that archivers and desktops leave behind."""
    found = sorted(path for path in folder.glob(pattern) if path.is_file() and not path.name.startswith("."))
    if not found:
        raise TraceError(f"{folder}: no trace files; unpack the trace and give its folder")
    return found


def load(path: Path) -> str:
    """Text of a file, with any line endings and with or without a byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise TraceError(f"{path}: not a text file; remove it from the trace's folder") from None
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}; make the file readable or remove it") from None
