"""Limits in the kernel's words, and in an order that breaks no bound inside a group."""

from __future__ import annotations

import pytest

from consolidate.apply.keys import BY_FILE, content_of, steps, text_of
from consolidate.errors import ApplyError
from consolidate.plan.plan import Limits, Partition

MIB = 1024**2
NO_LIMIT = "rbps=max wbps=max riops=max wiops=max"


def wanted(after: Limits, **values: str) -> list[tuple[str, str]]:
    """Steps for keys that are there; arguments write ``__`` for the dot."""
    held = {name.replace("__", "."): text for name, text in values.items()}
    partition = Partition("web", "here", "container", "web", Limits(), after, 100, "a test")
    return [(key, text) for key, text in steps(partition, held) if key in held]


@pytest.mark.parametrize(
    ("quota", "burst", "after", "says"),
    [
        ("max 100000", "0", Limits(cpu_milli=500, cpu_burst_milli=250), ["50000 100000", "25000"]),
        ("90000 100000", "80000", Limits(cpu_milli=500, cpu_burst_milli=250), ["25000", "50000 100000"]),
        ("90000 100000", "80000", Limits(cpu_milli=500), ["50000", "50000 100000"]),  # it would be above the quota
        ("90000 100000", "40000", Limits(cpu_milli=500), ["50000 100000"]),
        ("10000 20000", "0", Limits(cpu_milli=800, cpu_burst_milli=2000), ["16000 20000", "16000"]),
    ],
)
def test_a_burst_is_never_above_its_quota_on_the_way(quota: str, burst: str, after: Limits, says: list[str]) -> None:
    assert [text for _, text in wanted(after, cpu__max=quota, cpu__max__burst=burst)] == says


@pytest.mark.parametrize(
    ("limit", "both", "after", "says"),
    [
        (64, 96, Limits(memory_bytes=128 * MIB, swap_bytes=32 * MIB), [("memsw", 160), ("limit", 128)]),
        (128, 160, Limits(memory_bytes=64 * MIB, swap_bytes=0), [("limit", 64), ("memsw", 64)]),
        (64, 96, Limits(memory_bytes=80 * MIB), [("limit", 80)]),
        (64, 96, Limits(memory_bytes=128 * MIB), [("memsw", 160), ("limit", 128)]),  # the swap that there was stays
        (1 << 43, 1 << 43, Limits(swap_bytes=32 * MIB), []),  # no limit of memory to add swap to
        (64, 1 << 43, Limits(swap_bytes=32 * MIB), [("memsw", 96)]),
    ],
)
def test_memory_and_swap_together_are_raised_first_and_lowered_last(limit, both, after, says) -> None:
    names = {"limit": "memory.limit_in_bytes", "memsw": "memory.memsw.limit_in_bytes"}
    held = {"memory__limit_in_bytes": str(limit * MIB), "memory__memsw__limit_in_bytes": str(both * MIB)}
    assert wanted(after, **held) == [(names[name], str(mib * MIB)) for name, mib in says]


def test_memory_is_written_in_whole_pages_so_that_it_reads_back_as_it_was_written() -> None:
    found = wanted(Limits(memory_high_bytes=1, memory_low_bytes=65_536), memory__high="max", memory__low="0")
    assert found == [("memory.high", "65536"), ("memory.low", "65536")]


def test_disks_are_limited_one_by_one_and_other_limits_of_theirs_stay() -> None:
    after = Limits(disk_write_bytes_per_s=1000, io_weight=1000)
    key = BY_FILE["io.max"]
    held = dict(text_of(key, "8:0 rbps=7 wbps=max riops=max wiops=3", ("8:0", "8:16")))
    assert held == {"io.max 8:0": "rbps=7 wbps=max riops=max wiops=3", "io.max 8:16": NO_LIMIT}
    partition = Partition("web", "here", "container", "web", Limits(), after, 100, "a test")
    found = dict(steps(partition, held | {"io.weight": "100", "io.bfq.weight": "100"}))
    assert found["io.max 8:0"] == "rbps=7 wbps=1000 riops=max wiops=3"
    assert (found["io.weight"], found["io.bfq.weight"]) == ("1000", "181")
    assert content_of("io.max 8:16", NO_LIMIT) == ("io.max", f"8:16 {NO_LIMIT}")
    assert dict(text_of(BY_FILE["io.weight"], "default 150\n8:0 200", ())) == {"io.weight": "150"}
    v1 = dict(text_of(BY_FILE["blkio.throttle.write_bps_device"], "8:0 5", ("8:0", "8:16")))
    assert list(v1.values()) == ["5", "0"]
    assert {text for key, text in steps(partition, v1) if key in v1} == {"1000"}


def test_cpus_go_by_way_of_the_union_and_are_cleared_by_an_empty_line() -> None:
    def cpus(now: str, then: str) -> list[str]:
        return [text for _, text in wanted(Limits(cpus=then), cpuset__cpus=now)]

    assert cpus("0-1", "2,3") == ["0-3", "2-3"]
    assert cpus("0-3", "1") == ["1"]
    assert cpus("1", "0-3") == ["0-3"]
    assert cpus("", "1") == ["1"], "an empty set inherits, so there is nothing to join"
    assert content_of("cpuset.cpus", "") == ("cpuset.cpus", "\n")
    with pytest.raises(ApplyError, match=r"web: '3-1' is no list of cpuset\.cpus such as 0-3,8; plan again"):
        cpus("0", "3-1")
