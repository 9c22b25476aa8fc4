"""Tools of other packages are bounded in time and in what they write."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from collectors.devices import physical_disks, physical_nics
from collectors.external import run_into


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("print('fine')", ""),
        ("import sys; sys.exit('no such file\\nand more')", "no such file"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 11)", "nothing, and ended by signal 11"),
        ("import time; time.sleep(60)", "nothing for 1 s"),
        ("while True: print('x' * 1000)", "OSError: [Errno 27] File too large"),
    ],
)
def test_a_tool_is_bounded_and_says_in_a_few_words_why_it_failed(tmp_path: Path, program: str, complaint: str) -> None:
    out = tmp_path / "out"
    said = run_into([sys.executable, "-c", program], out, limit_s=1 if "sleep" in program else 30, limit_bytes=100_000)
    assert said == complaint or (program.startswith("while") and said)
    assert out.stat().st_size <= 100_000


def test_a_tool_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    assert (
        run_into(["no-such-tool"], tmp_path / "out", 1, 1) == "no-such-tool does not start: No such file or directory"
    )


def test_partitions_mappings_and_memory_are_no_disks() -> None:
    names = [
        "sda",
        "sda1",
        "sdb",
        "vda",
        "vda15",
        "nvme0n1",
        "nvme0n1p1",
        "mmcblk0",
        "mmcblk0p2",
        "dm-0",
        "md0",
        "zram0",
    ]
    assert physical_disks(names) == ["sda", "sdb", "vda", "nvme0n1", "mmcblk0"]
    assert physical_disks(["sda1"]) == ["sda1"], "without its disk a partition is all there is"


def test_where_all_interfaces_are_virtual_all_but_the_loopback_count() -> None:
    assert physical_nics(["lo", "veth0", "docker0"]) == ["veth0", "docker0"]
    assert physical_nics(["lo", "ens3", "ens3.7", "bond0", "virbr0"]) == ["ens3"]
