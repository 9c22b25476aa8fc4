"""Whom several collectors mean by what they found in one round: one thing, one record, one name.

The same control group is a container to its engine, a scope to systemd and a path to the kernel. A workload here is
what has one control group, and:

- The first collector in the registry that names a group gives the workload its name and kind. So engines stand there
  before systemd, and systemd before the control groups, which only know paths. A container created anew under its
  name is therefore the same workload; its samples have another incarnation, as whoever measured them says.
- Any other fact comes from the first collector that knows it, except for limits: the kernel's files are what is in
  force, and an engine may remember older ones. A virtual machine has the least of all that it is given, since its
  group and its virtual processors limit it at once.
- A metric that several measured is the first one's.
- Two workloads of one name stay two: the later one is named after its collector as well (``podman/web``).
- What lies inside a group that is a workload itself, such as a container of a user's own manager, is not another one:
  its use is already counted there.
- A host that several describe is one, by the same order.

Pure: nothing is read, and nothing but names and records changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar, cast

from collectors.reading import Reading
from collectors.records import HostRecord, Record, Sample, WorkloadRecord

T = TypeVar("T", bound=Record | Reading)
R = TypeVar("R", HostRecord, WorkloadRecord)

_FIELDS = {kind: tuple(it.name for it in fields(kind)) for kind in (HostRecord, WorkloadRecord)}


class Found(NamedTuple):
    """One collector's workload record."""

    source: str
    record: WorkloadRecord

    @property
    def named_by_path(self) -> bool:
        """Whether its collector knows no other name than the control group's path: the kernel's view."""
        return self.record.name == self.record.cgroup


@dataclass(frozen=True)
class Identities:
    """What the workloads of one round are called, and what is known of them; by collector and its own name."""

    names: Mapping[str, Mapping[str, str | None]]
    """The workload's name; None for what is counted in another workload. No entry: as its collector calls it."""
    records: Mapping[str, Mapping[str, WorkloadRecord | None]]
    """What to record; None where another collector's record stands for it. No entry: as its collector has it."""
    shared: frozenset[str]
    """Names of workloads that more than one collector knows."""


def identify(found: Sequence[Found]) -> Identities:
    """Tell which records, given in the order of their collectors, describe the same workload."""
    things: dict[str | tuple[str, str], list[Found]] = {}
    for one in found:
        # A control group or, where there is none, what only its collector knows.
        things.setdefault(one.record.cgroup or (one.source, one.record.name), []).append(one)
    paths = {one.record.cgroup: one.record.kind for one in found if one.named_by_path}
    taken = {members[0].record.name for members in things.values() if members[0].named_by_path}
    names: dict[str, dict[str, str | None]] = defaultdict(dict)
    records: dict[str, dict[str, WorkloadRecord | None]] = defaultdict(dict)
    shared: set[str] = set()
    for members in things.values():
        first, cgroup = members[0], members[0].record.cgroup
        if first.named_by_path and len(members) == 1:
            continue
        inside = cgroup not in paths and any(paths.get(outer, "slice") != "slice" for outer in _around(cgroup))
        name = None if inside else first.record.name if first.named_by_path else _free_name(first, taken)
        for one in members:
            names[one.source][one.record.name] = name
            records[one.source][one.record.name] = None
        if name is not None:
            taken.add(name)
            records[first.source][first.record.name] = _workload(name, members)
        if name is not None and len(members) > 1:
            shared.add(name)
    return Identities(names, records, frozenset(shared))


def _around(path: str) -> Iterator[str]:
    """The groups around a group, the nearest first."""
    while path := path.rpartition("/")[0]:
        yield path


def _free_name(first: Found, taken: set[str]) -> str:
    name, path = first.record.name, first.record.cgroup
    choices = (name, f"{first.source}/{name}", f"{first.source}/{name}/{path}")
    return next(choice for choice in choices if choice not in taken)


def _workload(name: str, members: Sequence[Found]) -> WorkloadRecord:
    records = [one.record for one in members]
    if records[0].kind == "vm":
        limits: dict[str, int] = {}
        for record in records:
            limits |= {key: min(amount, limits.get(key, amount)) for key, amount in record.limits.items()}
        # From outside, a guest's system does not show.
        return merge(records, name=name, limits=limits, os=records[0].os)
    in_force = [one.record.limits for one in members if one.named_by_path]
    return merge(records, name=name, **({"limits": in_force[0]} if in_force else {}))


def merge(records: Sequence[R], **decided: Any) -> R:
    """Records of one thing: of every fact, and of every entry of a mapping, the first that is known."""
    kind = type(records[0])
    names = _FIELDS[kind]
    values = dict(decided)
    for name, choices in zip(names, zip(*map(attrgetter(*names), records), strict=True), strict=True):
        known = [choice for choice in choices if choice]
        if not known or name in decided:
            continue
        if len(known) > 1 and isinstance(known[0], Mapping):
            values[name] = {key: amount for one in reversed(known) for key, amount in one.items()}
        else:
            values[name] = known[0]
    return kind(**values)


def join(found: Sequence[tuple[str, Sequence[T]]]) -> list[T]:
    """One round's records under the workloads' names; ``found`` is what each collector found, in their order.

    An agent's readings are treated as the samples that they stand for.
    """
    everything = [(source, record) for source, records in found for record in records]
    workloads = [Found(source, record) for source, record in everything if isinstance(record, WorkloadRecord)]
    hosts = [record for _, record in everything if isinstance(record, HostRecord)]
    joining = _Joining(identify(workloads), hosts)
    return [kept for source, record in everything if (kept := joining.keep(source, record)) is not None]


class _Joining:
    """One pass over the records of a round."""

    def __init__(self, identities: Identities, hosts: Sequence[HostRecord]) -> None:
        self._identities = identities
        self._hosts: dict[str, list[HostRecord]] = defaultdict(list)
        for host in hosts:
            self._hosts[host.name].append(host)
        self._measured: dict[str, dict[str, str]] = defaultdict(dict)
        """By shared workload and metric, the collector that measured it first."""

    def keep(self, source: str, record: T) -> T | None:
        """The record as it goes on; None where another one stands for it."""
        match record:
            case Sample() | Reading() if record.workload is not None:
                name = self._identities.names.get(source, {}).get(record.workload, record.workload)
                if name == record.workload and name not in self._identities.shared:
                    return record
                return None if name is None else cast("T | None", self._values(source, record, name))
            case WorkloadRecord():
                return cast("T | None", self._identities.records.get(source, {}).get(record.name, record))
            case HostRecord():
                described = self._hosts.pop(record.name, [])
                return cast("T | None", merge(described) if described else None)
        return record

    def _values(self, source: str, record: Sample | Reading, name: str) -> Sample | Reading | None:
        measured = self._measured[name] if name in self._identities.shared else {}
        if isinstance(record, Sample):
            if measured.setdefault(record.metric, source) != source:
                return None
            return Sample(record.at_s, record.host, name, record.incarnation, record.metric, record.value)
        values = record.values
        others = {metric for metric, first in measured.items() if first != source}
        if not others.isdisjoint(values):
            values = {metric: value for metric, value in values.items() if metric not in others}
        measured |= dict.fromkeys(values, source)
        return Reading(name, record.incarnation, values)
