"""Lists of Amazon Web Services: Application Discovery (Migration Hub import) and Compute Optimizer's EC2 export.

Both hold summaries, not series: the greatest use in a period. Averages are not read, since nobody can size by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from collectors.inventory.estate import GIB, KIB, MIB, Notes, counted
from collectors.inventory.files import read_grids
from collectors.inventory.grids import Grid
from collectors.inventory.machines import Machine, added, machine_records, rows_of, share, tell_what_is_missing
from collectors.inventory.tables import Column, Row, column, read_table
from collectors.records import Record, TraceError

HOST_NAME = column("HostName")
VM_NAME = column("VMware.VMName")
VM_REFERENCE = column("VMware.MoRefId")
SMBIOS = column("SMBiosId")
EXTERNAL = column("ExternalId")
SERVER = column("ServerId")
LOGICAL_CORES = column("CPU.NumberOfLogicalCores", whole=True)
CORES = column("CPU.NumberOfCores", whole=True)
OS = column("OS.Name")
OS_VERSION = column("OS.Version")
MEMORY = column("RAM.TotalSizeInMB", unit=MIB)
MEMORY_MOST = column("RAM.UsedSizeInMB.Max", unit=MIB)
CPU_MOST = column("CPU.UsagePct.Max")
READ_MOST = column("DiskReadsPerSecondInKB.Max", unit=KIB)
WRITTEN_MOST = column("DiskWritesPerSecondInKB.Max", unit=KIB)
READS_MOST = column("DiskReadsOpsPerSecond.Max")
WRITES_MOST = column("DiskWritesOpsPerSecond.Max")
RECEIVED_MOST = column("NetworkReadsPerSecondInKB.Max", unit=KIB)
SENT_MOST = column("NetworkWritesPerSecondInKB.Max", unit=KIB)
APPLICATIONS = column("Applications")
DISCOVERY = (
    *(HOST_NAME, VM_NAME, VM_REFERENCE, SMBIOS, EXTERNAL, SERVER, LOGICAL_CORES, CORES, OS, OS_VERSION, MEMORY),
    *(MEMORY_MOST, CPU_MOST, READ_MOST, WRITTEN_MOST, READS_MOST, WRITES_MOST, RECEIVED_MOST, SENT_MOST, APPLICATIONS),
)

ARN = column("instanceArn")
INSTANCE = column("instanceName")
VCPUS = column("current_vcpus", whole=True)
MEMORY_SIZE = column("current_memory")
FINDING = column("finding")
ERROR = column("errorCode")


def _greatest(metric: str, unit: float = 1) -> Column:
    return column(f"utilizationMetrics_{metric}_MAXIMUM", unit=unit)


CPU_GREATEST, MEMORY_GREATEST = _greatest("CPU"), _greatest("MEMORY")
READ_GREATEST = (_greatest("EBS_READ_BYTES_PER_SECOND"), _greatest("DISK_READ_BYTES_PER_SECOND"))
WRITTEN_GREATEST = (_greatest("EBS_WRITE_BYTES_PER_SECOND"), _greatest("DISK_WRITE_BYTES_PER_SECOND"))
OPERATIONS_GREATEST = (
    *(_greatest("EBS_READ_OPS_PER_SECOND"), _greatest("EBS_WRITE_OPS_PER_SECOND")),
    *(_greatest("DISK_READ_OPS_PER_SECOND"), _greatest("DISK_WRITE_OPS_PER_SECOND")),
)
RECEIVED_GREATEST = _greatest("NETWORK_IN_BYTES_PER_SECOND")
SENT_GREATEST = _greatest("NETWORK_OUT_BYTES_PER_SECOND")
OPTIMIZER = (
    *(ARN, INSTANCE, VCPUS, MEMORY_SIZE, FINDING, ERROR, CPU_GREATEST, MEMORY_GREATEST, *READ_GREATEST),
    *(*WRITTEN_GREATEST, *OPERATIONS_GREATEST, RECEIVED_GREATEST, SENT_GREATEST),
)
LEAST_MIB_PER_VCPU = 128
"""No instance has as many gibibytes to a virtual CPU, and none as few mebibytes: this tells which the column holds."""


def read_discovery(place: Path) -> Iterator[Record]:
    """Yield the servers of an Application Discovery or Migration Hub list.

    Raises:
        TraceError: with the file, the line, the value and the remedy.

    """
    yield from parse_discovery(_grid(place, DISCOVERY))


def read_optimizer(place: Path) -> Iterator[Record]:
    """Yield the instances of a Compute Optimizer export.

    Raises:
        TraceError: with the file, the line, the value and the remedy.

    """
    yield from parse_optimizer(_grid(place, OPTIMIZER))


def _grid(place: Path, columns: Sequence[Column]) -> Grid:
    grids = read_grids(place, (), [heading for one in columns for heading in one.headings])
    if not grids:
        raise TraceError(f"{place}: a workbook, where AWS exports CSV; save its sheet as CSV")
    return next(iter(grids.values()))


def parse_discovery(grid: Grid) -> Iterator[Record]:
    """Records of Application Discovery's servers: those that VMware has no name for are physical."""
    notes = Notes("aws-discovery")
    table = read_table(grid, DISCOVERY, (HOST_NAME, MEMORY))
    machines = [_server(row, table.has(VM_NAME) or table.has(VM_REFERENCE)) for row in rows_of(table)]
    yield from machine_records(machines, notes)
    tell_what_is_missing(machines, notes)
    yield from notes.records()


def _server(row: Row, tells_vmware: bool) -> Machine:
    cores, physical, memory = row.number(LOGICAL_CORES), row.number(CORES), row.number(MEMORY)
    virtual = bool(row.text(VM_NAME) or row.text(VM_REFERENCE)) if tells_vmware else None
    # A virtual machine's processors are threads of its host; of a physical one only whole cores count as cores.
    count = (cores if cores is not None else physical) if virtual else (physical if physical is not None else cores)
    name = row.text(VM_NAME) or row.text(HOST_NAME)
    if not name:
        raise row.refuse(HOST_NAME, "a server without a name; add it or delete the row")
    cpu = share(row.number(CPU_MOST), count, row, "its CPU")
    return Machine(
        name,
        f"{row.text(OS)} {row.text(OS_VERSION)}".strip(),
        virtual,
        row.text(SMBIOS) or row.text(SERVER) or row.text(EXTERNAL),
        group=row.text(APPLICATIONS),
        vcpus=count,
        memory_bytes=memory,
        peak={
            "cpu_milli": None if cpu is None else cpu * 1000,
            "memory_bytes": row.number(MEMORY_MOST),
            "disk_read_bytes_per_s": row.number(READ_MOST),
            "disk_write_bytes_per_s": row.number(WRITTEN_MOST),
            # Reads and writes may peak at different times: their sum is the most that there can have been.
            "disk_iops": added([row.number(READS_MOST), row.number(WRITES_MOST)]),
            "net_rx_bytes_per_s": row.number(RECEIVED_MOST),
            "net_tx_bytes_per_s": row.number(SENT_MOST),
        },
    )


def parse_optimizer(grid: Grid) -> Iterator[Record]:
    """Records of Compute Optimizer's instances; those that it could not analyse have only a size."""
    notes = Notes("aws-compute-optimizer")
    table = read_table(grid, OPTIMIZER, (ARN, VCPUS, MEMORY_SIZE))
    rows = rows_of(table)
    machines = [_instance(row) for row in rows]
    yield from machine_records(machines, notes)
    failed = sum(bool(row.text(ERROR)) for row in rows)
    if failed:
        instances = counted(failed, "instance was", "instances were")
        notes.tell(f"{instances} not analysed by Compute Optimizer (errorCode): sizes take the place of greatest use.")
    tell_what_is_missing(machines, notes)
    yield from notes.records()


def _instance(row: Row) -> Machine:
    arn, vcpus, memory = row.text(ARN), row.number(VCPUS), row.number(MEMORY_SIZE)
    identity = arn.rpartition("/")[2]
    if not identity:
        raise row.refuse(ARN, "an instance without its ARN; export it again")
    if memory is not None and vcpus:
        memory *= MIB if memory / vcpus >= LEAST_MIB_PER_VCPU else GIB
    cpu = share(row.number(CPU_GREATEST), vcpus, row, "its CPU")
    return Machine(
        row.text(INSTANCE) or identity,
        virtual=True,
        identity=identity,
        vcpus=vcpus,
        memory_bytes=memory,
        peak={
            "cpu_milli": None if cpu is None else cpu * 1000,
            "memory_bytes": share(row.number(MEMORY_GREATEST), memory, row, "its memory"),
            "disk_read_bytes_per_s": added([row.number(one) for one in READ_GREATEST]),
            "disk_write_bytes_per_s": added([row.number(one) for one in WRITTEN_GREATEST]),
            "disk_iops": added([row.number(one) for one in OPERATIONS_GREATEST]),
            "net_rx_bytes_per_s": row.number(RECEIVED_GREATEST),
            "net_tx_bytes_per_s": row.number(SENT_GREATEST),
        },
    )
