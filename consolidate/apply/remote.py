"""The far end of a connection: what a host is asked, one JSON object a line. Runs there and needs Python 3.7 alone.

Sent over the connection and never stored, or installed where an account may run it by sudo and nothing else::

    sudo -n /usr/bin/python3 -I /usr/local/lib/consolidate/remote.py --restricted

Restricted, it reads and writes what limits are kept in, and runs the few commands of systemd that set them.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

GONE = (errno.ENOENT, errno.ENODEV, errno.ENOTDIR)
"""What is not there, as in `machine`; everything else means that we cannot tell."""
READABLE = re.compile(
    r"(sys/fs/cgroup|sys/block|sys/devices/system|run/systemd|etc/systemd/system\.control)(/|$)"
    r"|proc/(mounts|diskstats|meminfo|swaps|stat|pressure/[a-z]+|sys/kernel/(random/boot_id|osrelease))$"
)
WRITABLE = re.compile(r"sys/fs/cgroup/")
_UNIT = r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]*\.(service|scope|slice)"
_DROP_INS = rf"/(run/systemd/(system\.control|transient)|etc/systemd/system\.control)/{_UNIT}\.d"
COMMANDS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"systemctl\0show(\0--no-pager)?\0--property=[A-Za-z,]+(\0--value)?\0--\0{_UNIT}",
        rf"systemctl\0set-property(\0--runtime)?\0--\0{_UNIT}(\0[A-Za-z]+=[^\0]*)+",
        r"systemctl\0daemon-reload",
        rf"rm\0-f\0--\0{_DROP_INS}/50-[A-Za-z]+\.conf",
        rf"rmdir\0--ignore-fail-on-non-empty\0--\0{_DROP_INS}",
    )
)
"""Whole command lines that may be run where the program is restricted, words divided by NUL."""

LOCK = "sys/fs/cgroup"
"""Where every limit ends up; the lock on it leaves no file behind."""
held: list[int] = []
"""The lock's descriptor, as long as it is held. Commands inherit it: one that outlives us still keeps others out."""


def lock(path: str, patience_s: float) -> int:
    """Lock a directory against other appliers, and return the descriptor that holds it.

    Raises:
        BlockingIOError: where another one does not let go of it.

    """
    until = time.monotonic() + patience_s
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(descriptor)
                raise
            time.sleep(0.05)


def reserve(patience_s: float) -> bool:
    """Keep other appliers away from this host; whether that was possible."""
    try:
        held.append(lock("/" + LOCK, patience_s))
    except BlockingIOError:
        return False
    return True


def release() -> None:
    """Let them in again."""
    while held:
        os.close(held.pop())


def meaning(number: int) -> str:
    """What an error number means, where 0 is a file that holds no text."""
    return os.strerror(number) if number else "it holds no text"


def read(paths: list[str]) -> list[Any]:
    """Content of files without the final newline, None where one is not there, or how reading it failed."""
    found: list[Any] = []
    for path in paths:
        try:
            with open("/" + path, encoding="utf-8") as file:
                found.append(file.read().rstrip("\n"))
        except OSError as error:
            found.append(None if error.errno in GONE else {"errno": error.errno, "path": path})
        except UnicodeDecodeError:
            found.append({"errno": 0, "path": path})
    return found


def write(path: str, text: str) -> None:
    """One system call, as `LocalMachine.write` does it."""
    content = text.encode()
    descriptor = os.open("/" + path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        os.write(descriptor, content)
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_size > len(content):
            os.ftruncate(descriptor, len(content))
    finally:
        os.close(descriptor)


def inode(path: str) -> int | None:
    """Identity of a directory."""
    try:
        return os.stat("/" + path).st_ino
    except OSError:
        return None


def is_directory(path: str) -> bool:
    """Whether a directory is there."""
    return os.path.isdir("/" + path)


def is_below(path: str, mount: str) -> bool:
    """Whether a path lies below another, all links followed."""
    real, above = os.path.realpath("/" + path), os.path.realpath("/" + mount)
    return real == above or real.startswith(above.rstrip("/") + "/")


def run(arguments: list[str], stdin: str, timeout_s: float) -> dict[str, Any]:
    """A command without a shell: its exit code and what it printed."""
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=held,
        env=dict(os.environ, LC_ALL="C.UTF-8", SYSTEMD_COLORS="0", SYSTEMD_PAGER=""),
    )
    try:
        out, err = process.communicate(stdin.encode(), timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {"late": True}
    return {"code": process.returncode, "out": out.decode("utf-8", "replace"), "err": err.decode("utf-8", "replace")}


ACTIONS: dict[str, Callable[..., Any]] = {
    "reserve": reserve,
    "release": release,
    "read": read,
    "write": write,
    "inode": inode,
    "is_directory": is_directory,
    "is_below": is_below,
    "run": run,
}


def forbidden(action: str, arguments: list[Any]) -> str | None:
    """What a restricted program does not do, in words; None where it does."""
    if action == "run":
        line = "\0".join(arguments[0])
        return None if any(it.fullmatch(line) for it in COMMANDS) else line.replace("\0", " ")
    if action in ("reserve", "release"):
        return None
    paths = arguments[0] if action == "read" else arguments if action == "is_below" else arguments[:1]
    may = WRITABLE if action == "write" else READABLE
    # Backends ask for files without a name where a host lacks them.
    wrong = [path for path in paths if path and (not may.match(path) or ".." in path.split("/"))]
    return action + " /" + wrong[0] if wrong else None


def answer(request: dict[str, Any], restricted: bool) -> dict[str, Any]:
    """Do what is asked and say what came of it."""
    action, arguments = request["action"], request["arguments"]
    refused = forbidden(action, arguments) if restricted else None
    if refused:
        return {"forbidden": refused}
    try:
        return {"result": ACTIONS[action](*arguments)}
    except OSError as error:
        return {"errno": error.errno or 0}


def serve(restricted: bool) -> None:
    """Answer one line at a time until the connection ends."""
    print(json.dumps({"ready": 1, "user": os.geteuid()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), restricted)), flush=True)


if __name__ == "__main__":
    serve("--restricted" in sys.argv[1:])
