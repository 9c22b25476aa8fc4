"""Real control groups of our own, below a parent at the hierarchies' roots, and what runs in them."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from collectors.cgroup import Hierarchies, find_hierarchies
from consolidate.apply.keys import KEYS

STEADY = "import time\nwhile True:\n t = time.time()\n while time.time() - t < .03: pass\n time.sleep(.07)"
HUNGRY = "import time\nx = bytearray(48 << 20)\n" + STEADY.removeprefix("import time\n")
IDLE = "import time\ntime.sleep(1000)"
BURN = "while True: pass"
HOG = "x = []\nwhile True: x.append(bytearray(1 << 20))"

_CONTROLLERS = ("cpu", "cpuacct", "memory", "cpuset", "blkio", "pids")
_numbers = itertools.count()


@dataclass
class Groups:
    """Control groups that are ours, with the processes that were started in them."""

    mounts: dict[str, Path]
    parent: str
    version: int
    names: tuple[str, ...]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def path(self, controller: str, group: str) -> Path:
        return self.mounts[controller] / self.parent / group

    def cgroup(self, group: str) -> str:
        """The path that a plan has for a group."""
        return f"{self.parent}/{group}"

    def run(self, group: str, code: str) -> subprocess.Popen[bytes]:
        """Start Python code inside a group, from its first instruction on."""
        places = [str(self.path(controller, group) / "cgroup.procs") for controller in self.mounts]
        enter = "".join(f"open({place!r}, 'w').write(str(os.getpid()))\n" for place in dict.fromkeys(places))
        process = subprocess.Popen([sys.executable, "-c", f"import os\n{enter}{code}"])
        self.processes.append(process)
        return process

    def number(self, controller: str, group: str, file: str, key: str = "") -> int:
        """A number in a kernel file, or behind a key in it."""
        text = (self.path(controller, group) / file).read_text()
        return int(dict(line.split() for line in text.splitlines())[key] if key else text)

    def cpu_s(self, group: str) -> float:
        """CPU time so far."""
        if self.version == 1:
            return self.number("cpuacct", group, "cpuacct.usage") / 1e9
        return self.number("cpu", group, "cpu.stat", "usage_usec") / 1e6

    def oom_kills(self, group: str) -> int:
        """Processes killed for want of memory so far."""
        file = "memory.oom_control" if self.version == 1 else "memory.events"
        return self.number("memory", group, file, "oom_kill")

    def limits(self) -> dict[str, bytes]:
        """Every file that the cgroup backend may write, to the byte."""
        places = {self.path(controller, name) for controller in self.mounts for name in self.names}
        paths = {place / key.file for place in places for key in KEYS}
        return {str(path): path.read_bytes() for path in sorted(paths) if path.exists()}


@contextlib.contextmanager
def real_groups(*names: str) -> Iterator[Groups]:
    """Groups of these names, parents before children; they and what runs in them are removed at the end."""
    mounts, version = _mounts(find_hierarchies(Path("/")))
    groups = Groups(mounts, f"consolidate-test-{os.getpid()}-{next(_numbers)}", version, names)
    tops = {mounts[controller] / groups.parent for controller in mounts}
    try:
        for directory in [*tops, *(top / name for name in names for top in tops)]:
            directory.mkdir()
            holds_groups = directory in tops or any(f"{directory.name}/" in name for name in names)
            if version == 2 and holds_groups:  # others hold processes
                (directory / "cgroup.subtree_control").write_text("+cpu +memory +pids")
            for file in ("cpuset.mems", "cpuset.cpus"):  # v1: empty at first, and of no use to children and processes
                if version == 1 and (directory / file).exists():
                    (directory / file).write_text((directory.parent / file).read_text())
        yield groups
    finally:
        for process in groups.processes:
            process.kill()
            process.wait()
        for top in tops:
            _remove(top)


def _mounts(hierarchies: Hierarchies) -> tuple[dict[str, Path], int]:
    if {"cpu", "memory"} <= hierarchies.v1.keys():
        return {name: hierarchies.v1[name] for name in _CONTROLLERS if name in hierarchies.v1}, 1
    assert hierarchies.v2 is not None, "no cpu and memory controllers are mounted here"
    return {"cpu": hierarchies.v2, "memory": hierarchies.v2}, 2


def _remove(top: Path) -> None:
    for _ in range(50):  # a killed process leaves its group a moment later
        for directory, _children, _files in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)
        if not top.exists():
            return
        time.sleep(0.1)
