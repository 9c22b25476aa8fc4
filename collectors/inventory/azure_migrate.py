"""Azure Migrate's import template (Microsoft, "Assess servers by using imported data"): one line a server, CSV or xlsx.

The template asks for "utilization" without saying whether the average or the peak is meant, and takes megabytes and
gigabytes as powers of 1024 for sizes. Throughput is in megabytes per second of a million bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from collectors.inventory.estate import GIB, MIB, Notes
from collectors.inventory.files import read_grids
from collectors.inventory.grids import Grid
from collectors.inventory.machines import Machine, added, machine_records, rows_of, share, tell_what_is_missing
from collectors.inventory.tables import Column, Row, column, read_table
from collectors.records import Record, TraceError

MB = 1_000_000
DISKS = 8

NAME = column("Server name")
CORES = column("Cores", whole=True)
MEMORY = column("Memory (In MB)", "Memory (MB)", "Memory", unit=MIB)
OS = column("OS name")
OS_VERSION = column("OS version")
CPU = column("CPU utilization percentage")
MEMORY_USED = column("Memory utilization percentage")
RECEIVED = column("Network In throughput", "Network In throughput (MB per second)", unit=MB)
SENT = column("Network Out throughput", "Network Out throughput (MB per second)", unit=MB)
TYPE = column("Server type")
HYPERVISOR = column("Hypervisor")
READ = column("Total disks read throughput (MB per second)", "Total disk read throughput", unit=MB)
WRITTEN = column("Total disks write throughput (MB per second)", "Total disk write throughput", unit=MB)
READS = column("Total disks read ops (operations per second)", "Total disk read ops")
WRITES = column("Total disks write ops (operations per second)", "Total disk write ops")


def _each_disk(what: str, unit: float = 1) -> tuple[Column, ...]:
    return tuple(column(f"Disk {number} {what}", unit=unit) for number in range(1, DISKS + 1))


SIZES = _each_disk("size (In GB)", GIB)
DISK_READ = _each_disk("read throughput (MB per second)", MB)
DISK_WRITTEN = _each_disk("write throughput (MB per second)", MB)
DISK_READS = _each_disk("read ops (operations per second)")
DISK_WRITES = _each_disk("write ops (operations per second)")
COLUMNS = (
    *(NAME, CORES, MEMORY, OS, OS_VERSION, CPU, MEMORY_USED, RECEIVED, SENT, TYPE, HYPERVISOR),
    *(READ, WRITTEN, READS, WRITES, *SIZES, *DISK_READ, *DISK_WRITTEN, *DISK_READS, *DISK_WRITES),
)
_HEADINGS = [heading for one in COLUMNS for heading in one.headings]


def read(place: Path) -> Iterator[Record]:
    """Yield the servers of a filled-in template.

    Raises:
        TraceError: with the file, the place, the value and the remedy.

    """
    grids = read_grids(place, ("Sheet1", "Servers", "AzureMigrateimporttemplate"), _HEADINGS)
    if not grids:
        raise TraceError(f"{place}: no sheet Servers; save the list of servers as CSV")
    yield from parse(next(iter(grids.values())))


def parse(grid: Grid) -> Iterator[Record]:
    """Records of a template's rows."""
    notes = Notes("azure-migrate")
    table = read_table(grid, COLUMNS, (NAME, CORES, MEMORY))
    machines = [_machine(row) for row in rows_of(table)]
    yield from machine_records(machines, notes)
    if table.has(CPU) or table.has(MEMORY_USED):
        notes.tell("Azure Migrate's template does not say whether utilisation is average or peak; it is taken as peak.")
    tell_what_is_missing(machines, notes)
    yield from notes.records()


def _machine(row: Row) -> Machine:
    name, cores, memory = row.text(NAME), row.number(CORES), row.number(MEMORY)
    if not name:
        raise row.refuse(NAME, "a server without a name; add it or delete the row")
    cpu = share(row.number(CPU), cores, row, "its cores")
    operations = added([row.number(one) for one in (READS, WRITES)])
    return Machine(
        name,
        f"{row.text(OS)} {row.text(OS_VERSION)}".strip(),
        _virtual(row),
        copy_bytes=added([row.number(one) for one in SIZES]),
        vcpus=cores,
        memory_bytes=memory,
        peak={
            "cpu_milli": None if cpu is None else cpu * 1000,
            "memory_bytes": share(row.number(MEMORY_USED), memory, row, "its memory"),
            "disk_read_bytes_per_s": _total(row, READ, DISK_READ),
            "disk_write_bytes_per_s": _total(row, WRITTEN, DISK_WRITTEN),
            "disk_iops": operations
            if operations is not None
            else added([row.number(one) for one in (*DISK_READS, *DISK_WRITES)]),
            "net_rx_bytes_per_s": row.number(RECEIVED),
            "net_tx_bytes_per_s": row.number(SENT),
        },
    )


def _total(row: Row, total: Column, each: tuple[Column, ...]) -> float | None:
    """What the row says of all disks, or else the sum of what it says of each."""
    whole = row.number(total)
    return whole if whole is not None else added([row.number(one) for one in each])


def _virtual(row: Row) -> bool | None:
    word = row.text(TYPE).casefold()
    if "physical" in word:
        return False
    return True if "virtual" in word or row.text(HYPERVISOR) else None
