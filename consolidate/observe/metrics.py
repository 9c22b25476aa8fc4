"""The table of metrics: every name with its unit, labels, help and where in a plan its numbers stand.

Nothing here has effects; ``exporter`` serves what this table reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from consolidate.plan.plan import HostState, Partition, Plan, Totals, plan_digest


@dataclass(frozen=True)
class Enforcement:
    """What became of a plan on one host."""

    host: str
    keys: int
    """Limits and weights that the plan sets there."""
    drifted: int
    """Those of them that now read differently."""


@dataclass(frozen=True)
class Snapshot:
    """Everything one scrape tells: the plan, and its enforcement where it is applied."""

    plan: Plan
    enforcement: tuple[Enforcement, ...] = ()


@dataclass(frozen=True)
class Metric:
    """One metric; its name ends in its unit, which is empty where a label or the help tells it."""

    name: str
    unit: str
    labels: tuple[str, ...]
    help: str


Samples = Iterable[tuple[tuple[str, ...], float]]
"""Label values in the order of the metric's labels, and the number."""
Reader = Callable[[Snapshot], Samples]


def _once(value: Callable[[Plan], float]) -> Reader:
    """One number of the plan, without labels."""
    return lambda snapshot: [((), value(snapshot.plan))]


def _totals(value: Callable[[Totals], float]) -> Reader:
    """A sum over the fleet, before and after."""
    return lambda snapshot: [
        (("before",), value(snapshot.plan.before)),
        (("after",), value(snapshot.plan.after)),
    ]


def _cost_per_month(snapshot: Snapshot) -> Samples:
    plan = snapshot.plan
    return [
        (("before", plan.currency), plan.before.cost_per_month),
        (("after", plan.currency), plan.after.cost_per_month),
    ]


def _objective(value: Callable[[Plan], int]) -> Reader:
    """An amount of the objective, from the solver's integers to the unit that people use."""

    def read(snapshot: Snapshot) -> Samples:
        plan = snapshot.plan
        units = {"hosts": ("hosts", 1), "cost": (f"{plan.currency} per month", 100), "watts": ("watts", 1000)}
        unit, divisor = units.get(plan.proof.objective, (plan.proof.objective, 1))
        return [((unit,), value(plan) / divisor)]

    return read


def _hosts(value: Callable[[HostState], float]) -> Reader:
    """A number of every host, before and after."""

    def read(snapshot: Snapshot) -> Samples:
        for host in snapshot.plan.hosts:
            yield (host.name, "before"), value(host.before)
            yield (host.name, "after"), value(host.after)

    return read


def _reserved_peaks(snapshot: Snapshot) -> Samples:
    for host in snapshot.plan.hosts:
        for state, of in (("before", host.before), ("after", host.after)):
            yield (host.name, state, "cpu"), max(of.cpu_permille, default=0) / 1000
            yield (host.name, state, "memory"), max(of.memory_permille, default=0) / 1000


def _partitions(value: Callable[[Partition], float | None]) -> Reader:
    """A number of every partition; absent means unlimited, and stays absent."""

    def read(snapshot: Snapshot) -> Samples:
        for partition in snapshot.plan.partitions:
            amount = value(partition)
            if amount is not None:
                yield (partition.host, partition.workload, partition.isolation), amount

    return read


def _cores(partition: Partition) -> float | None:
    milli = partition.after.cpu_milli
    return None if milli is None else milli / 1000


def _plan_info(snapshot: Snapshot) -> Samples:
    plan = snapshot.plan
    proof = plan.proof
    labels = (plan.tool, plan_digest(plan), plan.fleet_digest, str(plan.seed), proof.objective, plan.currency)
    return [((*labels, proof.kind), 1)]


def _measured(snapshot: Snapshot) -> Samples:
    as_of_s = snapshot.plan.as_of_s
    return [] if as_of_s is None else [((), as_of_s)]


def _workloads(snapshot: Snapshot) -> Samples:
    return [((isolation,), sum(reasons.values())) for isolation, reasons in snapshot.plan.placed.items()]


UP = Metric("consolidate_up", "", (), "Whether the plan and its enforcement could be read for this scrape.")
READ_FAILURES = Metric("consolidate_read_failures_total", "", (), "Scrapes for which the plan could not be read.")

_INFO = ("tool", "plan_digest", "fleet_digest", "seed", "objective", "currency", "bound")
_HOST = ("host", "state")
_PARTITION = ("host", "workload", "isolation")

PLAN_METRICS: Mapping[Metric, Reader] = {
    # Where the plan comes from.
    Metric("consolidate_plan_info", "", _INFO, "What made the plan, and what it was made for; always 1."): _plan_info,
    Metric(
        "consolidate_plan_measured_timestamp_seconds", "seconds", (), "Time of the newest measurement planned for."
    ): _measured,
    Metric("consolidate_plan_unmeasured_info", "", ("dimension",), "A dimension nobody measured; always 1."): (
        lambda snapshot: [((dimension,), 1) for dimension in snapshot.plan.unmeasured]
    ),
    Metric("consolidate_plan_refusals", "refusals", (), "Workloads left alone, each with a reason in the plan."): _once(
        lambda plan: len(plan.refusals)
    ),
    # How good it is.
    Metric("consolidate_objective_cost", "", ("unit",), "What the plan costs in its objective's unit."): _objective(
        lambda plan: plan.proof.cost
    ),
    Metric("consolidate_objective_lower_bound", "", ("unit",), "Proven: no plan costs less."): _objective(
        lambda plan: plan.proof.lower_bound
    ),
    Metric("consolidate_objective_gap", "", ("unit",), "Cost above the lower bound; 0 is proven optimal."): _objective(
        lambda plan: plan.proof.gap
    ),
    Metric("consolidate_fleet_hosts", "hosts", ("state",), "Hosts that are on."): _totals(lambda sums: sums.hosts),
    Metric("consolidate_fleet_cpu_ratio", "ratio", ("state",), "Average CPU use of the hosts that are on."): _totals(
        lambda sums: sums.cpu_permille / 1000
    ),
    Metric("consolidate_fleet_power_watts", "watts", ("state",), "Average power of the hosts that are on."): _totals(
        lambda sums: sums.watts
    ),
    Metric(
        "consolidate_fleet_cost_per_month", "", ("state", "currency"), "Hosts and their electricity, in the currency."
    ): _cost_per_month,
    # What it takes.
    Metric("consolidate_plan_moves", "moves", (), "Moves of workloads, those to a parking place included."): _once(
        lambda plan: len(plan.moves)
    ),
    Metric("consolidate_plan_waves", "waves", (), "Rounds of moves, each waiting for the one before."): _once(
        lambda plan: plan.waves
    ),
    Metric("consolidate_plan_copy_bytes", "bytes", (), "Bytes that all moves copy."): _once(
        lambda plan: sum(move.copy_bytes for move in plan.moves)
    ),
    Metric("consolidate_plan_workloads", "workloads", ("isolation",), "Placed workloads by isolation."): _workloads,
    # Hosts.
    Metric("consolidate_host_info", "", ("host", "os", "action"), "What becomes of a host; always 1."): (
        lambda snapshot: [((host.name, host.os, host.action), 1) for host in snapshot.plan.hosts]
    ),
    Metric("consolidate_host_on", "", _HOST, "Whether the host is on."): _hosts(lambda state: state.on),
    Metric("consolidate_host_workloads", "workloads", _HOST, "Workloads on the host."): _hosts(
        lambda state: state.workloads
    ),
    Metric(
        "consolidate_host_reserved_peak_ratio",
        "ratio",
        (*_HOST, "resource"),
        "Share of the allocatable amount that is reserved in the fullest hour.",
    ): _reserved_peaks,
    Metric("consolidate_host_power_watts", "watts", _HOST, "Average power of the host."): _hosts(
        lambda state: state.watts
    ),
    # Partitions.
    Metric(
        "consolidate_partition_cpu_limit_cores", "cores", _PARTITION, "CPU limit, in cores of its host; absent if none."
    ): _partitions(_cores),
    Metric(
        "consolidate_partition_memory_limit_bytes", "bytes", _PARTITION, "Memory limit; absent if none."
    ): _partitions(lambda partition: partition.after.memory_bytes),
    Metric(
        "consolidate_partition_cpu_weight", "weight", _PARTITION, "CPU share under contention; 100 stands for one core."
    ): _partitions(lambda partition: partition.cpu_weight),
    # Enforcement, where the plan is applied.
    Metric("consolidate_enforced_keys", "keys", ("host",), "Limits and weights that the plan sets on the host."): (
        lambda snapshot: [((one.host,), one.keys) for one in snapshot.enforcement]
    ),
    Metric("consolidate_drift_keys", "keys", ("host",), "Limits and weights that differ from the plan."): (
        lambda snapshot: [((one.host,), one.drifted) for one in snapshot.enforcement]
    ),
}
METRICS: tuple[Metric, ...] = (UP, READ_FAILURES, *PLAN_METRICS)
"""Everything that is exported."""
