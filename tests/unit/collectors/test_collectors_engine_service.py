"""Asking over a unix socket: whatever the other side does, there is an answer or one sentence, in bounded time."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.engine.service import GoneError, Service, ServiceError
from tests.support.unixserver import Answerer, answers, document, server

LIST = "/containers/json"


def ask(path: Path, deadline_s: float = 5, most_bytes: int = 1000) -> object:
    with Service(path, deadline_s, most_bytes) as service:
        return service.get_json(LIST, lambda found: found)


def test_several_questions_share_a_connection_and_survive_its_end(tmp_path: Path) -> None:
    kept, closed = document(["kept"]), document(["closed"], header="Connection: close\r\n")

    def answer(connection: socket.socket, target: str) -> None:
        connection.sendall(closed if target == "/last" else kept)
        if target == "/last":
            connection.shutdown(socket.SHUT_RDWR)

    with server(tmp_path / "s", answer) as asked, Service(tmp_path / "s") as service:
        found = [service.get_json(target, lambda it: it) for target in ("/a", "/last", "/b")]
    assert found == [["kept"], ["closed"], ["kept"]]
    assert asked.targets == ["/a", "/last", "/b"]


def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    with server(tmp_path / "s", answers({LIST: document([])})):
        (folder / "s").symlink_to(tmp_path / "s")
        assert ask(folder / "s") == []


def silent(connection: socket.socket, target: str) -> None:
    connection.recv(1)  # until the other side gives up


def trickle(connection: socket.socket, target: str) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    connection.settimeout(0.02)
    while True:
        connection.sendall(b"X")
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            pass


def hang_up(connection: socket.socket, target: str) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def half_a_body(connection: socket.socket, target: str) -> None:
    connection.sendall(HEAD % 60 + b"[1, ")
    connection.shutdown(socket.SHUT_RDWR)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
BROKEN = document({"message": "broken"}, "500 Internal Server Error")
NO_SENSE = "answers what makes no sense ("
NO_HTTP = "is answered with what makes no sense ("
SAYS: dict[str, tuple[Answerer, str]] = {
    "never answers": (silent, "gives no whole answer in 0.3 s; restart what listens there"),
    "a byte now and then": (trickle, "gives no whole answer in 0.3 s; restart what listens there"),
    "hangs up": (hang_up, "fails (Remote end closed connection without response); restart the service"),
    "half a body": (half_a_body, NO_SENSE),
    "no HTTP": (answers({LIST: b"SSH-2.0-OpenSSH_9.2\r\n"}), f"{NO_HTTP}BadStatusLine"),
    "too long": (answers({LIST: document("x" * 2000)}), f"{NO_HTTP}ValueError('more than 1000 bytes'))"),
    "an error": (answers({LIST: BROKEN}), """answers 500 '{"message": "broken"}'; find out what listens there"""),
    "no JSON": (answers({LIST: HEAD % 6 + b"<html>"}), f"{NO_SENSE}Expecting value"),
    "nested without end": (answers({LIST: HEAD % 900 + b"[" * 900}), NO_SENSE),
}


@pytest.mark.parametrize("what", SAYS)
def test_a_service_out_of_its_mind_becomes_a_sentence(tmp_path: Path, what: str) -> None:
    answer, sentence = SAYS[what]
    with server(tmp_path / "s", answer), pytest.raises(ServiceError) as refused:
        ask(tmp_path / "s", deadline_s=0.3)
    assert str(refused.value).startswith(f"{tmp_path / 's'}: GET {LIST} {sentence}")


def test_after_a_bad_answer_the_next_question_has_a_connection_of_its_own(tmp_path: Path) -> None:
    bad = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    with server(tmp_path / "s", answers({"/bad": bad, LIST: document([1])})), Service(tmp_path / "s") as service:
        with pytest.raises(ServiceError):
            service.get("/bad")
        assert service.get_json(LIST, lambda it: it) == [1]


def test_what_is_gone_can_be_told_from_what_failed(tmp_path: Path) -> None:
    with server(tmp_path / "s", answers({})), pytest.raises(GoneError, match="answers 404"):
        ask(tmp_path / "s")


def test_a_socket_that_nothing_listens_at_is_told_from_none(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="finds no socket; start the service"):
        ask(tmp_path / "nowhere")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left"))
    with pytest.raises(ServiceError, match="is refused, since nothing listens there"):
        ask(tmp_path / "left")


def test_a_socket_of_another_group_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ServiceError, match="is not permitted; run as root or as a member of the socket's group"):
        ask(tmp_path / "s")


@settings(max_examples=60)
@given(junk=st.binary(max_size=200), after_headers=st.booleans())
def test_no_answer_whatsoever_is_a_traceback_or_a_hang(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, after_headers: bool
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(junk) if after_headers else b""

    def answer(connection: socket.socket, target: str) -> None:
        connection.sendall(head + junk)
        connection.shutdown(socket.SHUT_RDWR)

    path = tmp_path_factory.mktemp("junk") / "s"
    chosen: Answerer = answer
    with server(path, chosen):
        try:
            ask(path)
        except ServiceError as error:
            assert "\n" not in str(error)
