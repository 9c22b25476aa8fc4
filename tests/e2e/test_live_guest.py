"""A real host of systemd with unified control groups: what is sampled is what systemd and the kernel say as well."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.records import HostRecord, Record, Sample, WorkloadRecord
from collectors.topology import parse_topology
from collectors.traces.records import parse
from tests.support.backends.guest import Guest, guests

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]  # on a busy machine, building the image takes minutes

COLLECTORS = Path(__file__).parents[2] / "collectors"
COLLECT = "cd /opt && python3 -m collectors --host web-1"
MIB = 1 << 20
BURN = "while :; do :; done"


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    if os.geteuid() != 0 or shutil.which("qemu-system-x86_64") is None:
        pytest.skip("needs root and QEMU: it builds a Debian guest and starts it")
    with guests("web-1") as (started,):
        started.put(COLLECTORS, "/opt/collectors")
        started.ssh("systemd-run --quiet --scope --unit=loose sleep 1000 </dev/null >/dev/null 2>&1 &")
        started.ssh(
            f"systemd-run --quiet --unit=busy -p CPUQuota=40% -p MemoryMax=150M sh -c '{BURN}'"
            " && systemd-run --quiet --unit=wide -p CPUQuota=6150% sleep 1000"
            " && systemd-run --quiet --slice=tenant-a --unit=tenant -p MemoryMax=64M sleep 1000"
        )
        yield started


@pytest.fixture(scope="module")
def records(guest: Guest) -> list[Record]:
    """One round of everything, before any test changes the guest."""
    return collected(guest.ssh(COLLECT))


def collected(text: str) -> list[Record]:
    return [parse(line) for line in text.splitlines()]


def workload(records: list[Record], name: str) -> WorkloadRecord:
    [found] = [record for record in records if isinstance(record, WorkloadRecord) and record.name == name]
    return found


def values(records: list[Record], name: str | None) -> dict[str, float]:
    return {record.metric: record.value for record in records if isinstance(record, Sample) and record.workload == name}


def test_figures_of_a_unit_lie_between_what_systemctl_and_the_kernel_say_before_and_after(guest: Guest) -> None:
    look = "systemctl show busy -p CPUUsageNSec; cat /sys/fs/cgroup/system.slice/busy.service/{cpu.stat,memory.current}"
    before, text, after = guest.ssh(f"bash -c '{look}; echo ==; {COLLECT}; echo ==; {look}'").split("==\n")
    sampled = values(collected(text), "busy.service")

    def figure(said: str, begins: str) -> int:
        return int(next(line.removeprefix(begins) for line in said.splitlines() if line.startswith(begins)))

    for begins, metric, unit in (
        ("CPUUsageNSec=", "cpu_seconds_total", 1e-9),
        ("usage_usec ", "cpu_seconds_total", 1e-6),
        ("nr_periods ", "cpu_periods_total", 1),
        ("nr_throttled ", "cpu_throttled_periods_total", 1),
        ("throttled_usec ", "cpu_throttled_seconds_total", 1e-6),
    ):
        assert figure(before, begins) * unit <= sampled[metric] <= figure(after, begins) * unit, begins
    charged = sorted(int(said.split()[-1]) for said in (before, after))
    assert charged[0] * 0.9 <= sampled["memory_current_bytes"] <= charged[1] * 1.1


def test_rates_of_a_unit_are_those_that_systemd_cgtop_shows(guest: Guest) -> None:
    watch = "systemd-cgtop --batch --raw --iterations=2 --delay=8 --cpu=percentage /system.slice"
    text, shown = guest.ssh(
        f"{watch} > /tmp/cgtop & {COLLECT} --interval 8 --count 2; wait; echo ==; cat /tmp/cgtop"
    ).split("==\n")
    rounds = [record for record in collected(text) if isinstance(record, Sample) and record.workload == "busy.service"]
    [first, last] = [record for record in rounds if record.metric == "cpu_seconds_total"]
    cores = (last.value - first.value) / (last.at_s - first.at_s)
    [line] = [line.split() for line in shown.splitlines() if "busy.service" in line][-1:]
    # Times are in whole seconds; the quota is the same for both.
    assert cores == pytest.approx(float(line[2]) / 100, rel=0.25, abs=0.05)
    [*_, memory] = [record.value for record in rounds if record.metric == "memory_current_bytes"]
    assert memory == pytest.approx(float(line[3]), rel=0.1)


def test_units_have_their_names_places_and_limits(records: list[Record]) -> None:
    busy, wide, tenant = (workload(records, f"{name}.service") for name in ("busy", "wide", "tenant"))
    assert (busy.kind, busy.os, busy.cgroup) == ("service", "linux", "system.slice/busy.service")
    assert busy.limits == {"cpu_milli": 400, "memory_bytes": 150 * MIB}
    assert wide.limits == {"cpu_milli": 61_500}
    assert (tenant.cgroup, tenant.limits) == ("tenant.slice/tenant-a.slice/tenant.service", {"memory_bytes": 64 * MIB})
    assert workload(records, "tenant-a.slice").kind == "slice"
    assert workload(records, "loose.scope").kind == "scope"
    names = [record.name for record in records if isinstance(record, WorkloadRecord)]
    assert len(names) == len(set(names))
    assert [name for name in names if "/" in name and not name.startswith("process/")] == [], "no path is left"


def test_limits_are_the_same_from_systemd_alone(guest: Guest) -> None:
    code = (
        "from collectors.systemd import *; import pathlib\n"
        "for record in SystemdCollector().collect(pathlib.Path('/'), 'h', 0): print(record)"
    )
    said = guest.ssh("cd /opt && python3 -", code.encode())
    assert "cgroup='system.slice/wide.service', limits={'cpu_milli': 61500}" in said
    assert "limits={'cpu_milli': 400, 'memory_bytes': 157286400}" in said


def test_restarts_are_those_that_systemd_counts(guest: Guest) -> None:
    guest.ssh(
        "systemd-run --quiet --unit=shaky -p Restart=always -p RestartSec=100ms -p StartLimitIntervalSec=0"
        " sh -c 'test -e /tmp/steady && exec sleep 1000; test -e /tmp/once && touch /tmp/steady; touch /tmp/once'"
    )
    guest.ssh("until systemctl show shaky -p NRestarts | grep -q =2; do sleep 0.2; done")
    records = collected(guest.ssh(COLLECT))
    assert values(records, "shaky.service")["restarts_total"] == 2
    assert values(records, "busy.service")["restarts_total"] == 0


def test_a_host_says_what_machine_it_is(guest: Guest, records: list[Record]) -> None:
    [record] = [it for it in records if isinstance(it, HostRecord)]
    assert (record.os, record.vendor) == ("debian", "QEMU")
    assert record.machine_id == guest.ssh("cat /etc/machine-id").strip()


def test_topology_is_that_of_the_machine_and_of_lscpu(guest: Guest, records: list[Record]) -> None:
    [record] = [it for it in records if isinstance(it, HostRecord)]
    topology = parse_topology(record.topology)
    assert [(node.number, node.cpus, node.distances) for node in topology.nodes] == [
        (0, (0,), (10, 20)),
        (1, (1,), (20, 10)),
    ]
    lines = [line.split(",") for line in guest.ssh("lscpu -p=CPU,NODE,CORE,CACHE").splitlines() if line[0] != "#"]
    listed = [(int(cpu), int(node)) for cpu, node, *_ in lines]
    assert listed == [(cpu, node.number) for node in topology.nodes for cpu in node.cpus]
    assert len(topology.cores) == len({core for _, _, core, *_ in lines})
    assert len(topology.caches) == len({rest[-1].split(":")[-1] for _, _, _, *rest in lines})
    for node in topology.nodes:
        folder = f"/sys/devices/system/node/node{node.number}"
        total, free = (int(it) for it in guest.ssh(f"awk '/MemTotal|MemFree/ {{print $4}}' {folder}/meminfo").split())
        assert node.memory_bytes == total * 1024
        assert values(records, f"numa/{node.number}")["memory_free_bytes"] == pytest.approx(free * 1024, rel=0.25)


def test_units_that_come_and_go_between_listing_and_reading_are_no_failure(guest: Guest) -> None:
    churn = "while :; do systemd-run --quiet --scope --unit=passing-$RANDOM true; done"
    text = guest.ssh(
        f"bash -c '{churn}' >/dev/null 2>&1 & churn=$!; {COLLECT} --interval 0.3 --count 8 2>/tmp/complaints;"
        " kill $churn; wait $churn; cat /tmp/complaints >&2; test ! -s /tmp/complaints"
    )
    records = collected(text)
    succeeded = [it.value for it in records if isinstance(it, Sample) and it.metric == "collector_success"]
    assert set(succeeded) == {1.0}


def test_swap_space_and_its_use_are_told(guest: Guest, records: list[Record]) -> None:
    assert values(records, None)["swap_used_bytes"] == 0
    guest.add_swap(256)
    guest.ssh(
        "systemd-run --quiet --unit=hungry -p MemoryMax=48M"
        " python3 -c 'x = bytearray(100 << 20); import time; time.sleep(1000)'"
    )
    guest.ssh("until test $(awk '/SwapFree/ {print $2}' /proc/meminfo) -lt 240000; do sleep 0.2; done")
    sampled = values(collected(guest.ssh(COLLECT)), None)
    assert sampled["swap_used_bytes"] > 10 * MIB
    assert sampled["swap_out_bytes_total"] > 10 * MIB


def test_memory_that_a_balloon_takes_away_is_no_capacity(guest: Guest, records: list[Record]) -> None:
    def capacity_bytes(found: list[Record]) -> int:
        [record] = [it for it in found if isinstance(it, HostRecord)]
        return record.capacity["memory_bytes"]

    guest.balloon(512)
    guest.ssh("until test $(awk '/MemTotal/ {print $2}' /proc/meminfo) -lt 520000; do sleep 0.2; done")
    # The kernel and its own tables are no part of either.
    assert capacity_bytes(records) - capacity_bytes(collected(guest.ssh(COLLECT))) == (768 - 512) * MIB


def test_a_disk_may_be_given_the_scheduler_that_weighs(guest: Guest) -> None:
    guest.use_bfq()
    assert "[bfq]" in guest.ssh("cat /sys/block/vda/queue/scheduler")


def test_a_reboot_is_another_incarnation(guest: Guest) -> None:
    def boots() -> set[str]:
        records = collected(guest.ssh(COLLECT))
        return {
            it.incarnation
            for it in records
            if isinstance(it, Sample) and it.metric == "memory_anon_bytes" and not it.workload
        }

    [before] = boots()
    guest.reboot()
    [after] = boots()
    assert before != after
