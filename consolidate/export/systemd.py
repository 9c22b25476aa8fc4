"""systemd: a drop-in for each unit, which survives reloads and reboots (systemd.resource-control(5))."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from consolidate.export.export import UNIT, Export, Left, comment, heading, is_machine, label, limits_left, sentences
from consolidate.plan.plan import Partition, Plan, plan_digest

DROP_IN = "50-consolidate.conf"
NO_BURST = "systemd has no property for it"
NO_UNIT = "it is no unit that is left to systemd"
_SECTIONS = {"service": "Service", "scope": "Scope", "slice": "Slice"}


def export_systemd(plan: Plan) -> Export:
    """A folder a host: copy it to the host's ``/etc/systemd/system``, then ``systemctl daemon-reload``."""
    files, left, digest = {}, list[Left](), plan_digest(plan)
    for partition in plan.partitions:
        unit = unit_of(partition)
        if unit is None:
            left.append(Left(partition.workload, "everything", NO_UNIT))
            continue
        own = list(limits_left(partition, PROPERTIES, NO_BURST))
        left += own
        head = comment(heading(plan, f"{partition.workload} on {partition.host}", sentences(own), digest))
        files[f"{label(partition.host)}/{unit}.d/{DROP_IN}"] = head + drop_in(partition, unit)
    return Export(files, sentences(left))


def unit_of(partition: Partition) -> str | None:
    """The unit of a partition; None where it has none, or none that systemd would take, or libvirt writes to it."""
    if is_machine(partition):
        return None
    name = partition.cgroup.rpartition("/")[2]
    return name if UNIT.fullmatch(name) else None


def drop_in(partition: Partition, unit: str) -> str:
    """The section of a unit's limits."""
    return "\n".join([f"[{_SECTIONS[unit.rpartition('.')[2]]}]", *settings(partition)]) + "\n"


def settings(partition: Partition) -> Iterator[str]:
    """Assignments, as a drop-in or ``set-property`` takes them."""
    yield f"CPUWeight={partition.cpu_weight}"
    for field, (name, text) in PROPERTIES.items():
        amount = getattr(partition.after, field)
        if amount is not None:
            yield f"{name}={text(amount)}"


def _percent(milli: int | str) -> str:
    return f"{int(milli) / 10:.10g}%"


def _of_root(amount: int | str) -> str:
    """Systemd takes a folder for the disk below it."""
    return f"/ {amount}"


PROPERTIES: Mapping[str, tuple[str, Callable[[int | str], str]]] = {
    "cpu_milli": ("CPUQuota", _percent),
    "memory_bytes": ("MemoryMax", str),
    "memory_low_bytes": ("MemoryLow", str),
    "memory_high_bytes": ("MemoryHigh", str),
    "swap_bytes": ("MemorySwapMax", str),
    "disk_read_bytes_per_s": ("IOReadBandwidthMax", _of_root),
    "disk_write_bytes_per_s": ("IOWriteBandwidthMax", _of_root),
    "io_weight": ("IOWeight", str),
    "pids": ("TasksMax", str),
    "cpus": ("AllowedCPUs", str),
    "memory_nodes": ("AllowedMemoryNodes", str),
}
"""By limit: property and how it writes the amount. A disk's limit is that of the root file system's disk."""
