"""What was written and what was there before: on disk before the kernel sees anything.

One JSON object a line. A kill can only tear the last line, and what a torn line announces was not yet written.
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

from consolidate.errors import ApplyError


@dataclass(frozen=True)
class Entry:
    """One write: announced before it happens, taken back later."""

    root: str
    """Directory that the path is below: what was written there is not taken back elsewhere."""
    plan: str
    """Digest of the plan that asked for it."""
    host: str
    workload: str
    path: str
    """Below the root."""
    inode: int
    """Of the control group's directory."""
    before: str
    after: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


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
        """Keep other appliers out.

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
        """Record a write before it happens; returns once it is on disk."""
        self._append({"event": "write", "entry": asdict(entry)})

    def undone(self, entry: Entry) -> None:
        """Record that a write was taken back."""
        self._append({"event": "undone", "id": entry.id})

    def _append(self, record: dict[str, object]) -> None:
        self._drop_torn_line()
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _drop_torn_line(self) -> None:
        """A new line must not be glued to one that a kill tore."""
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.truncate(self.path, content.rfind(b"\n") + 1)
