"""A disk that fills up stops an apply before the next write, and what was written goes back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from consolidate.apply import LocalMachine, Records, apply_changes, prepare, rollback
from tests.support.hosts import contents, make_host, partition, plan_of

pytestmark = pytest.mark.kernel

MIB = 1024**2


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 KiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it mounts a file system of its own")
    mount = tmp_path / "disk"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(mount)], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_journal_that_cannot_grow_stops_the_apply_and_everything_goes_back(tmp_path: Path, disk: Path) -> None:
    root = make_host(tmp_path / "root", 2, {f"group-{number}": {} for number in range(20)})
    plan = plan_of(*(partition(f"w{number}", f"group-{number}", 500, 64 * MIB) for number in range(20)))
    before, machine, records = _stripped(root), LocalMachine("here", root), Records(disk, "here")

    outcomes = apply_changes(plan, machine, prepare(plan, machine, records), records)
    assert [outcome.status for outcome in outcomes].count("done") > 5
    failed = next(outcome for outcome in outcomes if outcome.status == "failed")
    assert "the journal cannot be written (No space left on device), so nothing more is; make room" in failed.error
    assert any(outcome.status == "undone" and "was taken back, but" in outcome.error for outcome in outcomes)
    assert _stripped(root) == before

    assert "the audit log cannot be written (No space left on device)" in outcomes[-1].error
    subprocess.run(["mount", "-o", "remount,size=1m", str(disk)], check=True)
    assert {outcome.status for outcome in rollback(machine, records)} == {"undone"}
    assert (_stripped(root), records.journal.open_entries()) == (before, [])


def _stripped(root: Path) -> dict[str, bytes]:
    return {path: text.rstrip(b"\n") for path, text in contents(root).items()}
