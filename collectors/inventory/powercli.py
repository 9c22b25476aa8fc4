"""What ``Get-VM | Export-Csv`` and ``Get-VMHost | Export-Csv`` of VMware's PowerCLI say of machines and hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from collectors.inventory.estate import GIB, MIB, amounts, apart, state_of
from collectors.inventory.grids import Grid
from collectors.inventory.tables import Row, column, read_table
from collectors.inventory.vcenter import OS, Clusters, FoundHost, Hosts, Site
from collectors.records import HostRecord, WorkloadRecord

NAME = column("Name")
CPUS = column("NumCpu", whole=True)
MEMORY_GB = column("MemoryGB", unit=GIB)
MEMORY_MB = column("MemoryMB", unit=MIB)
HOST = column("VMHost")
POWER = column("PowerState")
USED = column("UsedSpaceGB", unit=GIB)
PROVISIONED = column("ProvisionedSpaceGB", unit=GIB)
GUEST = column("GuestId")
ID = column("Id")
UUID = column("PersistentId")
MACHINES = (NAME, CPUS, MEMORY_GB, MEMORY_MB, HOST, POWER, USED, PROVISIONED, GUEST, ID, UUID)
MACHINES_NEEDED = (NAME, CPUS, HOST)

CLUSTER = column("Parent")
STATE = column("ConnectionState")
TOTAL_MHZ = column("CpuTotalMhz")
TOTAL_GB = column("MemoryTotalGB", unit=GIB)
TOTAL_MB = column("MemoryTotalMB", unit=MIB)
PROCESSOR = column("ProcessorType")
VERSION = column("Version")
MANUFACTURER = column("Manufacturer")
HOSTS = (NAME, CPUS, CLUSTER, STATE, TOTAL_MHZ, TOTAL_GB, TOTAL_MB, PROCESSOR, VERSION, MANUFACTURER)
HOSTS_NEEDED = (NAME, CPUS, TOTAL_MHZ)


def parse(machines: Sequence[Grid], hosts: Sequence[Grid]) -> Iterator[HostRecord | WorkloadRecord]:
    """Records of what the two commands wrote, any number of times each."""
    host_rows = [row for grid in hosts for row in read_table(grid, HOSTS, HOSTS_NEEDED).rows() if row.text(NAME)]
    rows = [row for grid in machines for row in read_table(grid, MACHINES, MACHINES_NEEDED).rows() if row.text(NAME)]
    clusters = Clusters([Site(), *(_site(row) for row in host_rows)])
    found = Hosts([_host(row) for row in host_rows], clusters)
    yield from (host.record for host in found)
    hosted = [found.find(row.text(HOST), Site()) for row in rows]
    cluster_names = [host.record.cluster if host is not None else "" for host in hosted]
    marks = [(row.text(ID).removeprefix("VirtualMachine-"), row.text(UUID)) for row in rows]
    names = apart(
        [(cluster, row.text(NAME), own) for cluster, row, own in zip(cluster_names, rows, marks, strict=True)]
    )
    for row, name, host in zip(rows, names, hosted, strict=True):
        yield _machine(row, name, host)


def _site(row: Row) -> Site:
    return Site("", "", row.text(CLUSTER))


def _host(row: Row) -> FoundHost:
    cores, mhz = row.number(CPUS), row.number(TOTAL_MHZ)
    record = HostRecord(
        row.text(NAME),
        OS,
        row.text(VERSION),
        row.text(PROCESSOR),
        amounts(
            cpu_milli=None if cores is None else cores * 1000,
            memory_bytes=_either(row.number(TOTAL_GB), row.number(TOTAL_MB)),
        ),
        row.text(MANUFACTURER),
        "native",
        core_mhz=int(mhz / cores) if mhz and cores else 0,
        state="maintenance" if row.text(STATE).casefold() == "maintenance" else "",
    )
    return FoundHost(_site(row), record)


def _machine(row: Row, name: str, host: FoundHost | None) -> WorkloadRecord:
    cpus = row.number(CPUS)
    limits = amounts(
        cpu_milli=None if cpus is None else cpus * 1000,
        memory_bytes=_either(row.number(MEMORY_GB), row.number(MEMORY_MB)),
    )
    return WorkloadRecord(
        name,
        "vm",
        host.record.name if host is not None else "",
        row.text(GUEST),
        limits={dimension: amount for dimension, amount in limits.items() if amount},
        copy_bytes=int(_either(row.number(USED), row.number(PROVISIONED)) or 0),
        machine_id=row.text(UUID),
        cluster=host.record.cluster if host is not None else "",
        state=state_of(row, POWER),
    )


def _either(one: float | None, other: float | None) -> float | None:
    return one if one is not None else other
