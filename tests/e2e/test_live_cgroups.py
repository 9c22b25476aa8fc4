"""This machine, live: groups under load are sampled, planned and enforced, and the kernel really limits them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from collectors.cgroup import Hierarchies, find_hierarchies
from tests.support.cli import consolidate

pytestmark = pytest.mark.kernel

STEADY = "import time\nwhile True:\n t = time.time()\n while time.time() - t < .03: pass\n time.sleep(.07)"
HUNGRY = "import time\nx = bytearray(48 << 20)\n" + STEADY.removeprefix("import time\n")
IDLE = "import time\ntime.sleep(1000)"
BURN = "while True: pass"
HOG = "x = []\nwhile True: x.append(bytearray(1 << 20))"


@dataclass
class Groups:
    """Three control groups of our own, below a parent at the hierarchies' roots."""

    mounts: dict[str, Path]
    parent: str
    version: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def path(self, controller: str, group: str) -> Path:
        return self.mounts[controller] / self.parent / group

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

    def limits(self) -> dict[str, bytes]:
        """Every limit file that we may write, to the byte."""
        names = ["cpu.max", "cpu.weight", "memory.max", "cpu.cfs_quota_us", "cpu.shares", "memory.limit_in_bytes"]
        paths = {self.path(c, g) / n for c in self.mounts for g in ("steady", "hungry", "idle") for n in names}
        return {str(path): path.read_bytes() for path in sorted(paths) if path.exists()}


@pytest.fixture(scope="module")
def groups() -> Iterator[Groups]:
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes control groups of its own on this machine")
    hierarchies = find_hierarchies(Path("/"))
    mounts, version = _mounts(hierarchies)
    made = Groups(mounts, f"consolidate-test-{os.getpid()}", version)
    tops = {mounts[controller] / made.parent for controller in mounts}
    try:
        for top in tops:
            top.mkdir()
            if version == 2:
                (top / "cgroup.subtree_control").write_text("+cpu +memory")
            for group in ("steady", "hungry", "idle"):
                (top / group).mkdir()
        made.run("steady", STEADY)
        made.run("hungry", HUNGRY)
        made.run("idle", IDLE)
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.wait()
        _remove(tops)


def _mounts(hierarchies: Hierarchies) -> tuple[dict[str, Path], int]:
    if {"cpu", "memory"} <= hierarchies.v1.keys():
        return {name: hierarchies.v1[name] for name in ("cpu", "cpuacct", "memory")}, 1
    assert hierarchies.v2 is not None, "no cpu and memory controllers are mounted here"
    return {"cpu": hierarchies.v2, "memory": hierarchies.v2}, 2


def _remove(tops: set[Path]) -> None:
    for top in tops:
        for _ in range(50):  # a killed process leaves its group a moment later
            with contextlib.suppress(OSError):
                for child in [*top.iterdir(), top]:
                    if child.is_dir():
                        child.rmdir()
            if not top.exists():
                break
            time.sleep(0.1)


def cpu_s(groups: Groups, group: str) -> float:
    if groups.version == 1:
        return groups.number("cpuacct", group, "cpuacct.usage") / 1e9
    return groups.number("cpu", group, "cpu.stat", "usage_usec") / 1e6


def oom_kills(groups: Groups, group: str) -> int:
    file = "memory.oom_control" if groups.version == 1 else "memory.events"
    return groups.number("memory", group, file, "oom_kill")


def test_measured_planned_enforced_checked_and_taken_back(groups: Groups, tmp_path: Path) -> None:
    before = groups.limits()
    assert before
    _plan(groups, tmp_path)
    plan = json.loads((tmp_path / "plan.json").read_text())
    limits = {one["workload"].rpartition("/")[2]: one["after"] for one in plan["partitions"]}
    assert set(limits) >= {"steady", "hungry", "idle"}

    here = (tmp_path / "plan.json", "--host", "here")
    state = ("--state", tmp_path / "state")
    dry = consolidate("apply", *here, *state)
    assert dry.code == 2, dry.err
    assert groups.limits() == before, "a dry run writes nothing"
    wet = consolidate("apply", *here, *state, "--yes")
    assert wet.code == 0, wet.out + wet.err
    assert groups.limits() != before
    assert consolidate("status", *here).code == 0

    _cpu_limit_bites(groups, limits["steady"]["cpu_milli"])
    _memory_limit_bites(groups)
    _drift_is_found(groups, here)

    back = consolidate("rollback", *state)
    assert back.code == 0, back.out + back.err
    assert groups.limits() == before, "rollback is the identity, to the byte"


def _plan(groups: Groups, tmp_path: Path) -> None:
    store, fleet = tmp_path / "store", tmp_path / "fleet.yaml"
    collected = consolidate("collect", "--store", store, "--host", "here", "--interval", 1, "--count", 4)
    assert collected.code == 0, collected.err
    fleet.write_text(f"workloads: [{{match: 'here:{groups.parent}/*', group: test}}]\npolicy: {{min_hours: 0}}\n")
    planned = consolidate("plan", "--store", store, "--fleet", fleet, "--out", tmp_path / "plan.json")
    assert planned.code == 2, planned.err
    plan = json.loads((tmp_path / "plan.json").read_text())
    ours = [one for one in plan["partitions"] if groups.parent in one["workload"]]
    # Nothing but our own groups may be touched on a machine that others use.
    others = {one["cgroup"] for one in plan["partitions"]} - {one["cgroup"] for one in ours}
    if others - {""}:
        fleet.write_text(
            "workloads:\n  - {match: '*', cgroup: ''}\n"
            + "".join(f"  - {{match: '{one['workload']}', cgroup: '{one['cgroup']}'}}\n" for one in ours)
            + "policy: {min_hours: 0}\n"
        )
        planned = consolidate("plan", "--store", store, "--fleet", fleet, "--out", tmp_path / "plan.json")
        assert planned.code == 2, planned.err


def _cpu_limit_bites(groups: Groups, cpu_milli: int) -> None:
    groups.run("steady", BURN)
    time.sleep(0.5)
    began, used = time.monotonic(), cpu_s(groups, "steady")
    throttled = groups.number("cpu", "steady", "cpu.stat", "nr_throttled")
    time.sleep(3)
    elapsed, used = time.monotonic() - began, cpu_s(groups, "steady") - used
    # Only an upper bound: on a busy machine a group may get less. One period's quota may be pending at either end.
    assert used <= cpu_milli / 1000 * (elapsed + 0.2)
    assert groups.number("cpu", "steady", "cpu.stat", "nr_throttled") > throttled


def _memory_limit_bites(groups: Groups) -> None:
    kills = oom_kills(groups, "hungry")
    hog = groups.run("hungry", HOG)
    assert hog.wait(timeout=60) == -signal.SIGKILL
    assert oom_kills(groups, "hungry") > kills


def _drift_is_found(groups: Groups, here: tuple[object, ...]) -> None:
    name, other = ("cpu.shares", "999") if groups.version == 1 else ("cpu.weight", "999")
    path = groups.path("cpu", "idle") / name
    planned = path.read_text().strip()
    path.write_text(other)
    found = consolidate("status", *here)
    assert found.code == 2
    assert f"{other} → {planned}" in found.out
    path.write_text(planned)
    assert consolidate("status", *here).code == 0
