"""Compiled inner loops of pricing and of construction. Integers wherever a bound depends on it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

SHARE = np.int64(1) << 20
"""A bin's capacity in one cell, in surrogate weights."""
BRANCHES = 64
"""Times the nodes of one branch that a whole search may use."""
DOT, NORM = range(2)
"""How an item is liked: demand · room left, or little distance from it (L2)."""


class Knapsack(NamedTuple):
    """One kind of bin as the kernel sees it: N items, D cells, G groups."""

    demand: NDArray[np.int64]
    """(N, D)"""
    capacity: NDArray[np.int64]
    """(D,)"""
    share: NDArray[np.int64]
    """(N, D): demand in parts of `SHARE` of the capacity, rounded down, so that what fits has a sum that fits."""
    apart: NDArray[np.bool_]
    """(N, N): pairs that share no bin."""
    group: NDArray[np.int64]
    """(N, G)"""
    group_bound: NDArray[np.int64]
    """(G,)"""
    allowed: NDArray[np.bool_]
    """(N,)"""
    monotone: bool
    """Whether no demand is negative."""
    kind: int
    longest: int
    """No pattern has more items."""


class Tree(NamedTuple):
    """What the search keeps; lists are by depth, and each of them filtered as the search descends."""

    lists: NDArray[np.int32]
    """(depth, 2 + S, N): items that still fit, by the ratio that branching follows, by value, by each surrogate."""
    size: NDArray[np.int64]
    """(depth,): length of the lists."""
    position: NDArray[np.int64]
    """(depth,): next item to branch on."""
    most: NDArray[np.int64]
    """(depth,): at most so many more items fit."""
    chosen: NDArray[np.int32]
    """(depth,): the item taken at each depth."""
    rank: NDArray[np.int32]
    """(N,): place in the branching order."""
    fitting: NDArray[np.bool_]
    """(N,)"""
    left: NDArray[np.int64]
    """(D,): capacity left."""
    left_group: NDArray[np.int64]
    """(G,)"""
    left_room: NDArray[np.int64]
    """(S,)"""
    left_copies: NDArray[np.int64]
    """(N,)"""
    credit: NDArray[np.int64]
    """(D,): room that items of negative demand may bring at most."""
    credit_room: NDArray[np.int64]
    """(S,): the same in the surrogates."""


class Found(NamedTuple):
    """Where patterns go."""

    items: NDArray[np.int32]
    """(rows, length)"""
    length: NDArray[np.int64]
    """(rows,)"""
    worth: NDArray[np.int64]
    """(rows,): value of the pattern."""
    tally: NDArray[np.int64]
    """(2,): patterns kept, where every one is wanted; the best value."""


@njit(cache=True)
def search(
    sack: Knapsack,
    values: NDArray[np.int64],
    tree: Tree,
    weight: NDArray[np.int64],
    found: Found,
    threshold: int,
    nodes: int,
    every: bool,
) -> tuple[int, bool]:
    """Depth-first search; (upper bound on the value of all patterns, whether it was completed).

    Each branch at the root has ``nodes`` to itself, all of them `BRANCHES` times as many; what they leave undone
    raises the upper bound.
    """
    depth, value, best, highest, upper, budget, used = 0, 0, threshold, threshold, threshold, nodes, 0
    complete = True
    while depth >= 0:
        at = tree.position[depth]
        bound = best
        if at < tree.size[depth]:
            bound = _bound(values, tree, weight, depth, value, best)
        if bound <= best or used >= (budget if depth else nodes * BRANCHES):
            if bound > best:
                upper = max(upper, bound)
                complete = False
            depth -= 1
            if depth >= 0:
                value -= values[tree.chosen[depth]]
                _take(sack, tree, weight, tree.chosen[depth], -1)
            continue
        if depth == 0:
            best, budget = threshold, used + nodes
        used += 1
        item = tree.lists[depth, 0, at]
        tree.position[depth] = at + 1
        tree.chosen[depth] = item
        value += values[item]
        _take(sack, tree, weight, item, 1)
        depth += 1
        _filter(sack, tree, weight, depth)
        if (
            value > best
            and (not every or not sack.monotone or tree.size[depth] == 0)
            and _is_pattern(sack, tree, every)
        ):
            highest = max(highest, value)
            if not _keep(tree, found, depth, value, every):
                return upper, False
            if not every:
                best = threshold + (value - threshold) // 2
        if not every and tree.most[depth] <= 3:
            # Few are left to choose: looking through them is faster than branching.
            finished = _finish(sack, values, tree, found, depth, value, best)
            highest = max(highest, finished)
            best = max(best, threshold + (finished - threshold) // 2)
            tree.size[depth] = 0
    found.tally[1] = highest
    return max(upper, highest), complete


@njit(cache=True)
def _bound(
    values: NDArray[np.int64], tree: Tree, weight: NDArray[np.int64], depth: int, value: int, enough: int
) -> int:
    """What a pattern of this node's remaining branches is worth at most; not exact once it is small enough."""
    size = tree.size[depth]
    least_rank = tree.rank[tree.lists[depth, 0, tree.position[depth]]]
    total, many = value, tree.most[depth]
    for index in range(size):
        item = tree.lists[depth, 1, index]
        if tree.rank[item] >= least_rank:
            take = min(many, tree.left_copies[item])
            total += take * max(values[item], 0)
            many -= take
            if many == 0:
                break
    bound = total
    for surrogate in range(len(weight)):
        if bound <= enough:
            break
        total, free = value, tree.left_room[surrogate]
        for index in range(size):
            item = tree.lists[depth, surrogate + 2, index]
            if tree.rank[item] < least_rank:
                continue
            need, many = weight[surrogate, item], tree.left_copies[item]
            if need <= 0 or need * many <= free:
                total += many * values[item]
                free -= need * many
            else:
                total += values[item] * max(free, 0) // need
                break
        bound = min(bound, total)
    return bound


@njit(cache=True)
def _take(sack: Knapsack, tree: Tree, weight: NDArray[np.int64], item: int, times: int) -> None:
    """Put an item in, or take it out with ``times`` = -1."""
    tree.left_copies[item] -= times
    for cell in range(len(tree.left)):
        tree.left[cell] -= times * sack.demand[item, cell]
    for index in range(len(tree.left_group)):
        tree.left_group[index] -= times * sack.group[item, index]
    for surrogate in range(len(weight)):
        tree.left_room[surrogate] -= times * weight[surrogate, item]


@njit(cache=True)
def _filter(sack: Knapsack, tree: Tree, weight: NDArray[np.int64], depth: int) -> None:
    """Make the lists of a depth: what fits beside the item that was just taken, from that item on."""
    above, item = depth - 1, tree.chosen[depth - 1]
    start, size = tree.position[above] - 1, tree.size[above]
    tree.position[depth] = tree.size[depth] = tree.most[depth] = 0
    if depth == len(tree.lists) - 1:
        return
    length = 0
    for index in range(start, size):
        other = tree.lists[above, 0, index]
        ok = tree.left_copies[other] > 0 and not sack.apart[item, other] and _has_room(sack, tree, other)
        tree.fitting[other] = ok
        if ok:
            tree.lists[depth, 0, length] = other
            length += 1
    for which in range(1, tree.lists.shape[1]):
        slot = 0
        for index in range(size):
            other = tree.lists[above, which, index]
            if tree.rank[other] >= tree.rank[item] and tree.fitting[other]:
                tree.lists[depth, which, slot] = other
                slot += 1
    tree.size[depth] = length
    tree.most[depth] = _most(sack, tree, weight, depth)


@njit(cache=True)
def _has_room(sack: Knapsack, tree: Tree, item: int) -> bool:
    for cell in range(len(tree.left)):
        if sack.demand[item, cell] > tree.left[cell] + tree.credit[cell]:
            return False
    for index in range(len(tree.left_group)):
        if sack.group[item, index] > tree.left_group[index]:
            return False
    return True


@njit(cache=True)
def _most(sack: Knapsack, tree: Tree, weight: NDArray[np.int64], depth: int) -> int:
    """At most so many more items fit, judged by the three smallest in each surrogate."""
    most = len(tree.lists) - 1 - depth
    for surrogate in range(len(weight)):
        first = second = third = np.int64(1) << 60
        for index in range(tree.size[depth]):
            item = tree.lists[depth, 0, index]
            need = max(weight[surrogate, item], 0)
            for _ in range(min(tree.left_copies[item], 3)):
                if need < first:
                    first, second, third = need, first, second
                elif need < second:
                    second, third = need, second
                elif need < third:
                    third = need
        free = tree.left_room[surrogate] + tree.credit_room[surrogate]
        if first > free:
            most = 0
        elif first + second > free:
            most = min(most, 1)
        elif first + second + third > free:
            most = min(most, 2)
        elif first > 0:
            most = min(most, free // first)
    return most


@njit(cache=True)
def _is_pattern(sack: Knapsack, tree: Tree, maximal: bool) -> bool:
    """Whether what is in fits (items of negative demand may still have been missing), and nothing more would."""
    if not sack.monotone:
        for cell in range(len(tree.left)):
            if tree.left[cell] < 0:
                return False
    elif maximal:
        for index in range(tree.size[0]):
            other = tree.lists[0, 0, index]
            if tree.left_copies[other] > 0 and _has_room(sack, tree, other):
                return False
    return True


@njit(cache=True)
def _keep(tree: Tree, found: Found, length: int, value: int, every: bool) -> bool:
    """Keep the chosen items as a pattern: in a row of its own, or for each item that has no better one.

    False where there is no row left.
    """
    if every:
        row = found.tally[0]
        if row == len(found.length):
            return False
        found.tally[0] += 1
        _write(tree, found, row, length, value)
        return True
    for index in range(length):
        row = tree.chosen[index]
        if value > found.worth[row]:
            _write(tree, found, row, length, value)
    return True


@njit(cache=True)
def _write(tree: Tree, found: Found, row: int, length: int, value: int) -> None:
    for index in range(length):
        found.items[row, index] = tree.chosen[index]
    found.length[row] = length
    found.worth[row] = value


@njit(cache=True)
def _finish(
    sack: Knapsack,
    values: NDArray[np.int64],
    tree: Tree,
    found: Found,
    depth: int,
    value: int,
    best: int,
) -> int:
    """Complete a node to which at most three items can be added; the best value, or ``best``.

    Loops over items by falling value, each of which ends as soon as even equal values would not do.
    """
    size, most = tree.size[depth], tree.most[depth]
    for first in range(size):
        one = tree.lists[depth, 1, first]
        worth = value + values[one]
        if worth + (most - 1) * values[one] <= best:
            break
        tree.chosen[depth] = one
        if worth > best and (sack.monotone or _fit(sack, tree, one, -1, -1, False)):
            best = worth
            _keep(tree, found, depth + 1, best, False)
        if most == 1:
            continue
        tree.left_copies[one] -= 1
        for second in range(first, size):
            other = tree.lists[depth, 1, second]
            if worth + (most - 1) * values[other] <= best:
                break
            if tree.left_copies[other] == 0 or sack.apart[one, other] or not _fit(sack, tree, one, other, -1, True):
                continue
            tree.chosen[depth + 1] = other
            if worth + values[other] > best and (sack.monotone or _fit(sack, tree, one, other, -1, False)):
                best = worth + values[other]
                _keep(tree, found, depth + 2, best, False)
            if most == 2:
                continue
            tree.left_copies[other] -= 1
            for third in range(second, size):
                last = tree.lists[depth, 1, third]
                if worth + values[other] + values[last] <= best:
                    break
                if tree.left_copies[last] == 0 or sack.apart[one, last] or sack.apart[other, last]:
                    continue
                if _fit(sack, tree, one, other, last, False):
                    tree.chosen[depth + 2] = last
                    best = worth + values[other] + values[last]
                    _keep(tree, found, depth + 3, best, False)
                    break
            tree.left_copies[other] += 1
        tree.left_copies[one] += 1
    return best


@njit(cache=True)
def _fit(sack: Knapsack, tree: Tree, one: int, other: int, last: int, hoping: bool) -> bool:
    """Whether up to three items (-1: none) fit together into what is left, or may with others of negative demand."""
    for cell in range(len(tree.left)):
        free = tree.left[cell] + (tree.credit[cell] if hoping else 0)
        free -= sack.demand[one, cell]
        if other >= 0:
            free -= sack.demand[other, cell]
        if last >= 0:
            free -= sack.demand[last, cell]
        if free < 0:
            return False
    for index in range(len(tree.left_group)):
        members = sack.group[one, index]
        if other >= 0:
            members += sack.group[other, index]
        if last >= 0:
            members += sack.group[last, index]
        if members > tree.left_group[index]:
            return False
    return True


@njit(cache=True)
def keep_apart(
    demand: NDArray[np.int64],
    capacity: NDArray[np.int64],
    group: NDArray[np.int64],
    group_bound: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """(N, N): pairs that capacity or a group keeps apart."""
    items, cells = demand.shape
    apart = np.zeros((items, items), dtype=np.bool_)
    for one in range(items):
        for other in range(one + 1):
            conflict = False
            for cell in range(cells):
                if demand[one, cell] + demand[other, cell] > capacity[cell]:
                    conflict = True
                    break
            for index in range(len(group_bound)):
                if group[one, index] > 0 and group[one, index] + group[other, index] > group_bound[index]:
                    conflict |= group[other, index] > 0
            apart[one, other] = conflict
            apart[other, one] = conflict
    return apart


@njit(cache=True)
def adapt(
    share: NDArray[np.int64],
    values: NDArray[np.int64],
    copies: NDArray[np.int64],
    start: NDArray[np.float64],
    rounds: int,
) -> NDArray[np.float64]:
    """Multiplicative weights: cells that the fractional solution overloads become dearer."""
    items, cells = share.shape
    weight = start / start.sum()
    best: NDArray[np.float64] = weight.copy()
    best_value = np.inf
    size, load = np.empty(items), np.empty(cells)
    unit = 1.0 / SHARE
    for step in range(rounds):
        for item in range(items):
            total = 0.0
            for cell in range(cells):
                total += weight[cell] * share[item, cell]
            size[item] = max(total * unit, 1e-9)
        order = np.argsort(-(values / size))
        left, value = 1.0, 0.0
        load[:] = 0.0
        for item in order:
            if copies[item] == 0 or values[item] <= 0:
                continue
            amount = min(float(copies[item]), left / size[item])
            value += amount * values[item]
            left -= amount * size[item]
            for cell in range(cells):
                load[cell] += amount * share[item, cell] * unit
            if left <= 1e-12:
                break
        if value < best_value:
            best_value = value
            best[:] = weight
        pace = 0.5 / (1.0 + 0.1 * step)
        for cell in range(cells):
            weight[cell] *= np.exp(pace * min(load[cell] - 1.0, 2.0))
        weight /= weight.sum()
        weight += 1e-6 / cells
    return best


@njit(cache=True)
def fill_bin(
    demand: NDArray[np.int64],
    shares: NDArray[np.float64],
    capacity: NDArray[np.int64],
    copies: NDArray[np.int64],
    group: NDArray[np.int64],
    group_bound: NDArray[np.int64],
    weight: NDArray[np.float64],
    rule: int,
) -> NDArray[np.int64]:
    """Items of one bin, in the order in which they were put in; needs non-negative demand to be feasible."""
    items, cells = demand.shape
    left, free, members = capacity.copy(), np.ones(cells), group_bound.copy()
    unused = copies.copy()
    taken = np.empty(copies.sum(), dtype=np.int64)
    count = 0
    while True:
        best, best_score = -1, -np.inf
        for item in range(items):
            if unused[item] == 0:
                continue
            fits = True
            for cell in range(cells):
                if demand[item, cell] > left[cell]:
                    fits = False
                    break
            for index in range(len(members)):
                if group[item, index] > members[index]:
                    fits = False
            if not fits:
                continue
            score = 0.0
            for cell in range(cells):
                share = shares[item, cell]
                score += weight[cell] * (share * free[cell] if rule == DOT else -((share - free[cell]) ** 2))
            if score > best_score:
                best, best_score = item, score
        if best < 0:
            return taken[:count]
        unused[best] -= 1
        taken[count] = best
        count += 1
        for cell in range(cells):
            left[cell] -= demand[best, cell]
            free[cell] -= shares[best, cell]
        for index in range(len(members)):
            members[index] -= group[best, index]


@njit(cache=True)
def place_all(
    demand: NDArray[np.int64],
    shares: NDArray[np.float64],
    capacity: NDArray[np.int64],
    order: NDArray[np.int64],
    group: NDArray[np.int64],
    group_bound: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Bin of each item of an order: the one in which least is left, a new one where none has room."""
    cells = len(capacity)
    bin_of = np.empty(len(order), dtype=np.int64)
    left = np.empty((len(order), cells), dtype=np.int64)
    members = np.empty((len(order), len(group_bound)), dtype=np.int64)
    bins = 0
    for position in range(len(order)):
        item = order[position]
        best, best_score = -1, np.inf
        for one in range(bins):
            fits = True
            score = 0.0
            for cell in range(cells):
                rest = left[one, cell] - demand[item, cell]
                if rest < 0:
                    fits = False
                    break
                score += weight[cell] * rest / max(capacity[cell], 1)
            for index in range(len(group_bound)):
                if group[item, index] > members[one, index]:
                    fits = False
            if fits and score < best_score:
                best, best_score = one, score
        if best < 0:
            best = bins
            left[best] = capacity
            members[best] = group_bound
            bins += 1
        left[best] -= demand[item]
        members[best] -= group[item]
        bin_of[position] = best
    return bin_of
