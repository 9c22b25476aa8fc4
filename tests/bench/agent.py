"""What an agent costs on a host with a thousand control groups, next to node_exporter.

    nice .venv/bin/python -m tests.bench.agent --groups 1000 --seconds 180 --table

Makes real control groups in every hierarchy of this machine, each with a process in it, and removes them afterwards:
needs root, and Debian's prometheus-node-exporter for the comparison. Two phases of the same length: in the first
nobody asks the agent for its metrics, in the second it is scraped as often as it samples. node_exporter, with its
defaults, is scraped in both.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from collectors.cgroup import Hierarchies, find_hierarchies

ROOT = Path(__file__).parents[2]
IDLE = ("sleep", "infinity")
BUSY = ("sh", "-c", "while :; do sleep 1; done")
BUSY_EVERY = 20
"""One group in so many runs something each second."""


@dataclass(frozen=True)
class Cost:
    """What a process took over a phase."""

    cpu_percent: float
    """Of one core, with programs that it ran."""
    resident_mib: float
    kernel_mib: float | None
    """Kernel memory charged to its control group, where the kernel tells."""
    scrapes: int
    scrape_bytes: int


@contextlib.contextmanager
def groups(hierarchies: Hierarchies, count: int) -> Iterator[None]:
    """Control groups of our own with a process in each, at the hierarchies' roots."""
    tops = [root / f"consolidate-bench-{os.getpid()}" for root in hierarchies.roots]
    names = [f"app-{number:04d}.service" for number in range(count)]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for top in tops:
            _make(top)
            if top.parent == hierarchies.v2 and "memory" not in hierarchies.v1:
                (top / "cgroup.subtree_control").write_text("+cpu +memory +io +pids")
            for name in names:
                _make(top / name)
        for number, name in enumerate(names):
            processes.append(subprocess.Popen(BUSY if number % BUSY_EVERY == 0 else IDLE, start_new_session=True))
            for top in tops:
                (top / name / "cgroup.procs").write_text(str(processes[-1].pid))
        yield
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for top in tops:
            for place in [*(top / name for name in names), top]:
                _remove(place)


def _make(group: Path) -> None:
    group.mkdir()
    for name in ("cpuset.cpus", "cpuset.mems"):  # v1 admits no process to an empty one
        if (group / name).exists() and group.parent.joinpath("tasks").exists():
            (group / name).write_text((group.parent / name).read_text())


def _remove(group: Path) -> None:
    for _ in range(50):  # a killed process leaves its group a moment later
        with contextlib.suppress(OSError):
            group.rmdir()
        if not group.exists():
            return
        time.sleep(0.1)


@contextlib.contextmanager
def running(name: str, command: list[str], memory: Path) -> Iterator[Measured]:
    """A process in a memory group of its own."""
    group = memory / f"consolidate-bench-{name}-{os.getpid()}"
    group.mkdir()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        (group / "cgroup.procs").write_text(str(process.pid))
        yield Measured(process.pid, group)
    finally:
        process.terminate()
        process.wait(30)
        _remove(group)


@dataclass(frozen=True)
class Measured:
    """A process that is looked at from outside."""

    pid: int
    group: Path

    def cpu_s(self) -> float:
        """CPU time so far, in seconds, with that of ended children."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> float:
        """The most that has been resident."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024

    def kernel_mib(self) -> float | None:
        """Kernel memory charged to its group now."""
        v1, v2 = self.group / "memory.kmem.usage_in_bytes", self.group / "memory.stat"
        if v1.exists():
            return int(v1.read_text()) / 2**20
        found = dict(line.split() for line in v2.read_text().splitlines())
        return int(found["kernel"]) / 2**20 if "kernel" in found else None


def scrape(url: str) -> int:
    """Bytes of an exposition."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return len(answer.read())


def free_port() -> int:
    """A port on the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def phase(
    targets: dict[str, tuple[Measured, str]], scraped: set[str], interval_s: float, seconds: float
) -> dict[str, Cost]:
    """Costs of a while in which some are scraped at every interval."""
    before = {name: target.cpu_s() for name, (target, _) in targets.items()}
    began, size, rounds = time.monotonic(), dict.fromkeys(targets, 0), 0
    while time.monotonic() - began < seconds:
        rounds += 1
        for name in scraped:
            size[name] = scrape(targets[name][1])
        time.sleep(max(0.0, began + rounds * interval_s - time.monotonic()))
    elapsed = time.monotonic() - began
    return {
        name: Cost(
            round(100 * (target.cpu_s() - before[name]) / elapsed, 3),
            round(target.resident_mib(), 1),
            None if (kernel := target.kernel_mib()) is None else round(kernel, 1),
            rounds if name in scraped else 0,
            size[name],
        )
        for name, (target, _) in targets.items()
    }


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Cost]:
    """Both phases, with everything started for them and ended after them."""
    hierarchies = find_hierarchies(Path("/"))
    memory = hierarchies.v1.get("memory", hierarchies.v2)
    exporter = shutil.which("prometheus-node-exporter")
    if memory is None or exporter is None:
        sys.exit("needs mounted control groups and the package prometheus-node-exporter")
    ports = free_port(), free_port()
    agent = [sys.executable, "-m", "collectors.agent", "--spool", str(folder), "--interval", str(given.interval)]
    agent += ["--listen", f"127.0.0.1:{ports[0]}"]
    with (
        groups(hierarchies, given.groups),
        running("agent", agent, memory) as ours,
        running("exporter", [exporter, f"--web.listen-address=127.0.0.1:{ports[1]}"], memory) as theirs,
    ):
        time.sleep(given.interval * 2)  # the first round opens files, and is not what months cost
        targets = {
            "agent": (ours, f"http://127.0.0.1:{ports[0]}/metrics"),
            "node_exporter": (theirs, f"http://127.0.0.1:{ports[1]}/metrics"),
        }
        quiet = phase(targets, {"node_exporter"}, given.interval, given.seconds)
        asked = phase(targets, {"node_exporter", "agent"}, given.interval, given.seconds)
    return {
        "agent": quiet["agent"],
        "agent, scraped": asked["agent"],
        "node_exporter, scraped": asked["node_exporter"],
    }


def main() -> None:
    """Measure, and print a line of JSON or a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between rounds")
    parser.add_argument("--seconds", type=float, default=180.0, help="length of each of the two phases")
    parser.add_argument("--table", action="store_true", help="Markdown; otherwise one line of JSON")
    given = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):  # whoever stops it does not want to keep the groups
        signal.signal(number, lambda *_: sys.exit("stopped"))
    with tempfile.TemporaryDirectory() as folder:
        costs = measure(given, Path(folder))
    if not given.table:
        print(json.dumps({name: asdict(cost) for name, cost in costs.items()}))
        return
    print("| | CPU, % of a core | resident, MiB | kernel memory, MiB | scrape, bytes |\n|---|---|---|---|---|")
    for name, cost in costs.items():
        print(f"| {name} | {cost.cpu_percent} | {cost.resident_mib} | {cost.kernel_mib} | {cost.scrape_bytes} |")


if __name__ == "__main__":
    main()
