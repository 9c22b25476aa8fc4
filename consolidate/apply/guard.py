"""The guard: apply step by step, watch how workloads fare, take back what hurts, and stop where nobody can tell.

Thresholds follow Attune's (an OOM kill, two restarts, more than half of the periods throttled after a grace time,
five minutes, back-off doubling up to 16 times), but where that fails open this fails closed. Pressure is judged by
the limits of systemd-oomd's kind, and only as far as it was not there before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from consolidate.apply.backends.backend import Backend
from consolidate.apply.backends.registry import BACKENDS
from consolidate.apply.compare import Preparation, prepare
from consolidate.apply.condition import Answer, Condition
from consolidate.apply.driver import Only, apply_changes, rollback, unfinished
from consolidate.apply.machine import Machine
from consolidate.apply.records import Outcome, Records
from consolidate.apply.vitals import Rates, Vitals, rates, read_vitals
from consolidate.errors import ApplyError, ConsolidateError
from consolidate.plan.plan import Plan, plan_digest


@dataclass(frozen=True)
class Thresholds:
    """How long to watch, and what hurts."""

    observe_s: float = 300.0
    """After every step; also the first back-off."""
    interval_s: float = 15.0
    grace_s: float = 300.0
    """Throttling and pressure are not judged before: caches fill, and queues drain."""
    throttled_permille: int = 500
    restarts: int = 2
    stalled_permille: Mapping[str, int] = field(
        default_factory=lambda: {"cpu some": 400, "memory full": 50, "io full": 100}
    )


@dataclass(frozen=True)
class Senses:
    """Time, and what reads and writes: replaced in tests."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    read: Callable[[Machine, str], Vitals | None] = read_vitals
    backends: Sequence[Backend] = BACKENDS


@dataclass(frozen=True)
class Hurt:
    """A partition that was taken back."""

    workload: str
    reason: str
    until_s: float
    """Not applied again before (Unix time)."""


@dataclass(frozen=True)
class Guarded:
    """What a guarded apply came to."""

    outcomes: list[Outcome]
    hurts: tuple[Hurt, ...] = ()
    blocked: str = ""
    """Why no further step was taken."""
    unwatched: tuple[str, ...] = ()
    """Workloads without a control group to look at: only the condition watches them."""


@dataclass
class _Patient:
    """A workload under watch."""

    group: str
    usual: Rates
    last: Vitals | None
    """None while the group is not there."""
    read_at_s: float
    restarts: int = 0


class Guard:
    """Applies with care on one host."""

    def __init__(
        self,
        machine: Machine,
        records: Records,
        thresholds: Thresholds | None = None,
        condition: Condition | None = None,
        senses: Senses | None = None,
    ) -> None:
        """Nothing is done before ``apply``."""
        self._machine, self._records, self._condition = machine, records, condition
        self._thresholds, self._senses = thresholds or Thresholds(), senses or Senses()

    def apply(self, plan: Plan, canary: str | None = None) -> Guarded:
        """Apply the canary, watch it, then apply and watch the rest.

        Raises:
            StalePlanError, ApplyError: as ``prepare`` does, before the first step; later they block the next one.

        """
        first = self._prepare(plan, canary)
        done = self._step(plan, _canary_only(first))
        left_alone = [Outcome(one.workload, "", "refused", 0.0, "", one.reason) for one in first.refused]
        if not done.blocked:
            try:
                rest = self._prepare(plan, None)
            except ConsolidateError as error:
                done = replace(done, blocked=str(error))
            else:
                known = {outcome.path for outcome in done.outcomes}
                changes = tuple(change for change in rest.changes if change.needed or change.where not in known)
                done = _joined(done, self._step(plan, Preparation(changes, rest.waiting)))
        return replace(done, outcomes=left_alone + done.outcomes)

    def _prepare(self, plan: Plan, canary: str | None) -> Preparation:
        return prepare(plan, self._machine, self._records, canary=canary, backends=self._senses.backends)

    def _step(self, plan: Plan, preparation: Preparation) -> Guarded:
        """See how things are, write, and watch."""
        concerned = dict.fromkeys(change.workload for change in preparation.changes if change.needed)
        groups = {one.workload: one.cgroup for one in plan.partitions if one.workload in concerned}
        patients: dict[str, _Patient] = {}
        if concerned:
            try:
                patients = self._examine(groups)
            except ApplyError as error:
                return Guarded([], blocked=f"nothing was written: {error}")
            answer = self._ask()
            if not answer.holds:
                return Guarded([], blocked=f"nothing was written: the condition does not hold: {answer.said}")
        outcomes = apply_changes(
            plan, self._machine, preparation, self._records, clock=self._senses.clock, backends=self._senses.backends
        )
        if unfinished(outcomes):
            return Guarded(outcomes, blocked="a write failed")
        unwatched = tuple(workload for workload in concerned if workload not in patients)
        if not concerned:
            return Guarded(outcomes)
        watched = self._watch(plan_digest(plan), patients, tuple(concerned))
        return Guarded(outcomes + watched.outcomes, watched.hurts, watched.blocked, unwatched)

    def _examine(self, groups: Mapping[str, str]) -> dict[str, _Patient]:
        """How workloads fared during one interval before anything was written."""
        began = self._senses.clock()
        before = {workload: self._vitals(group) for workload, group in groups.items()}
        self._senses.sleep(self._thresholds.interval_s)
        patients = {}
        for workload, group in groups.items():
            first, last, now = before[workload], self._vitals(group), self._senses.clock()
            if first is not None and last is not None:
                patients[workload] = _Patient(group, rates(first, last, now - began), last, now)
        return patients

    def _vitals(self, group: str) -> Vitals | None:
        return self._senses.read(self._machine, group) if group else None

    def _ask(self) -> Answer:
        return self._condition() if self._condition else Answer(True, "")

    def _watch(self, digest: str, patients: dict[str, _Patient], concerned: tuple[str, ...]) -> Guarded:
        """Look at every interval; take back what hurts, and go on with the others."""
        began = self._senses.clock()
        outcomes: list[Outcome] = []
        hurts: list[Hurt] = []
        blocked = ""
        left = dict.fromkeys(concerned)
        while left and self._senses.clock() - began < self._thresholds.observe_s:
            self._senses.sleep(self._thresholds.interval_s)
            settled = self._senses.clock() - began >= self._thresholds.grace_s
            answer = self._ask()
            if answer.holds is None:
                blocked = f"the condition has no answer: {answer.said}"
            for workload in tuple(left):
                if answer.holds is False:
                    reason: str | None = f"the condition does not hold any more: {answer.said}"
                else:
                    try:
                        reason = self._complaint(patients.get(workload), settled)
                    except ApplyError as error:
                        reason, blocked = None, f"nobody can tell how {workload} fares: {error}"
                if reason is not None:
                    del left[workload]
                    outcomes += self._revert(digest, workload, reason)
                    hold = self._records.hold(workload, reason, self._thresholds.observe_s)
                    hurts.append(Hurt(workload, reason, hold.until_s))
        if hurts:
            blocked = f"{', '.join(hurt.workload for hurt in hurts)} was hurt and taken back"
        if not blocked:
            self._records.release(left)
        return Guarded(outcomes, tuple(hurts), blocked)

    def _complaint(self, patient: _Patient | None, settled: bool) -> str | None:
        if patient is None:
            return None
        now_s = self._senses.clock()
        now = self._vitals(patient.group)
        if now is None:
            patient.restarts += patient.last is not None
            patient.last = None
            return restarts_hurt(patient.restarts, self._thresholds)
        if patient.last is not None and now.life != patient.last.life:
            patient.restarts += 1
        before = patient.last if patient.last is not None and now.life == patient.last.life else Vitals(now.life)
        found = rates(before, now, now_s - patient.read_at_s)
        patient.last, patient.read_at_s = now, now_s
        return restarts_hurt(patient.restarts, self._thresholds) or complaint(
            found, patient.usual, self._thresholds, settled
        )

    def _revert(self, digest: str, workload: str, reason: str) -> list[Outcome]:
        only = Only(digest, workload, reason)
        senses = self._senses
        return rollback(self._machine, self._records, only=only, clock=senses.clock, backends=senses.backends)


def complaint(found: Rates, usual: Rates, thresholds: Thresholds, settled: bool) -> str | None:
    """What hurts in an interval, compared with the one before anything was written; None where nothing does. Pure."""
    if found.oom_kills > 0:
        return (
            f"{found.oom_kills} of its processes {'was' if found.oom_kills == 1 else 'were'} killed for want of memory"
        )
    if not settled:
        return None
    throttled = found.throttled_permille or 0
    if throttled > max(thresholds.throttled_permille, usual.throttled_permille or 0):
        return f"it was throttled in {throttled / 10:g} % of its periods"
    for kind, limit in thresholds.stalled_permille.items():
        now, before = found.stalled_permille.get(kind, 0), usual.stalled_permille.get(kind, 0)
        if now - before > limit:
            return f"it waited for {kind.split()[0]} {now / 10:g} % of the time, and {before / 10:g} % before"
    return None


def restarts_hurt(restarts: int, thresholds: Thresholds) -> str | None:
    """Whether a workload has ended or started anew too often since it was limited. Pure."""
    return f"it ended or started anew {restarts} times" if restarts >= thresholds.restarts else None


def _canary_only(preparation: Preparation) -> Preparation:
    """The canary's changes, and those of others that bounds put before them."""
    last = max(
        (number for number, one in enumerate(preparation.changes, 1) if one.workload == preparation.canary), default=0
    )
    return Preparation(preparation.changes[:last], preparation.waiting, canary=preparation.canary)


def _joined(one: Guarded, other: Guarded) -> Guarded:
    return Guarded(
        one.outcomes + other.outcomes,
        one.hurts + other.hurts,
        other.blocked,
        tuple(dict.fromkeys(one.unwatched + other.unwatched)),
    )
