"""Findings about the data in a sentence or two, for what rests on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from consolidate.insight.quality import NOTES, faults
from consolidate.model.finding import Finding
from consolidate.units import count

_ORDER = ("missing", "gaps", "rolled up", "not rated", "off", "set aside", "merged", "moved")
_WORDS = {
    "missing": "{} not measured in all dimensions",
    "gaps": "{} with gaps",
    "rolled up": "{} averaged over so long that peaks are lost",
    "not rated": "{} whose CPU nobody rated",
    "off": "{} off today",
    "set aside": "{} of which one of several sources counts",
    "merged": "{} seen under several names or by several sources",
    "moved": "{} moved from another host",
}
"""How many hosts and workloads a kind of note is about."""


def quality_sentences(found: Sequence[Finding]) -> tuple[str, ...]:
    """What looks wrong, and what else should be known, with counts and the command that has it all."""
    wrong = faults(found)
    kinds = ", ".join(f"{kind} {number}" for kind, number in Counter(one.kind for one in wrong).most_common())
    concerned = count(len({one.subject for one in wrong}), "host or workload", "hosts and workloads")
    first = (
        f"Data: {count(len(wrong), 'finding looks', 'findings look')} wrong on {concerned} ({kinds})"
        if wrong
        else "Data: nothing measured looks wrong"
    )
    about = {kind: {one.subject for one in found if one.kind == kind} for kind in NOTES}
    notes = [_WORDS[kind].format(f"{len(about[kind]):,}") for kind in _ORDER if about[kind]]
    known = (f"Of hosts and workloads, {'; '.join(notes)}.",) if notes else ()
    return (f"{first}; `consolidate quality --store STORE` lists everything.", *known)
