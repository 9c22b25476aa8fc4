"""HTTP over a unix socket, bounded in time and in bytes.

The deadline holds for a whole conversation and not for one read, so that a service that answers a byte a second,
or never, costs its collector a few seconds and no other collector anything.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 5.0
"""Longest conversation; an engine with 1,000 containers lists them in well under a second."""
MOST_BYTES = 32 << 20
"""Longest answer; 1,000 containers with long labels are listed in a tenth of this."""


class ServiceError(Exception):
    """A service that does not answer, or not with what belongs there: socket, request, answer and remedy."""


class GoneError(ServiceError):
    """What was asked for is not there, or no longer."""


@dataclass(frozen=True)
class Answer:
    """Status, headers and body of one answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Service:
    """One conversation with the service at a unix socket; use as a context manager."""

    def __init__(self, path: Path, deadline_s: float = DEADLINE_S, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._connection = _Connection(path, time.monotonic() + deadline_s)
        self._deadline_s = deadline_s

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def get(self, target: str) -> Answer:
        """Ask for ``target``.

        Raises:
            ServiceError: where there is no answer in time, one that is no HTTP, or one that is too long.

        """
        try:
            return self._ask(target)
        except TimeoutError:
            problem = f"gives no whole answer in {self._deadline_s:g} s; restart what listens there"
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = _reason(error)
        self._connection.close()  # half an answer is no place to ask the next question from
        raise self.error(target, problem)

    def _ask(self, target: str) -> Answer:
        self._connection.request("GET", target)
        response = self._connection.getresponse()
        body = response.read(self._most_bytes + 1)
        if len(body) > self._most_bytes:
            raise ValueError(f"more than {self._most_bytes} bytes")
        return Answer(response.status, response.headers, body)

    def get_json(self, target: str, parse: Callable[[object], T]) -> T:
        """What ``parse`` makes of the JSON at ``target``.

        Raises:
            GoneError: where nothing is there (404).
            ServiceError: as ``get``, and for another status or an answer that ``parse`` refuses with ValueError.

        """
        answer = self.get(target)
        if answer.status != http.client.OK:
            kind = GoneError if answer.status == http.client.NOT_FOUND else ServiceError
            said = answer.body[:200].decode(errors="replace").strip()
            raise self.error(target, f"answers {answer.status} {said!r}; find out what listens there", kind)
        try:
            return parse(json.loads(answer.body))
        except (ValueError, RecursionError) as error:
            raise self.error(target, f"answers what makes no sense ({error}); find out what listens there") from None

    def error(self, target: str, problem: str, kind: type[ServiceError] = ServiceError) -> ServiceError:
        """A sentence about what came of asking for ``target``."""
        return kind(f"{self._path}: GET {target} {problem}")


def _reason(error: Exception) -> str:
    match error:
        case OSError(errno=errno.EACCES):
            return "is not permitted; run as root or as a member of the socket's group"
        case OSError(errno=errno.ECONNREFUSED):
            return "is refused, since nothing listens there; start the service, or remove the socket"
        case OSError(errno=errno.ENOENT):
            return "finds no socket; start the service, or correct the path"
        case OSError():
            return f"fails ({error.strerror or error}); restart the service"
        case _:
            return f"is answered with what makes no sense ({error!r:.200}); find out what listens there"


class _Connection(http.client.HTTPConnection):
    """A connection by path, which reconnects within the same deadline where the service closes it."""

    def __init__(self, path: Path, deadline: float) -> None:
        super().__init__("localhost")
        self._path = path
        self._deadline = deadline

    def connect(self) -> None:
        self.sock = _DeadlineSocket(self._deadline)
        # The address of a socket may have 107 bytes; through its directory's descriptor any path is short enough.
        directory = os.open(self._path.parent, os.O_PATH | os.O_CLOEXEC)
        try:
            self.sock.connect(f"/proc/self/fd/{directory}/{self._path.name}")
        finally:
            os.close(directory)


class _DeadlineSocket(socket.socket):
    """Every wait ends at the deadline, however many there are."""

    def __init__(self, deadline: float) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self._deadline = deadline
        self._hurry()

    def recv_into(self, *arguments: object) -> int:
        """Receive, as ``http.client`` does for every part of an answer."""
        self._hurry()
        return super().recv_into(*arguments)  # type: ignore[arg-type]

    def _hurry(self) -> None:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self.settimeout(left_s)
