"""A host as backends see it: files below a root, and commands. Local or over SSH, with one interface."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from consolidate.errors import ApplyError


class Machine(Protocol):
    """A host that is observed and changed. Every method fails with an ApplyError that says what and why."""

    name: str
    """Of the host, as in the plan."""

    place: str
    """Where that is: a root directory or an address. What was written there is not taken back elsewhere."""

    def read(self, path: str) -> str | None:
        """Content of a file below the root without the final newline; None where it is not there."""
        ...

    def read_many(self, paths: Sequence[str]) -> list[str | None]:
        """The same for several files in one round trip."""
        ...

    def write(self, path: str, text: str) -> None:
        """Write a file in one system call and check it; never through a symbolic link."""
        ...

    def inode(self, path: str) -> int | None:
        """Identity of a directory, which a group created anew does not share; None where it is not there."""
        ...

    def is_directory(self, path: str) -> bool:
        """Whether a directory is there."""
        ...

    def is_below(self, path: str, mount: str) -> bool:
        """Whether a path really lies below another, all links followed."""
        ...

    def reserved(self) -> AbstractContextManager[None]:
        """Keep every other applier away from the host, wherever it runs; it waits for what a killed one began."""
        ...

    def run(self, arguments: Sequence[str], stdin: str = "", timeout_s: float = 60.0) -> str:
        """Standard output of a command that succeeded; it runs without a shell."""
        ...


GONE = frozenset((errno.ENOENT, errno.ENODEV, errno.ENOTDIR))
"""A control group that has ended; every other error means that we cannot tell."""

PATIENCE_S = 20.0
"""For what an applier that was killed, or whose connection broke, still has under way."""


def occupied(name: str) -> ApplyError:
    """Another applier is at work on a host."""
    return ApplyError(
        f"{name}: another apply or rollback is at work there, or is still connected; wait for it to end, or end it "
        "there (`lslocks` names it)"
    )


_REMEDIES: Mapping[int, str] = {
    errno.EBUSY: "more than that is in use, by the group or by its children; collect and plan again",
    errno.EINVAL: "it breaks a bound of the parent or of a child, or is out of range; plan parent and child together",
    errno.ENOSPC: "a group with processes cannot be left without CPUs or memory nodes; give it some",
    errno.EACCES: "a parent does not have it, or rights are missing; widen the parent or run as root",
    errno.EPERM: "rights are missing; run as root, or have the group delegated",
    errno.EROFS: "it is mounted read-only; run outside the container, or remount it",
    errno.ENODEV: "the group or the device has gone; collect and plan again",
    errno.ENOENT: "the group has gone; collect and plan again",
    errno.ELOOP: "it is a symbolic link, which no kernel file is; remove it",
}


def refusal(path: str, text: str, number: int) -> ApplyError:
    """A write that the kernel refused with an error number: its word, and what to do."""
    remedy = _REMEDIES.get(number, "look into the kernel's log")
    return ApplyError(f"/{path}: the kernel refused {text!r} ({os.strerror(number)}): {remedy}")
