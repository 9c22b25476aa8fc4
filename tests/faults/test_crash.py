"""An applier that is killed anywhere leaves a host that the next one mends, forwards or backwards."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from consolidate.apply import LocalMachine
from consolidate.apply.backends.cgroup import CgroupBackend
from consolidate.plan.plan import Limits, Partition
from tests.support.cgroups import real_groups
from tests.support.crash import World, crash_everywhere
from tests.support.hosts import contents, make_host, plan_of

MIB = 1024**2


@pytest.fixture
def state() -> Iterator[Path]:
    """In memory: what a kill can tear does not depend on the disk, and thousands of syncs take minutes there."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        yield Path(scratch)


def partition(workload: str, cgroup: str, cpu_milli: int, mib: int, cpus: str | None = None) -> Partition:
    after = Limits(
        cpu_milli=cpu_milli,
        memory_bytes=mib * MIB,
        cpu_burst_milli=cpu_milli // 2,
        memory_high_bytes=(mib - 16) * MIB,
        swap_bytes=16 * MIB,
        disk_write_bytes_per_s=20 * MIB,
        pids=mib,
        cpus=cpus,
    )
    return Partition(workload, "here", "container", cgroup, Limits(), after, 120, "a test")


@pytest.mark.parametrize("version", [1, 2])
def test_a_kill_between_any_two_steps_is_mended_on_plain_files(tmp_path: Path, state: Path, version: int) -> None:
    root = make_host(tmp_path / "root", version, {"front": {}, "db": {}})
    plan = plan_of(partition("front", "front", 800, 128), partition("db", "db", 300, 64))

    def snapshot() -> dict[str, bytes]:
        return {path: text.rstrip(b"\n") for path, text in contents(root).items()}

    points = crash_everywhere(World(plan, lambda: LocalMachine("here", root), (CgroupBackend(),), snapshot, state))
    assert points == 6 * (5 + 5 + 5), "six writes, five points each, three ways"


@pytest.mark.kernel
def test_a_kill_between_any_two_steps_is_mended_in_real_control_groups(state: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes control groups of its own on this machine")
    with real_groups("front", "front/web") as groups:
        plan = plan_of(
            partition("front", groups.cgroup("front"), 800, 128, "0"),
            partition("web", groups.cgroup("front/web"), 300, 64, "0"),
        )
        points = crash_everywhere(World(plan, lambda: LocalMachine("here"), (CgroupBackend(),), groups.limits, state))
    print(f"{points} kills")
    assert points >= 200
