"""What a container engine has to be told so that a kernel file holds a text. Pure.

Sources: docker-update(1), podman-update(1), and the OCI runtime specification's config-linux.md, whose words runtimes
take. Engines take no 0 for "unlimited", since to them it says "as before": what was unlimited is set to the largest
amount that the kernel knows, and its file then reads as if nobody had ever limited it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

Values = Mapping[str, str]
"""What each file of the container's control group holds now."""

MEMORY, MEMSW = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
PERIOD = "cpu.cfs_period_us"
"""Not set, but needed to know what a quota means."""
MAX_BYTES = "9223372036854771712"
"""The largest whole page, which the kernel takes for no limit."""

KEYS = frozenset(
    {
        *("cpu.cfs_quota_us", "cpu.shares", MEMORY, MEMSW),
        *("cpu.max", "cpu.weight", "memory.max", "memory.swap.max", "memory.low", "io.bfq.weight"),
        *("cpuset.cpus", "cpuset.mems", "pids.max"),
    }
)
"""Files that both engines have an option for, named in the kernel's way."""


def restorable(values: Values) -> frozenset[str]:
    """Those files that an engine can set back to what they hold, which some texts have no option for.

    A reservation has a least amount of 6 MiB, and unlimited swap beside limited memory is dropped on the way to v2.
    """
    lost = {"memory.low": "0", "memory.swap.max": "max"}
    return frozenset(key for key in values if lost.get(key) != values[key])


def quota_and_period(key: str, value: str, values: Values) -> tuple[str, str]:
    """CFS quota, -1 where unlimited, and period, in microseconds."""
    if key == "cpu.max":
        quota, _, period = value.partition(" ")
        return "-1" if quota == "max" else quota, period
    return value, values.get(PERIOD, "100000")


def memory_and_swap(key: str, value: str, values: Values) -> tuple[str, str]:
    """Memory, and memory with swap, in bytes, since an engine wants both at once; -1 for unlimited swap in v2."""
    if key in (MEMORY, MEMSW):
        now = {name: values.get(name, MAX_BYTES) for name in (MEMORY, MEMSW)} | {key: value}
        return now[MEMORY], now[MEMSW]
    now = {name: values.get(name, "max") for name in ("memory.max", "memory.swap.max")} | {key: value}
    limit, swap = now["memory.max"], now["memory.swap.max"]
    if limit == "max":
        return MAX_BYTES, "-1"
    return limit, "-1" if swap == "max" else str(int(limit) + int(swap))


def shares_of(weight: int) -> tuple[int, int]:
    """CPU shares that become this ``cpu.weight``, by the runtimes' earlier conversion and by their later one.

    Runtimes map 2…262144 to 1…10000 in a straight line; since runc 1.3.2 and crun 1.23 along a curve on which 1024 is
    100, ``10^((l² + 125·l)/612 - 7/34)`` with ``l`` the shares' binary logarithm (runc, docs/spec-conformance.md).
    """
    straight = 2 + -(-(weight - 1) * 262_142 // 9_999)
    root = math.sqrt(125**2 + 4 * 612 * (math.log10(weight) + 7 / 34))
    return straight, max(2, min(262_144, math.floor(2 ** ((root - 125) / 2))))


def options(key: str, value: str, values: Values, nano_cpus: int = 0) -> tuple[str, ...]:
    """Options of ``update``. A container that was created with ``--cpus`` takes nothing else for its quota.

    The period is only given where it is not the kernel's own: once told, an engine never forgets it.
    """
    if key in ("cpu.max", "cpu.cfs_quota_us"):
        quota, period = quota_and_period(key, value, values)
        if nano_cpus:
            return ("--cpus", f"{int(quota) / int(period):.9f}")
        return ("--cpu-quota", quota, *(("--cpu-period", period) if period != "100000" else ()))
    if key.startswith("memory.") and key != "memory.low":
        limit, both = memory_and_swap(key, value, values)
        return ("--memory", limit, "--memory-swap", both)
    if key == "cpu.weight":
        return ("--cpu-shares", str(shares_of(int(value))[0]))
    if key == "pids.max":
        return ("--pids-limit", "-1" if value == "max" else value)
    return (_PLAIN[key], value)


_PLAIN = {
    "cpu.shares": "--cpu-shares",
    "memory.low": "--memory-reservation",
    "cpuset.cpus": "--cpuset-cpus",
    "cpuset.mems": "--cpuset-mems",
    "blkio.bfq.weight": "--blkio-weight",
    "io.bfq.weight": "--blkio-weight",
}


def resources(key: str, value: str, values: Values) -> dict[str, dict[str, int | str]]:
    """The same for an OCI runtime, which knows -1 for unlimited."""
    if key in ("cpu.max", "cpu.cfs_quota_us"):
        quota, period = quota_and_period(key, value, values)
        return {"cpu": {"quota": int(quota), "period": int(period)}}
    if key.startswith("memory.") and key != "memory.low":
        limit, both = (-1 if text in (MAX_BYTES, "-1") else int(text) for text in memory_and_swap(key, value, values))
        return {"memory": {"limit": limit, "swap": both}}
    section, name = _OCI[key]
    if key == "cpu.weight":
        return {section: {name: shares_of(int(value))[0]}}
    if key.startswith("cpuset."):
        return {section: {name: value}}
    return {section: {name: -1 if value == "max" else int(value)}}


_OCI = {
    "cpu.shares": ("cpu", "shares"),
    "cpu.weight": ("cpu", "shares"),
    "cpuset.cpus": ("cpu", "cpus"),
    "cpuset.mems": ("cpu", "mems"),
    "memory.low": ("memory", "reservation"),
    "pids.max": ("pids", "limit"),
    "blkio.bfq.weight": ("blockIO", "weight"),
    "io.bfq.weight": ("blockIO", "weight"),
}
