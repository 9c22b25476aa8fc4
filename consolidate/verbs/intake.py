"""Agents' segments into a store: each counts once, however often it arrives."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from collectors.agent.loop import HOLD_S
from collectors.agent.push import Answer, Carrier
from collectors.agent.segment import SegmentError
from collectors.records import Record, Series
from collectors.sources import AGENT
from collectors.traces.segments import decode
from consolidate.errors import InputError, StoreError
from consolidate.store import Store
from consolidate.store.compaction import compact


class Intake:
    """The only process that takes segments into a store; what it is told may come from several threads.

    Raises:
        StoreError: where the store cannot be used, or another process takes segments into it.

    """

    def __init__(self, path: Path, now_s: Callable[[], float]) -> None:
        """Open a store, or make one."""
        self._store = Store.create(path)
        self._now_s = now_s
        self._mutex = threading.Lock()
        self._lock = _lock(path)

    def take(self, name: str, content: bytes) -> tuple[Answer, str]:
        """Store a segment under its name; the answer for its agent, and why where it is not stored."""
        try:
            records = decode(content)
            self._check_future(records)
        except (SegmentError, InputError) as error:
            return Answer.REFUSED, str(error)
        try:
            with self._mutex:
                self._store.append(records, source=AGENT, received=name)
        except InputError as error:
            return Answer.REFUSED, str(error)
        except (StoreError, OSError) as error:
            return Answer.LATER, str(error)
        return Answer.STORED, ""

    def tidy(self, keep_s: int | None) -> None:
        """Put small segments together and remove what is older than is kept.

        Raises:
            StoreError: where a segment is damaged.

        """
        with self._mutex:
            compact(self._store, int(self._now_s()))
            if keep_s is not None:
                self._store.retain(int(self._now_s()) - keep_s)

    def open(self) -> Carrier:
        """The way for an agent in this process."""
        return _Direct(self)

    def close(self) -> None:
        """Let another process take segments."""
        os.close(self._lock)

    def _check_future(self, records: Sequence[Record]) -> None:
        """Refuse samples of a clock that is far ahead: once stored, they would keep out all that is true."""
        now_s = self._now_s()
        ahead_s = max((float(one.at_s[-1]) - now_s for one in records if isinstance(one, Series)), default=0.0)
        if ahead_s > HOLD_S:
            raise InputError(f"the agent's clock is {ahead_s:.0f} s ahead of this one; correct whichever is wrong")


@dataclass(frozen=True)
class _Direct:
    intake: Intake

    def put(self, name: str, content: bytes) -> tuple[Answer, str]:
        return self.intake.take(name, content)

    def close(self) -> None:
        """Nothing is open."""


def _lock(store: Path) -> int:
    try:
        lock = os.open(store / "intake.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(f"{store}: {error.strerror}; name a store that this user may write to") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise StoreError(f"{store}: another process receives into this store; end it, or name another one") from None
    return lock
