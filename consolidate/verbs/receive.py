"""``consolidate receive``: agents push their segments here, or they are fetched from them.

PUT /segments/NAME    200 stored, now or before; 422 never to be sent again; 503 to be sent later
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from collectors.agent.command import parse_address, read_token
from collectors.agent.push import Answer, bearer, connect, parse_url
from collectors.agent.server import NAME, admitted, serving
from consolidate.errors import InputError, StoreError
from consolidate.verbs.intake import Intake

LARGEST_BYTES = 64 << 20
"""Of a segment as it travels; an agent's own limit is half of it."""
TIDY_S = 600
_TIMEOUT_S = 60
_STATUS = {
    Answer.STORED: HTTPStatus.OK,
    Answer.REFUSED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Answer.LATER: HTTPStatus.SERVICE_UNAVAILABLE,
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT_S
    server: Listener

    def do_PUT(self) -> None:
        content = self._body()
        if content is None:
            return
        name = self.path.removeprefix("/segments/")
        if not admitted(self.headers.get("Authorization"), self.server.token):
            self._reply(HTTPStatus.UNAUTHORIZED, "a bearer token is needed, and this is not it")
        elif not NAME.fullmatch(name):
            self._reply(HTTPStatus.NOT_FOUND, "segments go to /segments/NAME")
        else:
            answer, reason = self.server.intake.take(name, content)
            if reason:
                self.server.report(f"receive: {self.client_address[0]}: {name}: {reason}")
            self._reply(_STATUS[answer], reason or "stored")

    def log_message(self, format: str, *args: object) -> None:
        """Segments are not worth a line each."""

    def _body(self) -> bytes | None:
        """All that is sent, so that the other side gets to read the answer; None where it is too much, or broke off."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            self._reply(HTTPStatus.LENGTH_REQUIRED, "a Content-Length is needed", last=True)
        elif int(length) > LARGEST_BYTES:
            self._reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {LARGEST_BYTES} bytes", last=True)
        else:
            content = self.rfile.read(int(length))
            if len(content) == int(length):
                return content
            self.close_connection = True
        return None

    def _reply(self, status: HTTPStatus, text: str, last: bool = False) -> None:
        body = f"{text}\n".encode(errors="replace")
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if last:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


class Listener(ThreadingHTTPServer):
    """Takes what agents push."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], token: str, intake: Intake, report: Callable[[str], None]) -> None:
        """Listen on an address.

        Raises:
            InputError: where that is not possible.

        """
        self.token, self.intake, self.report = token, intake, report
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            raise InputError(
                f"cannot listen on {address[0]} port {address[1]}: {error.strerror}; give an address of this machine "
                "and a free port"
            ) from None

    def server_bind(self) -> None:
        """Bind without asking the DNS for our own name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that went away in the middle comes again."""


@dataclass(frozen=True)
class Receiving:
    """How segments come into a store."""

    store: Path
    listen: tuple[str, int] | None = None
    fetch_from: Sequence[str] = ()
    """Addresses of agents."""
    token: str = ""
    keep_s: int | None = None
    fetch_every_s: float = 60.0


def receive(options: Receiving, stop: threading.Event, report: Callable[[str], None]) -> None:
    """Take segments in until ``stop`` is set, and keep the store tidy.

    Raises:
        InputError: for an address that is none, or cannot be listened on.
        StoreError: where the store cannot be used.

    """
    for url in options.fetch_from:
        check_url(url)
    with contextlib.ExitStack() as stack:
        intake = stack.enter_context(contextlib.closing(Intake(options.store, time.time)))
        if options.listen is not None:
            listener = Listener(options.listen, options.token, intake, report)
            stack.enter_context(serving(listener))
            report(f"receive: segments on {listener.server_name} port {listener.server_port} into {options.store}")
        tidied_s = time.monotonic()
        while not stop.wait(options.fetch_every_s if options.fetch_from else 1.0):
            for url in options.fetch_from:
                fetch(url, options.token, intake, report)
            if time.monotonic() - tidied_s > TIDY_S:
                tidy(intake, options.keep_s, report)
                tidied_s = time.monotonic()


def tidy(intake: Intake, keep_s: int | None, report: Callable[[str], None]) -> None:
    """Keep the store small; what stands in the way is told, and segments are taken all the same."""
    try:
        intake.tidy(keep_s)
    except (StoreError, OSError) as error:
        report(f"receive: the store cannot be tidied: {error}")


def address_of(text: str) -> tuple[str, int]:
    """Address and port to listen on.

    Raises:
        InputError: where it is none.

    """
    try:
        return parse_address(text)
    except ValueError as error:
        raise InputError(str(error)) from None


def token_of(path: Path) -> str:
    """The bearer token that a file holds.

    Raises:
        InputError: where there is none.

    """
    try:
        return read_token(path)
    except ValueError as error:
        raise InputError(str(error)) from None


def check_url(url: str) -> None:
    """Refuse what is no agent's address.

    Raises:
        InputError: with the remedy.

    """
    try:
        parse_url(url)
    except ValueError as error:
        raise InputError(str(error)) from None


def fetch(url: str, token: str, intake: Intake, report: Callable[[str], None]) -> int:
    """Fetch all that an agent has, and return how many segments that were; a failure is told, and tried next time.

    A segment is removed at the agent once the store has it; killed in between, it is fetched again and counts once.
    """
    address = parse_url(url)
    connection, path = connect(address), f"{address.path.rstrip('/')}/segments"
    fetched = 0
    try:
        for name in _names(_ask(connection, "GET", path, token)):
            answer, reason = intake.take(name, _ask(connection, "GET", f"{path}/{name}", token))
            if reason:
                report(f"fetch: {url}: {name}: {reason}")
            if answer is Answer.LATER:
                break
            _ask(connection, "DELETE", f"{path}/{name}", token)
            fetched += 1
    except (OSError, http.client.HTTPException, ValueError) as error:
        report(f"fetch: {url}: {getattr(error, 'strerror', None) or error or type(error).__name__}; trying again")
    finally:
        connection.close()
    return fetched


def _ask(connection: http.client.HTTPConnection, method: str, path: str, token: str) -> bytes:
    connection.request(method, path, headers=dict(bearer(token)))
    answer = connection.getresponse()
    if answer.status == HTTPStatus.UNAUTHORIZED:
        raise ValueError("the token is not the agent's; correct --token-file")
    # Without a length, an answer that breaks off could not be told from one that ends.
    if answer.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT) or answer.length is None:
        raise ValueError(f"{method} {path} is answered by {answer.status}; is it an agent?")
    if answer.length > LARGEST_BYTES:
        raise ValueError(f"{method} {path} is answered by {answer.length} bytes; no segment is as large")
    return answer.read()


def _names(listed: bytes) -> list[str]:
    try:
        names = [str(one["name"]) for one in json.loads(listed)]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError("what it lists are no segments; is it an agent?") from None
    return [name for name in names if NAME.fullmatch(name)]
