"""Whether any placement keeps a choice of a fleet's constraints: possible, proved impossible, or unknown.

A proof is arithmetic on integers (a workload larger than every host it may use, workloads that need more together
than all hosts they may use have, a group too many for its hosts) or a complete search; never that a heuristic gave up.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from consolidate.model.demand import Demand, Demands, Unknown
from consolidate.model.fleet import Fleet, Workload
from consolidate.model.isolation import choose_isolation
from consolidate.model.placement import Placement, current_placement
from consolidate.model.rules import FailureReserve, Rule, Spread
from consolidate.solve.construct import by_size
from consolidate.solve.evaluate import evaluate
from consolidate.solve.exhaust import Budget, Placements, Verdict
from consolidate.solve.failover import unrecovered
from consolidate.solve.kernels import empty_state, insert_all
from consolidate.solve.loads import UNLIMITED, Needs
from consolidate.solve.presolve import components, members_of, restrict, tighten
from consolidate.solve.problem import MAX_HOSTS, MAX_PER_HOST, Arrays, Problem, compile_problem
from consolidate.solve.search import complete

_NODES = 20_000
"""Nodes of search trees that one question may take."""
_PATIENCE = 50
"""Steps without progress after which repairing a best fit is given up."""
_SMALLEST_SHARE = 5
"""Items are counted that take more than a half, a third and so on to this part of a host."""
_NODES_PER_LOSS = 100
"""What looking at the loss of every host counts for in nodes: it is not compiled."""
_ENDLESS = 1 << 62
"""Room of many hosts that is not added up further, so that sums stay within 64 bits; nothing needs as much."""
_MOST_RESTARTS = 100
"""Of more workloads than this on one host it is not asked in how many ways they can be restarted."""


class Kind(enum.StrEnum):
    """What can be left out of a fleet so that less is asked of a placement."""

    RULE = "rule"
    WORKLOAD = "workload"
    ROOM = "room"
    """The limits of all hosts in one dimension."""


@dataclass(frozen=True)
class Constraint:
    """One thing that a placement has to respect."""

    kind: Kind
    name: str


@dataclass(frozen=True, eq=False)
class Crowd:
    """Items that are too much, in one dimension and slot, for all hosts that any of them may use."""

    items: NDArray[np.int64]
    need: NDArray[np.int64]
    """(items,): what each of them takes at least; 1 where they are counted."""
    room: int
    """What the hosts have for them; how many they hold where items are counted."""


class Feasibility:
    """Answers for one fleet.

    A workload that is left out takes nothing and is in no rule's way: it may be anywhere, in the eyes of a spread
    rule in a domain of its own. So leaving more out never makes a placement impossible.
    """

    def __init__(self, fleet: Fleet, demands: Demands) -> None:
        """Number the constraints; a workload that runs nowhere and is of unknown demand is none."""
        self.fleet = fleet
        self.demands = demands
        self.placed = tuple(w for w in fleet.workloads if isinstance(demands[w.name], Demand) or w.host is not None)
        self.constraints = frozenset(
            [
                *(Constraint(Kind.RULE, rule.name) for rule in fleet.rules),
                *(Constraint(Kind.WORKLOAD, workload.name) for workload in self.placed),
                *(Constraint(Kind.ROOM, name) for name in Needs(fleet, demands).dimensions),
            ]
        )
        self._known: dict[frozenset[Constraint], Verdict] = {}

    def judge(self, kept: frozenset[Constraint]) -> Verdict:
        """Whether a placement exists that respects these constraints."""
        if kept not in self._known:
            self._known[kept] = self._judge(kept)
        return self._known[kept]

    def impossible(self, kept: Iterable[Constraint]) -> bool:
        """Whether it is proved that no placement respects these constraints."""
        return self.judge(frozenset(kept)) is Verdict.IMPOSSIBLE

    def needs(self, kept: frozenset[Constraint]) -> Needs:
        """The fleet with nothing but these constraints."""
        names = {one.name for one in kept if one.kind is Kind.WORKLOAD}
        workloads = tuple(workload for workload in self.placed if workload.name in names)
        rules = tuple(
            narrowed
            for rule in self.fleet.rules
            if Constraint(Kind.RULE, rule.name) in kept and (narrowed := self._narrow(rule, names)) is not None
        )
        needs = Needs(
            replace(self.fleet, workloads=workloads, rules=rules), {w.name: self.demands[w.name] for w in workloads}
        )
        for row, name in enumerate(needs.dimensions):
            if Constraint(Kind.ROOM, name) not in kept:
                needs.limits[:, row] = UNLIMITED
        return needs

    def asks_too_much(self, rule: Rule) -> bool:
        """Whether a spread wants more domains than the fleet has, or than it has members to put there."""
        if not isinstance(rule, Spread):
            return False
        members = sum(workload.name in rule.workloads for workload in self.placed)
        return rule.domains > min(members, len({host.domain for host in self.fleet.hosts}))

    def _narrow(self, rule: Rule, names: set[str]) -> Rule | None:
        """A rule about these workloads only; None where nothing is left of it."""
        members = tuple(name for name in rule.workloads if name in names)
        if isinstance(rule, Spread):
            left_out = sum(w.name in rule.workloads and w.name not in names for w in self.placed)
            wanted = rule.domains - left_out
            return replace(rule, workloads=members, domains=wanted) if wanted > 0 else None
        return replace(rule, workloads=members) if members else None

    def _judge(self, kept: frozenset[Constraint]) -> Verdict:
        if any(self.asks_too_much(rule) for rule in self.fleet.rules if Constraint(Kind.RULE, rule.name) in kept):
            return Verdict.IMPOSSIBLE
        needs = self.needs(kept)
        if _stuck(needs):
            return Verdict.IMPOSSIBLE
        problem = tighten(compile_problem(needs))
        arrays = problem.arrays
        if (arrays.variant < 0).all(axis=1).any() or _overcrowded(arrays) or crowd(arrays) is not None:
            return Verdict.IMPOSSIBLE
        budget = Budget(_NODES)
        if any(isinstance(rule, FailureReserve) for rule in needs.fleet.rules):
            return _survivable(needs, problem, budget)
        found = Verdict.POSSIBLE
        for component in components(problem):
            verdict = placeable(restrict(problem, component).arrays, budget)
            if verdict is Verdict.IMPOSSIBLE:
                return verdict
            if verdict is Verdict.UNKNOWN:
                found = verdict
        return found


def placeable(arrays: Arrays, budget: Budget) -> Verdict:
    """Whether all items have a place: by best fit and repair, which are quick, or by looking at every placement."""
    state = empty_state(arrays)
    if insert_all(arrays, state, by_size(arrays)) == 0 or complete(arrays, state, 0, _PATIENCE):
        return Verdict.POSSIBLE
    return Placements(arrays, budget).next()


def least_demand(arrays: Arrays) -> NDArray[np.int64]:
    """What each item takes at least, wherever it goes, shape (I, R, T); the largest integer where it cannot go."""
    least = np.full((len(arrays.variant), *arrays.demand.shape[1:]), np.iinfo(np.int64).max)
    for host in range(arrays.variant.shape[1]):
        items = np.flatnonzero(arrays.variant[:, host] >= 0)
        least[items] = np.minimum(least[items], arrays.demand[arrays.variant[items, host]])
    return least


def crowd(arrays: Arrays) -> Crowd | None:
    """Items that are too much for all the hosts they may share, looked for in one dimension and slot at a time.

    Too much is a sum that is larger than the hosts', or more items above a share of a host than there are such shares.
    Tried are the sets of hosts that some item is confined to, all hosts that any may use, and for each licence as many
    of the roomiest hosts as it allows. Every item has a host.
    """
    if not len(arrays.variant):
        return None
    able, least = arrays.variant >= 0, least_demand(arrays)
    confines = np.unique(np.concatenate([able, np.atleast_2d(able.any(axis=0))]), axis=0)
    crowds = [
        (np.flatnonzero(~(able & ~hosts).any(axis=1)), hosts, len(hosts))
        for hosts in confines[np.argsort(confines.sum(axis=1), kind="stable")]
    ]
    for group in np.flatnonzero(arrays.group_kind == MAX_HOSTS).tolist():
        items, _ = members_of(arrays, group)
        crowds.append((items, able[items].any(axis=0), int(arrays.group_bound[group])))
    for items, hosts, most in crowds:
        limits = np.sort(arrays.capacity[hosts], axis=0)[::-1][:most]
        room = np.where(limits.sum(axis=0, dtype=np.float64) < _ENDLESS, limits.sum(axis=0), _ENDLESS)
        excess = least[items].sum(axis=0) - room[:, None]
        row, slot = np.unravel_index(excess.argmax(), excess.shape)
        if excess[row, slot] > 0:
            return Crowd(items, least[items, row, slot], int(room[row]))
        for share in range(1, _SMALLEST_SHARE):  # of items above a half one fits on a host, above a third two, ...
            large = (share + 1) * least[items] > limits.max(axis=0, initial=0)[:, None]
            count = large.sum(axis=0)
            row, slot = np.unravel_index(count.argmax(), count.shape)
            if count[row, slot] > share * len(limits):
                crowded = items[large[:, row, slot]]
                return Crowd(crowded, np.ones(len(crowded), dtype=np.int64), share * len(limits))
    return None


def _overcrowded(arrays: Arrays) -> bool:
    """Whether a group has more members than may share the hosts that they may use, or are licensed for."""
    able = arrays.variant >= 0
    for group in np.flatnonzero(arrays.group_kind == MAX_PER_HOST).tolist():
        items, members = members_of(arrays, group)
        a_host = int(arrays.group_bound[group])
        if members.sum() > a_host * able[items].any(axis=0).sum():
            return True
        for licence in np.flatnonzero(arrays.group_kind == MAX_HOSTS).tolist():
            licensed = np.isin(items, members_of(arrays, licence)[0])
            if members[licensed].sum() > a_host * int(arrays.group_bound[licence]):
                return True
    return False


def _stuck(needs: Needs) -> bool:
    """Whether those that stay where they are, being of unknown demand, break a rule among themselves."""
    fleet = needs.fleet
    stay = tuple(w for w in fleet.workloads if isinstance(needs.demands[w.name], Unknown))
    if not stay:
        return False
    names = {workload.name for workload in stay}
    rules = [
        replace(rule, workloads=tuple(name for name in rule.workloads if name in names))
        for rule in fleet.rules
        if not isinstance(rule, Spread) or names.issuperset(rule.workloads)
    ]
    alone = replace(fleet, workloads=stay, rules=tuple(rules))
    return not evaluate(alone, needs.demands, current_placement(alone)).feasible


def _survivable(needs: Needs, problem: Problem, budget: Budget) -> Verdict:
    """Whether some placement survives every loss that a rule names, with all the other hosts on."""
    leaves = Placements(problem.arrays, budget, symmetric=False)
    everything = frozenset(host.name for host in needs.fleet.hosts)
    rules = [rule for rule in needs.fleet.rules if isinstance(rule, FailureReserve)]
    otherwise = Verdict.IMPOSSIBLE
    while (found := leaves.next()) is Verdict.POSSIBLE:
        placement = replace(problem.placement(leaves.state.host_of), standby=everything)
        lost = [(rule, host) for rule in rules for _, host in unrecovered(rule, needs, placement)]
        if not lost:
            return Verdict.POSSIBLE
        budget.nodes -= _NODES_PER_LOSS
        # The rule restarts greedily; only where no other way of restarting succeeds is a placement ruled out.
        if not any(_recovery(rule, needs, placement, host, budget) is Verdict.IMPOSSIBLE for rule, host in lost):
            otherwise = Verdict.UNKNOWN
    return otherwise if found is Verdict.IMPOSSIBLE else found


def _recovery(rule: FailureReserve, needs: Needs, placement: Placement, lost: str, budget: Budget) -> Verdict:
    """Whether a rule's workloads on a lost host fit on the others in any way, the other rules suspended."""
    fleet = needs.fleet
    index = {host.name: at for at, host in enumerate(fleet.hosts)}[lost]
    choices: list[list[tuple[int, NDArray[np.int64]]]] = []
    for workload in fleet.workloads:
        assignment = placement.assignments.get(workload.name)
        if assignment is None or assignment.host != lost or workload.name not in rule.workloads:
            continue
        running = replace(workload, host=lost, isolation=assignment.isolation)
        choice = _elsewhere(needs, workload, running, index)
        if choice is not None:
            choices.append(choice)
    if len(choices) > _MOST_RESTARTS:
        return Verdict.UNKNOWN
    return _fit(needs.free(placement), sorted(choices, key=len), budget)


def _elsewhere(
    needs: Needs, workload: Workload, running: Workload, lost: int
) -> list[tuple[int, NDArray[np.int64]]] | None:
    """(host, what is taken there) for every other host that can run a workload as what it is by then.

    Hosts whose load is unknown are left out; None where no host of the fleet could.
    """
    able = False
    found = []
    for at, host in enumerate(needs.fleet.hosts):
        isolation = choose_isolation(needs.fleet, running, host) if at != lost else None
        need = needs.of(workload, isolation) if isolation is not None else None
        able = able or need is not None
        if need is not None and not needs.closed[at]:
            found.append((at, need))
    return found if able else None


def _fit(
    free: NDArray[np.int64], choices: Sequence[Sequence[tuple[int, NDArray[np.int64]]]], budget: Budget
) -> Verdict:
    """Whether one choice each, all together, stays within what is free; ``free`` is left as it was."""
    if not choices:
        return Verdict.POSSIBLE
    found = Verdict.IMPOSSIBLE
    for host, need in choices[0]:
        if budget.nodes <= 0:
            return Verdict.UNKNOWN
        budget.nodes -= 1
        if (need > free[host]).any():
            continue
        free[host] -= need
        verdict = _fit(free, choices[1:], budget)
        free[host] += need
        if verdict is Verdict.POSSIBLE:
            return verdict
        if verdict is Verdict.UNKNOWN:
            found = verdict
    return found
