"""A day of an agent and its receiver, both killed at random, on a clock that takes a minute for it."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consolidate.store import Store
from consolidate.store.compaction import compact
from tests.support.soak import HOST, INTERVAL_S, LIMITS, START_S, incarnation, running, values

ROOT = Path(__file__).parents[2]
METRICS = ("cpu_seconds_total", "pids", "disk_reads_total")
RECEIVER = """
import sys, threading
from pathlib import Path
from collectors.agent.server import serving
from consolidate.verbs.intake import Intake
from consolidate.verbs.receive import Listener
now_s = int(sys.argv[3])
intake = Intake(Path(sys.argv[1]), lambda: now_s)
with serving(Listener(("127.0.0.1", int(sys.argv[2])), "", intake, lambda text: None)):
    while True:
        intake.tidy(None)
        threading.Event().wait(0.5)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def receivers(store: Path, port: int, seed: int) -> Iterator[list[int]]:
    """One receiver after another, each killed after a while; how many there were."""
    ending, lives, chance = threading.Event(), [0], random.Random(seed)
    command = [sys.executable, "-c", RECEIVER, str(store), str(port), str(START_S + 7 * 86400)]

    def keep_one_alive() -> None:
        while not ending.is_set():
            lives[0] += 1
            process = subprocess.Popen(command, cwd=ROOT)
            ending.wait(chance.uniform(1.0, 8.0))
            process.kill()
            process.wait()

    thread = threading.Thread(target=keep_one_alive)
    thread.start()
    try:
        yield lives
    finally:
        ending.set()
        thread.join()


def soak(folder: Path, seed: int, hours: float) -> tuple[int, int, int]:
    """(kills of the agent, lives of the receiver, most bytes on disk)."""
    port = free_port()
    with receivers(folder / "store", port, seed) as lives:
        command = [sys.executable, "-m", "tests.support.soak", str(folder), f"http://127.0.0.1:{port}", str(seed)]
        done = subprocess.run([*command, str(hours)], cwd=ROOT, capture_output=True, text=True, check=True)
        code, kills, most = map(int, done.stdout.split())
    assert code == 0, done.stderr
    return kills, lives[0], most


def stored(folder: Path) -> Counter[tuple[int, str, str, str, float]]:
    store = Store(folder / "store")
    found: Counter[tuple[int, str, str, str, float]] = Counter()
    for metric in METRICS:
        columns = store.columns(metric)
        keys = [columns.keys[index] for index in columns.series]
        for key, at_s, value in zip(keys, columns.at_s.tolist(), columns.value.tolist(), strict=True):
            found[at_s, key.workload, key.incarnation, metric, value] += 1
    return found


def expected(at_s: int) -> set[tuple[int, str, str, str, float]]:
    return {
        (at_s, f"w{one}", incarnation(one, at_s), metric, value)
        for one in running(at_s)
        for metric, value in values(one, at_s).items()
    }


@pytest.mark.timeout(900)
def test_a_day_with_kills_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    kills, lives, most = soak(tmp_path, seed=1, hours=24)
    assert kills > 20
    assert lives > 1
    assert most <= LIMITS.spool_bytes + 65536, "and the segment that is being recovered"

    rows = [line.split() for line in (tmp_path / "truth").read_text().splitlines()]
    kept = [int(at_s) for at_s, kept in rows if kept == "kept"]
    assert len(kept) == len(rows), "no round was lost for want of room"
    assert len(kept) > 24 * 3600 / INTERVAL_S * 0.8

    found = stored(tmp_path)
    assert max(found.values()) == 1, "nothing twice"
    missing = set().union(*map(expected, kept)) - found.keys()
    assert missing == set(), "all that was on disk is in the store"
    # A round that was being written when the agent was killed may or may not be there, one a kill.
    others = {at_s for at_s, *_ in found} - set(kept)
    assert len(others) <= kills
    assert found.keys() - set().union(*map(expected, [*kept, *others])) == set(), "and nothing that was not measured"

    store = Store(tmp_path / "store")
    assert compact(store, START_S + 7 * 86400) > 0
    assert stored(tmp_path) == found
    assert list(store.hosts()) == [HOST]
    assert not list((tmp_path / "spool").glob("*.gz*")), "and nothing is left to deliver"
