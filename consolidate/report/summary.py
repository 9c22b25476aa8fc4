"""What every report says: sums, comparisons and sentences, worked out once from the plan document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from consolidate.plan.plan import HostPlan, HostState, Move, Plan
from consolidate.report.words import (
    count,
    format_isolation,
    format_permille,
    format_time,
)
from consolidate.units import format_bytes

UNKNOWN_OS = "unknown"
NEW = "new"
"""Source of a workload that is placed for the first time."""
KEPT = ("keep", "start", "standby")
"""Actions after which a host is on."""
HOW_TO_SEE_ALL = "consolidate report PLAN --format markdown"
HOW_TO_APPLY = "consolidate apply PLAN (on each host; shows what it would write until --yes)"
SHARES_NOTE = "CPU and memory: share of the allocatable capacity that is reserved in the busiest hour, not average use."


@dataclass(frozen=True)
class OsRow:
    """The hosts of one operating system, before and after."""

    os: str
    hosts: tuple[HostPlan, ...]

    @property
    def before(self) -> int:
        """Hosts on before."""
        return sum(host.before.on for host in self.hosts)

    @property
    def after(self) -> int:
        """Hosts on after."""
        return sum(host.after.on for host in self.hosts)

    @property
    def kept(self) -> tuple[HostPlan, ...]:
        """Hosts that are on after the plan."""
        return tuple(host for host in self.hosts if host.action in KEPT)

    @property
    def freed(self) -> tuple[HostPlan, ...]:
        """Hosts that the plan switches off."""
        return tuple(host for host in self.hosts if host.action == "free")

    @property
    def kept_first(self) -> tuple[HostPlan, ...]:
        """All hosts, those that stay on in front."""
        return self.kept + tuple(host for host in self.hosts if host.action not in KEPT)

    @property
    def watts_freed(self) -> float:
        """What the freed hosts drew."""
        return sum(host.before.watts for host in self.freed)

    @property
    def most_watts(self) -> float:
        """The longer bar of a comparison."""
        return max(self.watts_before, self.watts_after)

    @property
    def watts_before(self) -> float:
        """Average draw before."""
        return sum(host.before.watts for host in self.hosts)

    @property
    def watts_after(self) -> float:
        """Average draw after."""
        return sum(host.after.watts for host in self.hosts)


@dataclass(frozen=True)
class Flow:
    """Moves from one operating system to another in one isolation."""

    source: str
    target: str
    isolation: str
    moves: int
    copy_bytes: int


@dataclass(frozen=True)
class Wave:
    """Moves that may run at the same time."""

    number: int
    moves: tuple[Move, ...]

    @property
    def copy_bytes(self) -> int:
        """What the wave copies."""
        return sum(move.copy_bytes for move in self.moves)


@dataclass(frozen=True)
class Placed:
    """Workloads of one isolation, and why, most frequent reason first."""

    isolation: str
    workloads: int
    reasons: tuple[tuple[str, int], ...]


def peak(series: Iterable[int]) -> int:
    """Busiest hour of a day."""
    return max(series, default=0)


def headline(plan: Plan) -> str:
    """The plan in one sentence."""
    before, after = plan.before.hosts, plan.after.hosts
    if not plan.changes:
        return f"No changes: {count(before, 'host stays as it is', 'hosts stay as they are')}"
    verb = "becomes" if before == 1 else "become"
    return f"{count(before, 'host')} {verb} {after:,}"


def work_sentence(plan: Plan) -> str:
    """Moves, waves and bytes to copy."""
    if not plan.moves:
        return "nothing to move"
    parts = [
        f"{count(len(plan.moves), 'move')} in {count(plan.waves, 'wave')}",
        f"{format_bytes(sum(move.copy_bytes for move in plan.moves))} to copy",
    ]
    parked = len({move.workload for move in plan.moves if move.parking})
    if parked:
        parts.append(f"{count(parked, 'workload waits', 'workloads wait')} on a third host on the way")
    return ", ".join(parts)


def limits_sentence(plan: Plan) -> str:
    """How many workloads get other limits than they have."""
    number = sum(partition.before != partition.after for partition in plan.partitions)
    return (
        f"{count(number, 'workload gets', 'workloads get')} limits of CPU and memory" if number else "no limit changes"
    )


def average_use(plan: Plan) -> tuple[str, str]:
    """Average CPU use before and after, which is not the reserved share that bars show."""
    return format_permille(plan.before.cpu_permille), format_permille(plan.after.cpu_permille)


def placed(plan: Plan) -> tuple[Placed, ...]:
    """Workloads by isolation, most first."""
    rows = [
        Placed(isolation, sum(reasons.values()), tuple(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))))
        for isolation, reasons in plan.placed.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.workloads, row.isolation)))


def most_placed(plan: Plan) -> int:
    """Workloads of the most frequent isolation and reason."""
    return max((number for row in placed(plan) for _, number in row.reasons), default=1)


def reasons_sentence(row: Placed) -> str:
    """Why, with the numbers where there is more than one reason."""
    if len(row.reasons) == 1:
        return row.reasons[0][0]
    return "; ".join(f"{number:,} {reason}" for reason, number in row.reasons)


def by_os(plan: Plan) -> tuple[OsRow, ...]:
    """Hosts by operating system, in the order of the plan."""
    groups: dict[str, list[HostPlan]] = {}
    for host in plan.hosts:
        groups.setdefault(host.os, []).append(host)
    return tuple(OsRow(os, tuple(hosts)) for os, hosts in groups.items())


def freed_hosts(plan: Plan) -> int:
    """Number of hosts that the plan switches off."""
    return sum(host.action == "free" for host in plan.hosts)


def reasons_freed(row: OsRow) -> str:
    """Why the hosts of one operating system are freed, with numbers."""
    reasons = Counter(host.reason for host in row.freed)
    return "; ".join(
        reason if number == len(row.freed) else f"{number:,} × {reason}" for reason, number in reasons.most_common()
    )


def flows(plan: Plan) -> tuple[Flow, ...]:
    """Moves by source and target operating system and isolation, most first."""
    os_of = {host.name: host.os for host in plan.hosts}
    moves: Counter[tuple[str, str, str]] = Counter()
    copied: Counter[tuple[str, str, str]] = Counter()
    for move in plan.moves:
        source = NEW if move.source is None else os_of.get(move.source, UNKNOWN_OS)
        key = source, os_of.get(move.target, UNKNOWN_OS), move.isolation
        moves[key] += 1
        copied[key] += move.copy_bytes
    return tuple(Flow(*key, number, copied[key]) for key, number in sorted(moves.items(), key=lambda i: (-i[1], i[0])))


def waves(plan: Plan) -> tuple[Wave, ...]:
    """Moves by wave, in order."""
    groups: dict[int, list[Move]] = {}
    for move in plan.moves:
        groups.setdefault(move.wave, []).append(move)
    return tuple(Wave(number, tuple(groups[number])) for number in sorted(groups))


def move_source(move: Move) -> str:
    """Where a workload comes from."""
    return move.source if move.source is not None else NEW


def move_isolation(move: Move) -> str:
    """What a workload becomes, and whether it only waits there."""
    return format_isolation(move.isolation) + (" (waits here)" if move.parking else "")


def reason_on(host: HostPlan) -> str:
    """Why a host is on after the plan, and that it must be started where it is off."""
    return f"to be switched on: {host.reason}" if host.action == "start" else host.reason


def use_after(state: HostState, resource: str) -> str:
    """Reserved share of a host's resource (``cpu`` or ``memory``) in the busiest hour; a dash where it is off."""
    series = state.cpu_permille if resource == "cpu" else state.memory_permille
    return format_permille(peak(series)) if state.on else "–"


def basis(plan: Plan) -> tuple[str, ...]:
    """What the plan rests on, and what it could not check."""
    return (*plan.basis, unmeasured_sentence(plan))


def unmeasured_sentence(plan: Plan) -> str:
    """Which limits were not checked."""
    if not plan.unmeasured:
        return "Every dimension that hosts limit is known and was checked."
    return "Hosts limit these, nobody measured them, so they were not checked: " + ", ".join(plan.unmeasured) + "."


_OBJECTIVES = {"hosts": "fewest hosts", "cost": "least cost", "watts": "fewest watts"}


def provenance(plan: Plan, digest: str) -> tuple[tuple[str, str], ...]:
    """Where the plan comes from: name and value."""
    return (
        ("Plan", digest),
        ("Fleet and demand", plan.fleet_digest),
        ("Newest measurement", format_time(plan.as_of_s)),
        ("Objective", _OBJECTIVES.get(plan.proof.objective, plan.proof.objective)),
        ("Planned by", f"{plan.tool}, seed {plan.seed}"),
    )
