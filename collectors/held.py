"""Kernel files that are read every few seconds: kept open, as long as that stays cheap.

Opening and closing a control group's file costs two to three times as much as reading it again. But each file that
was read keeps a page of its own in the kernel until it is closed (``seq_file`` buffers), which no process's RSS
shows. So only so many stay open; the others are opened for each reading, from a descriptor of their hierarchy's root.
"""

from __future__ import annotations

import os
import resource

OPEN_FILES = 8000
"""All of 1,000 groups on cgroup v2: about 38 MB of kernel memory (``Slab`` grows by 4.7 kB a file that was read)."""
_RESERVED = 256
"""Descriptors left to everything else: connections, the spool, other collectors."""
_SIZE = 16384
"""More than nearly every file has; what is longer takes further reads."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_CLOEXEC


class Budget:
    """How many more files may be kept open."""

    def __init__(self, files: int) -> None:
        self.left = files


def raise_open_files() -> int:
    """Let this process open as many files as it may, and return how many of them may be kept open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES + _RESERVED
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return OPEN_FILES if soft == resource.RLIM_INFINITY else max(0, min(OPEN_FILES, soft - _RESERVED))


def open_directory(path: str | os.PathLike[str]) -> int:
    """A descriptor that files below a directory are opened from.

    Raises:
        OSError: where it is missing or may not be entered.

    """
    return os.open(path, _DIRECTORY)


class HeldFile:
    """One file below an open directory; it opens at the first reading that finds room in the budget."""

    __slots__ = ("_budget", "_descriptor", "_directory", "_path")

    def __init__(self, directory: int, path: str, budget: Budget) -> None:
        self._directory, self._path, self._budget = directory, path, budget
        self._descriptor: int | None = None

    def read(self) -> bytes | None:
        """Its content now; None where it is missing, not permitted, or its group has ended."""
        try:
            if self._descriptor is not None:
                return _whole(self._descriptor)
            descriptor = os.open(self._path, _READ, dir_fd=self._directory)
            try:
                content = _whole(descriptor)
            except OSError:
                os.close(descriptor)
                raise
        except OSError:
            return None
        if self._budget.left > 0:
            self._budget.left -= 1
            self._descriptor = descriptor
        else:
            os.close(descriptor)
        return content

    def close(self) -> None:
        """Give the descriptor back; a later reading opens the file anew."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._budget.left += 1


def _whole(descriptor: int) -> bytes:
    content = os.pread(descriptor, _SIZE, 0)
    if len(content) == _SIZE:
        while more := os.pread(descriptor, _SIZE, len(content)):
            content += more
    return content
