"""Azure Migrate, AWS and Live Optics: sizes are limits, greatest use is a peak, and what is not said is not made up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.importers import IMPORTERS
from collectors.inventory import aws, azure_migrate, live_optics
from collectors.records import HostRecord, NoteRecord, Record, TraceError, WorkloadRecord
from tests.support.workbooks import rows_of, workbook, write

GIB, MIB = 1 << 30, 1 << 20

AZURE = (
    "*Server Name,IP addresses,*Cores,*Memory (In MB),*OS name,OS version,CPU utilization percentage,"
    "Memory utilization percentage,Network In throughput,Disk 1 size (In GB),"
    "Disk 1 read throughput (MB per second),Disk 1 write ops (operations per second),Disk 2 size (In GB)\n"
    "web,10.0.0.1,4,8192,Ubuntu Linux,22.04,25,50,2,100,3,40,50\n"
    "db,,8,16384,Windows Server 2019,,,,,,,,\n"
)
DISCOVERY = (
    "ExternalId,SMBiosId,HostName,VMware.VMName,CPU.NumberOfCores,CPU.NumberOfLogicalCores,OS.Name,OS.Version,"
    "RAM.TotalSizeInMB,RAM.UsedSizeInMB.Avg,RAM.UsedSizeInMB.Max,CPU.UsagePct.Max,DiskReadsPerSecondInKB.Max,"
    "DiskReadsOpsPerSecond.Max,DiskWritesOpsPerSecond.Max,NetworkReadsPerSecondInKB.Max,Applications\n"
    "1,u-1,web.corp,web,2,4,Red Hat Enterprise Linux,8,8192,2048,4096,50,1024,30,12,10,shop\n"
    "2,u-2,metal,,8,16,Windows Server,2012,32768,,,,,,,,\n"
)
OPTIMIZER = (
    "accountId,instanceArn,instanceName,finding,current_vcpus,current_memory,utilizationMetrics_CPU_MAXIMUM,"
    "utilizationMetrics_MEMORY_MAXIMUM,utilizationMetrics_EBS_READ_OPS_PER_SECOND_MAXIMUM,"
    "utilizationMetrics_EBS_WRITE_OPS_PER_SECOND_MAXIMUM,utilizationMetrics_NETWORK_IN_BYTES_PER_SECOND_MAXIMUM,"
    "errorCode\n"
    "1,arn:aws:ec2:eu-west-1:1:instance/i-0a,web,OVER_PROVISIONED,2,8,20,25,100,50,1000.5,\n"
    "1,arn:aws:ec2:eu-west-1:1:instance/i-0b,,OPTIMIZED,2,512,,,,,,INSUFFICIENT_DATA\n"
)

Read = Callable[[Path], Iterator[Record]]


def read(tmp_path: Path, reader: Read, text: str | bytes, name: str = "list.csv") -> list[Record]:
    return list(reader(write(tmp_path / name, text)))


def machines(found: list[Record]) -> dict[str, WorkloadRecord]:
    return {one.name: one for one in found if isinstance(one, WorkloadRecord)}


def notes(found: list[Record]) -> str:
    return "\n".join(one.text for one in found if isinstance(one, NoteRecord))


def test_a_line_of_azure_migrate_is_a_machine_with_its_greatest_use(tmp_path: Path) -> None:
    found = read(tmp_path, azure_migrate.read, AZURE)
    assert machines(found)["web"] == WorkloadRecord(
        "web",
        "vm",
        os="Ubuntu Linux 22.04",
        limits={"cpu_milli": 4000, "memory_bytes": 8 * GIB},
        peak={
            "cpu_milli": 1000,
            "memory_bytes": 4 * GIB,
            "disk_read_bytes_per_s": 3_000_000,
            "disk_iops": 40,
            "net_rx_bytes_per_s": 2_000_000,
        },
        copy_bytes=150 * GIB,
    )
    assert machines(found)["db"].peak == {}
    assert "it is taken as peak" in notes(found)
    assert "not planned for: disk_write_bytes_per_s, net_tx_bytes_per_s" in notes(found)
    assert "state the hosts in the fleet file" in notes(found)


def test_sums_of_all_disks_go_before_those_of_each(tmp_path: Path) -> None:
    text = (
        "Server name,Cores,Memory (In MB),OS name,Server type,Total disks read ops (operations per second),"
        "Disk 1 read ops (operations per second)\na,1,1024,x,Physical,70,50\n"
    )
    found = read(tmp_path, azure_migrate.read, text)
    assert machines(found)["a"].peak == {"disk_iops": 70}
    assert machines(found)["a"].host == "a"
    assert [one for one in found if isinstance(one, HostRecord)] == [
        HostRecord("a", "x", capacity={"cpu_milli": 1000, "memory_bytes": GIB})
    ]


def test_application_discovery_tells_virtual_machines_from_servers(tmp_path: Path) -> None:
    found = read(tmp_path, aws.read_discovery, DISCOVERY)
    assert machines(found)["web"] == WorkloadRecord(
        "web",
        "vm",
        os="Red Hat Enterprise Linux 8",
        limits={"cpu_milli": 4000, "memory_bytes": 8 * GIB},
        group="shop",
        peak={
            "cpu_milli": 2000,
            "memory_bytes": 4 * GIB,
            "disk_read_bytes_per_s": MIB,
            "disk_iops": 42,
            "net_rx_bytes_per_s": 10240,
        },
        machine_id="u-1",
    )
    assert (machines(found)["metal"].kind, machines(found)["metal"].host) == ("server", "metal")
    (host,) = (one for one in found if isinstance(one, HostRecord))
    assert host.capacity == {"cpu_milli": 8000, "memory_bytes": 32 * GIB}


def test_averages_are_no_greatest_use(tmp_path: Path) -> None:
    text = "HostName,CPU.NumberOfCores,RAM.TotalSizeInMB,RAM.UsedSizeInMB.Avg,CPU.UsagePct.Avg\na,2,1024,512,50\n"
    found = read(tmp_path, aws.read_discovery, text)
    assert machines(found)["a"].peak == {}
    assert "The export holds no greatest use of cpu and memory: sizes take its place." in notes(found)


def test_compute_optimizers_instances_and_both_units_of_its_memory(tmp_path: Path) -> None:
    found = read(tmp_path, aws.read_optimizer, OPTIMIZER)
    assert machines(found)["web"] == WorkloadRecord(
        "web",
        "vm",
        limits={"cpu_milli": 2000, "memory_bytes": 8 * GIB},
        peak={"cpu_milli": 400, "memory_bytes": 2 * GIB, "disk_iops": 150, "net_rx_bytes_per_s": 1001},
        machine_id="i-0a",
    )
    assert machines(found)["i-0b"].limits == {"cpu_milli": 2000, "memory_bytes": 512 * MIB}
    assert "1 instance was not analysed by Compute Optimizer" in notes(found)


LIVE = {
    "VMs": rows_of(
        {
            "VM Name": "web",
            "MOB ID": "vm-1",
            "Power State": "poweredOn",
            "Template": "FALSE",
            "Virtual CPU": 4,
            "Provisioned Memory (MiB)": 8192,
            "Virtual Disk Size (MiB)": 2000,
            "Virtual Disk Used (MiB)": 1000,
            "VM OS": "Ubuntu Linux (64-bit)",
            "Host": "esx-1",
            "Cluster": "Prod",
        },
        {"VM Name": "old", "MOB ID": "vm-2", "Power State": "poweredOff", "Template": "FALSE", "Virtual CPU": 1},
        {"VM Name": "golden", "Template": "TRUE"},
    ),
    "ESX Hosts": rows_of(
        {"Host Name": "esx-1", "Cluster": "Prod", "Manufacturer": "Dell", "CPU Cores": 16, "Memory (KiB)": 1 << 28}
    ),
    "VM Performance": rows_of(
        {"VM Name": "web", "MOB ID": "vm-1", "Peak vCPU %": 50.0, "Peak Memory (MiB)": 6000, "Peak IOPS": 99.5}
    ),
}


def test_a_workbook_of_live_optics(tmp_path: Path) -> None:
    found = read(tmp_path, live_optics.read, workbook(LIVE), "live.xlsx")
    host, web, old = (one for one in found if not isinstance(one, NoteRecord))
    assert isinstance(host, HostRecord)
    assert (host.name, host.capacity, host.cluster) == (
        "esx-1",
        {"cpu_milli": 16_000, "memory_bytes": 256 * GIB},
        "Prod",
    )
    assert web == WorkloadRecord(
        "web",
        "vm",
        "esx-1",
        "Ubuntu Linux (64-bit)",
        limits={"cpu_milli": 4000, "memory_bytes": 8 * GIB},
        peak={"cpu_milli": 2000, "memory_bytes": 6000 * MIB, "disk_iops": 100},
        copy_bytes=1000 * MIB,
        cluster="Prod",
    )
    assert isinstance(old, WorkloadRecord)
    assert (old.state, old.peak) == ("off", {})
    assert "1 template is left out" in notes(found)
    assert "1 virtual machine has no greatest use in VM Performance" in notes(found)


def test_a_list_of_machines_alone_will_do_as_csv(tmp_path: Path) -> None:
    found = read(tmp_path, live_optics.read, "VM Name,Virtual CPU,Provisioned Memory (MB)\nweb,2,1024\n")
    assert machines(found)["web"].limits == {"cpu_milli": 2000, "memory_bytes": GIB}
    assert "no sheet ESX Hosts" in notes(found)
    assert "no sheet VM Performance" in notes(found)


def test_machines_of_one_name_get_their_identities(tmp_path: Path) -> None:
    text = "HostName,SMBiosId,CPU.NumberOfCores,RAM.TotalSizeInMB\na,u-1,1,1024\na,u-2,1,1024\nb,,1,1024\nb,,1,1024\n"
    assert list(machines(read(tmp_path, aws.read_discovery, text))) == ["a (u-1)", "a (u-2)", "b (1)", "b (2)"]


@pytest.mark.parametrize(
    ("reader", "text", "says"),
    [
        (azure_migrate.read, AZURE.replace(",25,50,", ",250,50,"), "list.csv:2: 250 % of its cores is more than there"),
        (azure_migrate.read, AZURE.replace("web,", ",", 1), "list.csv:2, column 1: *Server Name: a server without"),
        (azure_migrate.read, AZURE.replace("*Cores", "Kerne"), "list.csv, row 1: no column 'Cores'"),
        (azure_migrate.read, AZURE.splitlines()[0], "list.csv: no rows below the headings; export it again"),
        (azure_migrate.read, AZURE[: AZURE.index("db") + 5], "list.csv:3: 3 fields where the headings are 13"),
        (aws.read_discovery, DISCOVERY.replace("8192", "lots"), "RAM.TotalSizeInMB: 'lots' is not a number"),
        (aws.read_discovery, AZURE, "list.csv: no row with the headings 'HostName'"),
        (aws.read_optimizer, OPTIMIZER.replace("arn:aws:ec2:eu-west-1:1:instance/i-0b", "", 1), "without its ARN"),
        (aws.read_optimizer, workbook({"x": [["a"]]}), "a workbook, where AWS exports CSV; save its sheet as CSV"),
        (live_optics.read, workbook({"other": [["a"]]}), "no sheet VMs, or an empty one"),
        (live_optics.read, "VM Name,Power State\nweb,maybe\n", "Power State: 'maybe' is no state such as poweredOn"),
    ],
)
def test_a_damaged_list_is_refused_at_its_place(tmp_path: Path, reader: Read, text: str | bytes, says: str) -> None:
    with pytest.raises(TraceError, match=re.escape(says)):
        read(tmp_path, reader, text)


@pytest.mark.parametrize("name", ["azure-migrate", "aws-discovery", "aws-compute-optimizer", "live-optics"])
def test_every_list_is_in_the_registry(name: str) -> None:
    assert IMPORTERS[name].what


LISTS = {"azure-migrate": AZURE, "aws-discovery": DISCOVERY, "aws-compute-optimizer": OPTIMIZER}


@settings(max_examples=80)
@given(
    name=st.sampled_from(sorted(LISTS)),
    edits=st.lists(
        st.tuples(st.integers(0, 700), st.sampled_from(';,"\n\t.x9-%\0é') | st.text(max_size=3)), max_size=6
    ),
    cut=st.integers(0, 700),
)
def test_an_altered_list_is_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, name: str, edits: list[tuple[int, str]], cut: int
) -> None:
    text = LISTS[name]
    for at, inserted in edits:
        text = text[:at] + inserted + text[at + 1 :]
    path = write(tmp_path_factory.mktemp("fuzz") / "list.csv", text[: len(text) - cut % 50].encode("utf-8", "ignore"))
    try:
        assert list(IMPORTERS[name].read(path))
    except TraceError as error:
        assert "list.csv" in str(error)
