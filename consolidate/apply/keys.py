"""Which file of a control group holds which limit, and in which words: cgroup v1 and v2. Pure.

Sources: kernel documents cgroup-v2.rst, scheduler/sched-bwc.rst (CFS quota and burst), cgroup-v1/memory.rst,
blkio-controller.rst and cpusets.rst, block/bfq-iosched.rst.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from collectors.topology import cpu_list, parse_cpu_list
from consolidate.errors import ApplyError
from consolidate.plan.plan import Limits, Partition

PERIOD_US = 100_000
MIN_QUOTA_US = 1000
"""The kernel refuses a smaller quota."""
_UNLIMITED_V1 = 1 << 62
"""v1 prints a page-rounded maximum where memory is not limited."""
_PAGE_BYTES = 65_536
"""The largest page of the kernels in use: a limit that is a multiple reads back as it was written."""
_NO_IO_LIMIT = "rbps=max wbps=max riops=max wiops=max"
_QUOTA, _PERIOD, _BURST = "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_burst_us"
_MEMORY_V1, _MEMSW = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
_READ_V1, _WRITE_V1 = "blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device"

Amount = int | str | None
"""In the plan's unit; None is unlimited."""
Values = Mapping[str, str]
"""What each key holds."""
Step = tuple[str, str]
"""A key, and the text that is to be written to it."""


@dataclass(frozen=True)
class Key:
    """One file of a control group. Its key is the file's name, with the device behind it where it has a line each."""

    file: str
    controller: str
    versions: tuple[int, ...]
    meaning: str
    dimension: str = ""
    """Field of Limits, where its text stands for one amount."""
    amount: Callable[[str, Values], Amount] = lambda text, _: int(text)
    per_device: bool = False


def _or_max(text: str, _: Values) -> int | None:
    return None if text == "max" else int(text)


def _memory_v1(text: str, _: Values) -> int | None:
    return None if int(text) >= _UNLIMITED_V1 else int(text)


def _cpu_max(text: str, _: Values) -> int | None:
    quota, _space, period = text.partition(" ")
    return None if quota == "max" else int(quota) * 1000 // int(period or PERIOD_US)


def _quota(text: str, values: Values) -> int | None:
    return None if int(text) < 0 else int(text) * 1000 // _period(values)


def _burst(text: str, values: Values) -> int:
    return int(text) * 1000 // _period(values)


def _or_zero(text: str, _: Values) -> int | None:
    return int(text) or None


def _set(text: str, _: Values) -> str | None:
    return text or None


KEYS: tuple[Key, ...] = (
    Key("memory.max", "memory", (2,), "memory limit", "memory_bytes", _or_max),
    Key("memory.high", "memory", (2,), "memory high", "memory_high_bytes", _or_max),
    Key("memory.low", "memory", (2,), "memory low", "memory_low_bytes", _or_max),
    Key("memory.swap.max", "memory", (2,), "swap limit", "swap_bytes", _or_max),
    Key(_MEMORY_V1, "memory", (1,), "memory limit", "memory_bytes", _memory_v1),
    Key(_MEMSW, "memory", (1,), "swap limit"),
    Key("cpu.max", "cpu", (2,), "CPU limit", "cpu_milli", _cpu_max),
    Key("cpu.max.burst", "cpu", (2,), "CPU burst", "cpu_burst_milli", _burst),
    Key("cpu.weight", "cpu", (2,), "CPU share"),
    Key(_QUOTA, "cpu", (1,), "CPU limit", "cpu_milli", _quota),
    Key(_PERIOD, "cpu", (1,), "CPU period"),
    Key(_BURST, "cpu", (1,), "CPU burst", "cpu_burst_milli", _burst),
    Key("cpu.shares", "cpu", (1,), "CPU share"),
    Key("io.max", "io", (2,), "disk limit", per_device=True),
    Key("io.weight", "io", (2,), "disk share"),
    Key("io.bfq.weight", "io", (2,), "disk share"),
    Key(_READ_V1, "blkio", (1,), "disk reads", "disk_read_bytes_per_s", _or_zero, per_device=True),
    Key(_WRITE_V1, "blkio", (1,), "disk writes", "disk_write_bytes_per_s", _or_zero, per_device=True),
    Key("blkio.bfq.weight", "blkio", (1,), "disk share"),
    Key("pids.max", "pids", (1, 2), "task limit", "pids", _or_max),
    Key("cpuset.mems", "cpuset", (1, 2), "memory nodes", "memory_nodes", _set),
    Key("cpuset.cpus", "cpuset", (1, 2), "CPUs", "cpus", _set),
)
"""Everything that is enforced; v1 has no protection from reclaim (its soft limit invites it) and no ``memory.high``."""

BY_FILE = {key.file: key for key in KEYS}


def text_of(key: Key, content: str, devices: Sequence[str]) -> Iterator[Step]:
    """Each key of a file with its text: one for every device where the file has a line each."""
    if not key.per_device:
        default = content.removeprefix("default ").split("\n")[0] if key.meaning == "disk share" else content
        yield key.file, default.strip()
        return
    lines = {device: rest for device, _, rest in (line.partition(" ") for line in content.splitlines())}
    nothing = _NO_IO_LIMIT if key.file == "io.max" else "0"
    for device in devices:
        yield f"{key.file} {device}", lines.get(device, nothing)


def content_of(key: str, text: str) -> tuple[str, str]:
    """File of a key, and what is to be written there."""
    file, _, device = key.partition(" ")
    if device:
        return file, f"{device} {text}"
    # An empty write never reaches the kernel: an empty line clears a cpuset.
    return file, text or "\n"


def steps(partition: Partition, values: Values) -> Iterator[Step]:
    """What is to be written, in an order in which no bound inside the group is broken on the way."""
    after = partition.after
    yield from _memory_steps(after, values)
    yield from _memory_v1_steps(after, values)
    yield from _cpu_steps(after, values)
    yield from (
        ("cpu.weight", str(partition.cpu_weight)),
        ("cpu.shares", str(max(2, partition.cpu_weight * 1024 // 100))),
    )
    yield from _disk_steps(after, values)
    if after.pids is not None:
        yield "pids.max", str(after.pids)
    for key, wanted in (("cpuset.mems", after.memory_nodes), ("cpuset.cpus", after.cpus)):
        if wanted is not None:
            yield from _set_steps(key, wanted, values.get(key, ""), partition.workload)


def quota_us(cpu_milli: int, period_us: int) -> int:
    """CFS quota that allows so many thousandths of a core, rounded up."""
    return max(MIN_QUOTA_US, -(-cpu_milli * period_us // 1000))


def _pages(amount_bytes: int) -> int:
    return -(-amount_bytes // _PAGE_BYTES) * _PAGE_BYTES


def _memory_steps(after: Limits, _: Values) -> Iterator[Step]:
    for key, amount in (
        ("memory.max", after.memory_bytes),
        ("memory.high", after.memory_high_bytes),
        ("memory.low", after.memory_low_bytes),
        ("memory.swap.max", after.swap_bytes),
    ):
        if amount is not None:
            yield key, str(_pages(amount))


def _memory_v1_steps(after: Limits, values: Values) -> Iterator[Step]:
    """``memsw`` is memory and swap together, and never below the memory limit: raised first, lowered last."""
    limit_now = int(values.get(_MEMORY_V1, _UNLIMITED_V1))
    both_now = int(values.get(_MEMSW, _UNLIMITED_V1))
    limit = limit_now if after.memory_bytes is None else _pages(after.memory_bytes)
    writes = [(_MEMORY_V1, str(limit))] if after.memory_bytes is not None else []
    if after.swap_bytes is not None and limit < _UNLIMITED_V1:
        both = limit + _pages(after.swap_bytes)
    elif limit > both_now:  # no swap is planned: what there was of it stays
        both = limit + max(0, both_now - limit_now)
    else:
        yield from writes
        return
    yield from [(_MEMSW, str(both)), *writes] if both >= both_now else [*writes, (_MEMSW, str(both))]


def _period(values: Values) -> int:
    v2 = values.get("cpu.max", "").split()
    return int(v2[1]) if len(v2) == 2 else int(values.get(_PERIOD, PERIOD_US))


def _cpu_steps(after: Limits, values: Values) -> Iterator[Step]:
    """The period in force stays. A burst above the quota is invalid, so the burst goes down first and up last."""
    period = _period(values)
    v2 = "cpu.max" in values
    burst_key = "cpu.max.burst" if v2 else _BURST
    burst_now = int(values.get(burst_key, 0))
    quota = None if after.cpu_milli is None else quota_us(after.cpu_milli, period)
    burst = burst_now if after.cpu_burst_milli is None else -(-after.cpu_burst_milli * period // 1000)
    burst = burst if quota is None else min(burst, quota)
    writes = [] if quota is None else [("cpu.max", f"{quota} {period}") if v2 else (_QUOTA, str(quota))]
    bursts = [(burst_key, str(burst))] if after.cpu_burst_milli is not None or burst != burst_now else []
    yield from [*bursts, *writes] if burst < burst_now else [*writes, *bursts]


def _disk_steps(after: Limits, values: Values) -> Iterator[Step]:
    v1 = {_READ_V1: after.disk_read_bytes_per_s, _WRITE_V1: after.disk_write_bytes_per_s}
    v2 = {"rbps": after.disk_read_bytes_per_s, "wbps": after.disk_write_bytes_per_s}
    for key, text in values.items():
        file = key.partition(" ")[0]
        if v1.get(file) is not None:
            yield key, str(v1[file])
        elif file == "io.max" and any(amount is not None for amount in v2.values()):
            fields = dict(item.split("=", 1) for item in text.split())
            wanted = {name: str(amount) for name, amount in v2.items() if amount is not None}
            yield key, " ".join(f"{name}={value}" for name, value in (fields | wanted).items())
    if after.io_weight is not None:
        # BFQ's range ends at 1000: systemd's mapping (src/core/cgroup.c), which keeps 100 at 100.
        bfq = after.io_weight if after.io_weight <= 100 else 100 + (after.io_weight - 100) * 900 // 9900
        yield from (("io.weight", str(after.io_weight)), ("io.bfq.weight", str(bfq)), ("blkio.bfq.weight", str(bfq)))


def _set_steps(key: str, wanted: str, now: str, workload: str) -> Iterator[Step]:
    """First the union, then the narrow set, so that children never lose all they had at once."""
    try:
        target, present = frozenset(parse_cpu_list(wanted)), frozenset(parse_cpu_list(now))
    except ValueError:
        raise ApplyError(f"{workload}: {wanted!r} is no list of {key} such as 0-3,8; plan again") from None
    union = present | target
    if present and union not in (present, target):
        yield key, cpu_list(union)
    yield key, cpu_list(target)
