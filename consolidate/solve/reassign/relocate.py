"""Relocations: everything on one host goes to another that is empty.

Where hosts cost differently for being on, a cheaper one that would do is out of reach of single steps: the first item
to go there pays for all of it, and the last to leave gives the other back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import inlined
from consolidate.solve.randomness import below
from consolidate.solve.reassign.climate import Climate, patience
from consolidate.solve.reassign.eject import shift_item, turn_back
from consolidate.solve.reassign.problem import Reassignment
from consolidate.solve.reassign.state import State

_TRIES = 8
"""Draws for a host that is empty."""


@inlined
def _empty_host(problem: Reassignment, state: State, random: NDArray[np.uint64]) -> int:
    """A host with nothing on it, or -1."""
    for _ in range(_TRIES):
        host = below(random, len(problem.kind))
        if state.occupancy[host] == 0:
            return int(host)
    return -1


@inlined
def _least_loss(problem: Reassignment, state: State, climate: Climate, source: int, target: int) -> np.int64:
    """What a relocation loses at least, without looking at items: the difference of both hosts and of what is over.

    Gains by curve, balance or coming home are left out, so steps that only these would pay for are not taken.
    """
    loss = problem.opening[target] - problem.opening[source]
    alike = problem.kind[source] == problem.kind[target]  # else what runs there may take less
    for cell in range(problem.demand.shape[1]):
        loss += climate.force[source, cell] * min(state.room[source, cell], 0)
        if alike:
            over = state.load[source, cell] - problem.capacity[target, cell]
            loss += climate.force[target, cell] * max(over, 0)
    return loss


@inlined
def try_relocation(
    problem: Reassignment,
    state: State,
    climate: Climate,
    source: int,
    random: NDArray[np.uint64],
    trail: NDArray[np.int64],
) -> np.int64:
    """Move all that is on a host to a random empty one; the change of cost, 0 where nothing came of it."""
    target, members = _empty_host(problem, state, random), state.occupancy[source]
    if target < 0 or members > len(trail):
        return np.int64(0)
    most = patience(climate.temperature, random)
    if _least_loss(problem, state, climate, source, target) > most:
        return np.int64(0)
    delta, loss, moved = np.int64(0), np.int64(0), 0
    for item in range(len(problem.home) - 1):
        if state.host_of[item] != source:
            continue
        done, change, worse = shift_item(problem, state, climate, item, target)
        if not done:
            break
        trail[moved] = item
        delta, loss, moved = delta + change, loss + worse, moved + 1
        if moved == members:
            break
    if moved == members and loss <= most:
        return delta
    turn_back(problem, state, trail, moved, source)
    return np.int64(0)
