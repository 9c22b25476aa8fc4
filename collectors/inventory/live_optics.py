"""Live Optics workbooks for VMware (Dell): hosts, virtual machines, and the greatest use of each in the days watched.

Sheets and columns are found by name; older versions write MB where newer ones write MiB, and mean the same. The sheet
VM Performance is there in some exports only: without it there is no use, and sizes take its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from collectors.inventory.estate import KIB, MIB, RATES, Notes, amounts, apart, counted, not_planned, state_of
from collectors.inventory.files import read_grids
from collectors.inventory.grids import Grid, named
from collectors.inventory.machines import ESSENTIAL, share
from collectors.inventory.tables import Column, Row, Table, column, read_table
from collectors.inventory.vcenter import OS, Clusters, FoundHost, Hosts, Site
from collectors.records import HostRecord, Record, TraceError, WorkloadRecord

SHEETS = ("VMs", "ESX Hosts", "VM Performance")

VM = column("VM Name")
NUMBER = column("MOB ID")
UUID = column("InstanceUUID")
DATACENTER = column("Datacenter")
CLUSTER = column("Cluster")
HOST = column("Host")
POWER = column("Power State")
TEMPLATE = column("Template")
VCPUS = column("Virtual CPU", whole=True)
MEMORY = column("Provisioned Memory (MiB)", "Provisioned Memory (MB)", unit=MIB)
DISK_USED = column("Virtual Disk Used (MiB)", "Virtual Disk Used (MB)", unit=MIB)
DISK_SIZE = column("Virtual Disk Size (MiB)", "Virtual Disk Size (MB)", unit=MIB)
GUEST_OS = column("VM OS")
MACHINES = (VM, NUMBER, UUID, DATACENTER, CLUSTER, HOST, POWER, TEMPLATE, VCPUS, MEMORY, DISK_USED, DISK_SIZE, GUEST_OS)

HOST_NAME = column("Host Name")
MANUFACTURER = column("Manufacturer")
CORES = column("CPU Cores", whole=True)
CPU_MODEL = column("CPU Description", "CPU Model")
HOST_MEMORY = column("Memory (KiB)", "Memory (KB)", unit=KIB)
HOSTS = (HOST_NAME, DATACENTER, CLUSTER, MANUFACTURER, CORES, CPU_MODEL, HOST_MEMORY)

CPU_MOST = column("Peak vCPU %", "Peak CPU %")
MEMORY_MOST = column("Peak Memory (MiB)", "Peak Memory (MB)", unit=MIB)
IOPS_MOST = column("Peak IOPS")
PERFORMANCE = (VM, NUMBER, CPU_MOST, MEMORY_MOST, IOPS_MOST)


def read(place: Path) -> Iterator[Record]:
    """Yield hosts and virtual machines of a workbook.

    Raises:
        TraceError: with the file, the sheet, the cell, the value and the remedy.

    """
    yield from parse(read_grids(place, SHEETS, [heading for one in MACHINES for heading in one.headings]), str(place))


def parse(grids: Mapping[str, Grid], name: str) -> Iterator[Record]:
    """Records of Live Optics' sheets; a list of machines alone, as CSV, will do."""
    notes = Notes("live-optics")
    grid = named(grids, "VMs") or (next(iter(grids.values())) if len(grids) == 1 else None)
    if grid is None or not grid.rows:
        raise TraceError(f"{name}: no sheet VMs, or an empty one; export the VMware workbook of a Live Optics project")
    rows = list(read_table(grid, MACHINES, (VM,)).rows())
    host_rows = list(_rows(_table(grids, "ESX Hosts", HOSTS, HOST_NAME)))
    clusters = Clusters(_site(row) for row in (*rows, *host_rows))
    hosts = Hosts([_host(row) for row in host_rows if row.text(HOST_NAME)], clusters)
    yield from (host.record for host in hosts)
    performance = _table(grids, "VM Performance", PERFORMANCE, VM)
    yield from _machines(rows, _Performance(_rows(performance)), clusters, hosts, notes)
    if not host_rows:
        notes.tell(f"{name} has no sheet ESX Hosts: state the hosts in the fleet file.")
    if performance is None:
        notes.tell("The export holds no sheet VM Performance, and so no use: sizes take its place.")
    notes.tell(not_planned(rate for rate in RATES if performance is None or rate != "disk_iops"))
    yield from notes.records()


def _table(grids: Mapping[str, Grid], sheet: str, columns: Sequence[Column], needed: Column) -> Table | None:
    grid = named(grids, sheet)
    return read_table(grid, columns, (needed,)) if grid is not None and grid.rows else None


def _rows(table: Table | None) -> Iterator[Row]:
    return table.rows() if table is not None else iter(())


def _site(row: Row) -> Site:
    return Site("", row.text(DATACENTER), row.text(CLUSTER))


def _host(row: Row) -> FoundHost:
    cores = row.number(CORES)
    capacity = amounts(
        cpu_milli=None if cores is None else cores * 1000,
        memory_bytes=row.number(HOST_MEMORY),
    )
    name, vendor, model = row.text(HOST_NAME), row.text(MANUFACTURER), row.text(CPU_MODEL)
    record = HostRecord(name, OS, cpu_model=model, capacity=capacity, vendor=vendor, hypervisor="native")
    return FoundHost(_site(row), record)


class _Performance:
    """Greatest use by machine: by its number where both sheets have one, else by its name."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._by_key: dict[tuple[str, str], Row] = {}
        for row in rows:
            self._by_key[row.text(VM), row.text(NUMBER)] = row

    def of(self, row: Row) -> Row | None:
        """The machine's row, or None."""
        key = row.text(VM), row.text(NUMBER)
        return self._by_key.get(key) or self._by_key.get((key[0], ""))


def _machines(
    rows: Sequence[Row], performance: _Performance, clusters: Clusters, hosts: Hosts, notes: Notes
) -> Iterator[WorkloadRecord]:
    kept = [row for row in rows if row.text(VM) and not row.flag(TEMPLATE)]
    templates = sum(row.flag(TEMPLATE) for row in rows)
    notes.left_out(templates, "template is", "templates are", "they never run")
    names = apart([(clusters.name(_site(row)), row.text(VM), (row.text(NUMBER), row.text(UUID))) for row in kept])
    without = 0
    for row, name in zip(kept, names, strict=True):
        host = hosts.find(row.text(HOST), _site(row))
        peak = _peak(row, performance.of(row))
        without += not set(ESSENTIAL) <= peak.keys()
        vcpus = row.number(VCPUS)
        limits = amounts(
            cpu_milli=None if vcpus is None else vcpus * 1000,
            memory_bytes=row.number(MEMORY),
        )
        yield WorkloadRecord(
            name,
            "vm",
            host.record.name if host is not None else "",
            row.text(GUEST_OS),
            limits={dimension: amount for dimension, amount in limits.items() if amount},
            peak=peak,
            copy_bytes=int(row.number(DISK_USED) or row.number(DISK_SIZE) or 0),
            machine_id=row.text(UUID),
            cluster=clusters.name(_site(row)),
            state=state_of(row, POWER),
        )
    if 0 < without < len(kept):
        machines = counted(without, "virtual machine has", "virtual machines have")
        notes.tell(f"{machines} no greatest use in VM Performance: sizes take its place.")


def _peak(row: Row, used: Row | None) -> dict[str, int]:
    if used is None:
        return {}
    cpu = share(used.number(CPU_MOST), row.number(VCPUS), used, "its virtual CPUs")
    return amounts(
        cpu_milli=None if cpu is None else cpu * 1000,
        memory_bytes=used.number(MEMORY_MOST),
        disk_iops=used.number(IOPS_MOST),
    )
