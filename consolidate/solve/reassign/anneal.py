"""Simulated annealing over shifts, swaps, chains, ejections and relocations: one sweep from hot to cold.

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
from consolidate.solve.reassign.climate import MOST_FORCE, Climate, patience, toll
from consolidate.solve.reassign.delta import crowded, host_change, may_ever_run, move_change, take
from consolidate.solve.reassign.eject import new_trail, try_ejection
from consolidate.solve.reassign.problem import Reassignment
from consolidate.solve.reassign.relocate import try_relocation
from consolidate.solve.reassign.state import Roster, State

_SHIFT, _SWAP = 0.3, 0.3
"""Chances of a shift and of a swap; the rest are chains."""
_LIKE, _ALIKE = 0.5, 0.1
"""Chance that what an item changes places with is about as large, and how far from it in the order of sizes."""
_TRIES = 16
"""Draws for each host or item of a step before one is taken that cannot be."""
_SHIFT_HOME, _CHAIN_HOME = 0.05, 0.3
"""Chances that what is shifted, or pushed out by a chain, goes home, which takes no transient room."""


class Scratch(NamedTuple):
    """Room to work in."""

    trail: NDArray[np.int64]
    """Items that a step of many moves."""
    relief: NDArray[np.int64]
    """(I, 2): change of its host's cost and overload if an item left, where it was last worked out."""
    known: NDArray[np.int64]
    """(I,): the version of the host it was worked out for."""


def new_scratch(problem: Reassignment) -> Scratch:
    """Room to work in."""
    return Scratch(
        new_trail(), np.zeros((problem.items, 2), dtype=np.int64), np.full(problem.items, -1, dtype=np.int64)
    )


@inlined
def _relief(
    problem: Reassignment, state: State, climate: Climate, scratch: Scratch, item: int
) -> tuple[np.int64, np.int64]:
    """Change of its host's cost and overload if an item left: kept for as long as nothing comes or goes there."""
    host = state.host_of[item]
    if scratch.known[item] != state.version[host]:
        lighter, relief = host_change(problem, state, climate.force, host, item, len(problem.home) - 1)
        scratch.relief[item, 0], scratch.relief[item, 1] = lighter, relief
        scratch.known[item] = state.version[host]
    return scratch.relief[item, 0], scratch.relief[item, 1]


@inlined
def try_shift(
    problem: Reassignment,
    state: State,
    climate: Climate,
    step: tuple[int, int],
    random: NDArray[np.uint64],
    scratch: Scratch,
) -> np.int64:
    """Move an item to a host if that may be and is accepted; the change of cost, 0 where nothing was done."""
    item, target = step
    source, nothing = state.host_of[item], len(problem.home) - 1
    if source == target or crowded(problem, state, target, nothing, item):
        return np.int64(0)
    lighter, relief = _relief(problem, state, climate, scratch, item)
    move = lighter + move_change(problem, item, source, target)
    most = patience(climate.temperature, random) - move - relief - toll(problem, climate, item, source, target)
    delta, overload = host_change(problem, state, climate.force, target, nothing, item, most)
    if delta + overload > most:
        return np.int64(0)
    before = state.most_moved[0]
    if not take(problem, state, item, target, nothing, -1):
        return np.int64(0)
    return delta + move + problem.group_move_weight * (state.most_moved[0] - before)


@inlined
def try_exchange(
    problem: Reassignment,
    state: State,
    climate: Climate,
    step: tuple[int, int, int],
    random: NDArray[np.uint64],
    scratch: Scratch,
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
    lighter, relief = _relief(problem, state, climate, scratch, first)
    delta = move_change(problem, first, source, middle) + move_change(problem, second, middle, target)
    most = patience(climate.temperature, random) - delta
    most -= toll(problem, climate, first, source, middle) + toll(problem, climate, second, middle, target)
    gained = lighter + relief  # at most, as what comes to a host costs something there
    if len(problem.balance) > 0:  # but balance it may mend
        gained = relief - np.int64(problem.reach[first] + problem.reach[second])
    change, overload = host_change(problem, state, climate.force, middle, second, first, most - gained)
    if change + overload > most - gained:
        return np.int64(0)
    delta, most = delta + change, most - change - overload
    if not swap:
        delta, most = delta + lighter, most - lighter - relief
    change, overload = host_change(problem, state, climate.force, target, follows, second, most)
    if change + overload > most:
        return np.int64(0)
    before = state.most_moved[0]
    if not take(problem, state, first, middle, second, target):
        return np.int64(0)
    return delta + change + problem.group_move_weight * (state.most_moved[0] - before)


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
def _like(roster: Roster, item: int, random: NDArray[np.uint64]) -> int:
    """An item of about the same size."""
    items = len(roster.rank)
    reach = int(items * _ALIKE) + 1
    return int(roster.by_size[min(max(roster.rank[item] + below(random, 2 * reach + 1) - reach, 0), items - 1)])


@inlined
def _partner(
    problem: Reassignment, state: State, roster: Roster, item: int, swap: bool, random: NDArray[np.uint64]
) -> int:
    """An item in whose place another may run, and in a swap also the other way round; as often as not one like it."""
    source, other, like = state.host_of[item], item, unit(random) < _LIKE
    for _ in range(_TRIES):
        other = _like(roster, item, random) if like else _any(roster, random)
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
    scratch: Scratch,
) -> np.int64:
    """Propose so many random steps; the change of cost."""
    total = np.int64(0)
    scratch.known[:] = -1  # in another climate
    for _ in range(steps):
        kind = unit(random)
        if kind < climate.ejection:
            item = _large(problem, random)
            target = _destination(problem, item, 0.0, random)
            total += try_ejection(problem, state, climate, (item, target), random, scratch.trail)
            continue
        item = _any(roster, random)
        if kind < climate.ejection + climate.relocation:
            total += try_relocation(problem, state, climate, state.host_of[item], random, scratch.trail)
            continue
        kind = unit(random)
        if kind < _SHIFT:
            target = _destination(problem, item, _SHIFT_HOME, random)
            total += try_shift(problem, state, climate, (item, target), random, scratch)
            continue
        swap = kind < _SHIFT + _SWAP
        other = _partner(problem, state, roster, item, swap, random)
        target = int(state.host_of[item]) if swap else _destination(problem, other, _CHAIN_HOME, random)
        total += try_exchange(problem, state, climate, (item, other, target), random, scratch)
    return total


@kernel
def press(problem: Reassignment, state: State, force: NDArray[np.float64], growth: float, decay: float) -> bool:
    """Raise the force where a capacity is exceeded, let it wane elsewhere; whether any is exceeded."""
    exceeded = False
    for host in range(len(problem.kind)):
        for cell in range(problem.demand.shape[1]):
            if state.room[host, cell] < 0:
                exceeded = True
                force[host, cell] = min(force[host, cell] * growth, MOST_FORCE)
            else:
                force[host, cell] = max(force[host, cell] * decay, 1.0)
    return exceeded
