"""Segments on disk until somebody has them: bounded, and whole after a kill at any moment.

    SPOOL/lock                                   held by the agent that writes here
    SPOOL/0001780315200-4f1c…-000007.jsonl.gz    a whole segment: first time, run of the agent, number in it
    SPOOL/….jsonl.gz.part                        the one that is being written, or that a kill left behind
    SPOOL/refused/                               what the receiver would not have; counts against the bound, too

A name is never given twice, so that a receiver can tell by it what it has already.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from collectors.agent.observer import Round
from collectors.agent.segment import SUFFIX, Encoder, SegmentError, last_round, pack, rounds_of, unpack
from collectors.agent.writing import PART, OpenSegment, write_whole
from collectors.records import Record

LEAST_BYTES = 1 << 20
COMPLAINT_S = 3600
INVENTORY_S = 3600
"""An inventory is told again after this long even where nothing has changed, since a store forgets what is old."""


class SpoolError(Exception):
    """A spool that cannot be used: place, reason and remedy in one sentence."""


@dataclass(frozen=True)
class Limits:
    """How much is kept."""

    spool_bytes: int = 256 << 20
    segment_s: int = 300


@dataclass(frozen=True)
class Tally:
    """What has happened since the agent started."""

    sealed: int = 0
    acknowledged: int = 0
    dropped: int = 0
    """Segments removed to stay within the bound, or to make room on a full disk."""
    refused: int = 0
    lost_rounds: int = 0
    """Rounds that could not be written."""


class Spool:
    """A directory of segments with one writer; segments may be read and acknowledged from other threads.

    Raises:
        SpoolError: where the directory cannot be used, or another agent uses it.

    """

    def __init__(self, folder: Path, host: str, limits: Limits, report: Callable[[str], None]) -> None:
        """Take hold of the directory, and recover what a killed agent left in it."""
        if limits.spool_bytes < LEAST_BYTES:
            raise SpoolError(f"a spool of {limits.spool_bytes} bytes is too small; give at least {LEAST_BYTES}")
        self._folder, self._host, self._limits, self._report = folder, host, limits, report
        self._mutex = threading.RLock()
        self._lock = _lock(folder)
        self._run, self._number = uuid.uuid4().hex[:16], 0
        self._open: OpenSegment | None = None
        self._encoder = Encoder(host)
        self._first_s = 0
        self._told: tuple[Record, ...] | None = None
        self._told_s = 0
        self._hopeless = False
        self._complaint = ("", 0)
        self._now_s = 0
        self.tally = Tally()
        self._sizes = {path.name: path.stat().st_size for path in sorted(folder.glob(f"*{SUFFIX}"))}
        self._refused = {path.name: path.stat().st_size for path in sorted(folder.glob(f"refused/*{SUFFIX}"))}
        self.last_s = 0
        """Time of the newest round that was found, 0 where there is none."""
        self._recover()

    @property
    def held_bytes(self) -> int:
        """Of all segments, the one that is being written included."""
        with self._mutex:
            written = self._open.bytes if self._open else 0
            return sum(self._sizes.values()) + sum(self._refused.values()) + written

    @property
    def limit_bytes(self) -> int:
        """What it may hold at most, but for the round that is being added."""
        return self._limits.spool_bytes

    def add(self, found: Round) -> bool:
        """Keep a round, and seal the segment if that is long enough; False where the disk would not have it.

        On a full disk, the oldest segment makes room for the newest round; where that does not help, since others fill
        the disk, no more of them are given up.
        """
        if self._open is not None and self._is_due(found.at_s):
            self.seal()
        self._now_s = found.at_s
        older = self.segments()
        kept = self._write(found)
        if not kept and older and not self._hopeless and self._drop_oldest():
            kept = self._write(found)
            self._hopeless = not kept
        if not kept:
            self._count(lost_rounds=1)
        while self.held_bytes > self._limits.spool_bytes and (self._drop_oldest() or self._open is not None):
            if not self._sizes and not self._refused:
                self.seal()
        return kept

    def seal(self) -> None:
        """End the segment that is being written, so that it can be fetched."""
        if self._open is None:
            return
        segment, self._open = self._open, None
        try:
            size = segment.seal()
        except OSError as error:
            self._complain(error)  # it stays, and is recovered by the next agent
            return
        with self._mutex:
            if size:
                self._sizes[segment.path.name] = size
            else:  # not one round of it could be written
                segment.path.unlink()
                return
        self._count(sealed=1)

    def segments(self) -> list[tuple[str, int]]:
        """Names and sizes in bytes of whole segments, oldest first."""
        with self._mutex:
            return sorted(self._sizes.items())

    def read(self, name: str) -> bytes | None:
        """Content of a whole segment; None where there is none of that name."""
        with self._mutex:
            if name not in self._sizes:
                return None
        try:
            return (self._folder / name).read_bytes()
        except OSError:  # dropped meanwhile
            return None

    def acknowledge(self, name: str) -> bool:
        """Remove a segment that somebody has now; False where there is none of that name."""
        with self._mutex:
            if name not in self._sizes:
                return False
            (self._folder / name).unlink(missing_ok=True)
            del self._sizes[name]
        self._count(acknowledged=1)
        return True

    def refuse(self, name: str) -> None:
        """Set a segment aside that the receiver will never take, so that it does not hold up the others."""
        with self._mutex:
            if name not in self._sizes:
                return
            (self._folder / "refused").mkdir(exist_ok=True)
            (self._folder / name).rename(self._folder / "refused" / name)
            self._refused[name] = self._sizes.pop(name)
        self._told = None  # the inventory may have been in it
        self._count(refused=1)

    def close(self) -> None:
        """Seal what is being written and let the directory go."""
        self.seal()
        os.close(self._lock)

    def _is_due(self, at_s: int) -> bool:
        large = self._open is not None and self._open.bytes > self._limits.spool_bytes // 8
        return large or not 0 <= at_s - self._first_s < self._limits.segment_s

    def _write(self, found: Round) -> bool:
        stale = not 0 <= found.at_s - self._told_s < INVENTORY_S
        inventory = found.inventory if stale or found.inventory is not self._told else ()
        try:
            if self._open is None:
                self._begin(found.at_s)
            assert self._open is not None
            self._open.add(self._encoder.encode(found, inventory))
        except OSError as error:
            self._complain(error)
            self.seal()
            self._told = None  # it may have been told in what was lost
            return False
        if inventory:
            self._told, self._told_s = found.inventory, found.at_s
        self._hopeless = False
        return True

    def _begin(self, at_s: int) -> None:
        self._number += 1
        name = f"{at_s:013d}-{self._run}-{self._number:06d}{SUFFIX}"
        self._open = OpenSegment(self._folder / name)
        self._encoder, self._first_s = Encoder(self._host), at_s

    def _drop_oldest(self) -> bool:
        with self._mutex:
            sizes, folder = (self._refused, self._folder / "refused") if self._refused else (self._sizes, self._folder)
            if not sizes:
                return False
            name = min(sizes)
            try:
                (folder / name).unlink(missing_ok=True)
            except OSError as error:
                self._complain(error)
                return False
            del sizes[name]
        self._count(dropped=1)
        self._told = None  # the inventory may have gone with it
        return True

    def _recover(self) -> None:
        """Make whole segments of those that a kill left behind."""
        for part in sorted(self._folder.glob(f"*{SUFFIX}{PART}")):
            path = part.with_name(part.name.removesuffix(PART))
            try:
                text = rounds_of(unpack(part.read_bytes())[0])
                if text:
                    packed = pack(text)
                    write_whole(path, packed)
                    with self._mutex:
                        self._sizes[path.name] = len(packed)
                    self.last_s = max(self.last_s, last_round(text))
                    self._count(sealed=1)
                part.unlink()
            except SegmentError:
                part.unlink()  # killed before anything of it was on disk
            except OSError as error:
                self._complain(error)

    def _complain(self, error: OSError) -> None:
        """Tell of a failure, the same one once an hour."""
        reason = error.strerror or str(error)
        told_reason, told_s = self._complaint
        if reason != told_reason or not 0 <= self._now_s - told_s < COMPLAINT_S:
            self._complaint = reason, self._now_s
            self._report(f"spool {self._folder}: {reason}; make room or mend the disk, sampling goes on")

    def _count(self, **more: int) -> None:
        with self._mutex:
            self.tally = replace(self.tally, **{name: getattr(self.tally, name) + by for name, by in more.items()})


def _lock(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise SpoolError(
            f"spool {folder}: {error.strerror}; name a directory that this user may write to, on a disk with room"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        other = os.read(lock, 20).decode(errors="replace").strip()
        os.close(lock)
        raise SpoolError(f"spool {folder}: agent {other} writes here; end it, or name another directory") from None
    with contextlib.suppress(OSError):  # a full disk: the lock holds without its owner's name
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
    return lock
