"""Hosts as segments have them: what is worked with to find out which of them are one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from collectors.records import HostRecord, NoteRecord, Record, RuleRecord
from consolidate.store.names import bare_id, marked

SLACK_S = 600
"""Two hosts may be seen together for so long while one takes over from the other."""


@dataclass(frozen=True)
class Sighting:
    """A host as one segment of one source has it."""

    order: int
    """Of the segment, older ones first."""
    source: str
    name: str
    machine_id: str = ""
    between_s: tuple[int, int] | None = None
    """First and last sample; None where it was only listed."""


Known = tuple[str, str, str]
"""A host as a source knows it: source, name, identifier."""


def completed(sightings: Sequence[Sighting]) -> list[Sighting]:
    """Sightings without an identifier with that of the same source's name before, or else after."""
    known: dict[tuple[str, str], list[Sighting]] = defaultdict(list)
    for one in sorted((one for one in sightings if one.machine_id), key=lambda one: (one.order, one.machine_id)):
        known[one.source, one.name].append(one)

    def complete(one: Sighting) -> Sighting:
        others = known.get((one.source, one.name), ())
        if one.machine_id or not others:
            return one
        nearest = next((other for other in reversed(others) if other.order <= one.order), others[0])
        return replace(one, machine_id=nearest.machine_id)

    return list(map(complete, sightings))


def together(sightings: Iterable[Sighting], by: str) -> bool:
    """Whether two that differ in a field were seen at the same time, or only listed, of which nobody knows."""
    times: list[tuple[int, int, str]] = []
    listed: dict[int, str] = {}
    for one in sightings:
        value = getattr(one, by)
        if one.between_s is not None:
            times.append((*one.between_s, value))
        elif listed.setdefault(one.order, value) != value:
            return True
    latest: dict[str, int] = {}
    for first_s, last_s, value in sorted(times):
        if any(other != value and end_s > first_s + SLACK_S for other, end_s in latest.items()):
            return True
        latest[value] = max(last_s, latest.get(value, last_s))
    return False


def tell_apart(records: Iterable[Record]) -> Iterator[Record]:
    """Records of one segment in which a host's name means one machine: a second one of the same name is marked.

    What follows a host's record is about that host, until the next record of the name.
    """
    first: dict[str, str] = {}
    now: dict[str, str] = {}
    for record in records:
        if isinstance(record, HostRecord):
            mine = bare_id(record.machine_id)
            other = mine and first.setdefault(record.name, mine) != mine
            now[record.name] = marked(record.name, record.machine_id) if other else record.name
            yield replace(record, name=now[record.name])
        elif isinstance(record, RuleRecord | NoteRecord) or now.get(record.host, record.host) == record.host:
            yield record
        else:
            yield replace(record, host=now[record.host])
