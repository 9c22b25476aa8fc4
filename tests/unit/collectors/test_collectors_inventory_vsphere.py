"""vSphere's counters: MHz and percent become cores only with the machines and hosts that they are of."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.inventory import vsphere
from collectors.records import METRICS, HostRecord, NoteRecord, Record, RuleRecord, Series, TraceError, WorkloadRecord
from tests.support.workbooks import rows_of, workbook, write

AT_S = 1_777_636_800  # 2026-05-01 12:00 UTC
HOSTS = (
    '"Name","NumCpu","CpuTotalMhz","MemoryTotalGB","Parent","ConnectionState","Version","Manufacturer"\n'
    '"esx-1","16","40000","256","Prod","Connected","8.0.3","Dell"\n'
    '"esx-2","16","40000","256","Prod","Maintenance","8.0.3","Dell"\n'
)
MACHINES = (
    '#TYPE VMware\n"Name","PowerState","NumCpu","MemoryGB","VMHost","UsedSpaceGB","GuestId","Id","PersistentId"\n'
    '"web","PoweredOn","4","8","esx-1","10.5","ubuntu64Guest","VirtualMachine-vm-7","u-7"\n'
    '"off","PoweredOff","1","1","esx-1","1","","VirtualMachine-vm-8","u-8"\n'
)
HEAD = '"MetricId","Timestamp","Value","Unit","Entity","EntityId","IntervalSecs","Instance"\n'


def line(metric: str, at: str, value: object, entity: str = "web", instance: str = "", interval: int = 300) -> str:
    fields = (metric, at, value, "?", entity, "VirtualMachine-vm-7", interval, instance)
    return ",".join(f'"{field}"' for field in fields) + "\n"


LONG = (
    HEAD
    + line("cpu.usagemhz.average", "5/1/2026 12:05:00 PM", 2500)
    + line("cpu.usagemhz.average", "5/1/2026 12:00:00 PM", 1250)
    + line("cpu.usagemhz.average", "5/1/2026 12:05:00 PM", 9, instance="0")
    + line("mem.consumed.average", "5/1/2026 12:05:00 PM", "1,048,576")
    + line("mem.active.average", "5/1/2026 12:05:00 PM", 1)
    + line("net.received.average", "5/1/2026 12:05:00 PM", 2)
    + line("cpu.ready.summation", "5/1/2026 12:05:00 PM", 2)
)


def read(folder: Path, **files: str | bytes) -> list[Record]:
    for name, content in files.items():
        write(folder / (f"{name}.xlsx" if isinstance(content, bytes) else f"{name}.csv"), content)
    return list(vsphere.read(folder))


def series(found: list[Record]) -> dict[str, Series]:
    own = {one.metric: one for one in found if isinstance(one, Series)}
    assert own.keys() <= METRICS.keys()
    return own


def notes(found: list[Record]) -> str:
    return "\n".join(one.text for one in found if isinstance(one, NoteRecord))


def test_counters_become_series_of_their_machine_in_order_of_time(tmp_path: Path) -> None:
    found = read(tmp_path, hosts=HOSTS, vms=MACHINES, stats=LONG)
    hosts = [one for one in found if isinstance(one, HostRecord)]
    assert [(one.name, one.core_mhz, one.cluster, one.state) for one in hosts] == [
        ("esx-1", 2500, "Prod", ""),
        ("esx-2", 2500, "Prod", "maintenance"),
    ]
    web, off = (one for one in found if isinstance(one, WorkloadRecord))
    assert web == WorkloadRecord(
        "web",
        "vm",
        "esx-1",
        "ubuntu64Guest",
        limits={"cpu_milli": 4000, "memory_bytes": 8 << 30},
        copy_bytes=int(10.5 * (1 << 30)),
        machine_id="u-7",
        cluster="Prod",
    )
    assert off.state == "off"
    own = series(found)
    assert own.keys() == {"cpu_cores", "memory_working_set_bytes", "net_rx_bytes_per_s"}
    assert (own["cpu_cores"].host, own["cpu_cores"].workload) == ("esx-1", "web")
    assert own["cpu_cores"].at_s.tolist() == [AT_S, AT_S + 300]
    assert own["cpu_cores"].value.tolist() == [0.5, 1.0]
    assert own["memory_working_set_bytes"].value.tolist() == [1 << 30]
    assert own["net_rx_bytes_per_s"].value.tolist() == [2048]


def test_what_averaging_lost_and_what_is_missing_is_told(tmp_path: Path) -> None:
    told = notes(read(tmp_path, hosts=HOSTS, vms=MACHINES, stats=LONG + line("cpu.usage.average", "5/1/2026", 1, "db")))
    assert "vSphere averaged over 300 s: peaks that were shorter are lost, and real ones are higher." in told
    assert "1 counter is not read: cpu.ready.summation." in told
    assert "Values of 1 machine that the inventory does not list are left out: db." in told
    assert "disk_read_bytes_per_s, disk_write_bytes_per_s, net_tx_bytes_per_s" in told


def test_real_time_values_lose_nothing(tmp_path: Path) -> None:
    stats = HEAD + line("cpu.usage.average", "2026-05-01 12:00:00", 50, interval=20)
    found = read(tmp_path, vms=MACHINES, stats=stats)
    assert "averaged" not in notes(found)
    assert series(found)["cpu_cores"].value.tolist() == [2.0]


def test_a_column_a_counter_is_read_likewise(tmp_path: Path) -> None:
    stats = (
        "Timestamp;VM;cpu.usage.average;cpu.usage.maximum;mem.active.average\n"
        "01.05.2026 12:00:00;web;12,5;50;1024\n01.05.2026 12:05:00;web;;25,25;2048\n"
    )
    own = series(read(tmp_path, vms=MACHINES, hosts=HOSTS, stats=stats))
    assert own["cpu_cores"].at_s.tolist() == [AT_S]
    assert own["cpu_cores"].value.tolist() == [0.5]
    assert np.allclose(own["cpu_cores_max"].value, [2, 1.01])
    assert own["memory_working_set_bytes"].value.tolist() == [1 << 20, 1 << 21]


def test_an_rvtools_workbook_may_stand_for_the_inventory(tmp_path: Path) -> None:
    info = rows_of(
        *(
            {"VM": name, "CPUs": 4, "Memory": 8192, "Host": "esx-1", "VM ID": number, "Cluster rule(s)": "Affinity"}
            | {"Cluster rule name(s)": "pair", "Cluster": "Prod"}
            for name, number in (("web", "vm-7"), ("web", "vm-9"))
        )
    )
    hosts = rows_of({"Host": "esx-1", "Speed": 2500, "# Cores": 16, "# Memory": 1 << 18, "Cluster": "Prod"})
    found = read(tmp_path, rvtools=workbook({"vInfo": info, "vHost": hosts}), stats=LONG)
    assert series(found)["cpu_cores"].workload == "web (vm-7)"
    assert [one.workloads for one in found if isinstance(one, RuleRecord)] == [("web (vm-7)", "web (vm-9)")]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"vms": MACHINES}, "no counters (Entity, Timestamp, MetricId, Value); export Get-Stat into the folder"),
        ({"stats": LONG}, "counters without the machines that they are of; export Get-VM and Get-VMHost beside them"),
        (
            {"stats": LONG, "vms": MACHINES.replace('"4"', '""')},
            "CPU of web is no cores without its host's CpuTotalMhz or its NumCpu",
        ),
        (
            {"stats": LONG, "vms": MACHINES, "x": "a,b\n1,2\n"},
            "x.csv: neither counters nor machines nor hosts of vSphere",
        ),
        (
            {"stats": HEAD + line("cpu.usage.average", "2026-05-01", 5230), "vms": MACHINES},
            "cpu.usage.average of web is above 200; write percent, not hundredths of it",
        ),
        (
            {"stats": HEAD + line("cpu.usage.average", "", 5), "vms": MACHINES},
            "a value without its time; export it again",
        ),
        ({"stats": LONG.replace("1250", "n/a"), "vms": MACHINES, "hosts": HOSTS}, "Value: 'n/a' is not a number"),
        ({"stats": LONG[:-20], "vms": MACHINES, "hosts": HOSTS}, "stats.csv:8: "),
    ],
)
def test_a_folder_that_says_too_little_is_refused(tmp_path: Path, files: dict[str, str], says: str) -> None:
    with pytest.raises(TraceError, match=re.escape(says)):
        read(tmp_path, **files)


def test_counters_of_one_of_two_machines_of_a_name_want_its_number(tmp_path: Path) -> None:
    two = MACHINES + MACHINES.splitlines()[2].replace("-7", "-9") + "\n"
    assert series(read(tmp_path, vms=two, hosts=HOSTS, stats=LONG))["cpu_cores"].workload == "web (vm-7)"
    found = read(tmp_path, stats=LONG.replace("VirtualMachine-vm-7", ""))
    assert "Values of 1 machine that the inventory does not list are left out: web." in notes(found)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="not a folder; give one with the exports of Get-Stat, Get-VM and Get-VMHost"):
        list(vsphere.read(write(tmp_path / "stats.csv", LONG)))


@settings(max_examples=60)
@given(
    edits=st.lists(
        st.tuples(st.integers(0, 800), st.sampled_from(';,"\n\t.x9-%\0é') | st.text(max_size=3)), max_size=6
    ),
    which=st.sampled_from(["stats", "vms", "hosts"]),
)
def test_an_altered_folder_is_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, str]], which: str
) -> None:
    files = {"stats": LONG, "vms": MACHINES, "hosts": HOSTS}
    for at, inserted in edits:
        files[which] = files[which][:at] + inserted + files[which][at + 1 :]
    folder = tmp_path_factory.mktemp("fuzz")
    try:
        for one in read(folder, **{name: text.encode("utf-8", "ignore").decode() for name, text in files.items()}):
            assert not isinstance(one, Series) or np.isfinite(one.value).all()
    except TraceError as error:
        assert str(folder) in str(error)
