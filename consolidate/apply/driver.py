"""Apply a plan's partitions on one host: journal, write, read back; and take them back.

Only the document is obeyed. What was observed when it was prepared is observed again, since another applier may have
been at work until now; and a write that fails takes back all those before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from consolidate.apply.backends.backend import Backend, Change
from consolidate.apply.backends.registry import BACKENDS
from consolidate.apply.compare import Preparation
from consolidate.apply.journal import Entry
from consolidate.apply.machine import Machine
from consolidate.apply.records import Outcome, Records
from consolidate.errors import ApplyError
from consolidate.plan.plan import Plan, plan_digest

Clock = Callable[[], float]


@dataclass(frozen=True)
class Only:
    """One workload's writes of one plan, and why they are taken back."""

    plan: str
    """Its digest."""
    workload: str
    reason: str


def apply_changes(
    plan: Plan,
    machine: Machine,
    preparation: Preparation,
    records: Records,
    *,
    clock: Clock = time.monotonic,
    backends: Sequence[Backend] = BACKENDS,
) -> list[Outcome]:
    """Write what a preparation found, or leave everything as it was.

    A failure takes back what this call wrote, newest first; what comes after it is skipped.

    Raises:
        ApplyError: where another applier is at work, or nothing can be recorded; nothing was written then.

    """
    digest = plan_digest(plan)
    with records.journal.locked(), machine.reserved():
        records.audit("apply", digest)
        outcomes = _Writer(machine, records, digest, clock, backends).write(preparation)
        return _logged(records, "apply", digest, outcomes)


def rollback(
    machine: Machine,
    records: Records,
    *,
    everything: bool = False,
    force: bool = False,
    only: Only | None = None,
    clock: Clock = time.monotonic,
    backends: Sequence[Backend] = BACKENDS,
) -> list[Outcome]:
    """Take back the writes of the plan that was applied last, or of all plans, newest first.

    A key that somebody else has changed since is refused and stays in the journal, unless forced.

    Raises:
        ApplyError: where the writes were made elsewhere, or by something that is not there.

    """
    with records.journal.locked(), machine.reserved():
        entries = records.journal.open_entries()
        elsewhere = next((entry.place for entry in entries if entry.place != machine.place), None)
        if elsewhere is not None:
            raise ApplyError(
                f"{records.journal.path}: records writes at {elsewhere}, not at {machine.place}; "
                f"give the same --root or address again"
            )
        plan = only.plan if only else entries[-1].plan if entries else ""
        chosen = [
            entry
            for entry in entries
            if (everything or entry.plan == plan) and (only is None or entry.workload == only.workload)
        ]
        if not chosen:
            return []
        action = f"revert: {only.reason}" if only else "rollback"
        writer = _Writer(machine, records, plan, clock, backends)
        outcomes = [writer.undo(entry, force) for entry in reversed(chosen)]
        return _logged(records, action, plan, outcomes)


def _logged(records: Records, action: str, plan: str, outcomes: list[Outcome]) -> list[Outcome]:
    """Outcomes, which are in the audit log now; that this failed is one more of them, and hides none."""
    try:
        records.audit(action, plan, outcomes)
    except ApplyError as failure:
        return [*outcomes, Outcome(records.host, "", "failed", 0.0, "", str(failure))]
    return outcomes


def unfinished(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Outcomes that somebody has to look at."""
    return [outcome for outcome in outcomes if outcome.status in ("failed", "refused")]


class _Writer:
    """Writes on one host, under the lock."""

    def __init__(
        self, machine: Machine, records: Records, digest: str, clock: Clock, backends: Sequence[Backend]
    ) -> None:
        self._machine, self._records, self._digest, self._clock = machine, records, digest, clock
        self._backends = {backend.name: backend for backend in backends}

    def write(self, preparation: Preparation) -> list[Outcome]:
        outcomes = [Outcome(one.workload, "", "refused", 0.0, "", one.reason) for one in preparation.refused]
        written: list[Entry] = []
        for number, change in enumerate(preparation.changes, start=1):
            began = self._clock()
            status, observed, error = self._write_one(change, written)
            outcomes.append(
                Outcome(change.workload, change.where, status, self._clock() - began, observed or "", error)
            )
            if error:
                outcomes += [self.undo(entry) for entry in reversed(written)]
                rest = [one for one in preparation.changes[number:] if one.needed]
                return outcomes + [Outcome(one.workload, one.where, "skipped", 0.0, one.now) for one in rest]
        return outcomes

    def _write_one(self, change: Change, written: list[Entry]) -> tuple[str, str | None, str]:
        """What was done, what the key holds now, and what went wrong. What may be there is added to ``written``."""
        backend = self._backends[change.backend]
        observed: str | None = None
        try:
            observed = backend.read(self._machine, change)
            if observed is not None and _same(observed, change.wanted):
                # Maybe it only came true since the look: by the last command of an applier that was killed.
                return "unchanged", observed, ""
            if observed is None or not _same(observed, change.now):
                found = "the subject has ended" if observed is None else f"it holds {observed!r}"
                error = f"{change.where}: {found} since it was looked at ({change.now!r}); apply again"
                return "failed", observed, error
            entry = self._entry(change)
            self._records.journal.announce(entry)
            written.append(entry)
            backend.execute(self._machine, change, change.wanted)
            observed = backend.read(self._machine, change)
        except ApplyError as failure:
            return "failed", observed, str(failure)
        if observed is None:
            return "failed", None, f"{change.where}: ended or was created anew while it was written; apply again"
        if not _same(observed, change.wanted):
            error = f"{change.where}: reads {observed!r} after {change.wanted!r} was written; see doctor"
            return "failed", observed, error
        return "done", observed, ""

    def undo(self, entry: Entry, force: bool = False) -> Outcome:
        """Bring back what was there. Never raises: one key's trouble must not keep the others from going back."""
        began = self._clock()
        try:
            status, observed, error = self._undo(entry, force)
        except ApplyError as failure:
            status, observed, error = "failed", "", str(failure)
        return Outcome(entry.workload, entry.change.where, status, self._clock() - began, observed, error)

    def _undo(self, entry: Entry, force: bool) -> tuple[str, str, str]:
        change = entry.change
        backend = self._backends.get(entry.backend)
        if backend is None:
            raise ApplyError(f"{change.where}: was written by {entry.backend}, which is not known here; update first")
        now = backend.read(self._machine, change)
        if now is None:
            # The subject ended, or was created anew and knows nothing of our limits.
            return "gone", "", self._close(entry)
        if not (_same(now, entry.before) or _same(now, entry.after) or force):
            error = f"somebody else set it to {now!r} since; --force restores {entry.before!r} all the same"
            return "refused", now, f"{change.where}: {error}"
        if not _same(now, entry.before):
            backend.execute(self._machine, change, entry.before)
            now = backend.read(self._machine, change)
            if now is None:
                return "gone", "", self._close(entry)
            if not _same(now, entry.before):
                return "failed", now, f"{change.where}: reads {now!r} after {entry.before!r} was restored"
        return "undone", now, self._close(entry)

    def _close(self, entry: Entry) -> str:
        """Record that a write is not in force any more. Where that fails, it is only taken back once more."""
        try:
            self._records.journal.undone(entry)
        except ApplyError as failure:
            return f"was taken back, but {failure}"
        return ""

    def _entry(self, change: Change) -> Entry:
        return Entry(
            place=self._machine.place,
            plan=self._digest,
            host=self._machine.name,
            workload=change.workload,
            backend=change.backend,
            subject=change.subject,
            life=change.life,
            key=change.key,
            meaning=change.meaning,
            before=change.now,
            after=change.wanted,
        )


def _same(observed: str, wanted: str) -> bool:
    """Whether a key says what was written, but for spaces."""
    return observed.split() == wanted.split()
