"""Workloads that several sources name, and virtual machines that moved: one history each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collectors.sources import rank
from consolidate.model.finding import Finding
from consolidate.model.series import workload_name
from consolidate.store.names import bare_id
from consolidate.store.sightings import SLACK_S

Place = tuple[str, str]
"""A workload's host and name there."""


@dataclass(frozen=True)
class Guest:
    """A virtual machine on a host, as far as it was ever seen there."""

    place: Place
    machine_id: str
    cluster: str
    order: int
    """Of the newest segment that lists it."""
    between_s: tuple[int, int] | None
    """First and last sample; None where there is none."""


def same_group(cgroups: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Names of one host's workloads that another source has for the same control group, to the most trusted one's.

    Args:
        cgroups: (source, control group, name), of all that was ever seen.

    """
    names: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    own: dict[str, set[str]] = defaultdict(set)
    for source, cgroup, name in cgroups:
        names[cgroup][source].add(name)
        own[source].add(name)
    found: dict[str, str] = {}
    for _, by_source in sorted(names.items()):
        if len(by_source) < 2 or any(len(several) > 1 for several in by_source.values()):
            continue
        best, *others = sorted(by_source, key=lambda source: (rank(source), source))
        (name,) = by_source[best]
        for other in others:
            (alias,) = by_source[other]
            if alias != name and alias not in own[best]:
                found.setdefault(alias, name)
    return {alias: name for alias, name in found.items() if name not in found}


def moved(guests: Iterable[Guest]) -> tuple[dict[Place, Place], list[Finding]]:
    """Where virtual machines are now that were elsewhere before.

    The same are those with the same identifier, or of one name within one cluster where identifiers do not say
    otherwise; but two that were there at the same time are two.
    """
    groups: dict[tuple[str, ...], list[Guest]] = defaultdict(list)
    for guest in guests:
        if bare_id(guest.machine_id):
            groups["id", bare_id(guest.machine_id)].append(guest)
        if guest.cluster:
            groups["name", guest.cluster, guest.place[1]].append(guest)
    now: dict[Place, Place] = {}
    findings = []
    for _, group in sorted(groups.items()):
        places = {guest.place for guest in group}
        ids = {bare_id(guest.machine_id) for guest in group} - {""}
        if len(places) < 2 or len(ids) > 1 or _at_once(group):
            continue
        last = max(group, key=_when).place
        before = sorted(places - {last} - now.keys())
        now |= dict.fromkeys(before, last)
        if before:
            came = ", ".join(host for host, _ in before)
            findings.append(Finding(workload_name(*last), "", "moved", f"was on {came} before; its history goes on"))
    return {place: _end(now, place) for place in now}, findings


def _when(guest: Guest) -> tuple[int, int, Place]:
    return guest.between_s[1] if guest.between_s else 0, guest.order, guest.place


def _at_once(group: list[Guest]) -> bool:
    """Whether any two were measured at the same time, or listed by one segment and not measured."""
    timed = sorted((guest.between_s, guest.place) for guest in group if guest.between_s)
    if any(
        first[0][1] > second[0][0] + SLACK_S and first[1] != second[1]
        for index, first in enumerate(timed)
        for second in timed[index + 1 :]
    ):
        return True
    listed = [guest.order for guest in group if not guest.between_s]
    return len(set(listed)) < len(listed)


def _end(now: Mapping[Place, Place], place: Place) -> Place:
    """Where the last of several moves led; a circle ends where it began."""
    seen = {place}
    while (following := now.get(place)) is not None and following not in seen:
        seen.add(following)
        place = following
    return place
