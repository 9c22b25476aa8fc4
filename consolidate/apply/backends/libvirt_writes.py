"""What a partition means for a running domain of libvirt, and in which order it is set. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from collectors.topology import cpu_list, parse_cpu_list
from consolidate.apply.backends.libvirt_text import (
    DISK,
    EMULATOR,
    HARD_LIMIT,
    MEMORY,
    NODES,
    PIN,
    QUOTA,
    SHARES,
    VCPU_QUOTA,
    VCPUS,
    WEIGHT,
    Values,
    command_of,
)
from consolidate.apply.keys import Amount, Step, quota_us
from consolidate.errors import ApplyError
from consolidate.plan.plan import Limits, Partition
from consolidate.units import format_bytes

KIB = 1024
PERIODS = {QUOTA: "global_period", VCPU_QUOTA: "vcpu_period"}
MAXIMUM, RESIDENT, VERSION = "maximumMemory", "residentMemory", "cgroups"
"""Further facts among the values: the largest balloon, what the emulator holds (both in KiB), the cgroup version."""
_MOST_WEIGHT, _LEAST_WEIGHT = 1000, 10

MEANINGS: Mapping[str, str] = {
    QUOTA: "CPU limit",
    VCPU_QUOTA: "CPU limit",
    SHARES: "CPU share",
    MEMORY: "memory limit",
    HARD_LIMIT: "memory wall",
    WEIGHT: "disk share",
    NODES: "memory nodes",
    EMULATOR: "CPUs",
    PIN: "CPUs",
    DISK: "disk limit",
    VCPUS: "CPUs offered",
}


def meaning(key: str) -> str:
    """A key in the planner's words."""
    return MEANINGS.get(key) or MEANINGS[key.partition(" ")[0]]


def commands_for(after: Limits, disks: tuple[str, ...]) -> list[str]:
    """The virsh commands whose answers a partition needs."""
    keys = [QUOTA]
    if after.memory_bytes is not None:
        keys.append(HARD_LIMIT)
    if after.io_weight is not None:
        keys.append(WEIGHT)
    if after.cpus is not None:
        keys += [PIN, EMULATOR]
    if after.memory_nodes is not None:
        keys.append(NODES)
    if (after.disk_read_bytes_per_s, after.disk_write_bytes_per_s) != (None, None) and len(disks) == 1:
        keys.append(f"{DISK} {disks[0]}")  # a rate for all disks together cannot be told where there are several
    return [command_of(key) for key in keys]


def steps(partition: Partition, values: Values) -> Iterator[Step]:
    """What is to be set, in an order in which neither memory nor quotas break a bound on the way.

    Raises:
        ApplyError: where an emulator would be killed, or a list of CPUs is none.

    """
    yield from _memory_steps(partition, values)
    yield from _cpu_steps(partition.after, values)
    weight = partition.cpu_weight
    # libvirt hands its shares on as they are: to v2, which has weights, and to v1, where 1024 stands for one core.
    yield SHARES, str(weight if values.get(VERSION) == "2" else max(2, weight * 1024 // 100))
    if partition.after.io_weight is not None:
        yield WEIGHT, str(min(_MOST_WEIGHT, max(_LEAST_WEIGHT, partition.after.io_weight)))
    yield from _disk_steps(partition.after, values)
    yield from _set_steps(partition, values)


def balloon_kib(after: Limits, values: Values) -> str:
    """Size of the balloon that limits ask for; what it is where they ask for none."""
    return values[MEMORY] if after.memory_bytes is None else str(min(after.memory_bytes // KIB, int(values[MAXIMUM])))


def _memory_steps(partition: Partition, values: Values) -> Iterator[Step]:
    """The balloon up to what the guest can have at most; only beyond that a wall around the emulator.

    So a guest that fills all of its balloon never runs into the wall, which would kill it.
    """
    if partition.after.memory_bytes is None or MAXIMUM not in values:
        return
    wanted, most = partition.after.memory_bytes // KIB, int(values[MAXIMUM])
    balloon = (MEMORY, balloon_kib(partition.after, values))
    if wanted <= most:
        yield balloon
        return
    if HARD_LIMIT in values and wanted <= int(values.get(RESIDENT, "0")):
        raise ApplyError(
            f"{partition.workload}: its emulator holds {format_bytes(int(values[RESIDENT]) * KIB)}, and would be "
            f"killed at {format_bytes(partition.after.memory_bytes)}; plan again with what is measured now"
        )
    widens = values.get(HARD_LIMIT, "").isdecimal() and int(values[HARD_LIMIT]) < wanted
    wall = (HARD_LIMIT, str(wanted))
    yield from [wall, balloon] if widens else [balloon, wall]


def _cpu_steps(after: Limits, values: Values) -> Iterator[Step]:
    """A quota for the whole domain; for each vCPU where that is how it is limited already.

    cgroup v1 refuses a vCPU more than its domain has.
    """
    if after.cpu_milli is None or QUOTA not in values:
        return
    whole, each = int(values[QUOTA]), int(values.get(VCPU_QUOTA, "-1"))
    vcpus = int(values.get(VCPUS, "1"))
    if after.cpu_milli > vcpus * 1000:
        yield VCPUS, str(-(-after.cpu_milli // 1000))
    if each > 0 >= whole:
        yield VCPU_QUOTA, str(quota_us(-(-after.cpu_milli // vcpus), int(values[PERIODS[VCPU_QUOTA]])))
        return
    quota = quota_us(after.cpu_milli, int(values[PERIODS[QUOTA]]))
    child = quota_us(after.cpu_milli, int(values.get(PERIODS[VCPU_QUOTA], "100000")))
    if each > child:
        yield VCPU_QUOTA, str(child)
    yield QUOTA, str(quota)


def _disk_steps(after: Limits, values: Values) -> Iterator[Step]:
    for key, text in values.items():
        if key.startswith(DISK):
            read, write = text.split()
            wanted = (after.disk_read_bytes_per_s, read), (after.disk_write_bytes_per_s, write)
            yield key, " ".join(now if amount is None else str(amount) for amount, now in wanted)


def _set_steps(partition: Partition, values: Values) -> Iterator[Step]:
    for key in values:
        wanted = partition.after.memory_nodes if key == NODES else partition.after.cpus
        if wanted is not None and (key in (NODES, EMULATOR) or key.startswith(PIN)):
            try:
                yield key, cpu_list(parse_cpu_list(wanted))
            except ValueError:
                raise ApplyError(f"{partition.workload}: {wanted!r} is no list such as 0-3,8; plan again") from None


def limit(key: str, text: str, values: Values) -> tuple[str, Amount] | None:
    """The field of Limits and the amount that a text stands for.

    A plan knows a domain's vCPUs and its largest balloon as its limits, for these are measured. So what the domain has
    now stands for them, whatever its quota and its balloon are.
    """
    now = values.get(key) == text
    if key in PERIODS:
        vcpus = int(values[VCPUS])
        amount = int(text) * 1000 // int(values[PERIODS[key]]) * (vcpus if key == VCPU_QUOTA else 1)
        return "cpu_milli", vcpus * 1000 if now or amount <= 0 else amount
    if key == MEMORY:
        return "memory_bytes", int(values[MAXIMUM] if now else text) * KIB
    return None
