"""What was written and what was there before: on disk before the host sees anything.

One file a host, on the operator's side; one JSON object a line. A kill can only tear the last line, and what a torn
line announces was not yet written.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from consolidate.apply.backends.backend import Change
from consolidate.errors import ApplyError


@dataclass(frozen=True)
class Entry:
    """One write: announced before it happens, taken back later."""

    place: str
    """Where the host was reached: what was written there is not taken back elsewhere."""
    plan: str
    """Digest of the plan that asked for it."""
    host: str
    workload: str
    backend: str
    subject: str
    life: str
    """Of the subject: what is created anew knows nothing of our limits."""
    key: str
    meaning: str
    before: str
    after: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def change(self) -> Change:
        """What was done, as a backend does it."""
        return Change(
            self.workload, self.backend, self.subject, self.life, self.key, self.meaning, self.before, self.after
        )


class Journal:
    """An append-only file; entries without a matching ``undone`` are in force."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is created until something is written."""
        self.path = path

    def open_entries(self) -> list[Entry]:
        """Writes that were announced and not taken back, oldest first.

        Raises:
            ApplyError: where a line other than the last is damaged.

        """
        found: dict[str, Entry] = {}
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ApplyError(f"{self.path}: cannot be read ({error.strerror}); name another --state") from None
        for number, line in enumerate(lines, start=1):
            if not line:
                continue
            try:
                record = json.loads(line)
                if record["event"] == "write":
                    entry = Entry(**record["entry"])
                    found[entry.id] = entry
                else:
                    found.pop(record["id"], None)
            except (ValueError, KeyError, TypeError):
                if number == len(lines):  # torn by a kill: that write never happened
                    break
                raise ApplyError(
                    f"{self.path}:{number}: damaged; compare the values of the lines around it with the host, "
                    "then remove this line"
                ) from None
        return list(found.values())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other appliers out; the kernel lets go of the lock when this one is killed.

        Raises:
            ApplyError: where another one is at work, or the directory cannot be written.

        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise ApplyError(
                f"{self.path.parent}: cannot keep a journal there ({error.strerror}); name another --state"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise ApplyError(f"{self.path}: another apply or rollback is at work; wait for it to end") from None
        try:
            yield
        finally:
            os.close(lock)

    def announce(self, entry: Entry) -> None:
        """Record a write before it happens; returns once it is on disk.

        Raises:
            ApplyError: where it cannot be recorded, so that nothing may be written.

        """
        self._append({"event": "write", "entry": asdict(entry)})

    def undone(self, entry: Entry) -> None:
        """Record that a write was taken back.

        Raises:
            ApplyError: where it cannot be recorded; taking it back once more does no harm.

        """
        self._append({"event": "undone", "id": entry.id})

    def _append(self, record: dict[str, object]) -> None:
        try:
            append_line(self.path, json.dumps(record))
        except OSError as error:
            raise ApplyError(
                f"{self.path}: the journal cannot be written ({error.strerror}), so nothing more is; make room there"
            ) from None


def append_line(path: Path, line: str) -> None:
    """Add a line and return once it is on disk, name and all. A line that does not fit leaves no trace.

    Raises:
        OSError: where it cannot be written.

    """
    new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        end = _whole_lines(descriptor)
        content = f"{line}\n".encode()
        try:
            written = os.pwrite(descriptor, content, end)
            while written < len(content):  # a disk that fills up takes a part first, and then says so
                written += os.pwrite(descriptor, content[written:], end + written)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)
    if new:
        _sync_directory(path.parent)


def _whole_lines(descriptor: int) -> int:
    """Length of a file up to its last newline: a new line must not be glued to one that a kill tore."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        size = os.pread(descriptor, size, 0).rfind(b"\n") + 1
        os.ftruncate(descriptor, size)
    return size


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
