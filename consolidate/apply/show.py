"""What an apply would do, did, or found, in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from consolidate.apply.backends.backend import Change
from consolidate.apply.compare import Preparation, Refused, Status
from consolidate.apply.drift import why
from consolidate.apply.guard import Guarded
from consolidate.apply.records import Outcome

_SIGNS = {"done": "~", "unchanged": "=", "refused": "!", "failed": "!", "undone": "-", "gone": "-", "skipped": "·"}


def preparation_text(preparation: Preparation) -> str:
    """The difference, a key a line, grouped by workload, in the order in which it would be written."""
    needed = [change for change in preparation.changes if change.needed]
    lines = _by_workload(needed)
    if needed:
        lines.append(f"{len(needed)} keys to write; nothing was written. Add --yes to apply.")
    else:
        lines.append(_as_planned("No changes", preparation.changes))
    notes = [f"! {printable(note)}" for note in preparation.notes]
    return "\n".join([*lines, *notes, *_refused(preparation.refused), *_waiting(preparation.waiting)]) + "\n"


def outcomes_text(outcomes: Sequence[Outcome]) -> str:
    """What became of each key, and the sum."""
    lines = []
    for outcome in outcomes:
        if outcome.status != "unchanged":
            lines.append(f"{_SIGNS[outcome.status]} {printable(outcome.workload)}: {_place(outcome)}")
        if outcome.error:
            lines.append(f"    {outcome.status}: {outcome.error}")
    counts = Counter(outcome.status for outcome in outcomes)
    lines.append(", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "Nothing to take back.")
    return "\n".join(lines) + "\n"


def guarded_text(guarded: Guarded) -> str:
    """What became of each key, what was taken back since it hurt, and why the rest waits."""
    lines = [outcomes_text(guarded.outcomes).rstrip("\n")]
    for hurt in guarded.hurts:
        until = datetime.fromtimestamp(hurt.until_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        lines.append(f"{printable(hurt.workload)} was taken back: {hurt.reason}; held back until {until}")
    if guarded.unwatched:
        names = ", ".join(map(printable, guarded.unwatched[:5]))
        lines.append(f"Without a control group to watch: {names}; only the condition watched them.")
    lines.append(f"Stopped: {guarded.blocked}." if guarded.blocked else "Watched: nothing was hurt.")
    return "\n".join(lines) + "\n"


def status_text(status: Status) -> str:
    """Where a host differs from the plan."""
    lines = _by_workload(status.drifted, why)
    if status.drifted:
        lines.append(f"Drift: {len(status.drifted)} of {status.keys} keys are not as planned (left: found).")
    else:
        lines.append(f"Clean: {status.keys} keys are as planned." if status.keys else _NOTHING)
    return "\n".join([*lines, *_refused(status.refused), *_waiting(status.waiting)]) + "\n"


def to_json(found: Preparation | Status | Guarded | Sequence[Outcome]) -> str:
    """The same for programs."""
    if isinstance(found, Preparation | Status | Guarded):
        return json.dumps(asdict(found), indent=1) + "\n"
    return json.dumps([asdict(one) for one in found], indent=1) + "\n"


_NOTHING = "Nothing to compare: the plan limits no control group that is here."


def _as_planned(word: str, changes: Sequence[Change]) -> str:
    return f"{word}: {len(changes)} keys are as planned." if changes else _NOTHING


def _place(outcome: Outcome) -> str:
    if not outcome.path:
        return "left alone"
    if outcome.status == "gone":
        return f"{printable(outcome.path)} is gone with what it limited"
    if outcome.status == "skipped":
        return f"{printable(outcome.path)} was not tried"
    return f"{printable(outcome.path)} is {outcome.observed!r}"


def printable(text: str) -> str:
    """A name as it is, unless it would speak to the terminal."""
    return text if text.isprintable() else repr(text)[1:-1]


def _by_workload(changes: Sequence[Change], reason: Callable[[Change], str] | None = None) -> list[str]:
    lines: list[str] = []
    shown = None
    for change in changes:
        if change.workload != shown:
            lines.append(f"~ {printable(change.workload)}")
            shown = change.workload
        lines.append(f"    {change.meaning:12}  {change.now} → {change.wanted}")
        lines.append(f"      {printable(change.where)}" + (f": {reason(change)}" if reason else ""))
    return lines


def _refused(refused: Sequence[Refused]) -> list[str]:
    return [f"! {printable(one.workload)}: left alone: {one.reason}" for one in refused]


def _waiting(workloads: Sequence[str]) -> list[str]:
    if not workloads:
        return []
    names = ", ".join(printable(name) for name in workloads[:5]) + (
        f" and {len(workloads) - 5} more" if len(workloads) > 5 else ""
    )
    return [f"{len(workloads)} workloads have no control group here and wait to be started: {names}"]
