"""vSphere's counters as PowerCLI writes them (``Get-Stat | Export-Csv``), with the machines that they are of.

A folder holds the counters, long (a line a value) or wide (a line a time, a column a counter), and what they are of:
``Get-VM`` and ``Get-VMHost`` exported likewise, or an RVTools workbook. Without that, MHz and percent are no cores.
Times have no zone there and are taken to be UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from collectors.inventory import powercli, rvtools
from collectors.inventory.estate import Notes, counted, listed, not_planned
from collectors.inventory.files import WORKBOOKS, read_bytes
from collectors.inventory.grids import Grid
from collectors.inventory.separated import decode, parse_csv
from collectors.inventory.tables import fits
from collectors.inventory.vsphere_counters import (
    COUNTERS,
    ENTITY,
    LONG_NEEDED,
    Gathered,
    Subject,
    Values,
    gather,
    holds_counters,
)
from collectors.records import HostRecord, Record, Sample, Series, TraceError, WorkloadRecord

REALTIME_S = 20
"""vSphere averages what is older than an hour: over 5 minutes, 30 minutes, 2 hours, a day."""
_HEADINGS = [
    heading
    for one in (*powercli.MACHINES, *powercli.HOSTS, *LONG_NEEDED, ENTITY, *COUNTERS.values())
    for heading in one.headings
]
_PLAIN: Mapping[str, str] = {
    "disk.read.average": "disk_read_bytes_per_s",
    "disk.write.average": "disk_write_bytes_per_s",
    "net.received.average": "net_rx_bytes_per_s",
    "net.transmitted.average": "net_tx_bytes_per_s",
}
_MEMORY = ("mem.consumed.average", "mem.active.average")
"""What the host gave to a machine counts; what the machine touched lately only where the former is not there."""
_CPU: Mapping[str, tuple[str, str]] = {
    "cpu_cores": ("cpu.usagemhz.average", "cpu.usage.average"),
    "cpu_cores_max": ("cpu.usagemhz.maximum", "cpu.usage.maximum"),
}
"""Counters in MHz and in percent."""


def read(folder: Path) -> Iterator[Record]:
    """Yield the machines and their series.

    Raises:
        TraceError: with the file, the line, the value and the remedy.

    """
    if not folder.is_dir():
        raise TraceError(f"{folder}: not a folder; give one with the exports of Get-Stat, Get-VM and Get-VMHost")
    inventory: list[Record] = []
    grids = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in WORKBOOKS:
            inventory += rvtools.read(path)
        elif path.suffix.lower() == ".csv":
            grids.append(parse_csv(decode(read_bytes(path), str(path)), str(path), _HEADINGS))
    yield from parse(grids, inventory, str(folder))


def parse(grids: Sequence[Grid], inventory: Sequence[Record], name: str) -> Iterator[Record]:
    """Records of a folder's files.

    Args:
        grids: Of its CSV files.
        inventory: Records of its workbooks.
        name: Of the folder, for errors.

    """
    counters = [grid for grid in grids if holds_counters(grid)]
    hosts = [grid for grid in grids if fits(grid, powercli.HOSTS_NEEDED)]
    machines = [grid for grid in grids if fits(grid, powercli.MACHINES_NEEDED)]
    for grid in grids:
        if grid not in counters and grid not in hosts and grid not in machines:
            raise TraceError(
                f"{grid.place}: neither counters nor machines nor hosts of vSphere; take it out of the folder"
            )
    if not counters:
        raise TraceError(f"{name}: no counters (Entity, Timestamp, MetricId, Value); export Get-Stat into the folder")
    # One look at a machine's use adds nothing to its history, and would be a second series of it.
    known = [*(one for one in inventory if not isinstance(one, Sample)), *powercli.parse(machines, hosts)]
    yield from known
    notes = Notes("vsphere")
    yield from _series([gather(grid) for grid in counters], known, name, notes)
    yield from notes.records()


def _series(files: Sequence[Gathered], known: Sequence[Record], name: str, notes: Notes) -> Iterator[Series]:
    hosts = {one.name: one for one in known if isinstance(one, HostRecord)}
    machines: dict[str, list[WorkloadRecord]] = {}
    for one in known:
        if isinstance(one, WorkloadRecord):
            machines.setdefault(one.name, []).append(one)
    if not machines:
        raise TraceError(
            f"{name}: counters without the machines that they are of; export Get-VM and Get-VMHost beside them"
        )
    strangers: set[str] = set()
    held: set[str] = set()
    counters: dict[tuple[str, str], dict[str, list[Values]]] = {}
    for (subject, counter), values in (item for file in files for item in file.values.items()):
        machine = _machine(subject, machines, name)
        if machine is None:
            strangers.add(subject.name)
        else:
            counters.setdefault((machine.name, machine.host), {}).setdefault(counter, []).append(values)
    for machine in (one for own in machines.values() for one in own):
        for series in _of_machine(
            machine, hosts.get(machine.host), counters.get((machine.name, machine.host), {}), name
        ):
            held.add(series.metric)
            yield series
    _tell(files, strangers - hosts.keys(), held, notes)


def _machine(subject: Subject, machines: Mapping[str, Sequence[WorkloadRecord]], name: str) -> WorkloadRecord | None:
    """The machine that values are of: by its name, and by its number where several have that name."""
    number = subject.number.removeprefix("VirtualMachine-")
    fitting = machines.get(f"{subject.name} ({number})") or machines.get(subject.name, [])
    if len(fitting) > 1:
        raise TraceError(
            f"{name}: {len(fitting)} machines are called {subject.name!r}; export EntityId with the counters"
        )
    return fitting[0] if fitting else None


def _of_machine(
    machine: WorkloadRecord, host: HostRecord | None, counters: Mapping[str, Sequence[Values]], name: str
) -> Iterator[Series]:
    vcpus = machine.limits.get("cpu_milli", 0) / 1000
    for metric, (in_mhz, in_percent) in _CPU.items():
        if in_mhz in counters and host is not None and host.core_mhz:
            yield _one(machine, metric, counters[in_mhz], 1 / host.core_mhz)
        elif in_percent in counters and vcpus:
            if max(max(values.value) for values in counters[in_percent]) > 200:
                raise TraceError(
                    f"{name}: {in_percent} of {machine.name} is above 200; write percent, not hundredths of it"
                )
            yield _one(machine, metric, counters[in_percent], vcpus / 100)
        elif in_mhz in counters or in_percent in counters:
            raise TraceError(
                f"{name}: CPU of {machine.name} is no cores without its host's CpuTotalMhz or its NumCpu; "
                "export Get-VMHost and Get-VM into the folder"
            )
    for counter in _MEMORY:
        if counter in counters:
            yield _one(machine, "memory_working_set_bytes", counters[counter], 1)
            break
    for counter, metric in _PLAIN.items():
        if counter in counters:
            yield _one(machine, metric, counters[counter], 1)


def _one(machine: WorkloadRecord, metric: str, parts: Sequence[Values], factor: float) -> Series:
    """One series, in order of time: Get-Stat writes the newest value first, and files may overlap."""
    at_s = np.concatenate([np.array(part.at_s, dtype=np.int64) for part in parts])
    value = np.concatenate([np.array(part.value, dtype=np.float64) for part in parts])
    at_s, first = np.unique(at_s, return_index=True)
    return Series(machine.host, machine.name, "", metric, at_s, value[first] * factor)


def _tell(files: Sequence[Gathered], strangers: set[str], held: set[str], notes: Notes) -> None:
    intervals = sorted({seconds for file in files for seconds in file.intervals_s if seconds > REALTIME_S})
    if intervals:
        seconds = ", ".join(map(str, intervals))
        notes.tell(f"vSphere averaged over {seconds} s: peaks that were shorter are lost, and real ones are higher.")
    unread = {counter for file in files for counter in file.unread}
    if unread:
        notes.tell(f"{counted(len(unread), 'counter is', 'counters are')} not read: {listed(unread)}.")
    if strangers:
        notes.tell(
            f"Values of {counted(len(strangers), 'machine', 'machines')} that the inventory does not list "
            f"are left out: {listed(strangers)}."
        )
    if "memory_working_set_bytes" not in held:
        notes.tell("No memory counter was exported (mem.consumed.average): machines are sized by their configuration.")
    absent = [metric for metric in _PLAIN.values() if metric not in held]
    if absent:
        notes.tell(not_planned(absent))
