"""Co-peak, hints, confidence and findings, as text or as JSON."""

from __future__ import annotations

import io
import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consolidate.insight.confidence import MOST, Confidence
from consolidate.insight.copeak import TOGETHER, CoPeak
from consolidate.insight.hints import Hint
from consolidate.insight.quality import NOTES, faults
from consolidate.model.finding import Finding

NAMED = 8
"""Of more names the rest is counted."""
PAIRS = 100
"""Pairs in the JSON, those that peak together most."""
PER_KIND = 10
"""Findings of one kind that the text shows."""


def copeak_text(peaks: CoPeak, hints: Sequence[Hint], width: int) -> str:
    """Groups that peak together, and moves that would flatten the hosts."""
    console = _console(width)
    together = sum(len(group) for group in peaks.groups)
    groups = _many(len(peaks.groups), "group")
    console.print(f"{together} of {len(peaks.names)} workloads peak together with others, in {groups}")
    if peaks.groups:
        table = _table(("Workloads", True), ("Shared", True), ("Which", False))
        for group, shared in _shared(peaks)[:PER_KIND]:
            table.add_row(str(len(group)), f"{shared:.0%}", Text(_names(group)))
        console.print(table)
        _rest(console, len(peaks.groups) - PER_KIND)
        console.print(
            "Shared: mean over the group's pairs of the share of the rarer one's peak intervals (its busiest 5 %) "
            "in which the other peaks too."
        )
    choice = ", each alone or all together" if len(hints) > 1 else ""
    console.print(f"\n{_many(len(hints), 'move')} would flatten the hosts{choice}")
    if hints:
        table = _table(("Workload", False), ("From", False), ("Peak", True), ("", True), ("To", False), ("Peak", True))
        for hint in hints:
            table.add_row(
                Text(hint.workload),
                Text(hint.source),
                f"{hint.source_peak_before:.0%} → {hint.source_peak_after:.0%}",
                _change(hint),
                Text(hint.target),
                f"{hint.target_peak_after:.0%}",
            )
        console.print(table)
    return _text(console)


def hint_sentence(hint: Hint) -> str:
    """One hint: ``batch-7 from h3 to h5: h3's peak −18 %``."""
    return f"{hint.workload} from {hint.source} to {hint.target}: {hint.source}'s peak {_change(hint)}"


def copeak_json(peaks: CoPeak, hints: Sequence[Hint]) -> str:
    """The same for programs, with the pairs that peak together most."""
    first, second = np.nonzero(np.triu(peaks.share >= TOGETHER, k=1))
    shares = peaks.share[first, second]
    pairs = [
        {"workloads": [peaks.names[first[at]], peaks.names[second[at]]], "share": round(float(shares[at]), 4)}
        for at in np.argsort(-shares, kind="stable")[:PAIRS]
    ]
    groups = [{"workloads": group, "mean_share": round(shared, 4)} for group, shared in _shared(peaks)]
    return _json(
        {
            "workloads": len(peaks.names),
            "together_from": TOGETHER,
            "groups": groups,
            "pairs_together": len(shares),
            "pairs": pairs,
            "hints": [asdict(hint) | {"text": hint_sentence(hint)} for hint in hints],
        }
    )


def confidence_text(found: Confidence, width: int) -> str:
    """Stars of the plan, how many workloads have how many, and what hangs on the least known."""
    console = _console(width)
    console.print(f"Plan {_stars(found.plan_stars)}  95 % of what it reserves is known at least so well\n")
    counts = Counter(found.stars_by_workload.values())
    most = max(counts.values(), default=1)
    table = _table(("Stars", False), ("Workloads", True), ("", False))
    for count in range(MOST, -1, -1):
        table.add_row(_stars(count), str(counts[count]), "█" * -(-counts[count] * 30 // most))
    console.print(table)
    if 0 < len(found.weakest) < len(found.stars_by_workload):
        fewest = found.stars_by_workload[found.weakest[0]]
        console.print(f"\nIt rests least surely on ({_stars(fewest)}): {_names(found.weakest)}")
    if found.weak:
        console.print(f"\n{_without(found)}")
    return _text(console)


def confidence_json(found: Confidence) -> str:
    """The same for programs."""
    return _json(asdict(found))


def quality_text(found: Sequence[Finding], width: int) -> str:
    """What looks wrong by kind, then what should be known; nothing was mended."""
    console = _console(width)
    wrong = faults(found)
    if wrong:
        concerned = len({one.subject for one in wrong})
        console.print(
            f"{_many(len(wrong), 'finding')} on {_many(concerned, 'host or workload', 'hosts and workloads')}. "
            "Nothing was mended: mend the source, or leave it out."
        )
    else:
        console.print("Nothing about the data looks wrong.")
    _kinds(console, wrong, width)
    notes = [one for one in found if one.kind in NOTES]
    if notes:
        console.print("\nNo faults, but to be known of what was measured:")
    _kinds(console, notes, width)
    return _text(console)


def _kinds(console: Console, found: Sequence[Finding], width: int) -> None:
    """By kind; what is said of several hosts or workloads alike is said once."""
    for kind, count in sorted(Counter(one.kind for one in found).items()):
        console.print(f"\n{kind}, {count}")
        alike: dict[tuple[str, str], list[str]] = {}
        for one in found:
            if one.kind == kind:
                alike.setdefault((one.dimension, one.detail), []).append(one.subject)
        for (dimension, detail), subjects in list(alike.items())[:PER_KIND]:
            line = f"{_names(subjects)}{f' {dimension}' if dimension else ''}: {detail}"
            console.print(textwrap.fill(line, width, initial_indent="  ", subsequent_indent="    "))
        _rest(console, sum(len(subjects) for subjects in list(alike.values())[PER_KIND:]))


def quality_json(found: Sequence[Finding]) -> str:
    """The same for programs, all of them."""
    return _json([asdict(one) for one in found])


def _without(found: Confidence) -> str:
    count = len(found.weak)
    which = "the workload" if count == 1 else f"the {count} workloads"
    if found.hosts_without_weak is None:
        return f"Without {which} with under a week of data no plan was found."
    hosts = _many(found.hosts_without_weak, "host")
    needs = f"still needs {hosts}" if found.hosts_without_weak == found.hosts else f"needs {hosts}, not {found.hosts}"
    return f"Without {which} with under a week of data it {needs}."


def _shared(peaks: CoPeak) -> list[tuple[tuple[str, ...], float]]:
    """Every group with the mean share of its pairs."""
    row = {name: index for index, name in enumerate(peaks.names)}
    found = []
    for group in peaks.groups:
        rows = [row[name] for name in group]
        pairs = len(rows) * (len(rows) - 1)
        found.append((group, float((peaks.share[np.ix_(rows, rows)].sum(dtype=np.float64) - len(rows)) / pairs)))
    return found


def _many(count: int, what: str, several: str = "") -> str:
    return f"{count} {what}" if count == 1 else f"{count} {several or what + 's'}"


def _change(hint: Hint) -> str:
    return f"−{(1 - hint.source_peak_after / hint.source_peak_before) * 100:.0f} %"


def _stars(count: int) -> str:
    return "★" * count + "☆" * (MOST - count)


def _names(names: Sequence[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _rest(console: Console, count: int) -> None:
    if count > 0:
        console.print(f"  and {count} more; --json lists all")


def _table(*columns: tuple[str, bool]) -> Table:
    """A table of columns (heading, whether it is of numbers); names fold, numbers do not."""
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for name, number in columns:
        table.add_column(name, justify="right" if number else "left", no_wrap=number, overflow="fold")
    return table


def _console(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, color_system=None, highlight=False, emoji=False, markup=False)


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def _json(document: Mapping[str, object] | Iterable[object]) -> str:
    return json.dumps(document, indent=1) + "\n"
