"""What will become of each key of a plan on a host: effective, without effect, dangerous or impossible. Pure.

Every verdict but the first has a reason with the figure it rests on, and what to do. Facts come from ``facts``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from collectors.topology import cpu_list, parse_cpu_list
from consolidate.apply.facts import Facts, GroupFacts, is_unit
from consolidate.plan.plan import Partition
from consolidate.units import format_bytes, format_cpu

BURST_SINCE = (5, 14)
"""First kernel with ``cpu.max.burst`` (f4183717b370, "sched/fair: Introduce the burstable CFS controller")."""


class Verdict(enum.StrEnum):
    """What becomes of a key."""

    EFFECTIVE = "effective"
    WITHOUT_EFFECT = "without effect"
    """The kernel takes it, and nothing changes."""
    DANGEROUS = "dangerous"
    """It bites, and may hurt."""
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True)
class Finding:
    """One key of one partition."""

    workload: str
    """Empty where the host as a whole is meant."""
    key: str
    """In the planner's words."""
    verdict: Verdict
    reason: str = ""
    """What speaks against it; empty where nothing does."""
    remedy: str = ""


@dataclass(frozen=True)
class Case:
    """What a rule judges."""

    partition: Partition
    facts: Facts
    group: GroupFacts | None
    """None where the workload has no control group here yet: the host alone is judged."""
    version: int
    """Of the hierarchy that has the key's controller."""

    @property
    def systemd(self) -> bool:
        """Whether the key is set through systemd."""
        return self.facts.systemd is not None and is_unit(self.partition.cgroup)

    @property
    def parent(self) -> str:
        """Group around the workload's; empty at the top."""
        return self.partition.cgroup.rpartition("/")[0]


Doubt = tuple[Verdict, str, str]
"""Verdict, reason and remedy."""
Rule = Callable[[Case], Doubt | None]
_UNIFIED = "boot with systemd.unified_cgroup_hierarchy=1, or plan without it"


@dataclass(frozen=True)
class Key:
    """A field of a partition's limits: where the kernel has it, and what may be wrong with it."""

    field: str
    word: str
    controller: str
    files: Mapping[int, str]
    """By version of the hierarchy; a version that is absent does not have it."""
    rules: tuple[Rule, ...] = ()
    """The first doubt counts."""


def examine(partitions: Sequence[Partition], facts: Facts) -> tuple[Finding, ...]:
    """Judge every key that a host's partitions set, and what the guard needs to watch them."""
    found = [finding for partition in partitions for finding in _of_partition(partition, facts)]
    return (*found, *_of_host(facts))


def _of_partition(partition: Partition, facts: Facts) -> Iterator[Finding]:
    group = facts.groups.get(partition.cgroup)
    for key in KEYS:
        if key.field and getattr(partition.after, key.field) is None:
            continue
        doubt = _doubt(key, partition, facts, group)
        verdict, reason, remedy = doubt or (Verdict.EFFECTIVE, "", "")
        yield Finding(partition.workload, key.word, verdict, reason, remedy)


def _doubt(key: Key, partition: Partition, facts: Facts, group: GroupFacts | None) -> Doubt | None:
    version = facts.version(key.controller)
    if version is None:
        reason = f"this kernel offers no {key.controller} controller"
        return Verdict.IMPOSSIBLE, reason, f"mount it, or boot without cgroup_disable={key.controller}"
    if version not in key.files:
        return Verdict.IMPOSSIBLE, f"{key.controller} is on cgroup v1, which has nothing like it", _UNIFIED
    case = Case(partition, facts, group, version)
    doubts = (rule(case) for rule in (*key.rules, _delegation(key)))
    return next((doubt for doubt in doubts if doubt is not None), None)


def _delegation(key: Key) -> Rule:
    """A group has a controller's files where the group around it hands the controller down."""

    def judge(case: Case) -> Doubt | None:
        file = key.files[case.version]
        if case.group is None or file in case.group.files or (case.systemd and case.version == 2):
            return None  # systemd hands down whatever one of its units asks for
        if case.version == 1:
            reason = f"its group has no {file} in the {key.controller} hierarchy of cgroup v1"
            return Verdict.IMPOSSIBLE, reason, "create the group there as well, or plan without it"
        above = f"/{case.parent}" if case.parent else ""
        remedy = f"whoever owns it writes +{key.controller} to /sys/fs/cgroup{above}/cgroup.subtree_control"
        return Verdict.IMPOSSIBLE, f"the group around it does not delegate the {key.controller} controller", remedy

    return judge


def _quota_under_threads(case: Case) -> Doubt | None:
    quota, threads = case.partition.after.cpu_milli, case.group.pids if case.group is not None else None
    if quota is None or threads is None or threads < 2 or threads * 1000 <= quota:
        return None
    together = min(threads, len(case.facts.cpus) or threads) * 1000
    if together <= quota:
        return None
    reason = f"its {threads} threads may use {format_cpu(quota)} up within a period, and then all stand still"
    return Verdict.DANGEROUS, reason, "declare it latency_critical, or watch its throttling after apply"


def _burst(case: Case) -> Doubt | None:
    if case.facts.release < BURST_SINCE:
        reason = f"Linux {case.facts.kernel} has no burst; 5.14 is the first that has"
        return Verdict.IMPOSSIBLE, reason, "upgrade the kernel; the quota works without it"
    if case.systemd:
        return Verdict.IMPOSSIBLE, "systemd has no property for it", "nothing: the quota works without it"
    return None


def _protected(case: Case) -> Doubt | None:
    wanted = case.partition.after.memory_low_bytes
    around = case.group.protected_bytes if case.group is not None else None
    if wanted is None or around is None or around >= wanted:
        return None
    reason = f"a group around it protects {format_bytes(around)}, and no group's protection goes beyond that"
    remedy = f"protect {case.parent.partition('/')[0]} and what is below it as well: the sum of its workloads"
    return Verdict.WITHOUT_EFFECT, reason, remedy


def _reclaimable(case: Case) -> Doubt | None:
    after = case.partition.after
    if case.facts.swap_bytes or after.memory_high_bytes is None:
        return None
    cache = (case.group.page_cache_bytes if case.group is not None else None) or 0
    if after.memory_bytes is not None and cache >= after.memory_bytes - after.memory_high_bytes:
        return None
    reason = f"without swap and with {format_bytes(cache)} of page cache it would stand still instead of shrinking"
    return Verdict.DANGEROUS, reason, "add swap, or plan without memory_high"


def _swap(case: Case) -> Doubt | None:
    known = case.group is not None and any(name.startswith("memory.") for name in case.group.files)
    file = _SWAP_FILES[case.version]
    if known and case.group is not None and file not in case.group.files:
        return Verdict.IMPOSSIBLE, f"swap is not counted: there is no {file}", "boot with swapaccount=1"
    if not case.facts.swap_bytes:
        return Verdict.WITHOUT_EFFECT, "the host has no swap", "nothing: there is none to keep it from"
    return None


def _has_disks(case: Case) -> Doubt | None:
    if case.facts.schedulers:
        return None
    return Verdict.WITHOUT_EFFECT, "no disk with a queue of its own was found", "limit it where the disk is"


def _buffered(case: Case) -> Doubt | None:
    if case.version == 2:
        return None
    reason = "cgroup v1 throttles direct writes only; what goes through the page cache is written by the kernel"
    return Verdict.WITHOUT_EFFECT, reason, _UNIFIED


def _shares_disks(case: Case) -> Doubt | None:
    facts = case.facts
    if "bfq" in facts.schedulers.values() or (facts.io_cost and case.version == 2):
        return None
    used = ", ".join(f"{disk}: {scheduler}" for disk, scheduler in sorted(facts.schedulers.items())[:3])
    remedy = "modprobe bfq, then echo bfq > /sys/block/DISK/queue/scheduler" + (
        ", or enable io.cost.qos" if case.version == 2 else ""
    )
    return Verdict.WITHOUT_EFFECT, f"no scheduler here shares a disk out ({used or 'no disk found'})", remedy


def _enough_pids(case: Case) -> Doubt | None:
    limit, now = case.partition.after.pids, case.group.pids if case.group is not None else None
    if limit is None or now is None or now < limit:
        return None
    return Verdict.DANGEROUS, f"it has {now} of {limit} already, and starts nothing more", "collect and plan again"


def _online(field: str, word: str) -> Rule:
    def judge(case: Case) -> Doubt | None:
        there = case.facts.cpus if field == "cpus" else case.facts.nodes
        missing = set(parse_cpu_list(getattr(case.partition.after, field))) - there
        if not there or not missing:
            return None
        reason = f"{word} {cpu_list(missing)} are not online; {cpu_list(there)} are"
        return Verdict.IMPOSSIBLE, reason, "collect from this host and plan again"

    return judge


_SWAP_FILES = {2: "memory.swap.max", 1: "memory.memsw.limit_in_bytes"}
_READ = {2: "io.max", 1: "blkio.throttle.read_bps_device"}
_WRITE = {2: "io.max", 1: "blkio.throttle.write_bps_device"}
KEYS: tuple[Key, ...] = (
    Key("", "CPU share", "cpu", {2: "cpu.weight", 1: "cpu.shares"}),
    Key("cpu_milli", "CPU limit", "cpu", {2: "cpu.max", 1: "cpu.cfs_quota_us"}, (_quota_under_threads,)),
    Key("cpu_burst_milli", "CPU burst", "cpu", {2: "cpu.max.burst", 1: "cpu.cfs_burst_us"}, (_burst,)),
    Key("cpus", "CPUs", "cpuset", {2: "cpuset.cpus", 1: "cpuset.cpus"}, (_online("cpus", "processors"),)),
    Key(
        "memory_nodes",
        "memory nodes",
        "cpuset",
        {2: "cpuset.mems", 1: "cpuset.mems"},
        (_online("memory_nodes", "nodes"),),
    ),
    Key("memory_bytes", "memory limit", "memory", {2: "memory.max", 1: "memory.limit_in_bytes"}),
    Key("memory_low_bytes", "memory low", "memory", {2: "memory.low"}, (_protected,)),
    Key("memory_high_bytes", "memory high", "memory", {2: "memory.high"}, (_reclaimable,)),
    Key("swap_bytes", "swap limit", "memory", _SWAP_FILES, (_swap,)),
    Key("disk_read_bytes_per_s", "disk reads", "io", _READ, (_has_disks,)),
    Key("disk_write_bytes_per_s", "disk writes", "io", _WRITE, (_has_disks, _buffered)),
    Key("io_weight", "disk share", "io", {2: "io.weight", 1: "blkio.bfq.weight"}, (_shares_disks,)),
    Key("pids", "task limit", "pids", {2: "pids.max", 1: "pids.max"}, (_enough_pids,)),
)
"""All that a partition may set; the CPU share, which every partition has, is no field of its limits."""


def _of_host(facts: Facts) -> Iterator[Finding]:
    if facts.pressure:
        yield Finding("", "pressure", Verdict.EFFECTIVE)
        return
    reason = "the kernel does not tell who waits, so that harm is seen by throttling and kills alone"
    yield Finding("", "pressure", Verdict.WITHOUT_EFFECT, reason, "boot with psi=1")
