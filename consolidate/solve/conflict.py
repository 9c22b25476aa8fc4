"""Why there is no placement: a smallest choice of rules, workloads and room that cannot hold together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from consolidate.model.demand import Demands, Unknown
from consolidate.model.fleet import Fleet
from consolidate.model.rules import FailureReserve
from consolidate.solve.exhaust import Verdict
from consolidate.solve.feasibility import Constraint, Feasibility, Kind, crowd
from consolidate.solve.presolve import components, tighten
from consolidate.solve.problem import Arrays, Problem, compile_problem


@dataclass(frozen=True)
class Conflict:
    """Constraints that are proved to admit no placement, while no proof is left once any one of them is."""

    without: Mapping[Constraint, Verdict]
    """What is known once each of the constraints is left out: a placement, or at least no proof against one."""

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of its rules."""
        return self._of(Kind.RULE)

    @property
    def workloads(self) -> tuple[str, ...]:
        """Names of its workloads."""
        return self._of(Kind.WORKLOAD)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Dimensions in which the hosts' room matters."""
        return self._of(Kind.ROOM)

    @property
    def minimal(self) -> bool:
        """Whether a placement was found for every choice of one constraint less, so that none can be spared."""
        return all(verdict is Verdict.POSSIBLE for verdict in self.without.values())

    def _of(self, kind: Kind) -> tuple[str, ...]:
        return tuple(one.name for one in self.without if one.kind is kind)


def find_conflict(fleet: Fleet, demands: Demands) -> Conflict | None:
    """Look for a conflict among few constraints first; None where it is not proved that there is no placement."""
    feasibility = Feasibility(fleet, demands)
    for candidate in _candidates(feasibility):
        if feasibility.impossible(candidate):
            return _minimise(feasibility, candidate)
    return None


def _minimise(feasibility: Feasibility, candidate: frozenset[Constraint]) -> Conflict:
    """The smallest part of an impossible choice that is still proved impossible, and what each of it is there for."""
    # Rules before workloads, so that of two explanations the one with fewer workloads is likelier.
    ordered = [one for kind in Kind for one in sorted(candidate, key=lambda c: c.name) if one.kind is kind]
    kept = _quick_explain(feasibility, (), False, ordered)
    if not feasibility.impossible(kept):  # a search gave up on the way, so the halves do not fit together
        kept = ordered
    for one in list(kept):
        fewer = [other for other in kept if other != one]
        if feasibility.impossible(fewer):
            kept = fewer
    kept = [one for one in ordered if one in kept]
    return Conflict({one: feasibility.judge(frozenset(kept) - {one}) for one in kept})


def _quick_explain(
    feasibility: Feasibility, background: Sequence[Constraint], grown: bool, choice: Sequence[Constraint]
) -> list[Constraint]:
    """What of a choice is needed, besides a background, to make it impossible.

    QuickXplain (Junker 2004): halves are explained in turn, each with what was found of the other as background, so
    that a conflict of k among n costs in the order of k · log(n / k) questions.
    """
    if grown and feasibility.impossible(background):
        return []
    if len(choice) == 1:
        return list(choice)
    middle = len(choice) // 2
    first, second = choice[:middle], choice[middle:]
    of_second = _quick_explain(feasibility, [*background, *first], bool(first), second)
    of_first = _quick_explain(feasibility, [*background, *of_second], bool(of_second), first)
    return [*of_first, *of_second]


def _candidates(feasibility: Feasibility) -> Iterator[frozenset[Constraint]]:
    """Choices of constraints that may be impossible, the smallest and quickest to judge first, everything last."""
    every = feasibility.constraints
    rules = frozenset(one for one in every if one.kind is Kind.RULE)
    for rule in feasibility.fleet.rules:
        if feasibility.asks_too_much(rule):
            yield frozenset({Constraint(Kind.RULE, rule.name)})
    stay = _constraints(w.name for w in feasibility.placed if isinstance(feasibility.demands[w.name], Unknown))
    yield rules | stay
    room = frozenset(one for one in every if one.kind is Kind.ROOM)
    problem = compile_problem(feasibility.needs(every))
    rest = rules | room | stay
    for item in _homeless(problem.arrays):
        yield rest | _constraints(problem.items[item])
    yield from (rest | crowded for crowded in _crowded(problem))
    for rule in feasibility.fleet.rules:
        if isinstance(rule, FailureReserve):
            yield from (rest | _constraints([name]) for name in _largest(problem, rule))
    tight = tighten(problem)
    for items in [*_linked(tight.arrays), *sorted((one.items for one in components(tight)), key=len)]:
        yield rest | _constraints(name for item in items for name in problem.items[item])
    yield every


def _constraints(names: Iterator[str] | Sequence[str]) -> frozenset[Constraint]:
    return frozenset(Constraint(Kind.WORKLOAD, name) for name in names)


def _homeless(arrays: Arrays) -> list[int]:
    """Items that no host could take even if it were empty."""
    able = np.zeros(len(arrays.variant), dtype=np.bool_)
    for host, capacity in enumerate(arrays.capacity):
        variant = arrays.variant[:, host]
        able |= (variant >= 0) & (arrays.peak[variant] <= capacity).all(axis=1)
    return [int(item) for item in np.flatnonzero(~able)]


def _crowded(problem: Problem) -> Iterator[frozenset[Constraint]]:
    """Workloads that are too much for the hosts they may use, the smallest left out as long as the rest is."""
    if (problem.arrays.variant < 0).all(axis=1).any():
        return
    found = crowd(problem.arrays)
    if found is None:
        return
    need, total = found.need, int(found.need.sum())
    kept = []
    for at in np.argsort(need, kind="stable").tolist():
        if total - int(need[at]) > found.room:
            total -= int(need[at])
        else:
            kept.append(int(found.items[at]))
    yield _constraints(name for item in kept for name in problem.items[item])


def _largest(problem: Problem, rule: FailureReserve) -> list[str]:
    """Of a rule's workloads the largest one in each dimension."""
    members = [at for at, names in enumerate(problem.items) if set(names) & set(rule.workloads)]
    if not members:
        return []
    variants = np.maximum(problem.arrays.variant[members].max(axis=1), 0)
    largest = problem.arrays.peak[variants].argmax(axis=0)
    return [problem.items[members[int(at)]][0] for at in np.unique(largest)]


def _linked(arrays: Arrays) -> list[NDArray[np.int64]]:
    """Items that group rules tie together, small sets first."""
    items, groups = len(arrays.variant), len(arrays.group_kind)
    member = np.repeat(np.arange(items), np.diff(arrays.group_start))
    nodes = items + groups
    edges = sparse.coo_array((np.ones(len(member), dtype=np.int64), (member, items + arrays.group_of)), (nodes, nodes))
    _, label = connected_components(edges, directed=False)
    clusters = [np.flatnonzero(label[:items] == one) for one in np.unique(label[member])]
    return sorted(clusters, key=len)
