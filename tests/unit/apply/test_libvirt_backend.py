"""What virsh is told about a domain, in which order, and what is made of what it prints."""

from __future__ import annotations

import pytest

from consolidate.apply.backends.libvirt_text import command_of, parse_script, script, setting
from consolidate.apply.backends.libvirt_writes import commands_for, limit, steps
from consolidate.errors import ApplyError
from consolidate.plan.plan import Limits, Partition

UUID = "11495465-65d5-4cdf-9e68-773d1e9ad74e"
MIB = 1 << 20
PRINTED = """\
=schedinfo
Scheduler      : posix
cpu_shares     : 1024
vcpu_period    : 100000
vcpu_quota     : -1
emulator_period: 100000
emulator_quota : -1
global_period  : 100000
global_quota   : -1

=memtune
hard_limit     : unlimited
soft_limit     : unlimited

=blkiotune
weight         : 100
device_weight  :\x20

=vcpupin
 VCPU   CPU Affinity
----------------------
 0      0-1
 1      1

=emulatorpin
 emulator: CPU Affinity
----------------------------------
       *: 0-1

=numatune
numa_mode      : strict
numa_nodeset   :\x20

=blkdeviotune=vda
total_bytes_sec: 0
read_bytes_sec : 5000000
write_bytes_sec: 0
"""
"""By libvirt 9.0."""


def partition(cpu_weight: int = 50, **after: object) -> Partition:
    limits = Limits(**after)  # type: ignore[arg-type]
    return Partition("here:web", "here", "vm", "", Limits(2000, 512 * MIB), limits, cpu_weight, "a test")


def facts(**more: str) -> dict[str, str]:
    found = {"currentMemory": "524288", "maximumMemory": "524288", "residentMemory": "400000", "vcpus": "2"}
    quotas = {"global_quota": "-1", "global_period": "100000", "vcpu_quota": "-1", "vcpu_period": "100000"}
    return found | quotas | {"cgroups": "1", "cpu_shares": "1024", "hard_limit": "unlimited"} | more


def test_what_virsh_prints_becomes_keys_and_texts() -> None:
    assert parse_script(PRINTED) == {
        "cpu_shares": "1024",
        "vcpu_period": "100000",
        "vcpu_quota": "-1",
        "global_period": "100000",
        "global_quota": "-1",
        "hard_limit": "unlimited",
        "blkiotune weight": "100",
        "vcpupin 0": "0-1",
        "vcpupin 1": "1",
        "emulatorpin": "0-1",
        "blkdeviotune vda": "5000000 0",
    }


def test_a_set_of_nodes_that_was_never_given_and_a_disk_limited_in_sum_are_not_offered() -> None:
    assert "numatune nodeset" not in parse_script(PRINTED)
    assert parse_script(PRINTED.replace("numa_nodeset   : ", "numa_nodeset   : 0-1"))["numatune nodeset"] == "0-1"
    assert "blkdeviotune vda" not in parse_script(PRINTED.replace("total_bytes_sec: 0", "total_bytes_sec: 9"))


def test_what_virsh_does_not_print_is_missed() -> None:
    with pytest.raises(ValueError, match="hard_limit is missing among nothing"):
        parse_script("=memtune\n")


def test_only_what_a_partition_sets_is_asked_for_in_one_line() -> None:
    assert commands_for(Limits(), ("vda",)) == ["schedinfo"]
    asked = commands_for(Limits(memory_bytes=1, cpus="0", disk_read_bytes_per_s=1), ("vda",))
    assert asked == ["schedinfo", "memtune", "vcpupin", "emulatorpin", "blkdeviotune vda"]
    assert commands_for(Limits(disk_read_bytes_per_s=1), ("vda", "vdb")) == ["schedinfo"], "not a rate for both"
    assert script(UUID, ["schedinfo", "blkdeviotune vda"]) == (
        f"echo =schedinfo; schedinfo {UUID}; echo =blkdeviotune=vda; blkdeviotune {UUID} vda"
    )


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("global_quota", "30000", f"schedinfo {UUID} --live --set global_quota=30000"),
        ("currentMemory", "409600", f"setmem {UUID} 409600 --live"),
        ("hard_limit", "unlimited", f"memtune {UUID} --hard-limit -1 --live"),
        ("blkiotune weight", "300", f"blkiotune {UUID} --weight 300 --live"),
        ("vcpupin 1", "0-1", f"vcpupin {UUID} 1 0-1 --live"),
        ("emulatorpin", "0", f"emulatorpin {UUID} 0 --live"),
        ("numatune nodeset", "0", f"numatune {UUID} --nodeset 0 --live"),
        ("blkdeviotune vda", "5 0", f"blkdeviotune {UUID} vda --live --read-bytes-sec 5 --write-bytes-sec 0"),
        ("vcpus", "2", f"setvcpus {UUID} 2 --live"),
    ],
)
def test_only_the_running_domain_is_told(key: str, value: str, words: str) -> None:
    assert " ".join(setting(key, value, UUID)) == words


def test_every_key_is_printed_by_a_command_but_for_what_statistics_say() -> None:
    assert command_of("vcpupin 7") == "vcpupin"
    assert command_of("blkdeviotune vdb") == "blkdeviotune vdb"
    assert command_of("currentMemory") == command_of("vcpus") == ""


def test_a_domain_is_limited_as_a_whole_unless_its_processors_are_limited_already() -> None:
    assert dict(steps(partition(cpu_milli=600), facts()))["global_quota"] == "60000"
    each = dict(steps(partition(cpu_milli=600), facts(vcpu_quota="50000")))
    assert each == {"vcpu_quota": "30000", "cpu_shares": "512"}


def test_a_processor_that_may_do_more_than_its_domain_is_limited_before_it() -> None:
    both = facts(vcpu_quota="90000", global_quota="150000")
    assert list(steps(partition(cpu_milli=600), both))[:2] == [("vcpu_quota", "60000"), ("global_quota", "60000")]


def test_shares_are_weights_where_the_kernel_has_those() -> None:
    assert ("cpu_shares", "50") in list(steps(partition(), facts(cgroups="2")))
    assert ("cpu_shares", "10") in list(steps(partition(cpu_weight=1), facts()))


def test_memory_within_what_the_guest_can_have_is_a_balloon_and_beyond_it_a_wall() -> None:
    assert dict(steps(partition(memory_bytes=400 * MIB), facts()))["currentMemory"] == "409600"
    beyond = list(steps(partition(memory_bytes=1024 * MIB), facts(currentMemory="409600")))
    assert beyond[:2] == [("currentMemory", "524288"), ("hard_limit", "1048576")]
    wider = list(steps(partition(memory_bytes=1024 * MIB), facts(hard_limit="700000")))
    assert wider[:2] == [("hard_limit", "1048576"), ("currentMemory", "524288")], "the wall gives way first"


def test_a_guest_that_does_not_say_what_it_needs_keeps_its_memory() -> None:
    known = facts()
    del known["maximumMemory"]
    assert {key for key, _ in steps(partition(memory_bytes=400 * MIB), known)} == {"cpu_shares"}


def test_a_wall_below_what_the_emulator_holds_is_refused() -> None:
    with pytest.raises(ApplyError, match=r"its emulator holds 800 MiB, and would be killed at 600 MiB; plan again"):
        list(steps(partition(memory_bytes=600 * MIB), facts(residentMemory=str(800 * 1024))))


def test_every_processor_and_the_emulator_are_pinned_to_the_same_cpus() -> None:
    pins = {"vcpupin 0": "0-3", "vcpupin 1": "0-3", "emulatorpin": "0-3"}
    wanted = dict(steps(partition(cpus="2,3"), facts(**pins)))
    assert {key: wanted[key] for key in pins} == dict.fromkeys(pins, "2-3")
    with pytest.raises(ApplyError, match="'two' is no list such as 0-3,8; plan again"):
        list(steps(partition(cpus="two"), facts(**pins)))


def test_a_disk_keeps_the_rate_that_the_plan_does_not_set() -> None:
    wanted = dict(steps(partition(disk_write_bytes_per_s=7), facts(**{"blkdeviotune vda": "5000000 0"})))
    assert wanted["blkdeviotune vda"] == "5000000 7"


def test_what_a_domain_has_now_stands_for_what_is_measured_of_it() -> None:
    now = facts(global_quota="30000", currentMemory="409600")
    assert limit("global_quota", "30000", now) == ("cpu_milli", 2000)
    assert limit("global_quota", "60000", now) == ("cpu_milli", 600)
    assert limit("global_quota", "-1", now) == ("cpu_milli", 2000)
    assert limit("vcpu_quota", "30000", now) == ("cpu_milli", 600)
    assert limit("currentMemory", "409600", now) == ("memory_bytes", 512 * MIB)
    assert limit("currentMemory", "300000", now) == ("memory_bytes", 300_000 * 1024)
    assert limit("cpu_shares", "512", now) is None
