"""Simulated annealing over shifts, swaps and chains: one sweep from hot to cold.

Two constraints of the problem make its landscape rugged, and both are made smooth while it is hot.

*Capacity* is a force, not a wall: a host may be overloaded at a cost per unit, so that what takes several steps (one
item in, three out) needs no step that does it all at once. The force on a capacity grows for as long as it is
exceeded and wanes when it is not, as the weights of clauses do in searches for satisfying assignments.

*Transient room* has a price: what leaves a host stays charged to it until all moves are done, so the room for
arrivals is a fixed budget, and a search that spends it early on small gains freezes. An item away from home pays for
its share of that budget, and the price falls to nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import inlined, kernel
from consolidate.solve.randomness import below, unit
from consolidate.solve.reassign.delta import crowded, host_change, move_change, take
from consolidate.solve.reassign.problem import Reassignment
from consolidate.solve.reassign.state import State

_SHIFT, _SWAP = 0.3, 0.3
"""Chances of a shift and of a swap; the rest are chains."""
_SHIFT_HOME, _CHAIN_HOME = 0.05, 0.3
"""Chances that what is shifted, or pushed out by a chain, goes home, which takes no transient room."""


MOST_FORCE = 1e4
"""The force on a capacity that is exceeded for long, in units of that on one that never was."""


class Climate(NamedTuple):
    """What a step is judged by, beside the cost."""

    temperature: float
    price: NDArray[np.float64]
    """(I + 1,): cost of an item's being away from home."""
    force: NDArray[np.int64]
    """(H, D): cost of each unit of load over a capacity."""


@inlined
def _toll(problem: Reassignment, climate: Climate, item: int, source: int, target: int) -> float:
    """Change of the price an item pays for being away."""
    home = problem.home[item]
    if home < 0:
        return 0.0
    return climate.price[item] * (np.int64(target != home) - np.int64(source != home))


@inlined
def _accept(loss: float, temperature: float, random: NDArray[np.uint64]) -> bool:
    """Metropolis."""
    if loss <= 0.0:
        return True
    if loss > 20.0 * temperature:
        return False
    return unit(random) < np.exp(-loss / temperature)


@inlined
def try_shift(
    problem: Reassignment, state: State, climate: Climate, item: int, target: int, random: NDArray[np.uint64]
) -> np.int64:
    """Move an item to a host if that may be and is accepted; the change of cost, 0 where nothing was done."""
    source, nothing = state.host_of[item], len(problem.home) - 1
    if source == target or crowded(problem, state, target, nothing, item):
        return np.int64(0)
    delta, overload = host_change(problem, state, climate.force, target, nothing, item)
    if overload > climate.temperature * 20.0 + climate.price[nothing] + problem.reach[item]:
        return np.int64(0)
    lighter, relief = host_change(problem, state, climate.force, source, item, nothing)
    delta += lighter + move_change(problem, item, source, target)
    overload += relief
    if not _accept(delta + overload + _toll(problem, climate, item, source, target), climate.temperature, random):
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
    delta, overload = host_change(problem, state, climate.force, middle, second, first)
    if overload > most:
        return np.int64(0)
    change, excess = host_change(problem, state, climate.force, target, follows, second)
    delta, overload = delta + change, overload + excess
    if overload > most:
        return np.int64(0)
    if not swap:
        change, excess = host_change(problem, state, climate.force, source, first, nothing)
        delta, overload = delta + change, overload + excess
    delta += move_change(problem, first, source, middle) + move_change(problem, second, middle, target)
    toll = _toll(problem, climate, first, source, middle) + _toll(problem, climate, second, middle, target)
    if not _accept(delta + overload + toll, climate.temperature, random):
        return np.int64(0)
    before = state.most_moved[0]
    if not take(problem, state, first, middle, second, target):
        return np.int64(0)
    return delta + problem.group_move_weight * (state.most_moved[0] - before)


@inlined
def _destination(problem: Reassignment, item: int, homeward: float, random: NDArray[np.uint64]) -> int:
    if problem.home[item] >= 0 and unit(random) < homeward:
        return int(problem.home[item])
    return below(random, len(problem.kind))


@kernel
def anneal(problem: Reassignment, state: State, climate: Climate, steps: int, random: NDArray[np.uint64]) -> np.int64:
    """Propose so many random steps; the change of cost."""
    total = np.int64(0)
    items = len(problem.home) - 1
    for _ in range(steps):
        kind = unit(random)
        item = below(random, items)
        if kind < _SHIFT:
            target = _destination(problem, item, _SHIFT_HOME, random)
            total += try_shift(problem, state, climate, item, target, random)
            continue
        other = below(random, items)
        swap = kind < _SHIFT + _SWAP
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
