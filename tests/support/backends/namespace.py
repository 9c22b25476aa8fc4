"""Network and mount namespaces of a test's own, for daemons that would otherwise leave interfaces and mounts behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GATEWAY = "10.213.7.1"
"""Address of the namespace's bridge; nothing outside can reach it, nor it anything outside."""
BRIDGE = "br0"
_SETUP = f"""
ip link set lo up
ip link add {BRIDGE} type bridge
ip addr add {GATEWAY}/24 dev {BRIDGE}
ip link set {BRIDGE} up
echo ready
exec sleep infinity
"""


@dataclass(frozen=True)
class Namespace:
    """The namespaces, kept by a process that does nothing else."""

    holder: int

    def enter(self, *command: str) -> list[str]:
        """The command, inside."""
        return ["nsenter", f"--target={self.holder}", "--net", "--mount", *command]

    def processes(self) -> list[int]:
        """Everything that runs in the mount namespace: the holder, daemons and their helpers."""
        return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if self._holds(entry)]

    def _holds(self, process: Path) -> bool:
        with contextlib.suppress(OSError):  # it may end meanwhile
            return os.readlink(process / "ns/mnt") == os.readlink(f"/proc/{self.holder}/ns/mnt")
        return False


@contextlib.contextmanager
def namespace() -> Iterator[Namespace]:
    """Make the namespaces with a bridge; in the end whatever still runs in them is killed."""
    command = ["unshare", "--net", "--mount", "--propagation=private", "sh", "-ec", _SETUP]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as holder:
        made = Namespace(holder.pid)
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "ready\n", "the namespace's network could not be set up"
            yield made
        finally:
            kill(pid for pid in made.processes() if pid != holder.pid)
            holder.kill()


def kill(pids: Iterator[int]) -> None:
    """Kill processes and wait until the kernel is done with them, which their control groups wait for as well."""
    left = [pid for pid in pids if _signal(pid, signal.SIGKILL)]
    deadline = time.monotonic() + 20
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [pid for pid in left if _signal(pid, 0) and not _is_zombie(pid)]


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _is_zombie(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
