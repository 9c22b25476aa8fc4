"""How each limit of a partition is chosen: one rule, one function, one half sentence of reason. Pure.

The rules are told with their sources in docs/partitions.md. What was not measured is not set.
"""

from __future__ import annotations

from collections.abc import Iterator

from collectors.topology import cpu_list
from consolidate.model.isolation import VIRTUAL
from consolidate.plan.cpuset import spanned
from consolidate.plan.plan import Limits
from consolidate.plan.tenant import Neighbourhood, Tenant
from consolidate.units import count, format_bytes, format_cpu

PAGE_BYTES = 65_536
"""The largest page of the kernels in use: a limit that is a multiple reads back as it was written."""
LEAST_CPU_LIMIT_MILLI = 100
"""An idle service still gets a tenth of a core: a tighter quota would stall its every wake-up."""
PERIOD_MS = 100
"""Of the CFS quota, by the kernel's default (scheduler/sched-bwc.rst)."""
BURSTY_PERMILLE = 1500
"""Highest use against what the busiest hour reserves; above it, bursts are shorter than the quantile sees."""
BURST_PERMILLE = 500
"""Of the quota, that may be saved up for a burst."""
PROTECTED_PERMILLE = 800
"""Of a host's memory, that may be protected from reclaim: protecting more kills somebody else."""
HIGH_PERMILLE = 900
"""From typical use to the limit, where reclaim begins: the factor of KEP-2570."""
PIDS_FACTOR = 4
LEAST_PIDS = 512
NOISY_PERMILLE = 500
"""Of what all of a host read or write together; whoever moves more is noisy."""
NOISY_BYTES_PER_S = 10 * 1024**2
"""No disk of a server suffers from less."""
NOISY_MARGIN_PERMILLE = 300
MOST_WEIGHT = 10_000


def choose_limits(tenant: Tenant, around: Neighbourhood) -> tuple[Limits, tuple[str, ...]]:
    """Limits of a tenant, and the rules that they come from, in half sentences."""
    limits = Limits(
        cpu_milli=cpu_milli(tenant, around),
        memory_bytes=whole_pages_up(tenant.memory_bytes),
        cpu_burst_milli=cpu_burst_milli(tenant, around),
        memory_low_bytes=memory_low_bytes(tenant, around),
        memory_high_bytes=memory_high_bytes(tenant, around),
        swap_bytes=0 if is_critical(tenant, around) else None,
        disk_read_bytes_per_s=disk_cap(tenant, around, "disk_read_bytes_per_s"),
        disk_write_bytes_per_s=disk_cap(tenant, around, "disk_write_bytes_per_s"),
        io_weight=io_weight(tenant, around),
        pids=None
        if tenant.demand.seen.most_pids is None
        else max(PIDS_FACTOR * tenant.demand.seen.most_pids, LEAST_PIDS),
        cpus=_cpus(tenant, around),
        memory_nodes=_memory_nodes(tenant, around),
    )
    reasons = (_source(tenant), *_cpu_reasons(tenant, around, limits), *_memory_reasons(tenant, around, limits))
    return limits, (*reasons, *_other_reasons(tenant, limits))


def is_critical(tenant: Tenant, around: Neighbourhood) -> bool:
    """Whether it must answer at once."""
    return tenant.name in around.policy.latency_critical


def has_own_cores(tenant: Tenant, around: Neighbourhood) -> bool:
    """Whether no other tenant runs on its cores."""
    return tenant.name in around.layout.cpus


def cpu_milli(tenant: Tenant, around: Neighbourhood) -> int | None:
    """The highest seen with margin; no quota for what must answer at once, or has its cores for itself.

    A quota that stands today is not taken away but raised to the whole host, which is as good as none.
    """
    if not is_critical(tenant, around) and not has_own_cores(tenant, around):
        return max(LEAST_CPU_LIMIT_MILLI, tenant.highest_cpu_milli)
    limited = tenant.stays and "cpu_milli" in tenant.workload.enforced
    return tenant.host.capacity.get("cpu_milli") if limited else None


def cpu_burst_milli(tenant: Tenant, around: Neighbourhood) -> int | None:
    """Half of the quota for what peaks far above its busiest hour, and is a group of this kernel."""
    quota = cpu_milli(tenant, around)
    calm = tenant.highest_cpu_milli * 1000 <= tenant.cpu_milli * BURSTY_PERMILLE
    if quota is None or calm or is_critical(tenant, around) or has_own_cores(tenant, around):
        return None
    return None if tenant.isolation in VIRTUAL else quota * BURST_PERMILLE // 1000


def memory_low_bytes(tenant: Tenant, around: Neighbourhood) -> int | None:
    """What it typically has in use, as far as the host's bound on protected memory allows."""
    protected = min(tenant.protectable_bytes * around.protected_permille // 1000, tenant.memory_bytes)
    return protected // PAGE_BYTES * PAGE_BYTES or None


def memory_high_bytes(tenant: Tenant, around: Neighbourhood) -> int | None:
    """Asked for, and only where what is above it can be dropped from the page cache.

    Without swap and page cache there is nothing to reclaim, and the workload would stand still instead (KEP-2570).
    """
    high = _wanted_high(tenant)
    if tenant.name not in around.policy.memory_high or is_critical(tenant, around) or high is None:
        return None
    cache = tenant.demand.seen.page_cache_bytes
    return high if cache is not None and cache >= whole_pages_up(tenant.memory_bytes) - high else None


def _wanted_high(tenant: Tenant) -> int | None:
    typical, limit = tenant.protectable_bytes, whole_pages_up(tenant.memory_bytes)
    if not typical or typical >= limit:
        return None
    return (typical + (limit - typical) * HIGH_PERMILLE // 1000) // PAGE_BYTES * PAGE_BYTES


def disk_cap(tenant: Tenant, around: Neighbourhood, dimension: str) -> int | None:
    """A cap, with margin, for whoever moves more than all other tenants of its host together."""
    own, all_of_it = tenant.disk_bytes_per_s.get(dimension, 0), around.disk_bytes_per_s.get(dimension, 0)
    noisy = own * 1000 > all_of_it * NOISY_PERMILLE and own >= NOISY_BYTES_PER_S and around.disk_users > 1
    if not noisy or not tenant.has_walls or is_critical(tenant, around):
        return None
    return own * (1000 + NOISY_MARGIN_PERMILLE) // 1000


def io_weight(tenant: Tenant, around: Neighbourhood) -> int | None:
    """Its share of what the host's disks move; 100, the kernel's default, is the average tenant's."""
    all_of_it = sum(around.disk_bytes_per_s.values())
    if not tenant.disk_bytes_per_s or not all_of_it or around.disk_users < 2:
        return None
    own = sum(tenant.disk_bytes_per_s.values())
    return min(max(round(100 * own * around.disk_users / all_of_it), 1), MOST_WEIGHT)


def whole_pages_up(amount_bytes: int) -> int:
    """Memory in whole pages, none less."""
    return -(-amount_bytes // PAGE_BYTES) * PAGE_BYTES


def _cpus(tenant: Tenant, around: Neighbourhood) -> str | None:
    """Its own cores; the shared ones where others have cores of their own; else nothing is set."""
    own = around.layout.cpus.get(tenant.name)
    return cpu_list(own or around.layout.shared) or None if around.layout.cpus else None


def _memory_nodes(tenant: Tenant, around: Neighbourhood) -> str | None:
    own = around.layout.nodes.get(tenant.name)
    return cpu_list(own) if own else None


def _source(tenant: Tenant) -> str:
    brings = tenant.isolation in VIRTUAL and tenant.isolation is not tenant.workload.isolation
    match tenant.demand.source:
        case "limit":
            from_where = "limit: too little was measured to go below it"
        case "summary":
            from_where = "summary: the greatest use that its source tells, with margin"
        case source:
            from_where = f"{source}: peak of {tenant.demand.days:.1f} days with margin"
    return from_where + (" and the virtual machine's overhead" if brings else "")


def _cpu_reasons(tenant: Tenant, around: Neighbourhood, limits: Limits) -> Iterator[str]:
    own, refused = around.layout.cpus.get(tenant.name), around.layout.refused.get(tenant.name)
    quota, threads = limits.cpu_milli, tenant.demand.seen.most_pids
    if is_critical(tenant, around):
        yield "latency-critical: a share of the CPU and no quota, no swap"
    if own:
        yield f"cores of its own ({cpu_list(own)}), and therefore no quota"
    elif limits.cpus is not None:
        yield "on the cores that nobody has for itself"
    if refused:
        yield f"no cores of its own: {refused}"
    if is_critical(tenant, around) or own:
        if quota is not None:
            yield f"today's quota is raised to all {format_cpu(quota)} of the host, where it stops nothing"
        return
    if limits.cpu_burst_milli is not None:
        yield "bursts shorter than its busiest hour shows, so that half a quota may be saved up"
    if quota is not None and threads is not None and threads * 1000 > quota:
        after_ms = PERIOD_MS * quota / (threads * 1000)
        yield f"{count(threads, 'thread')} running at once would use its quota up in {after_ms:.0f} of {PERIOD_MS} ms"


def _memory_reasons(tenant: Tenant, around: Neighbourhood, limits: Limits) -> Iterator[str]:
    if limits.memory_low_bytes is not None:
        less = around.protected_permille < 1000
        bounded = f", {around.protected_permille / 10:.0f} % of it since a host protects 80 % at most" if less else ""
        yield f"protected as far as it is typically used{bounded}"
    if tenant.name in around.policy.memory_high and limits.memory_high_bytes is None:
        if is_critical(tenant, around):
            yield "no reclaim before the limit, since it is latency-critical"
        else:
            cache = tenant.demand.seen.page_cache_bytes
            have = "is not known" if cache is None else f"of {format_bytes(cache)} could not absorb it"
            yield f"no reclaim before the limit, since its page cache {have}"


def _other_reasons(tenant: Tenant, limits: Limits) -> Iterator[str]:
    capped = (limits.disk_read_bytes_per_s, limits.disk_write_bytes_per_s)
    if any(cap is not None for cap in capped):
        yield "capped on the disk, since it moves more than all others of its host together"
    nodes = spanned(tenant.host.topology, -(-tenant.highest_cpu_milli // 1000), tenant.memory_bytes)
    if tenant.isolation in VIRTUAL and nodes > 1:
        yield f"larger than a NUMA node: give its guest {nodes} equal virtual nodes"
