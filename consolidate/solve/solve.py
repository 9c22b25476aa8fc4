"""From a fleet and its demand to a placement with a proof of how good it is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from consolidate.errors import InfeasibleError
from consolidate.model.demand import Demands
from consolidate.model.fleet import Fleet, Host
from consolidate.model.isolation import choose_isolation
from consolidate.model.placement import Assignment, Placement, carry_out, current_placement
from consolidate.model.policy import Objective
from consolidate.model.rules import FailureReserve
from consolidate.solve.bounds import LowerBound, add_bounds, bound_and_fluid, lower_bound
from consolidate.solve.columns.fleet import Captives, find_captives
from consolidate.solve.conflict import find_conflict
from consolidate.solve.construct import captive_starts, starts
from consolidate.solve.evaluate import Score, evaluate, opening_cost
from consolidate.solve.exhaust import Budget, Placements, Verdict
from consolidate.solve.failover import unrecovered
from consolidate.solve.fluid import Fluid
from consolidate.solve.kernels import State
from consolidate.solve.loads import Needs
from consolidate.solve.presolve import Component, components, join, restrict, tighten
from consolidate.solve.problem import Arrays, Problem, compile_problem
from consolidate.solve.search import (
    QUICK,
    Floor,
    Floors,
    Progress,
    choose_hosts,
    complete,
    cost_of,
    empty_hosts,
    moved,
    settle,
    squeeze_hosts,
)
from consolidate.solve.shortage import ConflictError, explain_broken, explain_conflict, explain_unplaced
from consolidate.solve.spare import keep_spare

_ROUNDS = 5
"""Times a result is solved again as the start of the next."""
_NODES_PER_STEP = 100
"""Nodes of a complete search that take about as long as a step of patience in emptying a host."""


@dataclass(frozen=True)
class Effort:
    """How long to search, in iterations, so that the same budget gives the same plan anywhere."""

    perturbed_starts: int = 4
    searched_starts: int = 1
    patience: int = 200
    """Steps without progress after which emptying a host is given up."""


@dataclass(frozen=True)
class Result:
    """A placement, its score by the oracle, and the bound that says how far from the best it can be."""

    placement: Placement
    score: Score
    bound: LowerBound
    seed: int
    effort: Effort
    statistics: Mapping[str, int]
    """Cost of each start, by name; -1 where it left something unplaced."""

    @property
    def hosts_used(self) -> int:
        """Hosts that stay on."""
        return len(self.placement.powered)

    @property
    def gap(self) -> int:
        """Cost above the bound; 0 means proven optimal."""
        return self.score.cost - self.bound.cost


def _silent(what: str, cost: int) -> None:
    """Report nothing."""


def solve(
    fleet: Fleet,
    demands: Demands,
    objective: Objective = Objective.HOSTS,
    seed: int = 0,
    effort: Effort | None = None,
    progress: Progress = _silent,
) -> Result:
    """Find a placement that is a fixed point: solving its outcome again gives no change.

    Raises:
        ConflictError: where it is proved that there is no placement; says what cannot hold together.
        InfeasibleError: where none was found, and nothing is proved; says what was left over.

    """
    effort = effort or Effort()
    best = _solve_once(fleet, demands, objective, seed, effort, progress)
    for _ in range(_ROUNDS):
        after, demands_after = carry_out(fleet, demands, best.placement)
        again = _solve_once(after, demands_after, objective, seed, effort, progress, best.bound)
        if again.score.moves == 0 and again.placement.powered == best.placement.powered:
            break
        adopted = _adopt(fleet, demands, objective, again, best)
        if not adopted.score.feasible or adopted.score.cost > best.score.cost:
            break
        best = adopted
    return best


def _adopt(fleet: Fleet, demands: Demands, objective: Objective, again: Result, before: Result) -> Result:
    """A later round's placement, as a change from the original fleet."""
    hosts = {host.name: host for host in fleet.hosts}
    assignments = {}
    for workload in fleet.workloads:
        if workload.name in again.placement.assignments:
            host = again.placement.assignments[workload.name].host
            isolation = choose_isolation(fleet, workload, hosts[host])
            assert isolation is not None  # a round only uses hosts on which the one before could run it too
            assignments[workload.name] = Assignment(host, isolation)
    placement = Placement(assignments, again.placement.standby)
    return replace(before, placement=placement, score=evaluate(fleet, demands, placement, objective))


def _solve_once(
    fleet: Fleet,
    demands: Demands,
    objective: Objective,
    seed: int,
    effort: Effort,
    progress: Progress,
    known: LowerBound | None = None,
) -> Result:
    """Solve as it stands; where a bound is known from an earlier round, without proving another."""
    needs = Needs(fleet, demands)
    problem = tighten(compile_problem(needs, objective))
    if not problem.items:
        return _stay(needs, objective, seed, effort, lower_bound(problem))
    if (problem.arrays.variant < 0).all(axis=1).any():
        raise _infeasible(needs, "some workloads have no host left")
    separate = components(problem)
    alone = [restrict(problem, component) for component in separate]
    progress("lower bound", 0)
    captives = [find_captives(one, seed) if known is None else () for one in alone]
    unused = np.ones(len(problem.hosts), dtype=np.bool_)
    unused[np.concatenate([component.hosts for component in separate])] = False
    kept = int(problem.arrays.cost[unused & problem.arrays.forced].sum())
    if known is not None and len(alone) == 1:  # what is cheaper than possible at first would not be adopted
        bounded: list[tuple[LowerBound, Fluid | None]] = [(replace(known, cost=known.cost - kept), None)]
    else:
        bounded = [bound_and_fluid(one, confined) for one, confined in zip(alone, captives, strict=True)]
    bounds = [bound for bound, _ in bounded]
    searched = []
    for one, confined, (bound, fluid) in zip(alone, captives, bounded, strict=True):
        floors = [Floor(np.arange(len(one.hosts)), bound.cost), *(Floor(few.hosts, few.cost) for few in confined)]
        squeezed_by = fluid if known is None else None  # later rounds only mend
        searched.append(_search(one, confined, floors, squeezed_by, seed, effort, progress))
    found = list(_joined(problem, separate, searched))
    placements = [current_placement(fleet), *map(problem.placement, found)]
    if found and known is None:
        walled = _packed_tightly(problem, separate, captives)
        placements += _with_spare(needs, problem, found[0], walled, effort, seed)
    placements = [_with_standby(needs, objective, placement) for placement in placements]
    scored = [(evaluate(fleet, demands, placement, objective, needs), placement) for placement in placements]
    score, placement = min(scored, key=lambda one: one[0].key)
    if not score.feasible:
        left = [name for one in searched for name in one.left]
        raise _infeasible(needs, explain_unplaced(needs, left) if left else explain_broken(score))
    return Result(placement, score, add_bounds(bounds, kept), seed, effort, _add_costs(searched, kept))


@dataclass(frozen=True)
class _Searched:
    """What the search of one component came to."""

    ends: Sequence[NDArray[np.int64]]
    """Host of each item, in the placements found, the best first."""
    costs: Mapping[str, int]
    """Cost of each start; -1 where it left something unplaced."""
    left: Sequence[str]
    """Workloads without a place where no start found one for all."""


def _joined(
    problem: Problem, separate: Sequence[Component], searched: Sequence[_Searched]
) -> Iterator[NDArray[np.int64]]:
    """Host of each item of the whole: the best ends of all components together, then the next best, and so on."""
    for rank in range(max(len(one.ends) for one in searched)):
        ends = [one.ends[min(rank, len(one.ends) - 1)] for one in searched if one.ends]
        if len(ends) == len(searched):
            yield join(problem, list(zip(separate, ends, strict=True)))


def _packed_tightly(
    problem: Problem, separate: Sequence[Component], captives: Sequence[Sequence[Captives]]
) -> NDArray[np.bool_]:
    """Hosts of the whole whose number column generation has proved, shape (H,)."""
    hosts = np.zeros(len(problem.hosts), dtype=np.bool_)
    for component, confined in zip(separate, captives, strict=True):
        for few in confined:
            hosts[component.hosts[few.hosts]] = True
    return hosts


def _search(
    problem: Problem,
    captives: Sequence[Captives],
    floors: Floors,
    fluid: Fluid | None,
    seed: int,
    effort: Effort,
    progress: Progress,
) -> _Searched:
    """Build starts, empty hosts from the promising ones, and, with a fluid bound at hand, squeeze what gained most."""
    arrays = problem.arrays
    costs: dict[str, int] = {}
    states: list[tuple[int, int, State]] = []
    least_left: list[str] = []
    confined = dict(captive_starts(problem, captives))
    every = itertools.chain(starts(arrays, seed, effort.perturbed_starts), confined.items())
    for order, (name, state) in enumerate(every):
        placed = complete(arrays, state, seed, effort.patience)
        costs[name] = cost_of(arrays, state) if placed else -1
        left = [name for item in np.flatnonzero(state.host_of < 0) for name in problem.items[item]]
        if left and (not least_left or len(left) < len(least_left)):
            least_left = left
        if placed:
            states.append((costs[name], order, state))
            progress(name, min(cost for cost, _, _ in states))
    if not states:  # small problems with rules that hang together yield to trying everything
        tried = Placements(arrays, Budget(effort.patience * _NODES_PER_STEP))
        if tried.next() is Verdict.POSSIBLE:
            costs["every placement in turn"] = cost_of(arrays, tried.state)
            states.append((cost_of(arrays, tried.state), len(costs), tried.state))
    # The current placement is always searched from: it leads to the fewest moves. So are the captives' starts.
    ranked = sorted(states, key=lambda one: one[:2])
    always = {0, *(order for order, name in enumerate(costs) if name in confined)}
    promising = [one[2] for rank, one in enumerate(ranked) if rank < effort.searched_starts or one[1] in always]
    for state in promising:
        empty_hosts(arrays, state, seed, [QUICK], floors, progress)
    # Where nothing quick gains anything, nothing is squeezed: whoever solves an outcome again gets it back.
    least = min((cost_of(arrays, state) for state in promising), default=0)
    squeezing = fluid is not None and bool(promising) and not 0 <= costs["current placement"] <= least
    for state in () if squeezing else promising:  # squeezing would find what patience finds, and more
        empty_hosts(arrays, state, seed, [effort.patience], floors, progress)
    ends = [_ranked(arrays, settle(arrays, problem.kind, state)) for state in promising]
    if squeezing and fluid is not None:
        best = min(promising, key=lambda state: cost_of(arrays, state))
        _squeeze(arrays, best, floors, fluid, seed, effort, progress)
        if cost_of(arrays, best) < least:
            ends.append(_ranked(arrays, settle(arrays, problem.kind, best)))
    ends.sort(key=lambda end: end[:-1])
    return _Searched([end[-1] for end in ends], costs, [] if states else least_left)


def _squeeze(
    arrays: Arrays, state: State, floors: Floors, fluid: Fluid, seed: int, effort: Effort, progress: Progress
) -> None:
    """Close further hosts; where others would cost less, change to them and close further ones again."""
    squeeze_hosts(arrays, state, seed, effort.patience, floors, progress)
    if choose_hosts(arrays, state, fluid, seed, effort.patience, progress):
        squeeze_hosts(arrays, state, seed, effort.patience, floors, progress)


def _ranked(arrays: Arrays, state: State) -> tuple[int, int, int, NDArray[np.int64]]:
    """(cost, workloads moved, bytes moved, host of each item)."""
    return cost_of(arrays, state), *moved(arrays, state.host_of), state.host_of


def _add_costs(searched: Sequence[_Searched], kept: int) -> dict[str, int]:
    """Cost of each start over all components; -1 where it left something unplaced in one."""
    names = dict.fromkeys(name for one in searched for name in one.costs)
    costs = {name: [one.costs.get(name, -1) for one in searched] for name in names}
    return {name: -1 if -1 in each else sum(each) + kept for name, each in costs.items()}


def _infeasible(needs: Needs, otherwise: str) -> InfeasibleError:
    """The conflict where there is a proof of one; else what the search has to say."""
    conflict = find_conflict(needs.fleet, needs.demands)
    return (
        InfeasibleError(otherwise) if conflict is None else ConflictError(explain_conflict(needs, conflict), conflict)
    )


def _stay(needs: Needs, objective: Objective, seed: int, effort: Effort, bound: LowerBound) -> Result:
    """Nothing of known demand: everything stays."""
    placement = _with_standby(needs, objective, current_placement(needs.fleet))
    score = evaluate(needs.fleet, needs.demands, placement, objective, needs)
    if not score.feasible:
        raise _infeasible(needs, explain_broken(score))
    return Result(placement, score, bound, seed, effort, {})


def _with_spare(
    needs: Needs, problem: Problem, host_of: NDArray[np.int64], walled: NDArray[np.bool_], effort: Effort, seed: int
) -> list[Placement]:
    """A placement that survives every failure on the same hosts, where this one does not and one is found."""
    rules = [rule for rule in needs.fleet.rules if isinstance(rule, FailureReserve)]
    placement = problem.placement(host_of)
    if all(next(unrecovered(rule, needs, placement), None) is None for rule in rules):
        return []
    spare = keep_spare(problem, rules, host_of, walled, effort.patience, seed)
    return [] if spare is None else [problem.placement(spare)]


def _with_standby(needs: Needs, objective: Objective, placement: Placement) -> Placement:
    """Keep further hosts on, the most helpful and cheapest first, until every failure is survived."""
    fleet = needs.fleet
    rules = [rule for rule in fleet.rules if isinstance(rule, FailureReserve)]
    if not rules or not placement.assignments:
        return placement

    def lost(candidate: Placement) -> int:
        return sum(1 for rule in rules for _ in unrecovered(rule, needs, candidate))

    missing = lost(placement)
    while missing:
        spare: dict[tuple[object, ...], Host] = {}
        powered = placement.powered
        for host in fleet.hosts:
            if host.name not in powered:
                alike = (host.os, host.vendor, host.hypervisor, host.allocatable, opening_cost(host, objective))
                spare.setdefault(alike, host)
        trials = [(replace(placement, standby=placement.standby | {host.name}), host) for host in spare.values()]
        scored = [(lost(trial), opening_cost(host, objective), host.name, trial) for trial, host in trials]
        if not scored or min(scored, key=lambda one: one[:3])[0] >= missing:
            break
        missing, _, _, placement = min(scored, key=lambda one: one[:3])
    return placement
