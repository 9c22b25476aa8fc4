"""Which of the hosts that sources name are the same machine.

In this order:

1. An identifier (`HostRecord.machine_id`) that one source saw under two names at the same time was cloned, and says
   nothing. One that was seen under another name later is a machine that was renamed.
2. What has the same identifier is the same machine, whatever its names.
3. A source's name that had one identifier and later another is a machine that was installed anew; at the same time,
   these are two machines.
4. What has the same name is the same machine, unless identifiers of one form differ. Names are compared without case,
   port and domain, the domain only where one machine alone could be meant.

Nothing here depends on the order of sightings. Asked again under the names given here, machines that were told apart
stay so, unless one has given a name up that another could have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from collectors.sources import rank
from consolidate.model.finding import Finding
from consolidate.store.names import (
    MARK_DIGITS,
    SAYS_NOTHING,
    bare_id,
    digits_of,
    first_label,
    form,
    marked,
    plain,
    unmarked,
)
from consolidate.store.sightings import Known, Sighting, together
from consolidate.store.unions import Unions


@dataclass(frozen=True)
class Identities:
    """Every host by the one name it has here."""

    names: Mapping[Known, str]
    findings: tuple[Finding, ...]


def identify(sightings: Iterable[Sighting]) -> Identities:
    """Decide which sightings are of one machine; see above."""
    seen: dict[Known, list[Sighting]] = defaultdict(list)
    for sighting in sightings:
        seen[sighting.source, sighting.name, sighting.machine_id].append(sighting)
    findings: list[Finding] = []
    cloned = _cloned(seen, findings)
    ids = {known: "" if bare_id(known[2]) in cloned else known[2] for known in seen}
    machines = Unions(sorted(seen))
    _unite_by_id(machines, ids)
    _unite_successors(machines, seen, ids, findings)
    _unite_by_name(machines, ids, findings)
    names = _named(machines, seen, ids, findings)
    return Identities(names, tuple(sorted(set(findings))))


def _cloned(seen: Mapping[Known, Sequence[Sighting]], findings: list[Finding]) -> set[str]:
    by_id: dict[tuple[str, str], list[Known]] = defaultdict(list)
    for known in seen:
        if bare_id(known[2]):
            by_id[known[0], bare_id(known[2])].append(known)
    cloned = set()
    for (source, machine_id), group in by_id.items():
        own = {known: unmarked(known[1], known[2]) for known in group}
        named = {known: _in_full(name, set(own.values())) for known, name in own.items()}
        names = sorted(set(named.values()))
        if len(names) > 1 and together([replace(one, name=named[it]) for it in group for one in seen[it]], "name"):
            cloned.add(machine_id)
            findings.append(
                Finding(
                    names[0],
                    "",
                    "cloned",
                    f"{_and(names)} have one machine identifier ({machine_id[:6]}…{_by(source)}), as clones of one "
                    "image do, so it tells nothing; give each its own, such as with systemd-machine-id-setup",
                )
            )
    return cloned


def _in_full(name: str, names: Iterable[str]) -> str:
    """A name with its domain, where among other names there is one alone that it can stand for."""
    longer = [other for other in names if first_label(other) == name != other]
    return longer[0] if len(longer) == 1 else name


def _unite_by_id(machines: Unions[Known], ids: Mapping[Known, str]) -> None:
    first: dict[str, Known] = {}
    for known in sorted(ids):
        machine_id = bare_id(ids[known])
        if machine_id:
            machines.unite(known, first.setdefault(machine_id, known))


def _unite_successors(
    machines: Unions[Known],
    seen: Mapping[Known, Sequence[Sighting]],
    ids: Mapping[Known, str],
    findings: list[Finding],
) -> None:
    by_name: dict[tuple[str, str, str], list[Known]] = defaultdict(list)
    for known, machine_id in ids.items():
        if bare_id(machine_id):
            by_name[known[0], plain(known[1]), form(machine_id)].append(known)
    for (source, name, _), group in sorted(by_name.items()):
        roots = {machines.root(known) for known in group}
        if len(roots) < 2 or name in SAYS_NOTHING:
            continue
        whole = [
            replace(one, name=":".join(root)) for root in roots for it in machines.members(root) for one in seen[it]
        ]
        timed = {one.name for one in whole if one.between_s is not None}
        if len(timed) < len(roots) or together(whole, "name"):
            continue
        for known in group[1:]:
            machines.unite(group[0], known)
        findings.append(
            Finding(
                name,
                "",
                "replaced",
                f"had {len(roots)} machine identifiers one after another"
                f"{_by(source)}: installed anew, or another machine? What was measured before still counts",
            )
        )


def _unite_by_name(machines: Unions[Known], ids: Mapping[Known, str], findings: list[Finding]) -> None:
    full: dict[str, list[Known]] = defaultdict(list)
    for known in sorted(ids):
        name = plain(known[1])
        if name not in SAYS_NOTHING:
            full[name].append(known)
    for _, group in sorted(full.items()):
        _unite_alike(machines, ids, group)
    domains: dict[str, list[str]] = defaultdict(list)
    for name in full:
        if first_label(name) != name and first_label(name) not in SAYS_NOTHING:
            domains[first_label(name)].append(name)
    for label, longer in sorted(domains.items()):
        if label not in full:
            continue
        meant = {machines.root(known) for name in longer for known in full[name]}
        if len(meant) == 1:
            _unite_alike(machines, ids, full[label] + full[longer[0]])
        elif not meant >= {machines.root(known) for known in full[label]}:
            findings.append(
                Finding(
                    label,
                    "",
                    "same name",
                    f"may be {' or '.join(sorted(longer))}, so it is taken for another host: name it in full",
                )
            )


def _unite_alike(machines: Unions[Known], ids: Mapping[Known, str], group: Sequence[Known]) -> None:
    """Make one machine of all that share a name; where that cannot be, of those at least that say no more."""
    if _any_differ(machines, ids, group):
        group = [known for known in group if not any(bare_id(ids[it]) for it in machines.members(known))]
    for known in group:
        machines.unite(group[0], known)


def _any_differ(machines: Unions[Known], ids: Mapping[Known, str], group: Iterable[Known]) -> bool:
    parts = {machines.root(known): machines.members(known) for known in group}
    of_form = [{(form(ids[it]), bare_id(ids[it])) for it in part if bare_id(ids[it])} for part in parts.values()]
    return any(_differ(one, other) for one, other in combinations(of_form, 2))


def _differ(one: set[tuple[str, str]], other: set[tuple[str, str]]) -> bool:
    """Whether two machines have identifiers of one form and none of that form in common."""
    return any(
        {value for kind, value in one if kind == wanted}.isdisjoint({value for kind, value in other if kind == wanted})
        for wanted in {kind for kind, _ in one} & {kind for kind, _ in other}
    )


def _named(
    machines: Unions[Known],
    seen: Mapping[Known, Sequence[Sighting]],
    ids: Mapping[Known, str],
    findings: list[Finding],
) -> dict[Known, str]:
    """One name for each machine: the latest of its most trusted source, marked where another has it too."""
    best: dict[Known, Known] = {}
    for known in sorted(seen, key=lambda known: (rank(known[0]), -_latest(seen[known]), known)):
        best.setdefault(machines.root(known), known)
    labels: dict[str, set[Known]] = defaultdict(set)
    for known in seen:
        labels[first_label(plain(known[1]))].add(machines.root(known))
    takers: dict[str, list[Known]] = defaultdict(list)
    for root, known in best.items():
        label = first_label(plain(known[1]))
        if plain(known[1]) == label and len(labels[label]) > 1:  # without its domain it would be another's as well
            in_full = [it for it in machines.members(root) if first_label(plain(it[1])) == label != plain(it[1])]
            best[root] = min(in_full, default=known, key=lambda it: (rank(it[0]), it))
        takers[plain(best[root][1])].append(root)
    names: dict[Known, str] = {}
    findings += _told_apart(machines, ids)
    for name, roots in sorted(takers.items()):
        marks = _marks({root: [ids[it] for it in machines.members(root)] for root in roots}) if len(roots) > 1 else {}
        for root in roots:
            source, own, _ = best[root]
            if len(roots) > 1:
                own = marked(name, marks[root], len(marks[root])) if marks[root] else f"{name}~{source or 'unnamed'}"
            names |= dict.fromkeys(machines.members(root), own)
            findings += _merged(own, machines.members(root))
    return names


def _told_apart(machines: Unions[Known], ids: Mapping[Known, str]) -> list[Finding]:
    by_name: dict[str, list[Known]] = defaultdict(list)
    for known in sorted(ids):
        by_name[unmarked(known[1], ids[known])].append(known)
    return [
        Finding(
            name,
            "",
            "same name",
            f"{len({machines.root(known) for known in group})} hosts of this name have different machine identifiers "
            "and are kept apart: rename one",
        )
        for name, group in by_name.items()
        if _any_differ(machines, ids, group)
    ]


def _marks(ids: Mapping[Known, Sequence[str]]) -> dict[Known, str]:
    """For each machine the first digits of its identifier, as many as tell it from the others; empty without one."""
    own = {root: min((digits_of(it) for it in given if bare_id(it)), default="") for root, given in ids.items()}
    digits = MARK_DIGITS
    while len({one[:digits] for one in own.values() if one}) < sum(map(bool, own.values())):
        digits += 1
    return {root: one[:digits] for root, one in own.items()}


def _merged(name: str, members: Iterable[Known]) -> list[Finding]:
    called = sorted({f"{own}{_by(source)}" for source, own, _ in members})
    if len({(source, own) for source, own, _ in members}) < 2:
        return []
    return [Finding(name, "", "merged", f"is one host, seen as {_and(called)}")]


def _latest(sightings: Sequence[Sighting]) -> int:
    return max(one.order for one in sightings)


def _by(source: str) -> str:
    return f" ({source})" if source else ""


def _and(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
