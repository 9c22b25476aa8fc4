"""This machine, live: groups under load are sampled, planned and enforced, and the kernel really limits them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cgroups import BURN, HOG, HUNGRY, IDLE, STEADY, Groups, real_groups
from tests.support.cli import consolidate

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def groups() -> Iterator[Groups]:
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes control groups of its own on this machine")
    with real_groups("steady", "hungry", "idle") as made:
        made.run("steady", STEADY)
        made.run("hungry", HUNGRY)
        made.run("idle", IDLE)
        yield made


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

    back = consolidate("rollback", "--host", "here", *state)
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
    began, used = time.monotonic(), groups.cpu_s("steady")
    throttled = groups.number("cpu", "steady", "cpu.stat", "nr_throttled")
    time.sleep(3)
    elapsed, used = time.monotonic() - began, groups.cpu_s("steady") - used
    # Only an upper bound: on a busy machine a group may get less. One period's quota may be pending at either end.
    assert used <= cpu_milli / 1000 * (elapsed + 0.2)
    assert groups.number("cpu", "steady", "cpu.stat", "nr_throttled") > throttled


def _memory_limit_bites(groups: Groups) -> None:
    kills = groups.oom_kills("hungry")
    hog = groups.run("hungry", HOG)
    assert hog.wait(timeout=60) == -signal.SIGKILL
    assert groups.oom_kills("hungry") > kills


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
