"""What became of many hosts, in words: those that are as planned in one line, failures in the end and in full."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from consolidate.apply.compare import Preparation, Status
from consolidate.apply.drift import why
from consolidate.apply.hosts import HostOutcome
from consolidate.apply.show import printable

_SIGNS = {"done": "~", "pending": "~", "drifted": "!", "failed": "!", "skipped": "·"}
_LAST = ("done", "pending", "skipped", "drifted", "failed")
"""What has to be looked at is nearest to the prompt."""


def hosts_text(outcomes: Sequence[HostOutcome]) -> str:
    """A line for each host that is not as planned, its drift or failures, and the sum."""
    lines = []
    for one in sorted((one for one in outcomes if one.status != "unchanged"), key=lambda one: _LAST.index(one.status)):
        lines.append(f"{_SIGNS[one.status]} {host_line(one)}")
        lines += [f"    {printable(line)}" for line in _details(one)]
    counts = Counter(one.status for one in outcomes)
    total = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    lines.append(f"{len(outcomes)} {'host' if len(outcomes) == 1 else 'hosts'}: {total or 'none is in the plan'}")
    return "\n".join(lines) + "\n"


def host_line(one: HostOutcome) -> str:
    """A host in a few words, also as progress."""
    keys = len(one.outcomes)
    if isinstance(one.found, Preparation):
        keys = sum(change.needed for change in one.found.changes)
    elif isinstance(one.found, Status):
        keys = len(one.found.drifted)
    counted = f", {keys} {'key' if keys == 1 else 'keys'}" if keys else ""
    return f"{printable(one.host)}: {one.status}{counted}" + (f", {one.took_s:.1f} s" if one.took_s else "")


def hosts_json(outcomes: Sequence[HostOutcome]) -> str:
    """The same for programs, with everything that was found."""
    return json.dumps([asdict(one) for one in outcomes], indent=1) + "\n"


def _details(one: HostOutcome) -> list[str]:
    if isinstance(one.found, Status):
        return [f"{it.workload}: {it.where}: {it.now} → {it.wanted}: {why(it)}" for it in one.found.drifted]
    if isinstance(one.found, Preparation):
        needed = [f"{it.workload}: {it.where}: {it.now} → {it.wanted}" for it in one.found.changes if it.needed]
        return needed + [f"{it.workload}: left alone: {it.reason}" for it in one.found.refused]
    troubles = [f"{it.workload}: {it.status}: {it.error}" for it in one.outcomes if it.error]
    told = any(one.error == it.error for it in one.outcomes)
    return troubles if told or not one.error else [*troubles, one.error]
