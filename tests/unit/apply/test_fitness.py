"""The doctor's verdicts, one key and host at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from consolidate.apply.facts import V2_FILES, Facts, GroupFacts, facts, parse_disks, parse_scheduler
from consolidate.apply.fitness import KEYS, Finding, Verdict, examine
from consolidate.apply.fitness_show import WIDTH, fitness_json, fitness_text, unfit
from consolidate.apply.local import LocalMachine
from consolidate.errors import ApplyError
from consolidate.plan.plan import Limits, Partition

MIB = 1 << 20
EVERYTHING = Limits(
    cpu_milli=2000,
    memory_bytes=64 * MIB,
    cpu_burst_milli=1000,
    memory_low_bytes=32 * MIB,
    memory_high_bytes=60 * MIB,
    swap_bytes=0,
    disk_read_bytes_per_s=MIB,
    disk_write_bytes_per_s=MIB,
    io_weight=200,
    pids=512,
    cpus="0-1",
    memory_nodes="0",
)
GROUP = GroupFacts(frozenset(V2_FILES), pids=1, page_cache_bytes=0, protected_bytes=64 * MIB)
FIT = Facts(
    kernel="6.1.0-18-amd64",
    v1=frozenset(),
    v2=frozenset({"cpu", "cpuset", "io", "memory", "pids"}),
    systemd=None,
    swap_bytes=1 << 30,
    schedulers={"vda": "bfq"},
    io_cost=False,
    pressure=True,
    cpus=frozenset(range(4)),
    nodes=frozenset({0}),
    groups={"shop/web": GROUP},
)


def a_partition(cgroup: str = "shop/web", after: Limits = EVERYTHING) -> Partition:
    return Partition("web", "here", "native", cgroup, Limits(), after, 50, "a test")


def found(host: Facts, key: str, cgroup: str = "shop/web", after: Limits = EVERYTHING) -> Finding:
    [one] = [finding for finding in examine([a_partition(cgroup, after)], host) if finding.key == key]
    return one


def changed(**group: object) -> Facts:
    return replace(FIT, groups={"shop/web": replace(GROUP, **group)})


def test_every_key_is_effective_where_nothing_is_missing() -> None:
    findings = examine([a_partition()], FIT)
    assert {finding.verdict for finding in findings} == {Verdict.EFFECTIVE}
    assert len(findings) == len(KEYS) + 1, "and the pressure that the guard watches"
    assert not unfit(findings)


def test_every_limit_of_a_partition_has_a_key() -> None:
    assert {key.field for key in KEYS} == {"", *vars(EVERYTHING)}


def test_what_a_plan_does_not_set_is_not_judged() -> None:
    assert [finding.key for finding in examine([a_partition(after=Limits())], FIT)] == ["CPU share", "pressure"]


V1 = replace(FIT, v1=frozenset({"cpu", "cpuset", "blkio", "memory", "pids"}), v2=frozenset())


@pytest.mark.parametrize(
    ("key", "host", "verdict", "reason"),
    [
        ("CPU burst", replace(FIT, kernel="5.10.0-28"), Verdict.IMPOSSIBLE, "Linux 5.10.0-28 has no burst"),
        ("CPU limit", changed(pids=12), Verdict.DANGEROUS, "its 12 threads may use 2.00 cores up"),
        ("CPU limit", replace(FIT, v2=frozenset({"memory"})), Verdict.IMPOSSIBLE, "offers no cpu controller"),
        ("CPUs", replace(FIT, cpus=frozenset({0})), Verdict.IMPOSSIBLE, "processors 1 are not online; 0 are"),
        ("memory nodes", replace(FIT, nodes=frozenset({1})), Verdict.IMPOSSIBLE, "nodes 0 are not online; 1 are"),
        ("memory low", changed(protected_bytes=0), Verdict.WITHOUT_EFFECT, "a group around it protects 0 B"),
        ("memory low", V1, Verdict.IMPOSSIBLE, "memory is on cgroup v1, which has nothing like it"),
        ("memory high", replace(FIT, swap_bytes=0), Verdict.DANGEROUS, "without swap and with 0 B of page cache"),
        ("memory high", V1, Verdict.IMPOSSIBLE, "memory is on cgroup v1"),
        ("swap limit", replace(FIT, swap_bytes=0), Verdict.WITHOUT_EFFECT, "the host has no swap"),
        (
            "swap limit",
            changed(files=frozenset(V2_FILES) - {"memory.swap.max"}),
            Verdict.IMPOSSIBLE,
            "there is no memory.swap.max",
        ),
        ("disk share", replace(FIT, schedulers={"vda": "mq-deadline"}), Verdict.WITHOUT_EFFECT, "(vda: mq-deadline)"),
        ("disk reads", replace(FIT, schedulers={}), Verdict.WITHOUT_EFFECT, "no disk with a queue of its own"),
        ("disk writes", replace(V1, groups={}), Verdict.WITHOUT_EFFECT, "throttles direct writes only"),
        ("task limit", changed(pids=512), Verdict.DANGEROUS, "it has 512 of 512 already"),
        (
            "CPUs",
            changed(files=frozenset(V2_FILES) - {"cpuset.cpus"}),
            Verdict.IMPOSSIBLE,
            "does not delegate the cpuset controller",
        ),
        ("CPU share", replace(V1, groups=FIT.groups), Verdict.IMPOSSIBLE, "its group has no cpu.shares"),
        ("pressure", replace(FIT, pressure=False), Verdict.WITHOUT_EFFECT, "does not tell who waits"),
    ],
)
def test_what_does_not_do_as_planned_is_told_with_its_figure_and_a_remedy(
    key: str, host: Facts, verdict: Verdict, reason: str
) -> None:
    finding = found(host, key)
    assert (finding.verdict, reason in finding.reason) == (verdict, True), finding
    assert finding.remedy


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("memory high", replace(changed(page_cache_bytes=8 * MIB), swap_bytes=0)),
        ("disk share", replace(FIT, schedulers={"vda": "none"}, io_cost=True)),
        ("CPU limit", replace(changed(pids=12), cpus=frozenset({0, 1}))),
    ],
    ids=["page cache above the mark can be dropped", "the cost model shares disks out", "two cores are all there are"],
)
def test_what_seems_wrong_and_is_not_is_effective(key: str, host: Facts) -> None:
    assert found(host, key).verdict is Verdict.EFFECTIVE


def test_systemd_hands_down_the_controllers_its_units_ask_for_and_has_no_burst() -> None:
    unit = "system.slice/web.service"
    group = replace(GROUP, files=frozenset({"memory.max", "memory.swap.max", "pids.max"}))
    host = replace(FIT, systemd=252, groups={unit: group})
    assert found(host, "CPUs", unit).verdict is Verdict.EFFECTIVE
    assert found(host, "CPU burst", unit).reason == "systemd has no property for it"
    assert found(replace(host, systemd=None), "CPUs", unit).verdict is Verdict.IMPOSSIBLE


def test_a_workload_that_is_not_there_yet_is_judged_by_its_host() -> None:
    host = replace(FIT, swap_bytes=0)
    assert found(host, "CPUs", "").verdict is Verdict.EFFECTIVE
    assert found(host, "memory high", "").verdict is Verdict.DANGEROUS


def test_the_table_fits_the_page_and_names_who_is_meant() -> None:
    partitions = [replace(a_partition(), workload=f"workload-{n}\x1b[31m" + "x" * 30) for n in range(5)]
    host = replace(FIT, swap_bytes=0, schedulers={"vda": "mq-deadline"})
    text = fitness_text("here", host, examine(partitions, host))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "\x1b" not in text
    assert "! memory high   dangerous       5 workloads: workload-0" in text
    assert text.endswith("51 effective, 10 without effect, 5 dangerous\n")


def test_programs_get_the_facts_and_every_finding() -> None:
    document = json.loads(fitness_json("here", FIT, examine([a_partition()], FIT)))
    assert document["facts"]["v2"] == ["cpu", "cpuset", "io", "memory", "pids"]
    assert len(document["findings"]) == len(KEYS) + 1


def test_whole_disks_are_told_from_loops() -> None:
    text = "   7       0 loop0 1 0 0 0\n 254       0 vda 1 0 0 0\n 254       1 vda1 1 0 0 0\n"
    assert parse_disks(text) == ["vda", "vda1"], "of these only vda has a queue"
    assert parse_scheduler("none [bfq]") == "bfq"


def test_a_kernel_file_that_makes_no_sense_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("nonsense\n")
    with pytest.raises(ApplyError, match="here: a kernel file says 'nonsense' is no amount of memory; look whether"):
        facts(LocalMachine("here", tmp_path), [])


def test_a_group_that_leads_out_of_the_hierarchy_is_refused(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    with pytest.raises(ApplyError, match="is no control group's path"):
        facts(LocalMachine("here", tmp_path), [a_partition("../etc")])
