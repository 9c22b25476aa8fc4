"""Hosts in this process: control groups in memory behind a connection that takes its time, and may fail."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from consolidate.apply import Machine
from consolidate.errors import ApplyError
from consolidate.plan.plan import Partition, Plan
from tests.support.hosts import partition, plan_of

FILES = {"cpu.max": "max 100000", "cpu.weight": "100", "memory.max": "max", "memory.current": "0"}


@dataclass
class SimulatedMachine:
    """A host of cgroup v2; its files outlive connections to it."""

    name: str
    files: dict[str, str]
    round_trip: Callable[[], None]
    """Passes the time of one; fails where the connection does."""
    place: str = "simulated"

    def read(self, path: str) -> str | None:
        """Content of a file."""
        return self.read_many([path])[0]

    def read_many(self, paths: Sequence[str]) -> list[str | None]:
        """Content of several, in one round trip."""
        self.round_trip()
        return [self.files.get(path) for path in paths]

    def write(self, path: str, text: str) -> None:
        """Set a file that is there."""
        self.round_trip()
        assert path in self.files
        self.files[path] = text

    def inode(self, path: str) -> int | None:
        """The same for every directory."""
        return 1 if self.is_directory(path) else None

    def is_directory(self, path: str) -> bool:
        """Whether anything is below."""
        self.round_trip()
        return any(file.startswith(f"{path}/") for file in self.files)

    def is_below(self, path: str, mount: str) -> bool:
        """By name, since there are no links."""
        self.round_trip()
        return path.startswith(f"{mount}/")

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Nobody else is there."""
        yield

    def run(self, arguments: Sequence[str], stdin: str = "", timeout_s: float = 60.0) -> str:
        """No command is there."""
        raise ApplyError(f"{arguments[0]}: not installed on {self.name}; install it")


@dataclass
class Datacentre:
    """Many such hosts and a plan for them. A host fails or not by its name and the run alone."""

    count: int
    groups: int = 2
    round_trip_s: float = 0.0
    failing_permille: int = 0
    run: int = 0
    """Another run fails elsewhere."""
    open: int = 0
    most_open: int = 0
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for number in range(self.count):
            self.files[f"host-{number:04}"] = {"proc/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0"} | {
                f"sys/fs/cgroup/app-{group}/{file}": text
                for group in range(self.groups)
                for file, text in FILES.items()
            }

    def plan(self) -> Plan:
        """Limits every group of every host."""
        return plan_of(*(self._partition(host, group) for host in self.files for group in range(self.groups)))

    def fails(self, host: str) -> bool:
        """Whether the connection to a host fails in this run: at once, or half-way."""
        return random.Random(f"{self.run} {host}").randrange(1000) < self.failing_permille

    @contextmanager
    def connect(self, host: str) -> Iterator[Machine]:
        """A connection that may fail before or after it was of use."""
        left = random.Random(f"trips {self.run} {host}").randrange(30) if self.fails(host) else None

        def round_trip() -> None:
            nonlocal left
            time.sleep(self.round_trip_s)
            if left is not None:
                left -= 1
                if left < 0:
                    raise ApplyError(f"{host}: the connection broke (simulated); apply again")

        with self.lock:
            self.open += 1
            self.most_open = max(self.most_open, self.open)
        try:
            round_trip()
            yield SimulatedMachine(host, self.files[host], round_trip)
        finally:
            with self.lock:
                self.open -= 1

    def _partition(self, host: str, group: int) -> Partition:
        return replace(partition(f"{host}:app-{group}", f"app-{group}", 500, 64 << 20), host=host)
