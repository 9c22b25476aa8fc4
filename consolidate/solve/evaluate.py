"""The oracle: which rules a placement breaks, and what it costs. Plain on purpose.

Every fast path is tested against this, and every result is scored by it before it leaves `solve`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from consolidate.model.demand import Demands, Unknown
from consolidate.model.fleet import Fleet, Host
from consolidate.model.isolation import choose_isolation, room
from consolidate.model.placement import Placement, is_move
from consolidate.model.policy import Objective
from consolidate.model.rules import Affinity, AntiAffinity, Ban, FailureReserve, Licence, Pin, Spread
from consolidate.solve.failover import unrecovered
from consolidate.solve.loads import Needs


@dataclass(frozen=True)
class Violation:
    """One broken rule, with the amount by which it is broken."""

    rule: str
    subject: str
    amount: int
    unit: str
    slot: int | None = None
    """Worst slot, where the rule has one."""


@dataclass(frozen=True)
class Score:
    """Violations first, then costs in order of importance: smaller is better in each."""

    violations: tuple[Violation, ...]
    cost: int
    """Sum of the opening costs of the hosts that stay on, in units of the objective."""
    moves: int
    copy_bytes: int

    @property
    def feasible(self) -> bool:
        """No rule is broken."""
        return not self.violations

    @property
    def key(self) -> tuple[int, int, int, int]:
        """Lexicographic order of placements."""
        return (len(self.violations), self.cost, self.moves, self.copy_bytes)


@dataclass(frozen=True)
class _Case:
    """What a check looks at."""

    fleet: Fleet
    demands: Demands
    placement: Placement
    needs: Needs

    def hosts_of(self, workloads: tuple[str, ...]) -> list[str]:
        """Host of every placed workload of a rule."""
        return [self.placement.assignments[name].host for name in workloads if name in self.placement.assignments]


def opening_cost(host: Host, objective: Objective) -> int:
    """What keeping a host on costs, in hosts, in cents a month or in milliwatts when idle."""
    if objective is Objective.COST:
        return round(host.cost_per_month * 100)
    if objective is Objective.WATTS:
        return round(host.power.at(0.0) * 1000)
    return 1


def evaluate(
    fleet: Fleet,
    demands: Demands,
    placement: Placement,
    objective: Objective = Objective.HOSTS,
    needs: Needs | None = None,
) -> Score:
    """Score a placement against every rule; ``needs`` saves computing them again for the same fleet and demands."""
    case = _Case(fleet, demands, placement, needs or Needs(fleet, demands))
    violations = [
        *_capacity(case),
        *_compatibility(case),
        *_unknown(case),
        *(broken for rule in fleet.rules for broken in _CHECKS[type(rule)](rule, case)),
    ]
    hosts = {host.name: host for host in fleet.hosts}
    placed = [(workload, placement.assignments.get(workload.name)) for workload in fleet.workloads]
    moved = [workload for workload, assignment in placed if assignment is not None and is_move(workload, assignment)]
    return Score(
        tuple(violations),
        sum(opening_cost(hosts[name], objective) for name in placement.powered),
        len(moved),
        sum(workload.copy_bytes for workload in moved),
    )


def _capacity(case: _Case) -> Iterator[Violation]:
    """For every host, dimension and slot: the sum of demands stays within what the host can give."""
    hosts = {host.name: host for host in case.fleet.hosts}
    for host, load in case.needs.loads(case.placement).items():
        for row, name in enumerate(case.needs.dimensions):
            limit = room(case.fleet, hosts[host], name)
            if limit is not None and load[row].max() > limit:
                yield Violation("capacity", host, int(load[row].max()) - limit, name, int(load[row].argmax()))


def _compatibility(case: _Case) -> Iterator[Violation]:
    """Every workload is placed, in the isolation its host offers it, and what cannot move does not."""
    hosts = {host.name: host for host in case.fleet.hosts}
    for workload in case.fleet.workloads:
        assignment = case.placement.assignments.get(workload.name)
        if assignment is None:
            # Nobody knows what it needs and it runs nowhere: the plan says so and leaves it out.
            if workload.host is not None or not isinstance(case.demands[workload.name], Unknown):
                yield Violation("placed", workload.name, 1, "workloads")
        elif choose_isolation(case.fleet, workload, hosts[assignment.host]) is not assignment.isolation:
            yield Violation("compatibility", workload.name, 1, "workloads")
        elif not workload.movable and is_move(workload, assignment):
            yield Violation("movable", workload.name, 1, "workloads")


def _unknown(case: _Case) -> Iterator[Violation]:
    """A workload of unknown demand stays where it is, and nothing new comes beside it."""
    unknown = [workload for workload in case.fleet.workloads if isinstance(case.demands[workload.name], Unknown)]
    closed = {workload.host for workload in unknown if workload.host is not None}
    for workload in case.fleet.workloads:
        assignment = case.placement.assignments.get(workload.name)
        if assignment is None or assignment.host == workload.host:
            continue
        if assignment.host in closed or workload in unknown:
            yield Violation("unknown-demand", workload.name, 1, "workloads")


def _affinity(rule: Affinity, case: _Case) -> Iterator[Violation]:
    on = set(case.hosts_of(rule.workloads))
    if len(on) > 1:
        yield Violation(rule.name, ", ".join(sorted(on)), len(on) - 1, "hosts")


def _anti_affinity(rule: AntiAffinity, case: _Case) -> Iterator[Violation]:
    for host, count in sorted(Counter(case.hosts_of(rule.workloads)).items()):
        if count > rule.max_per_host:
            yield Violation(rule.name, host, count - rule.max_per_host, "workloads")


def _spread(rule: Spread, case: _Case) -> Iterator[Violation]:
    domain_of = {host.name: host.domain for host in case.fleet.hosts}
    found = len({domain_of[host] for host in case.hosts_of(rule.workloads)})
    if found < rule.domains:
        yield Violation(rule.name, rule.name, rule.domains - found, "domains")


def _licence(rule: Licence, case: _Case) -> Iterator[Violation]:
    found = len(set(case.hosts_of(rule.workloads)))
    if found > rule.max_hosts:
        yield Violation(rule.name, rule.name, found - rule.max_hosts, "hosts")


def _pin(rule: Pin, case: _Case) -> Iterator[Violation]:
    for name in rule.workloads:
        if name in case.placement.assignments and case.placement.assignments[name].host not in rule.hosts:
            yield Violation(rule.name, name, 1, "workloads")


def _ban(rule: Ban, case: _Case) -> Iterator[Violation]:
    for name in rule.workloads:
        if name in case.placement.assignments and case.placement.assignments[name].host in rule.hosts:
            yield Violation(rule.name, name, 1, "workloads")


def _failure_reserve(rule: FailureReserve, case: _Case) -> Iterator[Violation]:
    for workload, lost in unrecovered(rule, case.needs, case.placement):
        yield Violation(rule.name, f"{workload} if {lost} fails", 1, "workloads")


_CHECKS: Mapping[type, Callable[[Any, _Case], Iterator[Violation]]] = {
    Affinity: _affinity,
    AntiAffinity: _anti_affinity,
    Spread: _spread,
    Licence: _licence,
    Pin: _pin,
    Ban: _ban,
    FailureReserve: _failure_reserve,
}
"""One kind of rule, one check."""
