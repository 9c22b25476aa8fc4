"""Takes segments to a receiver, oldest first; what the receiver has is removed, what it has not is tried again."""

from __future__ import annotations

import enum
import http.client
import ssl
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from collectors.agent.spool import Spool

TIMEOUT_S = 30
IDLE_S = 2.0
"""Pause where everything has been delivered."""
_FIRST_RETRY_S = 1.0
_LAST_RETRY_S = 300.0


class Answer(enum.Enum):
    """What became of a segment."""

    STORED = "stored"
    """By this or an earlier attempt."""
    REFUSED = "refused"
    """Never to be sent again: it is damaged, or its samples cannot be."""
    LATER = "later"


class Carrier(Protocol):
    """Takes some segments, one after another."""

    def put(self, name: str, content: bytes) -> tuple[Answer, str]:
        """Deliver one; the answer, and why where it is not stored.

        Raises:
            OSError, http.client.HTTPException: where the connection fails.

        """
        ...

    def close(self) -> None:
        """Nothing more for now."""
        ...


class Destination(Protocol):
    """Where segments go."""

    def open(self) -> Carrier:
        """A way to get there."""
        ...


@dataclass(frozen=True)
class Receiver:
    """A receiver's address; PUT /segments/NAME stores a segment there."""

    url: urllib.parse.SplitResult
    token: str = ""

    @classmethod
    def at(cls, url: str, token: str = "") -> Receiver:
        """A receiver by its address.

        Raises:
            ValueError: where that is none.

        """
        return cls(parse_url(url), token)

    def open(self) -> Carrier:
        """A connection for some segments."""
        return _Connection(connect(self.url), f"{self.url.path.rstrip('/')}/segments", bearer(self.token))


@dataclass(frozen=True)
class _Connection:
    http: http.client.HTTPConnection
    path: str
    headers: Mapping[str, str]

    def put(self, name: str, content: bytes) -> tuple[Answer, str]:
        headers = {"Content-Type": "application/gzip", **self.headers}
        self.http.request("PUT", f"{self.path}/{name}", content, headers)
        answer = self.http.getresponse()
        reason = answer.read(1000).decode(errors="replace").strip().partition("\n")[0] or answer.reason
        if answer.status in (200, 201, 204):
            return Answer.STORED, ""
        if answer.status in (413, 422):
            return Answer.REFUSED, reason
        if answer.status in (401, 403):
            reason = "the token is not the receiver's; correct --token-file"
        return Answer.LATER, f"{answer.status}: {reason}"

    def close(self) -> None:
        self.http.close()


def parse_url(url: str) -> urllib.parse.SplitResult:
    """Parts of an address to connect to.

    Raises:
        ValueError: where it is none.

    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is not an address to connect to; give one such as https://store.example:9755")
    _ = parts.port  # raises where it is no number
    return parts


def connect(url: urllib.parse.SplitResult) -> http.client.HTTPConnection:
    """A connection to an address, checked by the system's certificates where it is https."""
    host = url.hostname or ""
    if url.scheme == "https":
        return http.client.HTTPSConnection(host, url.port, timeout=TIMEOUT_S, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, url.port, timeout=TIMEOUT_S)


def bearer(token: str) -> Mapping[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"} if token else {}


@dataclass(frozen=True)
class Deliveries:
    """What has happened since the agent started."""

    failures: int = 0
    """Attempts that have to be repeated."""
    failed_in_a_row: int = 0


class Push:
    """Delivers a spool."""

    def __init__(
        self, spool: Spool, destination: Destination, random: Callable[[], float], report: Callable[[str], None]
    ) -> None:
        """``random`` gives numbers in [0, 1), so that a thousand agents do not come back in the same second."""
        self._spool, self._destination, self._random, self._report = spool, destination, random, report
        self._reason = ""
        self.deliveries = Deliveries()
        """Replaced, never altered: other threads read it."""

    def step(self) -> float:
        """Deliver all that there is, or as much as works, and return the seconds until the next attempt."""
        waiting = self._spool.segments()
        if not waiting:
            return IDLE_S
        carrier = self._destination.open()
        try:
            for name, _ in waiting:
                content = self._spool.read(name)
                if content is None:
                    continue
                answer, reason = carrier.put(name, content)
                if answer is Answer.LATER:
                    return self._fail(reason)
                self._settle(name, answer, reason)
        except ssl.SSLError as error:
            return self._fail(f"TLS: {error.reason or error}")
        except (OSError, http.client.HTTPException) as error:
            return self._fail(getattr(error, "strerror", None) or f"{type(error).__name__} {error}")
        finally:
            carrier.close()
        return IDLE_S

    def _settle(self, name: str, answer: Answer, reason: str) -> None:
        if answer is Answer.STORED:
            self._spool.acknowledge(name)
        else:
            self._report(f"push: {name} is refused, and set aside: {reason}")
            self._spool.refuse(name)
        if self._reason:
            self._report("push: works again")
        self._reason = ""
        self.deliveries = replace(self.deliveries, failed_in_a_row=0)

    def _fail(self, reason: str) -> float:
        if reason != self._reason:
            self._report(f"push: {reason}; trying again")
        self._reason = reason
        before = self.deliveries
        self.deliveries = Deliveries(before.failures + 1, before.failed_in_a_row + 1)
        longest_s = min(_LAST_RETRY_S, _FIRST_RETRY_S * 2.0 ** min(before.failed_in_a_row, 30))
        return longest_s * (0.5 + self._random() / 2)
