"""From a fleet and its demand to a placement with a proof of how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from consolidate.errors import InfeasibleError
from consolidate.model.demand import Demands
from consolidate.model.fleet import Fleet, Host
from consolidate.model.isolation import choose_isolation
from consolidate.model.placement import Assignment, Placement, carry_out, current_placement
from consolidate.model.policy import Objective
from consolidate.model.rules import FailureReserve
from consolidate.solve.bounds import LowerBound, lower_bound
from consolidate.solve.construct import starts
from consolidate.solve.evaluate import Score, evaluate, opening_cost
from consolidate.solve.failover import unrecovered
from consolidate.solve.kernels import State, go_home
from consolidate.solve.loads import Needs
from consolidate.solve.problem import Problem, compile_problem
from consolidate.solve.search import Progress, complete, cost_of, empty_hosts, swap_equals
from consolidate.solve.shortage import explain_broken, explain_unplaced

_ROUNDS = 5
"""Times a result is solved again as the start of the next."""


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
        InfeasibleError: where no placement was found that keeps the rules; says what is missing.

    """
    effort = effort or Effort()
    best = _solve_once(fleet, demands, objective, seed, effort, progress)
    for _ in range(_ROUNDS):
        after, demands_after = carry_out(fleet, demands, best.placement)
        again = _solve_once(after, demands_after, objective, seed, effort, progress)
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
    fleet: Fleet, demands: Demands, objective: Objective, seed: int, effort: Effort, progress: Progress
) -> Result:
    needs = Needs(fleet, demands)
    problem = compile_problem(needs, objective)
    if not problem.items:
        return _stay(fleet, demands, objective, seed, effort, lower_bound(problem))
    _refuse_impossible(problem)
    progress("lower bound", 0)
    bound = lower_bound(problem)
    statistics: dict[str, int] = {}
    states: list[tuple[int, int, State]] = []
    least_left: list[str] = []
    for order, (name, state) in enumerate(starts(problem.arrays, seed, effort.perturbed_starts)):
        placed = complete(problem.arrays, state, seed, effort.patience)
        statistics[name] = cost_of(problem.arrays, state) if placed else -1
        left = [name for item in np.flatnonzero(state.host_of < 0) for name in problem.items[item]]
        if left and (not least_left or len(left) < len(least_left)):
            least_left = left
        if placed:
            states.append((statistics[name], order, state))
            progress(name, min(cost for cost, _, _ in states))
    placements = [current_placement(fleet)]
    # The current placement is always searched from: it leads to the fewest moves.
    promising = sorted(states, key=lambda one: one[:2])[: effort.searched_starts]
    promising += [one for one in states if one[1] == 0 and one not in promising]
    for _, _, start in promising:
        state = start
        empty_hosts(problem.arrays, state, seed, effort.patience, bound.cost, progress)
        state = swap_equals(problem.arrays, problem.kind, state)
        go_home(problem.arrays, state)
        placements.append(problem.placement(state.host_of))
    placements = [_with_standby(needs, objective, placement) for placement in placements]
    scored = [(evaluate(fleet, demands, placement, objective, needs), placement) for placement in placements]
    score, placement = min(scored, key=lambda one: one[0].key)
    if not score.feasible:
        raise InfeasibleError(explain_unplaced(needs, least_left) if least_left else explain_broken(score))
    return Result(placement, score, bound, seed, effort, statistics)


def _stay(fleet: Fleet, demands: Demands, objective: Objective, seed: int, effort: Effort, bound: LowerBound) -> Result:
    """Nothing of known demand: everything stays."""
    placement = _with_standby(Needs(fleet, demands), objective, current_placement(fleet))
    score = evaluate(fleet, demands, placement, objective)
    if not score.feasible:
        raise InfeasibleError(explain_broken(score))
    return Result(placement, score, bound, seed, effort, {})


def _refuse_impossible(problem: Problem) -> None:
    nowhere = np.flatnonzero((problem.arrays.variant < 0).all(axis=1))
    if len(nowhere):
        names = ", ".join(problem.items[int(nowhere[0])])
        raise InfeasibleError(
            f"{names} can run on no host: its pins, bans, affinities and whether it may move leave none that shares "
            "its kernel or offers it a virtual machine; relax one of them, allow another isolation, or add such a host"
        )


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
                alike = (host.os, host.vendor, host.hypervisor, host.capacity, opening_cost(host, objective))
                spare.setdefault(alike, host)
        trials = [(replace(placement, standby=placement.standby | {host.name}), host) for host in spare.values()]
        scored = [(lost(trial), opening_cost(host, objective), host.name, trial) for trial, host in trials]
        if not scored or min(scored, key=lambda one: one[:3])[0] >= missing:
            break
        missing, _, _, placement = min(scored, key=lambda one: one[:3])
    return placement
