"""Kernel files below a root: the only place of the package that touches a host."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from consolidate.errors import ApplyError

_GONE = (errno.ENOENT, errno.ENODEV, errno.ENOTDIR)
"""A control group that has ended; every other error means that we cannot tell."""


class Files:
    """Reads and writes below a root directory, ``/`` for this host."""

    def __init__(self, root: Path) -> None:
        """Remember the root.

        Raises:
            ApplyError: where it does not look like a host, so that everything would seem to be gone.

        """
        self.root = root.resolve()
        if not (self.root / "proc").is_dir():
            raise ApplyError(f"{root}: no proc directory below it; give a directory that looks like a host's /")

    def read(self, path: str) -> str | None:
        """Content without the final newline; None where the file is not there.

        Raises:
            ApplyError: where it may be there but cannot be read.

        """
        try:
            return (self.root / path).read_text(encoding="utf-8").rstrip("\n")
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise ApplyError(f"/{path}: cannot be read ({error.strerror}); run with the rights to read it") from None
        except UnicodeDecodeError:
            raise ApplyError(f"/{path}: holds no text; it is no kernel file") from None

    def write(self, path: str, text: str) -> None:
        """Write in one system call and check it; never through a symbolic link.

        Raises:
            ApplyError: with the kernel's reason. A buffered write would swallow EBUSY and EINVAL on closing.

        """
        try:
            # Not truncated first: a kill in between would leave a plain file empty, and a kernel file needs none of it.
            descriptor = os.open(self.root / path, os.O_WRONLY | os.O_NOFOLLOW)
            try:
                os.write(descriptor, text.encode())
                if stat.S_ISREG(os.fstat(descriptor).st_mode) and os.fstat(descriptor).st_size > len(text.encode()):
                    os.ftruncate(descriptor, len(text.encode()))
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

    def is_below(self, path: str, mount: Path) -> bool:
        """Whether a path really lies below a mount point, all links followed."""
        return (self.root / path).resolve().is_relative_to(mount.resolve())
