"""From the parsed document and the measured records to a consistent fleet."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from consolidate.config import telling
from consolidate.config.measured import (
    Records,
    clusters_of,
    managed_rules,
    measured_host,
    measured_workload,
    stay_within,
)
from consolidate.config.ratings import STATED, rated
from consolidate.config.rules import Path, RuleReader, did_you_mean
from consolidate.config.schema import (
    DIMENSION_OF,
    DemandSection,
    FleetFile,
    HostModelSection,
    HostSection,
    WorkloadSection,
)
from consolidate.errors import InputError
from consolidate.model.demand import SLOT_COUNTS, Demand
from consolidate.model.fleet import (
    OPERATING_SYSTEMS,
    OVERHEADS,
    Fleet,
    Host,
    OperatingSystem,
    Overhead,
    PowerCurve,
    Workload,
)
from consolidate.model.policy import PartitionPolicy, Policy
from consolidate.model.resources import Resources
from consolidate.model.rules import Rule, rules_without

T = TypeVar("T")


@dataclass(frozen=True)
class Inputs:
    """A fleet, the demands stated for it, and the policy to plan it by."""

    fleet: Fleet
    stated: Mapping[str, Demand]
    policy: Policy
    notes: tuple[str, ...] = ()
    """Sentences on what the sources leave out, and on what was made of what they say."""


class FleetBuilder:
    """Turns the parsed document into a fleet; every method takes the path it reads for the error's sake."""

    def __init__(self, file: FleetFile, place: Callable[[Path], str]) -> None:
        self.file = file
        self.place = place
        self.named: set[tuple[str, str]] = set()
        self.resting: set[str] = set()
        """Hosts that take no workloads."""
        self.off: set[str] = set()
        """Workloads that do not run."""
        self.systems = {**OPERATING_SYSTEMS} | {
            name: OperatingSystem(name, it.family, it.guest_memory, it.containers, it.hardware, it.max_vms_per_host)
            for name, it in file.operating_systems.items()
        }
        self.overheads = {**OVERHEADS} | {
            isolation: Overhead(it.cpu, it.memory, it.memory_fixed, it.io) for isolation, it in file.overheads.items()
        }

    def _once(self, what: str, name: str, path: Path) -> None:
        if (what, name) in self.named:
            raise self._fail([*path, "name"], f"a {what} {name!r} stands above already; rename or remove one")
        self.named.add((what, name))

    def _fail(self, path: Path, problem: str) -> InputError:
        return InputError(f"{self.place(path)}: {problem}")

    def build(self, records: Records) -> Inputs:
        """Join the document with the records; the document wins."""
        self.resting = {record.name for record in records.hosts if record.state == "maintenance"}
        hosts = self._hosts(records)
        if not hosts:
            raise self._fail([], "there are no hosts; list them under 'hosts' or collect from them first")
        everything, stated = self._workloads(records, hosts)
        reader = RuleReader(hosts, everything, self._fail)
        rules = list(rules_without(self._rules(reader), self.off))
        workloads = {name: one for name, one in everything.items() if name not in self.off}
        host_clusters = {record.name: record.cluster for record in records.hosts if record.cluster}
        clusters = clusters_of(workloads, records.workloads, host_clusters)
        pins = [] if self.file.policy.across_clusters else list(stay_within(clusters, host_clusters, hosts))
        rules += [*pins, *managed_rules(records.rules, clusters, records.workloads)]
        notes = (
            *dict.fromkeys(note.text for note in records.notes),
            *telling.of_maintenance(sorted(self.resting)),
            *telling.of_powered_off([everything[name] for name in everything if name in self.off]),
            *telling.of_clusters(pins),
            *telling.of_systems(workloads, self.file.operating_systems),
        )
        fleet = Fleet(tuple(hosts.values()), tuple(workloads.values()), tuple(rules), self.systems, self.overheads)
        policy = replace(self.file.policy.policy(), partition=self._partition_policy(reader))
        return Inputs(fleet, stated, policy, notes)

    def _partition_policy(self, reader: RuleReader) -> PartitionPolicy:
        given = self.file.policy
        return PartitionPolicy(
            latency_critical=frozenset(reader.workloads_of(given.latency_critical, ("policy", "latency_critical"))),
            exclusive=frozenset(reader.workloads_of(given.exclusive, ("policy", "exclusive"))),
            memory_high=frozenset(reader.workloads_of(given.memory_high, ("policy", "memory_high"))),
        )

    def _rules(self, reader: RuleReader) -> Iterator[Rule]:
        for index, entry in enumerate(self.file.rules):
            self._once("rule", entry.name, ("rules", index))
            yield reader.read(entry, ("rules", index))

    def _hosts(self, records: Records) -> dict[str, Host]:
        headroom = self.file.policy.headroom
        hosts = {
            record.name: rated(measured_host(record, self.systems, headroom), record.cpu_model, self.file.cpu_ratings)
            for record in records.hosts
        }
        for index, entry in enumerate(self.file.hosts):
            path = ("hosts", index)
            for name, before in self._host_targets(entry, path, hosts):
                if not entry.match:
                    self._once("host", name, path)
                hosts[name] = self._host(entry, name, before, path)
                if entry.powered:
                    self.resting.discard(name)
        hosts = {name: host for name, host in hosts.items() if name not in self.resting}
        for host in hosts.values():
            for dimension in ("cpu_milli", "memory_bytes"):
                if host.allocatable.get(dimension) <= 0:
                    word = dimension.partition("_")[0]
                    raise self._fail(
                        ["hosts"],
                        f"host {host.name!r} has no {word} left to give (capacity less headroom less reserved); "
                        f"state its {word} or remove the host",
                    )
        return hosts

    def _host_targets(
        self, entry: HostSection, path: tuple[str | int, ...], hosts: Mapping[str, Host]
    ) -> list[tuple[str, Host | None]]:
        if bool(entry.name) == bool(entry.match):
            raise self._fail(path, "give either 'name' or 'match'")
        if entry.match:
            matched = fnmatch.filter(hosts, entry.match)
            if not matched:
                raise self._fail([*path, "match"], f"no measured host matches {entry.match!r}; write 'name' to add one")
            return [(name, hosts[name]) for name in matched]
        if entry.count == 1 and "{n}" not in entry.name:
            return [(entry.name, hosts.get(entry.name))]
        if "{n}" not in entry.name:
            raise self._fail(
                [*path, "name"], f"{entry.name!r} names {entry.count} hosts; put {{n}} where the number goes"
            )
        width = len(str(entry.count))
        return [(entry.name.replace("{n}", f"{n:0{width}d}"), None) for n in range(1, entry.count + 1)]

    def _host(self, entry: HostSection, name: str, before: Host | None, path: tuple[str | int, ...]) -> Host:
        if entry.model is not None and entry.model not in self.file.models:
            problem = f"no model {entry.model!r}; {did_you_mean(entry.model, self.file.models)}"
            raise self._fail([*path, "model"], problem)
        model = self.file.models[entry.model] if entry.model is not None else HostModelSection()
        own = {key: getattr(entry, key) for key in entry.model_fields_set & HostModelSection.model_fields.keys()}
        merged = model.model_copy(update=own)
        base = before or Host(name, Resources(), "linux", headroom_permille=self.file.policy.headroom)
        os = merged.os or base.os
        self._known_system(os, [*path, "os"])
        return Host(
            name=name,
            capacity=Resources({**base.capacity.amounts, **merged.resources().amounts}),
            os=os,
            reserved=merged.reserved.resources() if merged.reserved else base.reserved,
            hypervisor=_first(merged.hypervisor, base.hypervisor),
            cpu_rating=_first(merged.cpu_rating, base.cpu_rating),
            cpu_model=base.cpu_model,
            rated_by=base.rated_by if merged.cpu_rating is None else STATED,
            vendor=_first(merged.vendor, base.vendor),
            domain=_first(merged.domain, base.domain),
            power=PowerCurve(tuple(merged.watts)) if merged.watts else base.power,
            cost_per_month=_first(merged.cost_per_month, base.cost_per_month),
            headroom_permille=_first(merged.headroom, base.headroom_permille),
            on=_first(merged.powered, base.on),
            topology=base.topology,
        )

    def _known_system(self, os: str, path: Path) -> None:
        if os not in self.systems:
            problem = f"no operating system {os!r}; {did_you_mean(os, self.systems)}"
            raise self._fail(path, problem)

    def _workloads(self, records: Records, hosts: Mapping[str, Host]) -> tuple[dict[str, Workload], dict[str, Demand]]:
        """All workloads, also those that are off, and the demands that are stated."""
        found = {name: record for name, record in records.workloads.items() if record.kind != "slice"}
        workloads = {name: measured_workload(name, record, hosts, self.systems) for name, record in found.items()}
        self.off = {name for name, record in found.items() if record.state == "off"}
        stated = {}
        for index, entry in enumerate(self.file.workloads):
            path = ("workloads", index)
            if bool(entry.name) == bool(entry.match):
                raise self._fail(path, "give either 'name' or 'match'")
            names = [entry.name] if entry.name else fnmatch.filter(workloads, entry.match)
            if not names:
                raise self._fail([*path, "match"], f"no measured workload matches {entry.match!r}; mend the pattern")
            if entry.name:
                self._once("workload", entry.name, path)
            for name in names:
                workloads[name] = self._workload(entry, workloads.get(name) or Workload(name, ""), hosts, path)
                if entry.powered is not None:
                    (self.off.discard if entry.powered else self.off.add)(name)
                if entry.demand is not None:
                    stated[name] = self._demand(entry.demand, name, path)
        return workloads, stated

    def _workload(
        self, entry: WorkloadSection, before: Workload, hosts: Mapping[str, Host], path: tuple[str | int, ...]
    ) -> Workload:
        host = _first(entry.host, before.host)
        if host is not None and host not in hosts:
            raise self._fail([*path, "host"], f"no host {host!r}; {did_you_mean(host, hosts)}")
        os = entry.os or before.os or (hosts[host].os if host is not None else "linux")
        self._known_system(os, [*path, "os"])
        return replace(
            before,
            os=os,
            host=host,
            isolation=_first(entry.isolation, before.isolation),
            allowed=frozenset(entry.allowed) if entry.allowed is not None else before.allowed,
            group=_first(entry.group, before.group),
            owner=_first(entry.owner, before.owner),
            movable=_first(entry.movable, before.movable),
            copy_bytes=_first(entry.copy_size, before.copy_bytes),
            limits=Resources({**before.limits.amounts, **(entry.limits.resources().amounts if entry.limits else {})}),
            cgroup=self._group(_first(entry.cgroup, before.cgroup), path),
        )

    def _group(self, cgroup: str, path: Path) -> str:
        plain = cgroup.strip("/")
        if plain and any(part in ("", ".", "..") for part in plain.split("/")):
            raise self._fail([*path, "cgroup"], f"{cgroup!r} is no control group's path; write for example shop/web")
        return plain

    def _demand(self, entry: DemandSection, name: str, path: tuple[str | int, ...]) -> Demand:
        amounts = {}
        for word, dimension in DIMENSION_OF.items():
            value = getattr(entry, word)
            if value is None:
                continue
            slots = value if isinstance(value, list) else [value]
            if len(slots) not in SLOT_COUNTS:
                problem = f"{len(slots)} hourly amounts; give one, 24 (a day) or 168 (a week)"
                raise self._fail([*path, "demand", word], problem)
            amounts[dimension] = np.array(slots, dtype=np.int64)
        if not {"cpu_milli", "memory_bytes"} <= amounts.keys():
            raise self._fail([*path, "demand"], f"{name!r} needs both cpu and memory; add the missing one")
        return Demand(name, amounts, mean_cpu_milli=float(amounts["cpu_milli"].mean()))


def _first(value: T | None, default: T) -> T:
    return default if value is None else value
