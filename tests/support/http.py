"""A server that answers as a test says, for faults that no real one makes on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Reply:
    """An answer, or the beginning of one."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Bytes of the body after which the connection is closed."""


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    fields: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass
class Scripted:
    """The server's address, and what it was asked."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    busiest: int = 0
    """Most requests that were answered at once."""


def matrix(*series: tuple[Mapping[str, str], list[tuple[int, object]]], **more: object) -> Reply:
    """A successful answer of ``query_range``."""
    result = [{"metric": dict(labels), "values": [[at, str(value)] for at, value in rows]} for labels, rows in series]
    return Reply(
        body=json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}, **more}).encode()
    )


def error(status: int, text: str, kind: str = "execution", **headers: str) -> Reply:
    """A refusal in Prometheus' own form."""
    body = json.dumps({"status": "error", "errorType": kind, "error": text}).encode()
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


@contextmanager
def scripted(answer: Callable[[Asked], Reply]) -> Iterator[Scripted]:
    """Serve what ``answer`` says on a loopback port."""
    state, lock, busy = Scripted(), threading.Lock(), [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet, or the kernel waits for more

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            self._reply(self.rfile.read(length).decode())

        def do_GET(self) -> None:
            self._reply(urlsplit(self.path).query)

        def _reply(self, query: str) -> None:
            fields = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
            asked = Asked(
                self.command, urlsplit(self.path).path, fields, {k.lower(): v for k, v in self.headers.items()}
            )
            with lock:
                state.asked.append(asked)
                busy[0] += 1
                state.busiest = max(state.busiest, busy[0])
            try:
                self._send(answer(asked))
            finally:
                with lock:
                    busy[0] -= 1

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            headers = {"content-type": "application/json", "content-length": str(len(reply.body))} | dict(reply.headers)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body if reply.cut_after is None else reply.body[: reply.cut_after])
            self.close_connection = reply.cut_after is not None

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
