"""A server at a unix socket that answers as a test wants, for faults that no real server makes on request."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

Answerer = Callable[[socket.socket, str], None]
"""Given the connection and what was asked for (``/containers/json``)."""


@dataclass
class Asked:
    """What the server was asked for."""

    path: Path
    targets: list[str] = field(default_factory=list)


def document(content: object, status: str = "200 OK", header: str = "") -> bytes:
    """An answer with a JSON document."""
    body = json.dumps(content).encode()
    return f"HTTP/1.1 {status}\r\n{header}Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextlib.contextmanager
def server(path: Path, answer: Answerer) -> Iterator[Asked]:
    """Answer one connection after another until the end of the block; a connection takes any number of requests."""
    asked = Asked(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_serve, args=(listener, answer, asked.targets), daemon=True)
        thread.start()
        try:
            yield asked
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # ends the wait for a connection
            thread.join(10)
            assert not thread.is_alive()


def _serve(listener: socket.socket, answer: Answerer, targets: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError), connection.makefile("rb") as requests:
                while line := requests.readline():
                    target = line.split()[1].decode()
                    while requests.readline().strip():  # headers
                        pass
                    targets.append(target)
                    answer(connection, target)


def answers(
    by_target: dict[str, bytes], otherwise: bytes = document({"message": "no such"}, "404 Not Found")
) -> Answerer:
    """Answer each target with given bytes."""
    return lambda connection, target: connection.sendall(by_target.get(target, otherwise))
