"""What an apply would do, did, or found, in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from consolidate.apply.apply import Change, Outcome, Preparation, Status

_SIGNS = {"done": "~", "unchanged": "=", "refused": "!", "failed": "!", "undone": "-", "gone": "-"}


def preparation_text(preparation: Preparation) -> str:
    """The difference, a key a line, grouped by workload."""
    needed = [change for change in preparation.changes if change.needed]
    lines = _by_workload(needed)
    if needed:
        lines.append(f"{len(needed)} keys to write; nothing was written. Add --yes to apply.")
    else:
        lines.append(_as_planned("No changes", preparation.changes))
    return "\n".join([*lines, *_waiting(preparation.waiting)]) + "\n"


def outcomes_text(outcomes: Sequence[Outcome]) -> str:
    """What became of each key, and the sum."""
    lines = []
    for outcome in outcomes:
        if outcome.status != "unchanged":
            lines.append(f"{_SIGNS[outcome.status]} {_printable(outcome.workload)}: {_place(outcome)}")
        if outcome.error:
            lines.append(f"    {outcome.status}: {outcome.error}")
    counts = Counter(outcome.status for outcome in outcomes)
    lines.append(", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "Nothing to take back.")
    return "\n".join(lines) + "\n"


def status_text(status: Status) -> str:
    """Where a host differs from the plan."""
    lines = _by_workload(status.drifted)
    if status.drifted:
        lines.append(f"Drift: {len(status.drifted)} of {status.keys} keys are not as planned (left: found).")
    else:
        lines.append(f"Clean: {status.keys} keys are as planned." if status.keys else _NOTHING)
    return "\n".join([*lines, *_waiting(status.waiting)]) + "\n"


def to_json(found: Preparation | Status | Sequence[Outcome]) -> str:
    """The same for programs."""
    document = asdict(found) if isinstance(found, Preparation | Status) else [asdict(one) for one in found]
    return json.dumps(document, indent=1) + "\n"


_NOTHING = "Nothing to compare: the plan limits no control group that is here."


def _as_planned(word: str, changes: Sequence[Change]) -> str:
    return f"{word}: {len(changes)} keys are as planned." if changes else _NOTHING


def _place(outcome: Outcome) -> str:
    if outcome.status == "gone":
        return f"/{_printable(outcome.path)} is gone with its control group"
    return f"/{_printable(outcome.path)} is {outcome.observed!r}"


def _printable(text: str) -> str:
    """A name as it is, unless it would speak to the terminal."""
    return text if text.isprintable() else repr(text)[1:-1]


def _by_workload(changes: Sequence[Change]) -> list[str]:
    lines: list[str] = []
    shown = None
    for change in changes:
        if change.workload != shown:
            lines.append(f"~ {_printable(change.workload)}")
            shown = change.workload
        lines.append(f"    {change.meaning:12}  {change.now} → {change.wanted}")
        lines.append(f"      /{change.path}")
    return lines


def _waiting(workloads: Sequence[str]) -> list[str]:
    if not workloads:
        return []
    names = ", ".join(_printable(name) for name in workloads[:5]) + (
        f" and {len(workloads) - 5} more" if len(workloads) > 5 else ""
    )
    return [f"{len(workloads)} workloads have no control group here and wait to be started: {names}"]
