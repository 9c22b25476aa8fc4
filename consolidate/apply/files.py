"""Kernel files below a root: the only place of the package that touches a host."""

from __future__ import annotations

import os
from pathlib import Path

from consolidate.errors import ApplyError


class Files:
    """Reads and writes below a root directory, ``/`` for this host."""

    def __init__(self, root: Path) -> None:
        """Remember the root."""
        self.root = root

    def read(self, path: str) -> str | None:
        """Content without the final newline; None where the file is not there."""
        try:
            return (self.root / path).read_text().rstrip("\n")
        except OSError:
            return None

    def write(self, path: str, text: str) -> None:
        """Write in one system call and check it.

        Raises:
            ApplyError: with the kernel's reason. A buffered write would swallow EBUSY and EINVAL on closing.

        """
        try:
            descriptor = os.open(self.root / path, os.O_WRONLY | os.O_TRUNC)
            try:
                os.write(descriptor, text.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ApplyError(f"/{path}: the kernel refused {text!r} ({error.strerror})") from None

    def inode(self, path: str) -> int | None:
        """Identity of a directory, which a group created anew does not share."""
        try:
            return (self.root / path).stat().st_ino
        except OSError:
            return None

    def is_directory(self, path: str) -> bool:
        """Whether a directory is there."""
        return (self.root / path).is_dir()
