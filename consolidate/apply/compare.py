"""A plan against a host: what would be written, what has drifted, and what must not be written. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from consolidate.apply.backends.backend import Backend, Change, Observation
from consolidate.apply.backends.registry import BACKENDS
from consolidate.apply.keys import Amount
from consolidate.apply.machine import Machine
from consolidate.apply.order import in_order, least_important
from consolidate.apply.records import Records
from consolidate.errors import ApplyError, StalePlanError
from consolidate.plan.plan import Partition, Plan, is_group_path, plan_digest
from consolidate.units import format_bytes

_ALWAYS_MEASURED = ("cpu_milli", "memory_bytes")
"""Limits that a plan knows for certain: absent there means unlimited, and elsewhere it means unknown."""


@dataclass(frozen=True)
class Refused:
    """A workload that is left alone: the plan found it here and it has ended, or it is held back after it hurt."""

    workload: str
    reason: str


@dataclass(frozen=True)
class Preparation:
    """What an apply would do."""

    changes: tuple[Change, ...]
    """In the order of writing."""
    waiting: tuple[str, ...]
    """Workloads that are still to be started or moved here."""
    refused: tuple[Refused, ...] = ()
    canary: str | None = None
    """Workload that is written first."""
    notes: tuple[str, ...] = ()
    """What its backends have to say of workloads, such as that a limit will not last."""


@dataclass(frozen=True)
class Status:
    """A host against a plan."""

    keys: int
    drifted: tuple[Change, ...]
    waiting: tuple[str, ...]
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True)
class Found:
    """A partition as it is on the host."""

    partition: Partition
    backend: Backend
    observed: Observation

    @property
    def changes(self) -> Sequence[Change]:
        """Every key that the plan sets and the host offers."""
        return self.backend.writes(self.partition, self.observed)

    def limit(self, change: Change, text: str) -> tuple[str, Amount] | None:
        """Dimension and amount that a text stands for."""
        return self.backend.limit(change.key, text, self.observed)


def prepare(
    plan: Plan,
    machine: Machine,
    records: Records | None = None,
    *,
    canary: str | None = None,
    backends: Sequence[Backend] = BACKENDS,
) -> Preparation:
    """Observe a host and compare it with the plan; nothing is written.

    Args:
        plan: the document.
        machine: the host.
        records: what is remembered of the host: what an apply that was killed left behind, and what is held back.
        canary: workload that is written first; the least important one where none is named.
        backends: those that may write.

    Raises:
        StalePlanError: where the plan is for other hosts, the host was started anew since, or a limit is neither as
            planned nor as it was.
        ApplyError: where a write would hurt, such as a limit below current use.

    """
    found, waiting, refused = look(plan, machine, backends)
    _refuse_rebooted(plan, machine)
    found, held = _without_held(found, records)
    ours = _left_behind(plan, records)
    for one in found:
        _refuse_stale(one, ours)
        _refuse_below_use(one)
    named = [one.partition for one in found]
    if canary is not None and canary not in {partition.workload for partition in named}:
        known = ", ".join(partition.workload for partition in named[:3]) or "none"
        raise ApplyError(f"canary {canary!r}: the plan limits no such workload on {machine.name} ({known}); name one")
    canary = canary or least_important(named)
    by_workload = {one.partition.workload: one for one in found}
    groups = {partition.workload: partition.cgroup for partition in named}
    changes = [change for one in found for change in one.changes]
    ordered = in_order(changes, groups, canary, lambda change, text: by_workload[change.workload].limit(change, text))
    notes = tuple(one.observed.note for one in found if one.observed.note)
    return Preparation(ordered, waiting, (*refused, *held), canary, notes)


def status(plan: Plan, machine: Machine, backends: Sequence[Backend] = BACKENDS) -> Status:
    """Compare a host with an applied plan."""
    found, waiting, refused = look(plan, machine, backends)
    whole: dict[tuple[str, ...], Change] = {}
    for one in found:
        for change in one.changes:  # a key that is written in two steps counts once
            first = whole.get(_place(change), change)
            whole[_place(change)] = Change(
                change.workload,
                change.backend,
                change.subject,
                change.life,
                change.key,
                change.meaning,
                first.now,
                change.wanted,
            )
    drifted = tuple(change for change in whole.values() if change.needed)
    return Status(len(whole), drifted, waiting, refused)


def look(
    plan: Plan, machine: Machine, backends: Sequence[Backend] = BACKENDS
) -> tuple[list[Found], tuple[str, ...], tuple[Refused, ...]]:
    """Observe the host's partitions: those that are here, those to come, and those that have gone.

    Raises:
        StalePlanError: where the plan is for other hosts.
        ApplyError: where a partition's group is not one that may be written.

    """
    here = [partition for partition in plan.partitions if partition.host == machine.name]
    if not here and all(planned.name != machine.name for planned in plan.hosts):
        planned = sorted({partition.host for partition in plan.partitions})
        known = (
            f"it partitions {', '.join(planned[:3])}{' …' if len(planned) > 3 else ''}" if planned else "it has none"
        )
        raise StalePlanError(
            f"the plan has no partition for host {machine.name!r} ({known}); give this host's plan or --host"
        )
    _refuse_strange_groups(here)
    found, waiting, refused = [], [], []
    for partition in here:
        backend = next((one for one in backends if one.supports(machine, partition)), None)
        observed = backend.observe(machine, partition) if backend else None
        if backend is not None and observed is not None:
            found.append(Found(partition, backend, observed))
        elif backend is None and partition.cgroup:
            raise ApplyError(
                f"{partition.workload}: nothing here may write the limits of {partition.cgroup}: its manager is not "
                "supported; set them there by hand, and leave it out of the plan"
            )
        elif partition.cgroup:
            reason = f"{partition.cgroup} has ended since the plan was made; collect and plan again"
            refused.append(Refused(partition.workload, reason))
        else:
            waiting.append(partition.workload)
    return found, tuple(waiting), tuple(refused)


def _without_held(found: list[Found], records: Records | None) -> tuple[list[Found], list[Refused]]:
    """Leave out what hurt a short while ago."""
    holds = records.holds() if records else {}
    now = records.now() if records else 0.0
    held = {name: hold for name, hold in holds.items() if hold.until_s > now}
    return [one for one in found if one.partition.workload not in held], [
        Refused(
            name,
            f"held back until {_time(int(held[name].until_s))}, taken back {held[name].reverts} "
            f"{'time' if held[name].reverts == 1 else 'times'}, at last since {held[name].reason}",
        )
        for name in (one.partition.workload for one in found)
        if name in held
    ]


def _left_behind(plan: Plan, records: Records | None) -> Mapping[tuple[str, ...], str]:
    """What an earlier apply of the same plan wrote, also if it was killed between two steps at one key."""
    digest = plan_digest(plan)
    entries = records.journal.open_entries() if records else []
    return {_place(entry.change): entry.after for entry in entries if entry.plan == digest}


def _place(change: Change) -> tuple[str, ...]:
    return change.backend, change.subject, change.life, change.key


def _refuse_strange_groups(partitions: Sequence[Partition]) -> None:
    """A plan is a file that anybody may have written: its groups name themselves, and no two are one."""
    seen: dict[str, str] = {}
    for partition in partitions:
        if not partition.cgroup:
            continue
        if not is_group_path(partition.cgroup):
            raise ApplyError(f"{partition.workload}: {partition.cgroup!r} is no control group's path; plan again")
        if partition.cgroup in seen:
            both = f"{seen[partition.cgroup]} and {partition.workload}"
            raise ApplyError(f"{both} share the control group {partition.cgroup}; give each its own and plan again")
        seen[partition.cgroup] = partition.workload


def _refuse_rebooted(plan: Plan, machine: Machine) -> None:
    if plan.as_of_s is None:
        return
    stat = machine.read("proc/stat") or ""
    started_s = next((int(line.split()[1]) for line in stat.splitlines() if line.startswith("btime ")), None)
    if started_s is not None and started_s > plan.as_of_s:
        raise StalePlanError(
            f"{machine.name} was started anew at {_time(started_s)}, after the plan's newest measurement "
            f"({_time(plan.as_of_s)}); collect and plan again"
        )


def _time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _refuse_stale(one: Found, ours: Mapping[tuple[str, ...], str]) -> None:
    seen = set()
    for change in one.changes:
        place = _place(change)
        if not change.needed or place in seen or ours.get(place) == change.now:
            seen.add(place)
            continue
        seen.add(place)  # what follows at the same place is a second step of ours
        now = one.limit(change, change.now)
        if now is None:
            continue
        dimension, amount = now
        planned = getattr(one.partition.before, dimension)
        known = planned is not None or dimension in _ALWAYS_MEASURED
        if known and amount != planned:
            raise StalePlanError(
                f"{change.workload}: {change.key} of {change.subject} is {change.now!r}, which is neither what it was "
                f"when the plan was made nor what the plan wants ({change.wanted!r}); collect and plan again"
            )


def _refuse_below_use(one: Found) -> None:
    use = {"memory_bytes": one.observed.in_use_bytes, "pids": one.observed.pids}
    for change in one.changes:
        limit = one.limit(change, change.wanted) if change.needed else None
        if limit is None:
            continue
        dimension, amount = limit
        used = use.get(dimension)
        if used is None or not isinstance(amount, int) or amount >= used:
            continue
        if dimension == "pids":
            harm = f"its limit of {amount} tasks is below the {used} that it has, so that it could start no more"
        else:
            harm = (
                f"its memory limit of {format_bytes(amount)} is below the {format_bytes(used)} in use, "
                "so processes would be killed"
            )
        raise ApplyError(f"{change.workload}: {harm}; plan again with what is measured now")
