"""RVTools exports (Dell, versions 3 to 4): one look at a vCenter, without history.

Sheets and columns are found by name, since their order differs from version to version. Sizes are MiB, also where an
older version writes MB; CPU is in MHz. A folder of the CSV files that RVTools writes is read likewise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from collectors.inventory import rvtools_columns as at
from collectors.inventory.estate import RATES, Notes, amounts, not_planned
from collectors.inventory.files import is_workbook, read_bytes
from collectors.inventory.grids import Grid, named
from collectors.inventory.rvtools_machines import Machines, Sheets, site_of
from collectors.inventory.separated import decode, parse_csv
from collectors.inventory.tables import Column, Row, Table, read_table
from collectors.inventory.vcenter import OS, Clusters, FoundHost, Hosts, Site
from collectors.inventory.workbooks import created_s, parse_workbook
from collectors.records import HostRecord, Record, RuleRecord, TraceError


def read(place: Path) -> Iterator[Record]:
    """Yield hosts, virtual machines, rules and notes of a workbook, or of a folder of CSV files.

    Raises:
        TraceError: with the file, the sheet, the cell, the value and the remedy.

    """
    if place.is_dir():
        yield from parse(_folder(place), str(place))
        return
    content = read_bytes(place)
    if not is_workbook(place, content):
        raise TraceError(f"{place}: not a workbook; give RVTools' xlsx file, or the folder of its CSV files")
    yield from parse(parse_workbook(content, str(place), at.SHEETS), str(place), created_s(content))


def _folder(folder: Path) -> dict[str, Grid]:
    headings = [heading for one in (*at.INFO, *at.HOSTS) for heading in one.headings]
    return {
        path.stem.removeprefix("RVTools_tab"): parse_csv(decode(read_bytes(path), str(path)), str(path), headings)
        for path in sorted(folder.glob("*.csv"))
    }


def parse(grids: Mapping[str, Grid], name: str, made_s: int | None = None) -> Iterator[Record]:
    """Records of RVTools' sheets.

    Args:
        grids: The sheets that there are, by name.
        name: Of the file, for errors and notes.
        made_s: Unix time at which the file says that it was made; vMetaData knows better.

    """
    notes = Notes("rvtools")
    info = _table(grids, "vInfo", at.INFO, at.VM)
    if info is None:
        raise TraceError(f"{name}: no sheet vInfo, or an empty one; export all sheets with RVTools")
    host_rows = list(_rows(_table(grids, "vHost", at.HOSTS, at.HOST)))
    sheets = Sheets(
        list(info.rows()),
        list(_rows(_table(grids, "vCPU", at.CPU, at.VM))),
        list(_rows(_table(grids, "vMemory", at.MEMORY_SHEET, at.VM))),
        list(_rows(_table(grids, "vDisk", at.DISK, at.VM))),
    )
    clusters = Clusters(site_of(row) for row in (*host_rows, *sheets.info))
    hosts = Hosts([_host(row) for row in host_rows if row.text(at.HOST)], clusters)
    machines = Machines(sheets, clusters, hosts, notes, _looked_at_s(grids, made_s))
    yield from (host.record for host in hosts)
    yield from machines.records()
    yield from _reserves(_rows(_table(grids, "vCluster", at.CLUSTERS, at.CLUSTER_NAME)), hosts, notes)
    _tell_what_is_missing(grids, info, notes)
    yield from notes.records()


def _table(grids: Mapping[str, Grid], sheet: str, columns: Sequence[Column], needed: Column) -> Table | None:
    """A sheet's table, or None where the sheet is absent or empty."""
    grid = named(grids, sheet)
    return read_table(grid, columns, (needed,)) if grid is not None and grid.rows else None


def _rows(table: Table | None) -> Iterator[Row]:
    return table.rows() if table is not None else iter(())


def _host(row: Row) -> FoundHost:
    cores, sockets, each = (row.number(one) for one in (at.CORES, at.SOCKETS, at.CORES_PER_SOCKET))
    if cores is None and sockets is not None and each is not None:
        cores = sockets * each
    vcpus, core_mhz = row.number(at.RUNNING_VCPUS), row.number(at.CORE_MHZ)
    record = HostRecord(
        row.text(at.HOST),
        os=OS,
        kernel=row.text(at.VERSION),
        cpu_model=row.text(at.CPU_MODEL),
        capacity=amounts(
            cpu_milli=None if cores is None else cores * 1000,
            memory_bytes=row.number(at.HOST_MEMORY),
        ),
        vendor=row.text(at.VENDOR),
        hypervisor="native",
        machine_id=row.text(at.HOST_UUID),
        core_mhz=int(core_mhz or 0),
        state="maintenance" if row.flag(at.MAINTENANCE) else "",
    )
    return FoundHost(
        site_of(row),
        record,
        row.number(at.RUNNING),
        None if vcpus is None else vcpus * 1000,
        row.number(at.RUNNING_MEMORY),
    )


def _looked_at_s(grids: Mapping[str, Grid], made_s: int | None) -> int | None:
    """When the vCenter was looked at, as far as the export says it."""
    grid = named(grids, "vMetaData")
    if grid is None or not grid.rows:
        return made_s
    times = [row.moment(at.CREATED) for row in read_table(grid, (at.CREATED,), ()).rows()]
    return min((at_s for at_s in times if at_s is not None), default=made_s)


def _reserves(rows: Iterator[Row], hosts: Hosts, notes: Notes) -> Iterator[RuleRecord]:
    """High availability with admission control keeps room for hosts that fail, and so must a plan."""
    for row in rows:
        if not (row.flag(at.HA) and row.flag(at.ADMISSION)):
            continue
        site = Site(row.text(at.SERVER), row.text(at.DATACENTER), row.text(at.CLUSTER_NAME))
        own = {host.record.cluster for host in hosts if host.site.cluster == site.cluster and host.site.may_be(site)}
        if len(own) == 1:
            cluster = own.pop()
            yield RuleRecord("one host may fail", "failure-reserve", (), cluster)
            level = row.number(at.FAILOVER_HOSTS)
            if level is not None and level > 1:
                notes.tell(f"{cluster} keeps room for {level:g} hosts that fail; the plan keeps room for one.")


def _tell_what_is_missing(grids: Mapping[str, Grid], info: Table, notes: Notes) -> None:
    absent = [sheet for sheet in at.SHEETS if (grid := named(grids, sheet)) is None or not grid.rows]
    if absent:
        notes.tell(f"Sheets that the export does not have: {', '.join(absent)}.")
    columns = [
        one.name for one in (at.POWER, at.VCPUS, at.MEMORY, at.HOST, at.CLUSTER, at.RULE_NAMES) if not info.has(one)
    ]
    if columns:
        notes.tell(f"Columns that its vInfo does not have: {', '.join(columns)}.")
    notes.tell(not_planned(RATES))
