"""Virtual machines of an RVTools export, joined from its sheets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from collectors.inventory import rvtools_columns as at
from collectors.inventory.estate import Notes, amounts, apart, counted, listed, state_of
from collectors.inventory.tables import Row
from collectors.inventory.vcenter import Clusters, FoundHost, Hosts, Rules, Site
from collectors.records import Record, Sample, WorkloadRecord


@dataclass(frozen=True)
class Sheets:
    """Rows of the sheets that tell of virtual machines."""

    info: Sequence[Row]
    cpu: Sequence[Row]
    memory: Sequence[Row]
    disk: Sequence[Row]


def site_of(row: Row) -> Site:
    """The vCenter, datacenter and cluster that a row names."""
    return Site(row.text(at.SERVER), row.text(at.DATACENTER), row.text(at.CLUSTER))


@dataclass(frozen=True)
class _Machine:
    """One virtual machine: its row of vInfo, and what tells it from others."""

    row: Row
    name: str
    site: Site
    uuid: str
    number: str

    @classmethod
    def of(cls, row: Row) -> _Machine:
        """The machine of a row."""
        return cls(row, row.text(at.VM), site_of(row), row.text(at.UUID), row.text(at.ID))


class Machines:
    """The virtual machines of vInfo, without what only stands for one."""

    def __init__(self, sheets: Sheets, clusters: Clusters, hosts: Hosts, notes: Notes, looked_at_s: int | None) -> None:
        """Take the sheets; ``looked_at_s`` is when the vCenter was looked at, None where that is not known."""
        self.clusters, self.hosts, self.notes, self.looked_at_s = clusters, hosts, notes, looked_at_s
        self.found = self._machines(sheets.info)
        times = Counter(machine.name for machine in self.found)
        once = {name for name, number in times.items() if number == 1}
        self.cpu, self.memory, self.disk = (_Joined(rows, once) for rows in (sheets.cpu, sheets.memory, sheets.disk))

    def _machines(self, rows: Sequence[Row]) -> list[_Machine]:
        templates = placeholders = repeated = 0
        found: list[_Machine] = []
        seen: set[tuple[str, ...]] = set()
        for row in rows:
            machine = _Machine.of(row)
            if not machine.name:
                continue
            identity = (machine.site.server, machine.name, machine.uuid or machine.number)
            if row.flag(at.TEMPLATE):
                templates += 1
            elif row.flag(at.PLACEHOLDER):
                placeholders += 1
            elif identity[-1] and identity in seen:
                repeated += 1
            else:
                found.append(machine)
                seen.add(identity)
        self.notes.left_out(templates, "template is", "templates are", "they never run")
        self.notes.left_out(
            placeholders, "placeholder is", "placeholders are", "Site Recovery Manager runs the machine elsewhere"
        )
        self.notes.left_out(repeated, "row is", "rows are", "vInfo lists the same machine twice")
        return found

    def records(self) -> Iterator[Record]:
        """Every virtual machine, its momentary use, and the rules that name it."""
        names = apart(
            [(self.clusters.name(one.site), one.name, (one.number, one.uuid, one.site.server)) for one in self.found]
        )
        rules = Rules(self.notes)
        unlisted: list[str] = []
        listed_on: dict[str, list[WorkloadRecord]] = {}
        for machine, name in zip(self.found, names, strict=True):
            host_name = machine.row.text(at.HOST)
            host = self.hosts.find(host_name, machine.site)
            record = self._record(machine, name, host)
            yield record
            if not record.state:
                yield from self._use(machine, name, host)
                listed_on.setdefault(record.host, []).append(record)
                if host is None and host_name:
                    unlisted.append(host_name)
            kinds, called = machine.row.text(at.RULE_KINDS), machine.row.text(at.RULE_NAMES)
            rules.add(record.cluster, name, kinds, called)
        yield from rules.records()
        self._tell_of_unlisted_hosts(unlisted)
        yield from self._unlisted(listed_on)

    def _record(self, machine: _Machine, name: str, host: FoundHost | None) -> WorkloadRecord:
        row = machine.row
        vcpus, memory = row.number(at.VCPUS), row.number(at.MEMORY)
        cpu_milli = None if vcpus is None else vcpus * 1000
        limit_mhz = _least([one.signed(at.CPU_LIMIT_MHZ) for one in self.cpu.of(machine)])
        if limit_mhz is not None and host is not None and host.record.core_mhz:
            cpu_milli = _least([cpu_milli, limit_mhz * 1000 / host.record.core_mhz])
        limits = amounts(
            cpu_milli=cpu_milli,
            memory_bytes=_least([memory, *(one.signed(at.MEMORY_LIMIT) for one in self.memory.of(machine))]),
        )
        disks = [size for one in self.disk.of(machine) if (size := one.number(at.DISK_SIZE)) is not None]
        copies = [row.number(at.IN_USE), sum(disks) if disks else None, row.number(at.PROVISIONED)]
        return WorkloadRecord(
            name,
            "vm",
            host.record.name if host is not None else "",
            row.text(at.OS_TOLD) or row.text(at.OS_SET),
            limits={dimension: amount for dimension, amount in limits.items() if amount},
            group=row.text(at.VAPP) or row.text(at.SERVICE),
            owner=row.text(at.OWNER),
            # What a move to other storage transfers: what is in use, or where that is not told, what there is.
            copy_bytes=int(next((size for size in copies if size), 0)),
            machine_id=machine.uuid,
            cluster=self.clusters.name(machine.site),
            state=state_of(row, at.POWER),
        )

    def _use(self, machine: _Machine, name: str, host: FoundHost | None) -> Iterator[Sample]:
        """What it used when the vCenter was looked at: one sample, from which nobody sizes anything."""
        if self.looked_at_s is None:
            return
        where = host.record.name if host is not None else ""
        used_mhz = next((one.number(at.CPU_USED_MHZ) for one in self.cpu.of(machine)), None)
        if used_mhz is not None and host is not None and host.record.core_mhz:
            yield Sample(self.looked_at_s, where, name, "", "cpu_cores", used_mhz / host.record.core_mhz)
        consumed = next((one.number(at.CONSUMED) for one in self.memory.of(machine)), None)
        if consumed is not None:
            yield Sample(self.looked_at_s, where, name, "", "memory_working_set_bytes", consumed)

    def _tell_of_unlisted_hosts(self, names: list[str]) -> None:
        if names:
            machines = counted(len(names), "virtual machine runs on a host", "virtual machines run on hosts")
            self.notes.tell(
                f"{machines} that vHost does not list ({listed(names)}): they are placed as if for the first time."
            )

    def _unlisted(self, listed_on: Mapping[str, list[WorkloadRecord]]) -> Iterator[WorkloadRecord]:
        """One stand-in per host for the machines that it says it runs and vInfo does not list, sized by what it says.

        Together they need a host's room for as long as somebody does not export them one by one.
        """
        machines = 0
        for host in self.hosts:
            own = listed_on.get(host.record.name, [])
            missing = int(host.running or 0) - len(own)
            if missing <= 0:
                continue
            machines += missing
            left = {
                "cpu_milli": _left(host.running_milli, own, "cpu_milli"),
                "memory_bytes": _left(host.running_bytes, own, "memory_bytes"),
            }
            limits = amounts(**left) if all(left.values()) else {}
            name, cluster = host.record.name, host.record.cluster
            yield WorkloadRecord("machines not listed", "vm", name, limits=limits, cluster=cluster)
        if machines:
            self.notes.tell(
                f"The hosts run {machines:,} virtual machines that vInfo does not list. On each host they count as one "
                "that is as large as the host says; export all of them to plan for each, and for its rules."
            )


def _left(whole: float | None, own: Sequence[WorkloadRecord], dimension: str) -> float | None:
    """What is left of a host's sum without the machines that are known."""
    return None if whole is None else max(0.0, whole - sum(one.limits.get(dimension, 0) for one in own))


class _Joined:
    """Rows of a sheet by the machine that they belong to: by its UUID, its number, or a name that only one has."""

    def __init__(self, rows: Sequence[Row], names: Container[str]) -> None:
        self._by_uuid: dict[tuple[str, str], list[Row]] = {}
        self._by_number: dict[tuple[str, str], list[Row]] = {}
        self._by_name: dict[str, list[Row]] = {}
        for row in rows:
            name, uuid, number = row.text(at.VM), row.text(at.UUID), row.text(at.ID)
            if uuid:
                self._by_uuid.setdefault((name, uuid), []).append(row)
            if number:
                self._by_number.setdefault((name, number), []).append(row)
            if name in names:
                self._by_name.setdefault(name, []).append(row)

    def of(self, machine: _Machine) -> list[Row]:
        """Rows of a machine; none where it is not clear which are its."""
        return (
            self._by_uuid.get((machine.name, machine.uuid))
            or self._by_number.get((machine.name, machine.number))
            or self._by_name.get(machine.name, [])
        )


def _least(amounts: Sequence[float | None]) -> float | None:
    """The least of some amounts; a negative one stands for no limit."""
    return min((amount for amount in amounts if amount is not None and amount >= 0), default=None)
