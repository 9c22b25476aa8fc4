"""This machine, live: every key that its kernel has is written, in an order that the kernel takes, and taken back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from consolidate.apply import LocalMachine, Records, apply_changes, prepare, rollback, status
from consolidate.apply.keys import KEYS
from consolidate.errors import ApplyError
from consolidate.plan.plan import Limits, Partition
from tests.support.cgroups import IDLE, Groups, real_groups
from tests.support.hosts import plan_of

pytestmark = pytest.mark.kernel

MIB = 1024**2
NAMES = ("front", "front/web")


@pytest.fixture
def groups() -> Iterator[Groups]:
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes control groups of its own on this machine")
    with real_groups(*NAMES) as made:
        yield made


@pytest.fixture
def machine() -> LocalMachine:
    return LocalMachine("here")


def partition(groups: Groups, name: str, before: Limits, after: Limits) -> Partition:
    return Partition(name, "here", "container", groups.cgroup(name), before, after, 120, "a test")


def everything(cpu_milli: int, mib: int, cpus: str) -> Limits:
    return Limits(
        cpu_milli=cpu_milli,
        memory_bytes=mib * MIB,
        cpu_burst_milli=cpu_milli // 2,
        memory_low_bytes=16 * MIB,
        memory_high_bytes=(mib - 16) * MIB,
        swap_bytes=mib // 2 * MIB,
        disk_read_bytes_per_s=50 * MIB,
        disk_write_bytes_per_s=20 * MIB,
        io_weight=200,
        pids=mib,
        cpus=cpus,
        memory_nodes="0",
    )


def test_every_key_is_written_and_taken_back_to_the_byte(groups: Groups, machine: LocalMachine, tmp_path: Path) -> None:
    every_cpu = (groups.path("cpuset", "front") / "cpuset.cpus").read_text().strip()
    before, records = groups.limits(), Records(tmp_path, "here")
    wide = {"front": everything(1500, 512, every_cpu), "front/web": everything(1200, 256, every_cpu)}
    narrow = {"front": everything(400, 128, "0"), "front/web": everything(300, 64, "0")}
    # Each of these is refused by cgroup v1 in the wrong order: a child above its parent, a burst above its quota.
    for old, new in (({name: Limits() for name in NAMES}, wide), (wide, narrow), (narrow, wide)):
        known = {name: Limits(limits.cpu_milli, limits.memory_bytes) for name, limits in old.items()}
        plan = plan_of(*(partition(groups, name, known[name], new[name]) for name in NAMES))
        outcomes = apply_changes(plan, machine, prepare(plan, machine, records), records)
        assert {outcome.status for outcome in outcomes} <= {"done", "unchanged"}, outcomes
        assert status(plan, machine).drifted == ()
    written = {Path(path).name for path, text in groups.limits().items() if text != before[path]}
    if groups.version == 1:
        offered = {key.file for key in KEYS if 1 in key.versions and (groups.path(key.controller, "front")).is_dir()}
        assert offered - written <= {"cpu.cfs_period_us", "cpuset.cpus", "cpuset.mems"}, "kept, or as before"
    outcomes = rollback(machine, records, everything=True)
    assert {outcome.status for outcome in outcomes} == {"undone"}, outcomes
    assert groups.limits() == before


def test_what_the_kernel_refuses_is_told_with_its_word_and_everything_is_as_before(
    groups: Groups, machine: LocalMachine, tmp_path: Path
) -> None:
    if groups.version != 1:
        pytest.skip("v2 takes a child's quota above its parent's")
    (groups.path("cpu", "front") / "cpu.cfs_quota_us").write_text("50000")
    before, records = groups.limits(), Records(tmp_path, "here")
    plan = plan_of(partition(groups, "front/web", Limits(), Limits(cpu_milli=900, memory_bytes=64 * MIB)))
    outcomes = apply_changes(plan, machine, prepare(plan, machine, records), records)
    failed = next(outcome for outcome in outcomes if outcome.status == "failed")
    assert "the kernel refused '90000' (Invalid argument): it breaks a bound of the parent" in failed.error
    assert [outcome.status for outcome in outcomes] == ["done", "failed", "undone", "undone", "skipped"]
    assert groups.limits() == before
    assert records.journal.open_entries() == []


def test_a_memory_limit_that_use_has_outgrown_is_refused_by_the_kernel(
    groups: Groups, machine: LocalMachine, tmp_path: Path
) -> None:
    if groups.version != 1:
        pytest.skip("v2 kills instead of refusing")
    records = Records(tmp_path, "here")
    plan = plan_of(partition(groups, "front/web", Limits(), Limits(memory_bytes=16 * MIB)))
    preparation = prepare(plan, machine, records)
    holder = groups.run("front/web", "x = bytearray(64 << 20)\nprint(flush=True)\n" + IDLE)
    while groups.number("memory", "front/web", "memory.usage_in_bytes") < 64 * MIB:
        assert holder.poll() is None
    with pytest.raises(ApplyError, match="in use, so processes would be killed"):
        prepare(plan, machine, records)
    outcomes = apply_changes(plan, machine, preparation, records)  # it grew after it was looked at
    assert "(Device or resource busy): more than that is in use" in outcomes[0].error
    assert holder.poll() is None
