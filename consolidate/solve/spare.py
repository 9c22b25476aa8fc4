"""Room for what a failed host leaves behind, on a host that is on anyway instead of on a further one.

One host takes none of the workloads that must survive, and keeps as much room as any other host may have of them: any
loss then fits there. To the search that is two things it knows already: less capacity there, and everywhere a bound
on the sum of those workloads' demands, as further dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from consolidate.model.rules import FailureReserve
from consolidate.solve.kernels import empty_state, place
from consolidate.solve.problem import Arrays, Problem
from consolidate.solve.search import TRIES, Try, first_to_fit, settle, steps_of

_PATIENCE = 2
"""Times as many steps as for closing a host: there is more to keep."""
_EVENLY = 2
"""A host may have so many times the workloads' even share, or the largest of them where that is more."""


def keep_spare(
    problem: Problem,
    rules: Sequence[FailureReserve],
    host_of: NDArray[np.int64],
    walled: NDArray[np.bool_],
    patience: int,
    seed: int,
) -> NDArray[np.int64] | None:
    """Host of each item, on the hosts that are on, such that any loss fits on one of them; None where none is found.

    ``walled`` hosts, shape (H,), are packed as tightly as can be and never overfull on the way. What is found still has
    to be judged: whether the workloads can run on that host at all is not looked at.
    """
    arrays = problem.arrays
    on = arrays.forced.copy()
    on[host_of] = True
    members = [items for items in (_members(problem, rule) for rule in rules) if len(items)]
    if not members:  # all of them of unknown demand
        return None
    candidates = np.flatnonzero(on & ~walled & ~arrays.forced)
    taken = np.bincount(host_of[np.concatenate(members)], minlength=len(on))[candidates]
    room = (arrays.capacity[candidates] * arrays.weight).sum(axis=1)
    tries = []
    for spare in candidates[np.lexsort((-room, taken))][:TRIES].tolist():  # who holds least of it has least to give up
        reserved = _reserving(arrays, members, spare, int(on.sum()))
        state = empty_state(reserved)
        for item, host in enumerate(host_of.tolist()):
            place(reserved, state, item, host)
        tries.append(Try(reserved, state, on))
    fit = first_to_fit(tries, walled, _PATIENCE * steps_of(arrays, patience), seed)
    return settle(fit.arrays, problem.kind, fit.state).host_of if fit is not None else None


def _members(problem: Problem, rule: FailureReserve) -> NDArray[np.int64]:
    """Items with a workload of the rule."""
    names = frozenset(rule.workloads)
    return np.array([index for index, one in enumerate(problem.items) if not names.isdisjoint(one)], dtype=np.int64)


def _reserving(arrays: Arrays, members: Sequence[NDArray[np.int64]], spare: int, hosts: int) -> Arrays:
    """The arrays with, for each rule, its members' demands as further dimensions, bounded on every host."""
    rows = arrays.capacity.shape[1]
    demands, capacities, kept = [arrays.demand], [arrays.capacity], np.zeros(rows, dtype=np.int64)
    for items in members:
        variants = np.unique(arrays.variant[items])
        variants = variants[variants >= 0]
        own = np.zeros_like(arrays.demand)
        own[variants] = arrays.demand[variants]
        peaks = np.array([arrays.peak[np.unique(one[one >= 0])].max(axis=0) for one in arrays.variant[items]])
        most = np.maximum(peaks.max(axis=0, initial=0), _EVENLY * peaks.sum(axis=0) // hosts)
        bound = np.repeat(most[None], len(arrays.capacity), axis=0)
        bound[spare] = 0
        demands.append(own)
        capacities.append(bound)
        kept = np.maximum(kept, most)
    capacity = np.concatenate(capacities, axis=1)
    capacity[spare, :rows] = np.maximum(capacity[spare, :rows] - kept, 0)
    demand = np.concatenate(demands, axis=1)
    further = demand.shape[1] - rows
    return arrays._replace(
        demand=demand,
        peak=demand.max(axis=2, initial=0),
        peak_slot=demand.argmax(axis=2).astype(np.int64),
        shape=np.pad(arrays.shape, ((0, 0), (0, further), (0, 0))),
        capacity=capacity,
        weight=np.pad(arrays.weight, (0, further)),
    )
