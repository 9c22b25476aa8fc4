"""Ejections: put an item where it does not fit, and push out what costs least elsewhere until it pays or is given up.

A large item moves only if much goes out of its way at once, which no walk of single steps does once it is cold. It is
the "big process rearrangement" of Gavranović and Buljubašić's noisy local search (2016).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import inlined
from consolidate.solve.randomness import below
from consolidate.solve.reassign.climate import Climate, patience, toll
from consolidate.solve.reassign.delta import BARRED, crowded, host_change, may_ever_run, move_change, take
from consolidate.solve.reassign.problem import Reassignment
from consolidate.solve.reassign.state import State

_MOST_PUSHED = 16
"""Items that one ejection pushes out at most."""
_MOST_ON_TRAIL = 64
"""Items that any step moves at most."""
_LOOKS = 100
"""Hosts that are looked at for each item that may be pushed out."""


def new_trail() -> NDArray[np.int64]:
    """Room for the items that a step moves, to undo it by."""
    return np.zeros(_MOST_ON_TRAIL, dtype=np.int64)


def ejection_work(problem: Reassignment) -> float:
    """About how many cells one push looks at, an item passed by counted as one."""
    members = problem.items / problem.hosts
    return problem.items + 2 * members * min(problem.hosts, _LOOKS) * problem.demand.shape[1]


@inlined
def _loss(problem: Reassignment, state: State, climate: Climate, item: int, source: int, target: int) -> np.int64:
    """What moving an item costs its target and its owner, overload and all; `BARRED` where it may not go."""
    nothing = len(problem.home) - 1
    if not may_ever_run(problem, item, target) or crowded(problem, state, target, nothing, item):
        return BARRED
    delta, overload = host_change(problem, state, climate.force, target, nothing, item)
    if overload >= BARRED:
        return BARRED
    delta += overload + move_change(problem, item, source, target)
    return delta + np.int64(toll(problem, climate, item, source, target))


@inlined
def shift_item(
    problem: Reassignment, state: State, climate: Climate, item: int, target: int
) -> tuple[bool, np.int64, np.int64]:
    """Move an item; whether its groups allow it, the change of cost, and the loss with overload and price."""
    source, nothing, before = state.host_of[item], len(problem.home) - 1, state.most_moved[0]
    delta, overload = host_change(problem, state, climate.force, target, nothing, item)
    lighter, relief = host_change(problem, state, climate.force, source, item, nothing)
    delta += lighter + move_change(problem, item, source, target)
    if not take(problem, state, item, target, nothing, -1):
        return False, np.int64(0), np.int64(0)
    delta += problem.group_move_weight * (state.most_moved[0] - before)
    return True, delta, delta + overload + relief + np.int64(toll(problem, climate, item, source, target))


@inlined
def turn_back(problem: Reassignment, state: State, trail: NDArray[np.int64], moved: int, source: int) -> None:
    """Undo the steps of the first items of a trail, all of which were on one host."""
    for index in range(moved - 1, -1, -1):
        take(problem, state, trail[index], source, len(problem.home) - 1, -1)


@inlined
def _best_push(
    problem: Reassignment, state: State, climate: Climate, host: int, stays: int, random: NDArray[np.uint64]
) -> tuple[int, int]:
    """What to push off a host, and where to, that gains most; "no item" where nothing gains."""
    nothing, hosts = len(problem.home) - 1, len(problem.kind)
    least, pushed, to = np.int64(0), nothing, -1
    for item in range(nothing):
        if state.host_of[item] != host or item == stays:
            continue
        lighter, relief = host_change(problem, state, climate.force, host, item, nothing)
        gain = lighter + relief
        if gain >= least:
            continue
        first = below(random, hosts)
        for look in range(min(hosts, _LOOKS)):
            target = (first + look) % hosts
            if target == host:
                continue
            loss = gain + _loss(problem, state, climate, item, host, target)
            if loss < least:
                least, pushed, to = loss, item, target
    return pushed, to


@inlined
def try_ejection(
    problem: Reassignment,
    state: State,
    climate: Climate,
    step: tuple[int, int],
    random: NDArray[np.uint64],
    trail: NDArray[np.int64],
) -> np.int64:
    """Force an item onto a host and push others off it; the change of cost, 0 where nothing came of it."""
    item, target = step
    source, nothing = state.host_of[item], len(problem.home) - 1
    if source == target or _loss(problem, state, climate, item, source, target) >= BARRED:
        return np.int64(0)
    done, delta, loss = shift_item(problem, state, climate, item, target)
    if not done:
        return np.int64(0)
    pushes = 0
    while pushes < _MOST_PUSHED:
        pushed, to = _best_push(problem, state, climate, target, item, random)
        if pushed == nothing:
            break
        done, change, worse = shift_item(problem, state, climate, pushed, to)
        if not done:
            break
        trail[pushes] = pushed
        delta, loss, pushes = delta + change, loss + worse, pushes + 1
    if loss <= patience(climate.temperature, random):
        return delta
    turn_back(problem, state, trail, pushes, target)
    take(problem, state, item, source, nothing, -1)
    return np.int64(0)
