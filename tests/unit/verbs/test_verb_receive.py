"""Segments from agents to a store, pushed and fetched: each counts once, and a failure only costs time."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from collectors.agent.command import Options
from collectors.agent.loop import HOLD_S
from collectors.agent.observer import Round
from collectors.agent.push import IDLE_S, Answer, Push, Receiver
from collectors.agent.server import Server, serving
from collectors.agent.spool import LEAST_BYTES, Limits, Spool
from collectors.reading import Reading
from collectors.records import HostRecord
from consolidate.errors import InputError, StoreError
from consolidate.store import Store
from consolidate.verbs.agent import daemon
from consolidate.verbs.intake import Intake
from consolidate.verbs.receive import Listener, Receiving, fetch, receive

START_S = 1_780_315_200
NAME = f"{START_S:013d}-0123456789abcdef-000001.jsonl.gz"


def a_round(number: int) -> Round:
    return Round(START_S + 10 * number, (HostRecord("h1"),), (Reading(None, "1", {"pids": float(number)}),))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """Three segments of three rounds."""
    with closing(Spool(tmp_path / "spool", "h1", Limits(LEAST_BYTES, 30), print)) as made:
        for number in range(9):
            made.add(a_round(number))
        made.seal()
        yield made


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    with closing(Intake(tmp_path / "store", lambda: START_S + 600)) as made:
        yield made


def stored(tmp_path: Path) -> list[int]:
    return [int(at_s) - START_S for at_s in Store(tmp_path / "store").columns("pids").at_s]


ALL = [10 * number for number in range(9)]


def pushing(spool: Spool, url: str, token: str = "") -> tuple[Push, list[str]]:
    said: list[str] = []
    return Push(spool, Receiver.at(url, token), lambda: 0.5, said.append), said


def test_pushed_segments_are_stored_and_removed(tmp_path: Path, spool: Spool, intake: Intake) -> None:
    with serving(listener := Listener(("127.0.0.1", 0), "secret", intake, print)):
        push, said = pushing(spool, f"http://127.0.0.1:{listener.server_port}", "secret")
        assert push.step() == IDLE_S
    assert stored(tmp_path) == ALL
    assert (spool.segments(), spool.tally.acknowledged, said) == ([], 3, [])


def test_a_wrong_token_is_told_once_and_tried_again_ever_more_slowly(spool: Spool, intake: Intake) -> None:
    with serving(listener := Listener(("127.0.0.1", 0), "secret", intake, print)):
        push, said = pushing(spool, f"http://127.0.0.1:{listener.server_port}", "guess")
        waits = [push.step() for _ in range(12)]
    assert said == ["push: 401: the token is not the receiver's; correct --token-file; trying again"]
    assert waits[:4] == [0.75, 1.5, 3.0, 6.0]
    assert waits[-1] == 225.0, "five minutes at most, and less by chance"
    assert len(spool.segments()) == 3
    assert push.deliveries.failures == 12


def test_nobody_who_listens_is_a_failure_like_any_other(spool: Spool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    push, said = pushing(spool, f"http://127.0.0.1:{port}")
    assert push.step() > 0
    assert said == ["push: Connection refused; trying again"]


Behaviour = Callable[[BaseHTTPRequestHandler, bytes], None]


def answering(code: int) -> Behaviour:
    def answer(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "5")
        handler.end_headers()
        handler.wfile.write(b"busy\n")

    return answer


def hanging_up(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    """Close in the middle of the answer."""
    handler.send_response(200)
    handler.send_header("Content-Length", "500")
    handler.end_headers()
    handler.wfile.write(b"sto")
    handler.close_connection = True


def nonsense(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    handler.close_connection = True


@pytest.fixture
def faulty() -> Iterator[tuple[str, list[Behaviour], list[bytes]]]:
    """A server that behaves as told, one request after another, and what it was sent."""
    script: list[Behaviour] = []
    sent: list[bytes] = []

    class Faulty(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            sent.append(content)
            (script.pop(0) if script else answering(200))(self, content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
    server.daemon_threads = True
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}", script, sent


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        (answering(500), "push: 500: busy; trying again"),
        (answering(503), "push: 503: busy; trying again"),
        (answering(404), "push: 404: busy; trying again"),
        (nonsense, "push: BadStatusLine SSH-2.0-OpenSSH_9.2"),
    ],
)
def test_a_receiver_that_fails_is_asked_again_and_gets_everything(
    spool: Spool, faulty: tuple[str, list[Behaviour], list[bytes]], behaviour: Behaviour, says: str
) -> None:
    url, script, sent = faulty
    script += [answering(200), behaviour]
    push, said = pushing(spool, url)
    contents = [spool.read(name) for name, _ in spool.segments()]
    push.step()
    assert says in said[0]
    push.step()
    assert said[1:] == ["push: works again"]
    assert sent == [contents[0], contents[1], contents[1], contents[2]], "in order, and again what was not taken"
    assert spool.segments() == []


def test_an_answer_that_breaks_off_is_an_answer(spool: Spool, faulty: tuple[str, list[Behaviour], list[bytes]]) -> None:
    url, script, _ = faulty
    script += [hanging_up]
    push, _ = pushing(spool, url)
    push.step()
    push.step()
    assert spool.segments() == []


def test_what_a_receiver_refuses_is_set_aside(spool: Spool, faulty: tuple[str, list[Behaviour], list[bytes]]) -> None:
    url, script, _ = faulty
    script += [answering(422)]
    push, said = pushing(spool, url)
    (first, _), *_ = spool.segments()
    assert push.step() == IDLE_S
    assert said == [f"push: {first} is refused, and set aside: busy"]
    assert (spool.tally.refused, spool.tally.acknowledged) == (1, 2)


def test_a_segment_that_arrives_twice_counts_once(tmp_path: Path, spool: Spool) -> None:
    contents = {name: spool.read(name) or b"" for name, _ in spool.segments()}
    for _ in range(2):  # the second time by a receiver that was restarted
        with closing(Intake(tmp_path / "store", lambda: START_S + 600)) as intake:
            for name, content in [*contents.items(), *contents.items()]:
                assert intake.take(name, content) == (Answer.STORED, "")
    assert stored(tmp_path) == ALL


def test_damaged_and_future_segments_are_refused(tmp_path: Path, spool: Spool) -> None:
    (name, _), *_ = spool.segments()
    with closing(Intake(tmp_path / "store", lambda: START_S - HOLD_S - 100)) as early:
        answer, reason = early.take(name, spool.read(name) or b"")
        assert (answer, reason) == (
            Answer.REFUSED,
            "the agent's clock is 3720 s ahead of this one; correct whichever is wrong",
        )
        assert early.take(name, b"not a segment")[0] is Answer.REFUSED
    assert stored(tmp_path) == []


def test_a_store_has_one_receiver(tmp_path: Path, intake: Intake) -> None:
    with pytest.raises(StoreError, match="another process receives into this store"):
        Intake(tmp_path / "store", time.time)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("PUT", f"/segments/{NAME}", {}, 422),
        ("PUT", "/segments/../../etc/passwd", {}, 404),
        ("PUT", f"/segments/{NAME}", {"Content-Length": "many"}, 411),
        ("PUT", f"/segments/{NAME}", {"Content-Length": str(1 << 40)}, 413),
        ("GET", "/", {}, 501),
    ],
)
def test_requests_that_no_agent_makes(
    intake: Intake, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    with (
        serving(listener := Listener(("127.0.0.1", 0), "", intake, lambda text: None)),
        closing(http.client.HTTPConnection("127.0.0.1", listener.server_port, timeout=30)) as connection,
    ):
        connection.putrequest(method, path)
        for name, value in ({"Content-Length": "3"} | headers).items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(b"abc")
        assert connection.getresponse().status == status


def test_a_body_that_breaks_off_is_not_stored(tmp_path: Path, spool: Spool, intake: Intake) -> None:
    (name, size), *_ = spool.segments()
    with (
        serving(listener := Listener(("127.0.0.1", 0), "", intake, print)),
        socket.create_connection(("127.0.0.1", listener.server_port), timeout=30) as peer,
    ):
        peer.sendall(f"PUT /segments/{name} HTTP/1.1\r\nContent-Length: {size}\r\n\r\n".encode())
        peer.sendall((spool.read(name) or b"")[:-20])
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(100) == b""
    assert stored(tmp_path) == []


def test_segments_are_fetched_and_removed(tmp_path: Path, spool: Spool, intake: Intake) -> None:
    said: list[str] = []
    server = Server(("127.0.0.1", 0), "secret", spool, lambda: pytest.fail("nobody asks for metrics"))
    with serving(server):
        url = f"http://127.0.0.1:{server.server_port}"
        assert fetch(url, "guess", intake, said.append) == 0
        assert said == [f"fetch: {url}: the token is not the agent's; correct --token-file; trying again"]
        assert fetch(url, "secret", intake, said.append) == 3
    assert stored(tmp_path) == ALL
    assert spool.segments() == []


def test_what_is_fetched_again_after_a_kill_counts_once(
    tmp_path: Path, spool: Spool, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(("127.0.0.1", 0), "", spool, lambda: pytest.fail("nobody asks for metrics"))
    with serving(server), monkeypatch.context() as patched:
        url = f"http://127.0.0.1:{server.server_port}"
        patched.setattr(spool, "acknowledge", lambda name: False)  # as if killed before it got there
        assert fetch(url, "", intake, print) == 3
    assert len(spool.segments()) == 3
    with serving(server := Server(("127.0.0.1", 0), "", spool, lambda: pytest.fail("nobody asks for metrics"))):
        assert fetch(f"http://127.0.0.1:{server.server_port}", "", intake, print) == 3
    assert stored(tmp_path) == ALL


def test_what_is_no_agent_is_told_and_left_alone(
    intake: Intake, faulty: tuple[str, list[Behaviour], list[bytes]]
) -> None:
    said: list[str] = []
    assert fetch(faulty[0], "", intake, said.append) == 0
    assert said == [f"fetch: {faulty[0]}: GET /segments is answered by 501; is it an agent?; trying again"]


def test_receiving_ends_when_it_is_told_to(tmp_path: Path, spool: Spool) -> None:
    stop, said = threading.Event(), list[str]()
    with ExitStack() as stack:
        server = Server(("127.0.0.1", 0), "", spool, lambda: pytest.fail("nobody asks for metrics"))
        stack.enter_context(serving(server))
        options = Receiving(
            tmp_path / "store",
            ("127.0.0.1", 0),
            [f"http://127.0.0.1:{server.server_port}"],
            fetch_every_s=0.1,
        )
        thread = threading.Thread(target=receive, args=(options, stop, said.append))
        thread.start()
        for _ in range(300):
            if not spool.segments():
                break
            time.sleep(0.1)
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    assert "receive: segments on 127.0.0.1 port" in said[0]
    # Its own clock is this machine's, for which these samples are not ahead by much or at all.
    assert spool.segments() == []


def test_addresses_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'agent:9754' is not an address to connect to"):
        receive(Receiving(tmp_path / "store", fetch_from=["agent:9754"]), threading.Event(), print)
    with pytest.raises(InputError, match=r"cannot listen on 192\.0\.2\.1 port 80: "):
        receive(Receiving(tmp_path / "store", ("192.0.2.1", 80)), threading.Event(), print)


def test_the_daemon_refuses_a_spool_that_cannot_be_used(tmp_path: Path) -> None:
    options = Options(host="h1", spool=Path("/proc/spool"))
    with pytest.raises(InputError, match="name a directory that this user may write to"):
        daemon(tmp_path / "store", options, None, print, ())
