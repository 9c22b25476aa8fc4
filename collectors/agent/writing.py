"""The segment that is being written: after each round it is on disk, whatever happens next."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from collectors.agent.segment import packer_of

PART = ".part"
"""Ends the name of a segment that is not whole yet."""


class OpenSegment:
    """A segment's file while rounds are added to it.

    Raises:
        OSError: from every method that writes; what was added before is on disk all the same.

    """

    def __init__(self, path: Path) -> None:
        """Begin a file; ``path`` is the one of the whole segment."""
        self.path = path
        self.bytes = 0
        self._part = path.with_name(path.name + PART)
        self._torn = False
        self._packer = packer_of()
        self._file = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)

    def add(self, lines: bytes) -> None:
        """Write a round's lines and wait until the disk has them; after a failure the segment can only be sealed."""
        self._torn = True
        self._write(self._packer.compress(lines) + self._packer.flush(zlib.Z_SYNC_FLUSH))
        os.fdatasync(self._file)
        self._torn = False

    def seal(self) -> int:
        """Make it a whole segment under its own name, and return its size in bytes.

        Where the disk is full the stream has no end, which readers can do without: each round was flushed.
        """
        try:
            if not self._torn:
                self._write(self._packer.flush())
        except OSError:
            self._torn = True
        try:
            if self._torn:
                os.ftruncate(self._file, self.bytes)
            os.fsync(self._file)
        finally:
            os.close(self._file)
        self._part.rename(self.path)
        sync_directory(self.path.parent)
        return self.bytes

    def _write(self, packed: bytes) -> None:
        write_all(self._file, packed)
        self.bytes += len(packed)


def write_whole(path: Path, packed: bytes) -> None:
    """Write a file whole or not at all, and wait until the disk has it.

    Raises:
        OSError: where it cannot be written; nothing is left then.

    """
    temporary = path.with_name(path.name + ".new")
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            write_all(file, packed)
            os.fsync(file)
        finally:
            os.close(file)
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_all(file: int, content: bytes) -> None:
    """Write all of it, however little the disk takes at once."""
    written = 0
    while written < len(content):
        written += os.write(file, content[written:])


def sync_directory(path: Path) -> None:
    """Wait until the disk has a directory's entries."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
