"""A server of a test: started on a free loopback port, waited for, and ended whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

DEADLINE_S = 90
"""Far more than a slow machine needs; nothing waits that long unless something is wrong."""
ATTEMPTS = 5
Answer = TypeVar("Answer")


def program(name: str, package: str) -> str:
    """Path of a program that a test cannot do without; in CI its absence is a failure."""
    path = shutil.which(name)
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed; CI needs the package {package}")
    if path is None:
        pytest.skip(f"{name} is not installed; install the package {package} to run this test")
    return path


def eventually(ask: Callable[[], Answer | None], what: str) -> Answer:
    """Ask until there is an answer, or fail with what was waited for."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.1)
    pytest.fail(f"waited {DEADLINE_S} s in vain for {what}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def serving(command: Callable[[int], Sequence[str]], ready: str, log: Path, scheme: str = "http") -> Iterator[str]:
    """The address of a server that answers; another port is tried where one was taken in between.

    Args:
        command: Command line for a port.
        ready: Path that answers once it serves, if only with a demand for a password.
        log: File for everything that it prints.
        scheme: ``https`` where it has a certificate, which is not looked at here.

    """
    for _ in range(ATTEMPTS):
        port = free_port()
        url = f"{scheme}://127.0.0.1:{port}"
        with log.open("ab") as out, subprocess.Popen(command(port), stdout=out, stderr=out) as running:
            try:
                if (
                    eventually(lambda running=running, url=url: _settled(running, url + ready), command(port)[0])
                    == "ready"
                ):
                    yield url
                    return
            finally:
                _end(running)
    pytest.fail(f"{command(0)[0]} does not start: {log.read_text()}")


def _settled(running: subprocess.Popen[bytes], url: str) -> str | None:
    """``ready``, ``ended`` where it gave up, or None while it starts."""
    if running.poll() is not None:
        return "ended"
    try:
        with urllib.request.urlopen(url, timeout=30, context=ssl._create_unverified_context()):
            return "ready"
    except urllib.error.HTTPError as error:
        with error:
            return "ready" if error.code == 401 else None
    except OSError:  # refused while it starts
        return None


def _end(running: subprocess.Popen[bytes]) -> None:
    running.send_signal(signal.SIGTERM)
    try:
        running.wait(30)
    except subprocess.TimeoutExpired:
        running.kill()
