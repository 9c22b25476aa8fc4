"""Which kernel file holds which limit, and in which words: cgroup v1 and v2. Pure.

Sources: kernel documents cgroup-v2.rst (cpu.max, cpu.weight, memory.max), scheduler/sched-bwc.rst (CFS quota)
and cgroup-v1/memory.rst.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from consolidate.plan.plan import Limits, Partition

PERIOD_US = 100_000
MIN_QUOTA_US = 1000
"""The kernel refuses a smaller quota."""
_UNLIMITED_V1 = 1 << 62
"""v1 prints a page-rounded maximum where memory is not limited."""


@dataclass(frozen=True)
class Key:
    """One limit in one kernel file."""

    controller: str
    file: str
    version: int
    meaning: str
    want: Callable[[Partition, str], str | None]
    """Text to write for a partition, given what the file holds now; None where the plan sets nothing."""
    limit: Callable[[str, int], int | None] | None = None
    """The amount a text stands for, in the plan's unit, given the CPU period; None is unlimited."""
    planned: Callable[[Limits], int | None] | None = None
    """The same amount in the plan's limits."""


def _cpu(limits: Limits) -> int | None:
    return limits.cpu_milli


def _memory(limits: Limits) -> int | None:
    return limits.memory_bytes


def quota_us(cpu_milli: int, period_us: int) -> int:
    """CFS quota that allows so many thousandths of a core, rounded up."""
    return max(MIN_QUOTA_US, -(-cpu_milli * period_us // 1000))


def _cpu_max(partition: Partition, now: str) -> str | None:
    if partition.after.cpu_milli is None:
        return None
    period = int(now.split()[1]) if len(now.split()) == 2 else PERIOD_US
    return f"{quota_us(partition.after.cpu_milli, period)} {period}"


def _cpu_max_limit(text: str, _: int) -> int | None:
    quota, _space, period = text.partition(" ")
    return None if quota == "max" else int(quota) * 1000 // int(period or PERIOD_US)


def _quota_limit(text: str, period_us: int) -> int | None:
    return None if int(text) < 0 else int(text) * 1000 // period_us


def _memory_max(partition: Partition, _: str) -> str | None:
    return None if partition.after.memory_bytes is None else str(partition.after.memory_bytes)


def _memory_max_limit(text: str, _: int) -> int | None:
    return None if text == "max" else int(text)


def _memory_v1_limit(text: str, _: int) -> int | None:
    return None if int(text) >= _UNLIMITED_V1 else int(text)


def _quota(partition: Partition, now: str) -> str | None:
    """The period in force is looked up by the caller, who passes ``quota period``."""
    if partition.after.cpu_milli is None:
        return None
    return str(quota_us(partition.after.cpu_milli, int(now.split()[1])))


KEYS: tuple[Key, ...] = (
    Key("memory", "memory.max", 2, "memory limit", _memory_max, _memory_max_limit, _memory),
    Key("cpu", "cpu.max", 2, "CPU limit", _cpu_max, _cpu_max_limit, _cpu),
    Key("cpu", "cpu.weight", 2, "CPU share", lambda partition, _: str(partition.cpu_weight)),
    Key("memory", "memory.limit_in_bytes", 1, "memory limit", _memory_max, _memory_v1_limit, _memory),
    Key("cpu", "cpu.cfs_quota_us", 1, "CPU limit", _quota, _quota_limit, _cpu),
    Key("cpu", "cpu.shares", 1, "CPU share", lambda p, _: str(max(2, p.cpu_weight * 1024 // 100))),
)
"""Everything that is enforced; a kernel has a limit in v1 or in v2, never in both."""
