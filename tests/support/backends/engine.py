"""A container engine of the tests' own: what Docker and Podman have in common.

Each has its own storage, socket, namespaces and parent control group, and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from collectors.cgroup import find_hierarchies
from collectors.engine.service import Service
from collectors.kernel import parse_flat
from tests.support.backends.namespace import Namespace, kill, namespace

IMAGE = "tests/busybox:1"
_APPLETS = ("cat", "cut", "dd", "grep", "ip", "kill", "ping", "sh", "sleep", "tr", "true")
_PATIENCE_S = 60
_STOP_S = 20


BURN = ("sh", "-c", "while :; do :; done")
HOLD_BYTES = 24 << 20
HOLD = ("sh", "-c", "x=$(dd if=/dev/zero bs=1M count=24 2>/dev/null | tr '\\0' x); echo held; sleep 1000; :")
"""Ends with a command that does nothing, since a shell becomes its last one and forgets what it held."""
IDLE = ("sleep", "1000")


@dataclass(frozen=True)
class Stats:
    """Parts of the document behind ``docker stats`` and ``podman stats``."""

    cpu_s: float
    memory_bytes: int
    memory_limit_bytes: int
    network_bytes: int
    """Received and sent, since Podman 4.3 takes one for the other: it reads the host's end of the link."""


def parse_stats(document: Any) -> Stats:
    """Pick the parts that tests compare with."""
    memory = document["memory_stats"]
    network = sum(one["rx_bytes"] + one["tx_bytes"] for one in (document.get("networks") or {}).values())
    return Stats(document["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, memory["usage"], memory["limit"], network)


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition, or fail."""
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {_PATIENCE_S} s in vain for {what}"
        time.sleep(0.1)


@dataclass
class Engine:
    """A running engine and its client."""

    socket: Path
    client: tuple[str, ...]
    """Command line of the client, up to its verb."""
    daemon: tuple[str, ...]
    """Command line that starts the engine."""
    environment: dict[str, str]
    parent: str
    """Control group of every container."""
    inside: Namespace
    containers: tuple[str, ...] = ()
    """Options of every container."""
    removal: tuple[str, ...] = ("rm", "--force")
    """Verb that removes a container at once, even if it runs."""
    leftovers: tuple[Path, ...] = ()
    """Files of a killed engine that would keep the next one from starting."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start the engine and wait until it answers."""
        log = self.socket.with_suffix(".log")
        with log.open("ab") as output:
            command = self.inside.enter(*self.daemon)
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | self.environment)
        deadline = time.monotonic() + _PATIENCE_S
        while subprocess.run([*self.client, "version"], capture_output=True, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{self.daemon[0]} does not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End the engine without letting it clean up; its containers go on."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        for path in self.leftovers:
            path.unlink(missing_ok=True)

    def stop(self) -> None:
        """End the engine; its containers end with the namespaces."""
        assert self.process is not None
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_STOP_S)

    def call(self, *words: str) -> str:
        """What the client prints; its own words where it fails."""
        done = subprocess.run([*self.client, *words], capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            pytest.fail(f"{self.client[0]} {' '.join(words)}: {done.stderr}")
        return done.stdout

    def run(self, name: str, *command: str, **options: str | Sequence[str]) -> str:
        """Start a container and return its id; ``cpus="0.3"`` becomes ``--cpus=0.3``."""
        return self.call(
            "run", "--detach", f"--name={name}", *self.containers, *_words(options), IMAGE, *command
        ).strip()

    def update(self, name: str, **options: str) -> None:
        """Change a container's limits while it runs."""
        self.call("update", *_words(options), name)

    def inspect(self, name: str) -> dict[str, Any]:
        """What the engine knows of a container."""
        return dict(json.loads(self.call("container", "inspect", name))[0])

    def stats(self, name: str) -> Stats:
        """The engine's own measurement of a container."""
        with Service(self.socket, deadline_s=30) as service:
            return service.get_json(f"/containers/{name}/stats?stream=false", parse_stats)

    def cpu_s(self, container_id: str) -> float:
        """CPU time of a container by the kernel's own file."""
        v1 = self.group("cpuacct", container_id) / "cpuacct.usage"
        if v1.exists():
            return int(v1.read_text()) / 1e9
        return parse_flat((v1.parent / "cpu.stat").read_text())["usage_usec"] / 1e6

    def pid(self, name: str) -> int:
        """First process of a container."""
        return int(self.inspect(name)["State"]["Pid"])

    def crash(self, name: str) -> None:
        """Kill a container's first process, without the engine's knowledge."""
        os.kill(self.pid(name), signal.SIGKILL)

    def remove(self, name: str) -> None:
        """Kill a container and remove it."""
        self.call(*self.removal, name)

    def remove_all(self) -> None:
        """Kill and remove what the engine has."""
        if names := self.call("ps", "--all", "--quiet").split():
            self.call(*self.removal, *names)

    def group(self, controller: str, container_id: str) -> Path:
        """Directory of a container's control group; with unified groups there is one for all controllers."""
        [found] = [path for path in _groups(self.parent, controller) if container_id in path.name]
        return found


def _words(options: dict[str, str | Sequence[str]]) -> list[str]:
    words = []
    for name, value in options.items():
        for one in [value] if isinstance(value, str) else value:
            words.append(f"--{name.replace('_', '-')}={one}")
    return words


def need(*programs: str) -> None:
    """Skip the test where a program is not installed, or there is no root to run it; in CI that is a failure."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; .ci/packages names the packages")
    if os.geteuid() != 0:
        pytest.skip("needs root: it starts container engines of its own on this machine")


@contextlib.contextmanager
def workplace(name: str) -> Iterator[tuple[Path, str, Namespace]]:
    """A folder, a parent control group's name, and namespaces; all of them are gone in the end."""
    parent = f"consolidate-test-{name}-{os.getpid()}"
    folder = Path(tempfile.mkdtemp(prefix=f"{parent}-"))  # a short path, since sockets' addresses are short
    try:
        with namespace() as inside:
            try:
                yield folder, parent, inside
            finally:
                kill(_processes(parent))
    finally:
        _remove_groups(parent)
        shutil.rmtree(folder, ignore_errors=True)


def busybox() -> bytes:
    """An archive with one static program that is many, for both engines to import as an image."""
    archive = io.BytesIO()
    program = shutil.which("busybox")
    assert program is not None
    with tarfile.open(fileobj=archive, mode="w") as image:
        image.add(program, "bin/busybox")
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            image.addfile(link)
    return archive.getvalue()


def _tops(parent: str, controller: str = "") -> list[Path]:
    hierarchies = find_hierarchies(Path("/"))
    mounts = hierarchies.roots
    if controller:
        mounts = tuple(filter(None, [hierarchies.v1.get(controller, hierarchies.v2)]))
    # Hierarchies without a controller that we read, such as freezer, hold our groups as well.
    others = [] if controller else Path("/sys/fs/cgroup").glob(f"*/{parent}")
    return [*dict.fromkeys([*(mount / parent for mount in mounts), *others])]


def _groups(parent: str, controller: str = "") -> list[Path]:
    """Every group of ours, the innermost first."""
    tops = [top for top in _tops(parent, controller) if top.is_dir()]
    return [
        group for top in tops for group in [*sorted((it for it in top.rglob("*") if it.is_dir()), reverse=True), top]
    ]


def _processes(parent: str) -> Iterator[int]:
    for group in _groups(parent):
        with contextlib.suppress(OSError):
            yield from map(int, (group / "cgroup.procs").read_text().split())


def _remove_groups(parent: str) -> None:
    for _ in range(50):  # a killed process leaves its group a moment later
        for group in _groups(parent):
            with contextlib.suppress(OSError):
                group.rmdir()
        if not _groups(parent):
            return
        time.sleep(0.1)
    pytest.fail(f"control groups of {parent} are left behind: {_groups(parent)}")
