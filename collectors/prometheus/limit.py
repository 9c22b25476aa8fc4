"""How hard a monitoring system may be asked: so many requests at once, so many a second."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator


class Limiter:
    """Lets requests through one by one.

    No second, wherever it begins, sees more than the rate of them start, and no moment more than the concurrency.
    """

    def __init__(
        self,
        max_concurrent: int,
        max_per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Set the caps; a clock and a way to wait may be given."""
        self.max_concurrent = max_concurrent
        self._free = threading.Semaphore(max_concurrent)
        self._interval_s = 1 / max_per_second
        self._gate = threading.Lock()
        self._clock, self._sleep = clock, sleep
        self._last: float | None = None

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and keep it until the answer has been read."""
        with self._free:
            self._pace()
            yield

    def _pace(self) -> None:
        # Who waits keeps the gate shut: reckoned from when the last one really started, two late ones are not bunched.
        with self._gate:
            while self._last is not None and (left := self._last + self._interval_s - self._clock()) > 0:
                self._sleep(left)
            self._last = self._clock()
