"""Gzipped tables are unpacked to their end once before DuckDB reads them: a damaged one can keep that busy for ever."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from pathlib import Path

from collectors.records import TraceError

_CHUNK_BYTES = 1 << 20


def check(files: Iterable[Path]) -> None:
    """Refuse a file that is named ``.gz`` and cannot be unpacked, with what is wrong with it."""
    for path in files:
        if path.suffix == ".gz":
            try:
                with gzip.open(path) as file:
                    while file.read(_CHUNK_BYTES):
                        pass
            except (OSError, EOFError, zlib.error) as error:
                raise TraceError(f"{path}: cannot be unpacked ({error}); fetch the file again") from None
