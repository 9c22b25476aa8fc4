"""Lives of an agent on a clock that only passes where it waits, each ended by SIGKILL at a random system call.

    python -m tests.support.soak FOLDER URL SEED HOURS

Each life is a process of its own, so that a kill is a kill: nothing is cleaned up. What was on disk when it happened
is all that the next life has.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from collectors.agent.loop import Agent, Clock
from collectors.agent.observer import Round
from collectors.agent.push import IDLE_S, Push, Receiver
from collectors.agent.spool import LEAST_BYTES, Limits, Spool
from collectors.reading import Reading
from collectors.records import HostRecord, WorkloadRecord

START_S = 1_780_272_000
INTERVAL_S = 10
LIMITS = Limits(2 * LEAST_BYTES, 900)
MOST_CALLS = 900
"""A life sees at most so many of the calls below."""
HOST = "h1"
_write = os.write
"""Writes down what happened, and is never the call that a life ends with."""


def values(workload: int, at_s: int) -> dict[str, float]:
    """What is measured of a workload at a time; always the same, so that it can be checked."""
    passed_s = at_s - START_S
    return {
        "cpu_seconds_total": passed_s * (workload + 1) / 8,
        "pids": float(passed_s // 600 % (workload + 2)),
        **({"disk_reads_total": float(passed_s // 60)} if workload % 2 else {}),
    }


def incarnation(workload: int, at_s: int) -> str:
    """Workloads are created anew, each every so many hours."""
    return str((at_s - START_S) // (3600 * (workload + 1)))


def running(at_s: int) -> list[int]:
    """Workloads that are there at a time: one comes and goes."""
    return [one for one in range(6) if one < 5 or (at_s - START_S) // 1800 % 2]


def observed(at_s: int) -> Round:
    """The round of a time."""
    there = running(at_s)
    inventory = (HostRecord(HOST), *(WorkloadRecord(f"w{one}", "service", HOST) for one in there))
    return Round(at_s, inventory, tuple(Reading(f"w{one}", incarnation(one, at_s), values(one, at_s)) for one in there))


class Shared:
    """What outlives a life: the time, and the most that was ever on disk."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 16)
        self.set(float(START_S), 0.0)

    def get(self) -> tuple[float, float]:
        """(now, most bytes)."""
        now_s, most = struct.unpack("dd", self._memory[:16])
        return now_s, most

    def set(self, now_s: float, most: float) -> None:
        """Remember both."""
        self._memory[:16] = struct.pack("dd", now_s, most)


class Life:
    """One agent, from its start to its kill or to the end of the day."""

    def __init__(self, folder: Path, url: str, shared: Shared, end_s: float) -> None:
        self.folder, self.url, self.shared, self.end_s = folder, url, shared, end_s
        self.now_s, self.most = shared.get()
        self.truth = os.open(folder / "truth", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def run(self) -> None:
        """Sample and push until the end."""
        with closing(Spool(self.folder / "spool", HOST, LIMITS, lambda text: None)) as spool:
            push = Push(spool, Receiver.at(self.url), random.random, lambda text: None)
            due_s = 0.0

            def wait(seconds: float) -> bool:
                nonlocal due_s
                self.now_s += seconds
                self.most = max(self.most, sum(one.stat().st_size for one in (self.folder / "spool").iterdir()))
                self.shared.set(self.now_s, self.most)
                if self.now_s >= due_s:
                    due_s = self.now_s + push.step()
                return self.now_s >= self.end_s

            agent = Agent(self, spool, INTERVAL_S, Clock(lambda: self.now_s, lambda: self.now_s, wait), print)
            add = spool.add

            def durable(found: Round) -> bool:
                kept = add(found)
                _write(self.truth, f"{found.at_s} {'kept' if kept else 'lost'}\n".encode())
                return kept

            spool.add = durable  # type: ignore[method-assign]
            agent.run()
            while push.step() > IDLE_S or spool.segments():
                time.sleep(0.2)  # the receiver may just be starting again

    def observe(self, at_s: int) -> Round:
        """A round."""
        return observed(at_s)


def die_after(calls: int) -> None:
    """Let one of the next system calls be the last, before, after or in the middle of it."""
    left = calls

    def deadly(call: Callable[..., Any], torn: Callable[..., None] | None) -> Callable[..., Any]:
        def counting(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left > 0:
                return call(*arguments, **named)
            if torn is not None and random.random() < 0.5:
                torn(*arguments)
            elif random.random() < 0.5:
                call(*arguments, **named)
            os.kill(os.getpid(), signal.SIGKILL)
            return None

        return counting

    write, sendall = os.write, socket.socket.sendall

    def half_written(descriptor: int, content: bytes) -> None:
        write(descriptor, content[: random.randrange(len(content) + 1)])

    def half_sent(peer: socket.socket, content: Any, *_: Any) -> None:
        sendall(peer, bytes(content)[: random.randrange(len(content) + 1)])

    os.write = deadly(write, half_written)
    socket.socket.sendall = deadly(sendall, half_sent)  # type: ignore[method-assign]
    for name in ("fdatasync", "fsync", "rename", "unlink", "open", "close"):
        setattr(os, name, deadly(getattr(os, name), None))


def main() -> None:
    """Live until the day is over, and say how often it was killed and how much was on disk at most."""
    folder, url, seed, hours = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    chance, shared, end_s, kills = random.Random(seed), Shared(), START_S + 3600 * hours, 0
    while True:
        calls, child_seed = chance.randint(1, MOST_CALLS), chance.random()
        child = os.fork()
        if child == 0:
            random.seed(child_seed)
            life = Life(folder, url, shared, end_s)
            if life.now_s < end_s - 60:  # the last life is let be
                die_after(calls)
            life.run()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            code = os.WEXITSTATUS(status)
            break
        kills += 1
        now_s, most = shared.get()
        shared.set(now_s + chance.choice([0.0, 0.3, 2.0, 30.0]), most)
    print(code, kills, int(shared.get()[1]))


if __name__ == "__main__":
    main()
