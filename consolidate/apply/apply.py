"""Apply a plan's partitions on one host: observe, compare, journal, write, read back.

Only the document is obeyed. What was observed when it was made is observed again, and a difference refuses the
whole apply before anything is written. A write that fails takes back all those before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from collectors.cgroup import Hierarchies, find_hierarchies
from consolidate.apply.files import Files
from consolidate.apply.journal import Entry, Journal
from consolidate.apply.keys import KEYS, PERIOD_US, Key
from consolidate.errors import ApplyError, StalePlanError
from consolidate.plan.plan import Partition, Plan, is_group_path, plan_digest
from consolidate.units import format_bytes


@dataclass(frozen=True)
class Change:
    """One key of one workload: what it holds, and what it is to hold."""

    workload: str
    path: str
    group: str
    """The group's directory in this controller's hierarchy, below the root."""
    meaning: str
    now: str
    wanted: str

    @property
    def needed(self) -> bool:
        """Whether there is anything to write."""
        return self.now != self.wanted


@dataclass(frozen=True)
class Preparation:
    """What an apply would do."""

    changes: tuple[Change, ...]
    waiting: tuple[str, ...]
    """Workloads that have no control group here yet: they still have to move in."""


@dataclass(frozen=True)
class Outcome:
    """What became of one change."""

    workload: str
    path: str
    status: str
    """``done``, ``unchanged``, ``refused``, ``failed``, ``undone``, or ``gone`` with its control group."""
    took_s: float
    observed: str
    error: str = ""


@dataclass(frozen=True)
class Status:
    """A host against a plan."""

    keys: int
    drifted: tuple[Change, ...]
    waiting: tuple[str, ...]


def prepare(plan: Plan, host: str, files: Files) -> Preparation:
    """Observe a host and compare it with the plan; nothing is written.

    Raises:
        StalePlanError: where the plan is for other hosts, or a limit is neither as planned nor as it was.
        ApplyError: where a write would hurt: a limit below current use, or a group that systemd owns.

    """
    preparation, partitions = _compare(plan, host, files)
    for partition in partitions:
        _refuse_systemd(partition, files)
    by_path = {(change.workload, change.meaning): change for change in preparation.changes}
    for partition in partitions:
        _refuse_stale(partition, by_path, files)
        _refuse_below_use(partition, by_path, files)
    return preparation


def status(plan: Plan, host: str, files: Files) -> Status:
    """Compare a host with an applied plan."""
    preparation, _ = _compare(plan, host, files)
    drifted = tuple(change for change in preparation.changes if change.needed)
    return Status(len(preparation.changes), drifted, preparation.waiting)


def apply_changes(
    plan: Plan, host: str, preparation: Preparation, files: Files, journal: Journal, clock: Callable[[], float]
) -> list[Outcome]:
    """Write what a preparation found, or leave everything as it was.

    A failure takes back what this call wrote, newest first, and ends the list with the failed and undone writes.
    """
    digest = plan_digest(plan)
    outcomes: list[Outcome] = []
    written: list[Entry] = []
    with journal.locked():
        for change in preparation.changes:
            began = clock()
            if not change.needed:
                outcomes.append(Outcome(change.workload, change.path, "unchanged", 0.0, change.now))
                continue
            inode = files.inode(change.group) or 0
            entry = Entry(str(files.root), digest, host, change.workload, change.path, inode, change.now, change.wanted)
            journal.announce(entry)
            written.append(entry)
            error = _write(files, change)
            observed = files.read(change.path) or ""
            if error is None and not _same(observed, change.wanted):
                error = f"/{change.path}: reads {observed!r} after {change.wanted!r} was written"
            outcome = "failed" if error else "done"
            outcomes.append(Outcome(change.workload, change.path, outcome, clock() - began, observed, error or ""))
            if error:
                return outcomes + [_undo(one, files, journal, clock) for one in reversed(written)]
    return outcomes


def rollback(
    journal: Journal,
    files: Files,
    clock: Callable[[], float] = time.monotonic,
    *,
    everything: bool = False,
    force: bool = False,
) -> list[Outcome]:
    """Take back the writes of the plan that was applied last, or of all plans, newest first.

    A key that somebody else has changed since is refused and stays in the journal, unless forced.

    Raises:
        ApplyError: where the writes were made below another root.

    """
    with journal.locked():
        entries = journal.open_entries()
        elsewhere = next((entry.root for entry in entries if entry.root != str(files.root)), None)
        if elsewhere is not None:
            raise ApplyError(
                f"{journal.path}: records writes below {elsewhere}, not below {files.root}; give --root {elsewhere}"
            )
        last = entries[-1].plan if entries else ""
        chosen = [entry for entry in entries if everything or entry.plan == last]
        return [_undo(entry, files, journal, clock, force) for entry in reversed(chosen)]


def _undo(entry: Entry, files: Files, journal: Journal, clock: Callable[[], float], force: bool = False) -> Outcome:
    began = clock()
    group = entry.path.rpartition("/")[0]
    now = files.read(entry.path)
    if now is None or files.inode(group) != entry.inode:
        # The group ended, or was created anew and knows nothing of our limits.
        journal.undone(entry)
        return Outcome(entry.workload, entry.path, "gone", clock() - began, now or "", "")
    if now not in (entry.before, entry.after) and not _same(now, entry.after) and not force:
        error = f"/{entry.path}: somebody else set it to {now!r} since; --force restores {entry.before!r} all the same"
        return Outcome(entry.workload, entry.path, "refused", clock() - began, now, error)
    if now != entry.before:
        try:
            files.write(entry.path, entry.before)
        except ApplyError as failure:
            return Outcome(entry.workload, entry.path, "failed", clock() - began, now, str(failure))
        now = files.read(entry.path) or ""
        if now != entry.before:
            error = f"/{entry.path}: reads {now!r} after {entry.before!r} was restored"
            return Outcome(entry.workload, entry.path, "failed", clock() - began, now, error)
    journal.undone(entry)
    return Outcome(entry.workload, entry.path, "undone", clock() - began, now)


def _compare(plan: Plan, host: str, files: Files) -> tuple[Preparation, list[Partition]]:
    here = [partition for partition in plan.partitions if partition.host == host]
    if not here and all(planned.name != host for planned in plan.hosts):
        planned = sorted({partition.host for partition in plan.partitions})
        known = (
            f"it partitions {', '.join(planned[:3])}{' …' if len(planned) > 3 else ''}" if planned else "it has none"
        )
        raise StalePlanError(f"the plan has no partition for host {host!r} ({known}); give this host's plan or --host")
    _refuse_strange_groups(here)
    hierarchies = find_hierarchies(files.root)
    changes: list[Change] = []
    waiting: list[str] = []
    present: list[Partition] = []
    for partition in here:
        found = _changes(partition, hierarchies, files) if partition.cgroup else []
        changes += found
        if found:
            present.append(partition)
        else:
            waiting.append(partition.workload)
    return Preparation(tuple(changes), tuple(waiting)), present


def _changes(partition: Partition, hierarchies: Hierarchies, files: Files) -> list[Change]:
    """Every key that this kernel offers for a partition; none where its group is not there."""
    found = []
    for key in KEYS:
        group = _group(key, partition, hierarchies, files)
        now = files.read(f"{group}/{key.file}") if group else None
        if group is None or now is None:
            continue
        context = f"{now} {_period(files, group)}" if key.file == "cpu.cfs_quota_us" else now
        wanted = key.want(partition, context)
        if wanted is not None:
            found.append(Change(partition.workload, f"{group}/{key.file}", group, key.meaning, now, wanted))
    return found


def _group(key: Key, partition: Partition, hierarchies: Hierarchies, files: Files) -> str | None:
    """Directory of the partition's group in the key's hierarchy, below the root; None where there is none."""
    mount = hierarchies.v2 if key.version == 2 else hierarchies.v1.get(key.controller)
    if mount is None:
        return None
    group = str((mount / partition.cgroup).relative_to(files.root))
    if not files.is_directory(group):
        return None
    if not files.is_below(group, mount):
        raise ApplyError(f"{partition.workload}: /{group} leads out of {mount}; nothing was written")
    return group


def _period(files: Files, group: str) -> int:
    text = files.read(f"{group}/cpu.cfs_period_us")
    return int(text) if text else PERIOD_US


def _write(files: Files, change: Change) -> str | None:
    try:
        files.write(change.path, change.wanted)
    except ApplyError as error:
        return str(error)
    return None


def _same(observed: str, wanted: str) -> bool:
    """Whether a kernel file says what was written; v2 prints a default period where none was given."""
    return observed.split() == wanted.split()


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


def _refuse_systemd(partition: Partition, files: Files) -> None:
    """One writer per group: outside a delegated subtree that is systemd, and it forgets what others wrote."""
    unit = partition.cgroup.rpartition("/")[2]
    if files.is_directory("run/systemd/system") and unit.endswith((".service", ".scope", ".slice")):
        cpu, memory = partition.after.cpu_milli, partition.after.memory_bytes
        properties = ([f"CPUQuota={cpu / 10:g}%"] if cpu is not None else []) + (
            [f"MemoryMax={memory}"] if memory is not None else []
        )
        raise ApplyError(
            f"{partition.workload}: {unit} belongs to systemd, which would overwrite its files; "
            f"run: systemctl set-property --runtime {unit} {' '.join(properties)} CPUWeight={partition.cpu_weight}"
        )


def _refuse_stale(partition: Partition, changes: dict[tuple[str, str], Change], files: Files) -> None:
    for key in KEYS:
        change = changes.get((partition.workload, key.meaning))
        if change is None or not change.path.endswith(f"/{key.file}") or key.limit is None or key.planned is None:
            continue
        now = key.limit(change.now, _period(files, change.group))
        if now != key.planned(partition.before) and change.needed:
            raise StalePlanError(
                f"{partition.workload}: /{change.path} is {change.now!r}, which is neither what it was when the plan "
                f"was made nor what the plan wants ({change.wanted!r}); collect and plan again"
            )


def _refuse_below_use(partition: Partition, changes: dict[tuple[str, str], Change], files: Files) -> None:
    change = changes.get((partition.workload, "memory limit"))
    if change is None or not change.needed or partition.after.memory_bytes is None:
        return
    used = _memory_in_use(files, change.group)
    if used is not None and partition.after.memory_bytes < used:
        raise ApplyError(
            f"{partition.workload}: its memory limit of {format_bytes(partition.after.memory_bytes)} is below the "
            f"{format_bytes(used)} in use, so processes would be killed; plan again with what is measured now"
        )


def _memory_in_use(files: Files, group: str) -> int | None:
    """Memory that cannot be dropped at once: all but the inactive page cache."""
    total = files.read(f"{group}/memory.current") or files.read(f"{group}/memory.usage_in_bytes")
    stat = dict(line.split()[:2] for line in (files.read(f"{group}/memory.stat") or "").splitlines() if " " in line)
    if total is None:
        return None
    return int(total) - int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))


def unfinished(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Outcomes that somebody has to look at."""
    return [outcome for outcome in outcomes if outcome.status in ("failed", "refused")]
