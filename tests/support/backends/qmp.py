"""Speaks to a running QEMU through its monitor socket (QMP, as the QEMU manual describes it)."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path


def execute(place: Path, command: str, **arguments: object) -> object:
    """Run one command and return what it returned.

    Raises:
        RuntimeError: with QEMU's own words, where it refused.

    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(120)  # a snapshot of a machine takes a while
        _connect(connection, place)
        with connection.makefile("rw") as stream:
            stream.readline()  # the greeting
            for name, values in (("qmp_capabilities", {}), (command, arguments)):
                stream.write(json.dumps({"execute": name, "arguments": values}) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                while "event" in answer:
                    answer = json.loads(stream.readline())
                if "error" in answer:
                    raise RuntimeError(f"QEMU refused {name}: {answer['error']['desc']}")
    return answer["return"]


def monitor(place: Path, line: str) -> str:
    """Run a line of the human monitor, which knows snapshots; it answers with nothing where all went well."""
    return str(execute(place, "human-monitor-command", **{"command-line": line}))


def _connect(connection: socket.socket, place: Path, patience_s: float = 10) -> None:
    """Wait for a QEMU that was started a moment ago."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return connection.connect(str(place))
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
