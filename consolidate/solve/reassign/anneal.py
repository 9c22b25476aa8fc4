"""Simulated annealing over shifts, swaps, chains and ejections: one sweep from hot to cold.

Two constraints of the problem make its landscape rugged, and both are made smooth while it is hot.

*Capacity* is a force, not a wall: a host may be overloaded at a cost per unit, so that what takes several steps (one
item in, three out) needs no step that does it all at once. The force on a capacity grows for as long as it is
exceeded and wanes when it is not, as the weights of clauses do in searches for satisfying assignments.

*Transient room* has a price: what leaves a host stays charged to it until all moves are done, so the room for
arrivals is a fixed budget, and a search that spends it early on small gains freezes. An item away from home pays for
its share of that budget, and the price falls to nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import inlined, kernel
from consolidate.solve.randomness import below, unit
from consolidate.solve.reassign.climate import MOST_FORCE, Climate, accept, toll
from consolidate.solve.reassign.delta import crowded, host_change, may_ever_run, move_change, take
from consolidate.solve.reassign.eject import try_ejection
from consolidate.solve.reassign.problem import Reassignment
from consolidate.solve.reassign.state import Roster, State

_SHIFT, _SWAP = 0.3, 0.3
"""Chances of a shift and of a swap; the rest are chains."""
_TRIES = 16
"""Draws for each host or item of a step before one is taken that cannot be."""
_SHIFT_HOME, _CHAIN_HOME = 0.05, 0.3
"""Chances that what is shifted, or pushed out by a chain, goes home, which takes no transient room."""


@inlined
def try_shift(
    problem: Reassignment, state: State, climate: Climate, item: int, target: int, random: NDArray[np.uint64]
) -> np.int64:
    """Move an item to a host if that may be and is accepted; the change of cost, 0 where nothing was done."""
    source, nothing = state.host_of[item], len(problem.home) - 1
    if source == target or crowded(problem, state, target, nothing, item):
        return np.int64(0)
    most = climate.temperature * 20.0 + climate.price[nothing] + problem.reach[item]
    delta, overload = host_change(problem, state, climate.force, target, nothing, item, most)
    if overload > most:
        return np.int64(0)
    lighter, relief = host_change(problem, state, climate.force, source, item, nothing)
    delta += lighter + move_change(problem, item, source, target)
    overload += relief
    if not accept(delta + overload + toll(problem, climate, item, source, target), climate.temperature, random):
        return np.int64(0)
    before = state.most_moved[0]
    if not take(problem, state, item, target, nothing, -1):
        return np.int64(0)
    return delta + problem.group_move_weight * (state.most_moved[0] - before)


@inlined
def try_exchange(
    problem: Reassignment,
    state: State,
    climate: Climate,
    step: tuple[int, int, int],
    random: NDArray[np.uint64],
) -> np.int64:
    """Put one item in the place of another, which goes to a third host, or in the place of the first (a swap)."""
    first, second, target = step
    source, middle, nothing = state.host_of[first], state.host_of[second], len(problem.home) - 1
    if source == middle or target == middle:
        return np.int64(0)
    swap = source == target
    follows = first if swap else nothing
    if crowded(problem, state, middle, second, first) or crowded(problem, state, target, follows, second):
        return np.int64(0)
    most = climate.temperature * 20.0 + climate.price[nothing] + problem.reach[first] + problem.reach[second]
    delta, overload = host_change(problem, state, climate.force, middle, second, first, most)
    if overload > most:
        return np.int64(0)
    change, excess = host_change(problem, state, climate.force, target, follows, second, most - overload)
    delta, overload = delta + change, overload + excess
    if overload > most:
        return np.int64(0)
    if not swap:
        change, excess = host_change(problem, state, climate.force, source, first, nothing)
        delta, overload = delta + change, overload + excess
    delta += move_change(problem, first, source, middle) + move_change(problem, second, middle, target)
    price = toll(problem, climate, first, source, middle) + toll(problem, climate, second, middle, target)
    if not accept(delta + overload + price, climate.temperature, random):
        return np.int64(0)
    before = state.most_moved[0]
    if not take(problem, state, first, middle, second, target):
        return np.int64(0)
    return delta + problem.group_move_weight * (state.most_moved[0] - before)


@inlined
def _destination(problem: Reassignment, item: int, homeward: float, random: NDArray[np.uint64]) -> int:
    """A host where an item may run, or where it runs already, which stands for none."""
    if problem.home[item] >= 0 and unit(random) < homeward:
        return int(problem.home[item])
    target = 0
    for _ in range(_TRIES):
        target = below(random, len(problem.kind))
        if may_ever_run(problem, item, target):
            break
    return target


@inlined
def _any(roster: Roster, random: NDArray[np.uint64]) -> int:
    """An item of any list; any item where that is empty."""
    one = below(random, len(roster.start) - 1)
    first, last = roster.start[one], roster.start[one + 1]
    return int(roster.item[first + below(random, last - first)] if first < last else below(random, len(roster.item)))


@inlined
def _partner(
    problem: Reassignment, state: State, roster: Roster, item: int, swap: bool, random: NDArray[np.uint64]
) -> int:
    """An item in whose place another may run, and in a swap also the other way round."""
    source, other = state.host_of[item], item
    for _ in range(_TRIES):
        other = _any(roster, random)
        middle = state.host_of[other]
        able = middle != source and may_ever_run(problem, item, middle)
        if able and (not swap or may_ever_run(problem, other, source)):
            break
    return other


@inlined
def _large(problem: Reassignment, random: NDArray[np.uint64]) -> int:
    """An item, rather a large one."""
    item = below(random, len(problem.home) - 1)
    for _ in range(2):
        other = below(random, len(problem.home) - 1)
        if problem.reach[other] > problem.reach[item]:
            item = other
    return item


@kernel
def anneal(
    problem: Reassignment,
    state: State,
    climate: Climate,
    steps: int,
    random: NDArray[np.uint64],
    roster: Roster,
    trail: NDArray[np.int64],
) -> np.int64:
    """Propose so many random steps; the change of cost.

    ``trail`` is room to work in (`new_trail`).
    """
    total = np.int64(0)
    for _ in range(steps):
        if unit(random) < climate.ejection:
            item = _large(problem, random)
            target = _destination(problem, item, 0.0, random)
            total += try_ejection(problem, state, climate, (item, target), random, trail)
            continue
        kind = unit(random)
        item = _any(roster, random)
        if kind < _SHIFT:
            target = _destination(problem, item, _SHIFT_HOME, random)
            total += try_shift(problem, state, climate, item, target, random)
            continue
        swap = kind < _SHIFT + _SWAP
        other = _partner(problem, state, roster, item, swap, random)
        target = int(state.host_of[item]) if swap else _destination(problem, other, _CHAIN_HOME, random)
        total += try_exchange(problem, state, climate, (item, other, target), random)
    return total


@kernel
def press(problem: Reassignment, state: State, force: NDArray[np.float64], growth: float, decay: float) -> bool:
    """Raise the force where a capacity is exceeded, let it wane elsewhere; whether any is exceeded."""
    exceeded = False
    for host in range(len(problem.kind)):
        for cell in range(problem.demand.shape[1]):
            if state.charged[host, cell] > problem.capacity[host, cell]:
                exceeded = True
                force[host, cell] = min(force[host, cell] * growth, MOST_FORCE)
            else:
                force[host, cell] = max(force[host, cell] * decay, 1.0)
    return exceeded
