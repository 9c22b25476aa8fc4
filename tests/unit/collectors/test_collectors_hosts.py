"""Every collector on whole host trees, against one golden file per tree.

After a wanted change, write the golden files anew and read their difference::

    python tests/unit/collectors/test_collectors_hosts.py
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from unittest import mock

import pytest

from collectors.records import Record, Sample, WorkloadRecord, as_fields
from collectors.run import run_all

HOSTS = Path(__file__).parents[2] / "fixtures/hosts"
TREES = ("v1", "v2", "hybrid", "plain")
AT_S = 1_700_000_000
# Golden files do not depend on the machine that checks them.
KERNEL = {"SC_CLK_TCK": 100, "SC_PAGE_SIZE": 4096}


def collect(name: str) -> list[Record]:
    complaints: list[str] = []
    with mock.patch("os.sysconf", KERNEL.__getitem__):
        records = run_all(HOSTS / name, "h1", AT_S, complaints.append)
    assert complaints == []
    return records


def golden(records: list[Record]) -> list[str]:
    """Lines of a golden file: inodes and durations, which differ from checkout to checkout, by name."""
    groups = {record.name for record in records if isinstance(record, WorkloadRecord) and record.cgroup}
    lines = []
    for record in records:
        line = {"type": type(record).__name__, **as_fields(record)}
        if isinstance(record, Sample) and record.workload in groups:
            line["incarnation"] = re.sub(r"\d+", "inode", record.incarnation)
        if isinstance(record, Sample) and record.metric == "collector_duration_seconds":
            line["value"] = "duration"
        lines.append(json.dumps(line))
    return lines


@pytest.mark.parametrize("name", TREES)
def test_the_records_of_a_host_tree_are_the_golden_ones(name: str) -> None:
    assert golden(collect(name)) == (HOSTS / f"{name}.jsonl").read_text().splitlines()


@pytest.mark.parametrize("name", TREES)
def test_git_keeps_every_directory_of_a_tree(name: str) -> None:
    holdings = {place: [*directories, *files] for place, directories, files in os.walk(HOSTS / name)}
    assert [place for place, held in holdings.items() if not held] == []


def kinds(name: str) -> dict[str, str]:
    return {record.name: record.kind for record in collect(name) if isinstance(record, WorkloadRecord)}


def values(name: str, workload: str | None) -> dict[str, float]:
    return {
        record.metric: record.value
        for record in collect(name)
        if isinstance(record, Sample) and record.workload == workload
    }


def workload(name: str, path: str) -> WorkloadRecord:
    [record] = [r for r in collect(name) if isinstance(r, WorkloadRecord) and r.name == path]
    return record


def test_a_path_in_several_hierarchies_is_one_workload_with_all_their_metrics() -> None:
    path = "system.slice/postgresql@15-main.service"
    found = values("hybrid", path)
    assert found["cpu_seconds_total"] == 345.6, "v1 cpuacct, not v2 cpu.stat"
    assert found["io_pressure_some_seconds_total"] == 0.77, "only v2 has it"
    assert found["disk_read_bytes_total"] == 104_857_600
    assert workload("hybrid", path).limits == {"cpu_milli": 1200, "memory_bytes": 1 << 30}


def test_a_service_that_only_the_unified_tree_knows_has_its_cpu_time_from_there() -> None:
    assert values("hybrid", "system.slice/cron.service")["cpu_seconds_total"] == 4.2


def test_named_hierarchies_are_ignored() -> None:
    assert "system.slice/named-only.service" not in kinds("v1")


def test_comounted_controllers_are_read_from_one_directory() -> None:
    path = "docker/" + "67a5f01b3ced9824" * 4
    found = values("v1", path)
    assert (found["cpu_seconds_total"], found["cpu_throttled_seconds_total"]) == (98.7654321, 45)
    incarnations = {r.incarnation for r in collect("v1") if isinstance(r, Sample) and r.workload == path}
    assert [len(one.split("-")) for one in incarnations] == [5], "one inode a mount, not one a controller"


def test_old_kernels_without_recursive_blkio_files() -> None:
    found = values("v1", "system.slice/sshd.service")
    assert (found["disk_read_bytes_total"], found["disk_writes_total"]) == (40960, 2)


def test_old_kernels_that_do_not_count_kills_leave_them_absent() -> None:
    assert "oom_kills_total" not in values("v1", "system.slice/sshd.service")


def test_kinds_of_workloads_on_a_v2_host() -> None:
    found = kinds("v2")
    assert sorted((kind, name.rpartition("/")[2].partition("-")[0]) for name, kind in found.items()) == [
        ("container", "cri"),
        ("container", "docker"),
        ("container", "libpod"),
        ("scope", "libpod"),  # the monitor of the container
        ("scope", "session"),
        ("service", "broken.service"),
        ("service", "nginx.service"),
        ("service", "user@1000.service"),
        ("slice", "kubepods"),
        ("slice", "kubepods"),
        ("slice", "kubepods.slice"),
        ("slice", "machine.slice"),
        ("slice", "system.slice"),
        ("slice", "user"),
        ("slice", "user.slice"),
        ("vm", "machine"),
    ]


def test_what_lies_below_a_workload_is_not_another_one() -> None:
    names = [name for tree in TREES for name in kinds(tree)]
    assert [name for name in names if name.endswith(("/libvirt", "/container", "/vcpu0", "/app.slice"))] == []


@pytest.mark.parametrize("name", TREES)
def test_slices_are_recorded_but_not_sampled(name: str) -> None:
    slices = {path for path, kind in kinds(name).items() if kind == "slice"}
    sampled = {record.workload for record in collect(name) if isinstance(record, Sample)}
    assert not slices & sampled
    assert bool(slices) == (name != "plain")


def test_a_guest_has_an_unknown_operating_system_and_a_container_its_hosts() -> None:
    assert workload("v1", "machine/qemu-1-db.libvirt-qemu").os == ""
    assert workload("v1", "docker/" + "67a5f01b3ced9824" * 4).os == "linux"


def test_memory_tells_anonymous_cache_and_working_set_apart() -> None:
    found = values("v2", "system.slice/nginx.service")
    mib = 1 << 20
    assert (found["memory_current_bytes"], found["memory_anon_bytes"]) == (180 * mib, 60 * mib)
    assert (found["memory_cache_bytes"], found["memory_working_set_bytes"]) == (110 * mib, (180 - 70) * mib)


def test_malformed_kernel_files_leave_their_values_absent_and_the_others_present() -> None:
    found = values("v2", "system.slice/broken.service")
    assert found == {
        "memory_current_bytes": 1 << 20,
        "memory_anon_bytes": 4096,  # memory.stat ends before inactive_file: no working set
        "memory_cache_bytes": 8192,
        "oom_kills_total": 0,
    }


def test_the_host_counts_a_byte_once_however_many_devices_it_passes() -> None:
    found = values("v2", None)
    assert found["disk_reads_total"] == 402_112, "the disk, not its partition or mapping"
    assert found["net_rx_bytes_total"] == 71_234_567_890, "the card, not the bridge behind it"


def test_a_host_without_cards_of_its_own_has_the_interfaces_it_was_given() -> None:
    assert values("plain", None)["net_rx_bytes_total"] == 7000, "not the loopback"


def test_a_host_without_disk_statistics_has_none() -> None:
    assert [metric for metric in values("plain", None) if metric.startswith("disk")] == []


def test_host_cpu_time_leaves_out_idle_steal_and_guest_time_counted_already() -> None:
    assert values("v2", None)["cpu_seconds_total"] == (812_400 + 1_200 + 301_200 + 9_800) / 100


def test_processes_of_a_program_are_one_workload_and_share_what_they_share() -> None:
    found = values("plain", "process/nginx")
    pages = (900 - 700) + (1500 - 800) + (1480 - 820)
    assert found["memory_anon_bytes"] == pages * 4096
    assert found["memory_working_set_bytes"] == (pages + 820) * 4096
    assert found["cpu_seconds_total"] == (12 + 5 + 4100 + 2050 + 3900 + 1980) / 100
    assert found["pids"] == 3, "not the zombie"


def test_a_process_in_no_group_is_a_workload_even_where_others_have_groups() -> None:
    processes = {tree: [name for name in kinds(tree) if name.startswith("process/")] for tree in TREES}
    assert processes == {
        "v1": ["process/legacy-billing"],
        "v2": [],
        "hybrid": [],
        "plain": ["process/init", "process/inventory-exporter", "process/nginx", "process/odd) name (1"],
    }


if __name__ == "__main__":
    for tree in TREES:
        (HOSTS / f"{tree}.jsonl").write_text("\n".join(golden(collect(tree))) + "\n")
