"""The host that we run on, or a directory that looks like one."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from consolidate.apply import remote
from consolidate.apply.machine import GONE, PATIENCE_S, occupied, refusal
from consolidate.errors import ApplyError


class LocalMachine:
    """Reads and writes below a root directory, ``/`` for this host."""

    def __init__(self, name: str, root: Path = Path("/")) -> None:
        """Remember the root.

        Raises:
            ApplyError: where it does not look like a host, so that everything would seem to be gone.

        """
        self.name = name
        self.root = root.resolve()
        self.place = str(self.root)
        self._held: tuple[int, ...] = ()
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
            if error.errno in GONE:
                return None
            raise ApplyError(f"/{path}: cannot be read ({error.strerror}); run with the rights to read it") from None
        except UnicodeDecodeError:
            raise ApplyError(f"/{path}: holds no text; it is no kernel file") from None

    def read_many(self, paths: Sequence[str]) -> list[str | None]:
        """The same for several files."""
        return [self.read(path) for path in paths]

    def write(self, path: str, text: str) -> None:
        """Write in one system call and check it; never through a symbolic link.

        Raises:
            ApplyError: with the kernel's reason. A buffered write would swallow EBUSY and EINVAL on closing.

        """
        content = text.encode()
        try:
            # Not truncated first: a kill in between would leave a plain file empty, and a kernel file needs none of it.
            descriptor = os.open(self.root / path, os.O_WRONLY | os.O_NOFOLLOW)
            try:
                os.write(descriptor, content)
                found = os.fstat(descriptor)
                if stat.S_ISREG(found.st_mode) and found.st_size > len(content):
                    os.ftruncate(descriptor, len(content))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise refusal(path, text, error.errno or 0) from None

    def inode(self, path: str) -> int | None:
        """Identity of a directory, which a group created anew does not share."""
        try:
            return (self.root / path).stat().st_ino
        except OSError:
            return None

    def is_directory(self, path: str) -> bool:
        """Whether a directory is there."""
        return (self.root / path).is_dir()

    def is_below(self, path: str, mount: str) -> bool:
        """Whether a path really lies below a mount point, all links followed."""
        return (self.root / path).resolve().is_relative_to((self.root / mount).resolve())

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Keep every other applier away; one that runs elsewhere and reaches us over SSH takes the same lock.

        Raises:
            ApplyError: where another one is at work.

        """
        try:
            descriptor = remote.lock(str(self.root / remote.LOCK), PATIENCE_S)
        except FileNotFoundError:  # without control groups nothing is limited
            yield
            return
        except BlockingIOError:
            raise occupied(self.name) from None
        self._held = (descriptor,)
        try:
            yield
        finally:
            self._held = ()
            os.close(descriptor)

    def run(self, arguments: Sequence[str], stdin: str = "", timeout_s: float = 60.0) -> str:
        """Standard output of a command, which concerns the running host whatever the root is.

        Raises:
            ApplyError: where it is not there, fails or takes too long, with its last words.

        """
        command = " ".join(arguments)
        try:
            done = subprocess.run(
                list(arguments),
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
                pass_fds=self._held,  # a command that outlives us keeps others out until it has ended
            )
        except FileNotFoundError:
            raise ApplyError(f"{arguments[0]}: not installed on {self.name}; install it, or plan without it") from None
        except OSError as error:
            raise ApplyError(f"{command}: cannot be run ({error.strerror}); check its rights") from None
        except subprocess.TimeoutExpired:
            raise ApplyError(f"{command}: no answer within {timeout_s:g} s; see whether its daemon runs") from None
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise ApplyError(f"{command}: {lines[-1]}; run it by hand to see more")
        return done.stdout
