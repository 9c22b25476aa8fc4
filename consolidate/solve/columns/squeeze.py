"""Fewer bins by way of overfull ones: simulated annealing takes what is above capacity to nothing.

The search of `consolidate.solve.squeeze` for bins instead of hosts. It packs hundreds of items well long before column
generation does, and what it finds are patterns for that.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.columns.instance import Instance, Packing, Pattern, ShouldStop, cost_of
from consolidate.solve.compiled import inlined, kernel
from consolidate.solve.randomness import below, seeded, unit

NONE = -1
_HOT, _COLD = 0.005, 0.0002
"""Temperatures at the start and the end, in bins' worth of a cell above capacity; from sweeps."""
_FOCUSED = 0.75
"""Share of steps that start from an overfull bin."""
_TRIES = 30
"""Copies looked at for one in an overfull bin."""
_SWAPPED = 0.5
"""Share of steps that swap two copies; the others shift one."""
_FIRST_STEPS = 400
"""Steps of the first try for each copy of an item; a failed one is followed by one of twice as many."""


class Bins(NamedTuple):
    """B bins of K kinds, and U copies of N items in them; R rows are the cells and then the groups."""

    demand: NDArray[np.int64]
    """(K, N, R)"""
    allowed: NDArray[np.bool_]
    """(K, N)"""
    capacity: NDArray[np.int64]
    """(K, R)"""
    kind: NDArray[np.int64]
    """(B,)"""
    item: NDArray[np.int64]
    """(U,)"""
    bin_of: NDArray[np.int64]
    """(U,): B stands for the bin that was closed."""
    load: NDArray[np.int64]
    """(B, R)"""
    over: NDArray[np.float64]
    """(B,): what is above capacity, in shares of it, summed over rows."""


def squeeze(
    instance: Instance, packing: Packing, bound: int, steps: int, seed: int, should_stop: ShouldStop
) -> Packing:
    """Close bin after bin, until the bound is met or all ``steps`` are used; the best packing that was found."""
    random = np.array([seeded(seed)], dtype=np.uint64)
    of_try = _FIRST_STEPS * int(instance.copies.sum())
    while len(packing) > 1 and cost_of(instance, packing) > bound and steps > 0 and not should_stop():
        steps -= of_try
        bins = _close_one(instance, packing, below(random, len(packing)))
        if _reopen(bins, random) and _anneal(bins, of_try, random):
            inside = [bins.item[bins.bin_of == number].tolist() for number in range(len(bins.kind))]
            packing = tuple(Pattern(int(bins.kind[n]), tuple(sorted(items))) for n, items in enumerate(inside) if items)
        else:
            of_try *= 2
    return packing


def _close_one(instance: Instance, packing: Packing, closed: int) -> Bins:
    """The bins of a packing without one of them, whose copies are nowhere yet."""
    order = (*packing[:closed], *packing[closed + 1 :], packing[closed])
    kinds, groups = len(instance.cost), instance.group.shape[1]
    members = np.broadcast_to(instance.group, (kinds, *instance.group.shape))
    most = np.broadcast_to(instance.group_bound, (kinds, groups))
    capacity = np.concatenate([instance.capacity, most], axis=1)
    return Bins(
        demand=np.concatenate([instance.demand, members], axis=2),
        allowed=instance.allowed,
        capacity=capacity,
        kind=np.array([pattern.kind for pattern in order[:-1]], dtype=np.int64),
        item=np.array([item for pattern in order for item in pattern.items], dtype=np.int64),
        bin_of=np.repeat(np.arange(len(order)), [len(pattern.items) for pattern in order]),
        load=np.zeros((len(order) - 1, capacity.shape[1]), dtype=np.int64),
        over=np.zeros(len(order) - 1),
    )


@kernel
def _reopen(bins: Bins, random: NDArray[np.uint64]) -> bool:
    """Put the copies that are nowhere into any bins, and add everything up; False where one is allowed in none."""
    count = len(bins.kind)
    for copy in range(len(bins.item)):
        item = bins.item[copy]
        if bins.bin_of[copy] == count:
            bins.bin_of[copy] = below(random, count)
            for _ in range(count):
                if bins.allowed[bins.kind[bins.bin_of[copy]], item]:
                    break
                bins.bin_of[copy] = (bins.bin_of[copy] + 1) % count
        one = bins.bin_of[copy]
        if not bins.allowed[bins.kind[one], item]:
            return False
        _add(bins, one, item, 1)
    for one in range(count):
        bins.over[one] = _above(bins, one, NONE, NONE)
    return True


@kernel
def _anneal(bins: Bins, steps: int, random: NDArray[np.uint64]) -> bool:
    """Shift and swap until no bin is overfull; False where that is not reached within so many steps."""
    overfull = 0
    for one in range(len(bins.kind)):
        overfull += bins.over[one] > 0
    for step in range(steps):
        if overfull == 0:
            return True
        heat = _HOT * (_COLD / _HOT) ** (step / steps)
        copy, other, target = _propose(bins, random)
        source, mine = bins.bin_of[copy], bins.item[copy]
        theirs = bins.item[other] if other != NONE else NONE
        if not _may(bins, source, target, mine, theirs):
            continue
        most = bins.over[source] + bins.over[target] - heat * np.log(unit(random))
        reached = _above(bins, target, mine, theirs)
        left = _above(bins, source, theirs, mine) if reached <= most else np.inf
        if reached + left > most:
            continue
        _exchange(bins, source, target, mine, theirs)
        bins.bin_of[copy] = target
        if other != NONE:
            bins.bin_of[other] = source
        overfull += (left > 0) - (bins.over[source] > 0) + (reached > 0) - (bins.over[target] > 0)
        bins.over[source], bins.over[target] = left, reached
    return False


@inlined
def _propose(bins: Bins, random: NDArray[np.uint64]) -> tuple[int, int, int]:
    """A copy, the one it is swapped with (or NONE), and the bin it goes to."""
    copy = below(random, len(bins.item))
    if unit(random) < _FOCUSED:
        for _ in range(_TRIES):
            if bins.over[bins.bin_of[copy]] > 0:
                break
            copy = below(random, len(bins.item))
    if unit(random) < _SWAPPED:
        other = below(random, len(bins.item))
        return copy, other, int(bins.bin_of[other])
    return copy, NONE, below(random, len(bins.kind))


@inlined
def _may(bins: Bins, source: int, target: int, mine: int, theirs: int) -> bool:
    """Whether an exchange changes something, and each bin allows what comes to it."""
    if source == target or mine == theirs or not bins.allowed[bins.kind[target], mine]:
        return False
    return theirs == NONE or bool(bins.allowed[bins.kind[source], theirs])


@inlined
def _exchange(bins: Bins, source: int, target: int, mine: int, theirs: int) -> None:
    """Change the loads."""
    _add(bins, source, mine, -1)
    _add(bins, target, mine, 1)
    if theirs != NONE:
        _add(bins, target, theirs, -1)
        _add(bins, source, theirs, 1)


@inlined
def _add(bins: Bins, one: int, item: int, times: int) -> None:
    """Change a bin's load by an item."""
    for row in range(bins.load.shape[1]):
        bins.load[one, row] += times * bins.demand[bins.kind[one], item, row]


@inlined
def _above(bins: Bins, one: int, coming: int, going: int) -> float:
    """What is above a bin's capacity once one item has come and another has left."""
    above, kind = 0.0, bins.kind[one]
    for row in range(bins.load.shape[1]):
        total = bins.load[one, row] - bins.capacity[kind, row]
        if coming != NONE:
            total += bins.demand[kind, coming, row]
        if going != NONE:
            total -= bins.demand[kind, going, row]
        if total > 0:
            above += total / max(bins.capacity[kind, row], 1)
    return above
