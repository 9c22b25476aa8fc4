"""The agent over HTTP: its metrics, and its segments for a store that pulls them.

GET /metrics                what it samples and what that costs
GET /segments               [{"name": …, "bytes": …}], oldest first
GET /segments/NAME          one segment
DELETE /segments/NAME       a store has it now
"""

from __future__ import annotations

import hmac
import http.server
import json
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from collectors.agent.exposition import CONTENT_TYPE, Status, render
from collectors.agent.spool import Spool

NAME = re.compile(r"[0-9]{1,16}-[0-9a-f]{16}-[0-9]{1,12}\.jsonl\.gz")
"""Of a segment, and nothing that could leave a directory."""
_TIMEOUT_S = 10


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one connection; ``server`` knows what about."""

    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT_S
    server: Server

    def do_GET(self) -> None:
        """Metrics or segments."""
        if not self._admitted():
            return
        if self.path == "/metrics":
            self.reply(HTTPStatus.OK, b"".join(render(self.server.status())), CONTENT_TYPE)
        elif self.path == "/segments":
            listed = [{"name": name, "bytes": size} for name, size in self.server.spool.segments()]
            self.reply(HTTPStatus.OK, json.dumps(listed).encode(), "application/json")
        elif (content := self._segment()) is not None:
            self.reply(HTTPStatus.OK, content, "application/gzip")
        else:
            self.reply(HTTPStatus.NOT_FOUND, b"metrics are at /metrics, segments at /segments\n")

    def do_DELETE(self) -> None:
        """Acknowledge a segment; one that is not there is acknowledged already."""
        if not self._admitted():
            return
        name = self.path.removeprefix("/segments/")
        if NAME.fullmatch(name):
            self.server.spool.acknowledge(name)
            self.reply(HTTPStatus.NO_CONTENT)
        else:
            self.reply(HTTPStatus.NOT_FOUND, b"no name of a segment\n")

    def reply(self, status: HTTPStatus, body: bytes = b"", kind: str = "text/plain; charset=utf-8") -> None:
        """Send an answer whole."""
        self.send_response(status)
        if status is not HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not worth a line each."""

    def _segment(self) -> bytes | None:
        name = self.path.removeprefix("/segments/")
        return self.server.spool.read(name) if NAME.fullmatch(name) else None

    def _admitted(self) -> bool:
        if admitted(self.headers.get("Authorization"), self.server.token):
            return True
        self.close_connection = True
        self.reply(HTTPStatus.UNAUTHORIZED, b"a bearer token is needed, and this is not it\n")
        return False


def admitted(authorization: str | None, token: str) -> bool:
    """Whether a request carries the token, where there is one; takes as long for any wrong token."""
    return not token or hmac.compare_digest((authorization or "").encode(), f"Bearer {token}".encode())


class Server(http.server.ThreadingHTTPServer):
    """Listens for stores and for Prometheus."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], token: str, spool: Spool, status: Callable[[], Status]) -> None:
        """Listen on an address.

        Raises:
            OSError: where that is not possible.

        """
        self.token, self.spool, self.status = token, spool, status
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind without asking the DNS for our own name, which can take minutes where there is none."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that went away in the middle is its own business."""


@contextmanager
def serving(server: http.server.HTTPServer) -> Iterator[None]:
    """Serve in a thread of its own for a while."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.5}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
