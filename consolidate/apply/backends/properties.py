"""Properties of systemd's units: which limit each holds, in whose words, and which kernel file it ends up in. Pure.

Sources: systemd.resource-control(5), org.freedesktop.systemd1(5), the kernel's cgroup-v2.rst.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from collectors.systemd import parse_time_span
from collectors.topology import cpu_list, parse_cpu_list
from consolidate.errors import ApplyError
from consolidate.plan.plan import Partition

PAGE_BYTES = 65_536
"""The largest page in use: the kernel rounds memory limits to its own page."""
_MIN_QUOTA_US = 1000
_DEFAULT_WEIGHT = "100"


@dataclass(frozen=True)
class Disk:
    """A disk whose traffic can be limited."""

    path: str
    number: str
    """Major and minor, as the kernel's files have it."""


@dataclass(frozen=True)
class Property:
    """One limit of a unit. `systemd` has no property for a CPU burst, so that there is none here."""

    name: str
    """What ``set-property`` and drop-ins call it."""
    shown: str
    """What ``systemctl show`` calls it."""
    file: str
    """The kernel's file of it, below the control group."""
    meaning: str
    dimension: str
    """The field of Limits; empty for the CPU share, which every partition has."""
    want: Callable[[Partition, Sequence[Disk]], str | None]
    """Value for a partition; None where the plan sets nothing."""
    normal: Callable[[Sequence[str]], str]
    """Value from the lines that ``systemctl show`` prints for it."""
    amount: Callable[[str], int | str | None]
    """What a value stands for in the plan's unit; None for unlimited."""
    kernel: Callable[[str], str]
    """The part of the kernel's file that concerns it."""
    agrees: Callable[[str, str, Sequence[Disk]], bool]
    """Whether a value and that part are the same."""
    key: str = ""
    """Before the number in ``io.max``."""


def _one(lines: Sequence[str]) -> str:
    value = lines[0] if lines else ""
    # Unset numbers are the largest one to old versions of systemd.
    return {"[not set]": "", "18446744073709551615": ""}.get(value, value)


def _bytes(lines: Sequence[str]) -> str:
    return _one(lines) or "infinity"


def _percent(lines: Sequence[str]) -> str:
    value = _one(lines)
    return "" if value in ("", "infinity") else f"{parse_time_span(value) / 10_000:.10g}%"


def _entries(lines: Sequence[str]) -> str:
    return "; ".join(sorted(filter(None, lines)))


def _list(lines: Sequence[str]) -> str:
    return cpu_list(parse_cpu_list(_one(lines).replace(" ", ",")))


def _milli(value: str) -> int | None:
    return round(float(value.removesuffix("%")) * 10) if value else None


def _number(value: str) -> int | None:
    return int(value) if value.isdigit() else None


def _protected(value: str) -> int | None:
    return _number(value) or None


def _least(value: str) -> int | None:
    rates = [int(entry.rpartition(" ")[2]) for entry in value.split("; ") if entry]
    return min(rates, default=None)


def _whole(text: str) -> str:
    return text


def _weight(text: str) -> str:
    """``io.weight`` names devices as well; the first line is the default."""
    return text.partition("\n")[0].removeprefix("default ")


def _rates(key: str) -> Callable[[str], str]:
    def rates(text: str) -> str:
        found = []
        for line in text.splitlines():
            number, *words = line.split()
            found += [f"{number} {word.removeprefix(key)}" for word in words if word.startswith(key)]
        return "; ".join(sorted(entry for entry in found if not entry.endswith(" max")))

    return rates


def _same_quota(value: str, kernel: str, _: Sequence[Disk]) -> bool:
    quota, _space, period = kernel.partition(" ")
    if not value or quota == "max":
        return bool(value) == (quota != "max")
    wanted = max(_MIN_QUOTA_US, float(value.removesuffix("%")) / 100 * int(period))
    return abs(int(quota) - wanted) <= 1  # of rounding


def _same_bytes(value: str, kernel: str, _: Sequence[Disk]) -> bool:
    ours, theirs = _number(value), _number(kernel)
    if ours is None or theirs is None:
        return ours is theirs
    return 0 <= ours - theirs < PAGE_BYTES


def _same_count(value: str, kernel: str, _: Sequence[Disk]) -> bool:
    return _number(value) == _number(kernel)


def _same_weight(value: str, kernel: str, _: Sequence[Disk]) -> bool:
    return (value or _DEFAULT_WEIGHT) == kernel


def _same_list(value: str, kernel: str, _: Sequence[Disk]) -> bool:
    return set(parse_cpu_list(value)) == set(parse_cpu_list(kernel))


def _same_rates(value: str, kernel: str, disks: Sequence[Disk]) -> bool:
    numbers = {disk.path: disk.number for disk in disks}
    entries = [entry.rpartition(" ") for entry in value.split("; ") if entry]
    if any(path not in numbers for path, _, _ in entries):
        return True  # a file, a link or a partition stands for its disk: only systemd knows which
    return sorted(f"{numbers[path]} {rate}" for path, _, rate in entries) == [it for it in kernel.split("; ") if it]


def _wanted(field: str, write: Callable[[int], str] = str) -> Callable[[Partition, Sequence[Disk]], str | None]:
    def want(partition: Partition, _: Sequence[Disk]) -> str | None:
        amount = getattr(partition.after, field)
        return None if amount is None else write(amount)

    return want


def _wanted_list(field: str) -> Callable[[Partition, Sequence[Disk]], str | None]:
    def want(partition: Partition, _: Sequence[Disk]) -> str | None:
        text = getattr(partition.after, field)
        try:
            return None if text is None else cpu_list(parse_cpu_list(text))
        except ValueError:
            raise ApplyError(f"{partition.workload}: {text!r} is no list such as 0-3,8; plan again") from None

    return want


def _wanted_rate(field: str) -> Callable[[Partition, Sequence[Disk]], str | None]:
    def want(partition: Partition, disks: Sequence[Disk]) -> str | None:
        amount = getattr(partition.after, field)
        return None if amount is None or not disks else _entries([f"{disk.path} {amount}" for disk in disks])

    return want


def _quota(cpu_milli: int) -> str:
    return f"{max(10, cpu_milli) / 10:g}%"  # the kernel's least quota is 1 ms in 100


def _memory(name: str, file: str, meaning: str, dimension: str, *, protection: bool = False) -> Property:
    amount = _protected if protection else _number
    return Property(name, name, file, meaning, dimension, _wanted(dimension), _bytes, amount, _whole, _same_bytes)


def _rate(name: str, key: str, meaning: str, dimension: str) -> Property:
    return Property(
        name,
        name,
        "io.max",
        meaning,
        dimension,
        _wanted_rate(dimension),
        _entries,
        _least,
        _rates(key),
        _same_rates,
        key,
    )


PROPERTIES: tuple[Property, ...] = (
    _memory("MemoryMax", "memory.max", "memory limit", "memory_bytes"),
    _memory("MemoryHigh", "memory.high", "memory high", "memory_high_bytes"),
    _memory("MemoryLow", "memory.low", "memory low", "memory_low_bytes", protection=True),
    _memory("MemorySwapMax", "memory.swap.max", "swap limit", "swap_bytes"),
    Property(
        *("CPUQuota", "CPUQuotaPerSecUSec", "cpu.max", "CPU limit", "cpu_milli"),
        *(_wanted("cpu_milli", _quota), _percent, _milli, _whole, _same_quota),
    ),
    Property(
        *("CPUWeight", "CPUWeight", "cpu.weight", "CPU share", ""),
        *(lambda partition, _: str(partition.cpu_weight), _one, _number, _whole, _same_weight),
    ),
    _rate("IOReadBandwidthMax", "rbps=", "disk reads", "disk_read_bytes_per_s"),
    _rate("IOWriteBandwidthMax", "wbps=", "disk writes", "disk_write_bytes_per_s"),
    Property(
        *("IOWeight", "IOWeight", "io.weight", "disk share", "io_weight"),
        *(_wanted("io_weight"), _one, _number, _weight, _same_weight),
    ),
    Property(
        *("TasksMax", "TasksMax", "pids.max", "task limit", "pids"),
        *(_wanted("pids"), _bytes, _number, _whole, _same_count),
    ),
    Property(
        *("AllowedMemoryNodes", "AllowedMemoryNodes", "cpuset.mems", "memory nodes", "memory_nodes"),
        *(_wanted_list("memory_nodes"), _list, lambda value: value or None, _whole, _same_list),
    ),
    Property(
        *("AllowedCPUs", "AllowedCPUs", "cpuset.cpus", "CPUs", "cpus"),
        *(_wanted_list("cpus"), _list, lambda value: value or None, _whole, _same_list),
    ),
)
"""In the order of writing."""
BY_NAME: Mapping[str, Property] = {each.name: each for each in PROPERTIES}


def property_named(name: str) -> Property:
    """A property that we write.

    Raises:
        ApplyError: where it is none of them: a journal of another version.

    """
    if name not in BY_NAME:
        raise ApplyError(f"{name}: no property that this version writes; take it back with the version that wrote it")
    return BY_NAME[name]
