"""Exact repacking: the items of a few hosts are placed anew on these hosts, by branch and bound.

What no walk of single steps finds once it is cold, where several items have to change places at once. Gavranović and
Buljubašić (2016) name "an efficient optimal reassignment between two given machines" as what their search misses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import inlined, kernel
from consolidate.solve.randomness import below
from consolidate.solve.reassign.branch import (
    HOPELESS,
    MOST_ITEMS,
    Desk,
    cost_of,
    dive,
    keep_rules,
    place_item,
    step_back,
)
from consolidate.solve.reassign.problem import Reassignment
from consolidate.solve.reassign.state import State, count_in, count_out, enter, leave

MOST_NODES = 5_000
"""Nodes of one search tree, at most."""
_OVERHEAD = 40
"""What choosing hosts and items takes, in nodes."""


def may_be_repacked(problem: Reassignment) -> bool:
    """Whether repacking knows all that hosts cost: soft load and balance, not curves and opening."""
    return problem.curve_cells == 0 and not problem.opening.any()


@inlined
def _poured_balance(problem: Reassignment, state: State, desk: Desk, hosts: int) -> np.int64:
    """Cost of balance, once all items are placed, as if all hosts were one: at most what any placement has.

    Nothing where kinds of host differ, as the balance is not monotone in the demand.
    """
    cost = np.int64(0)
    if problem.variant.shape[1] > 1:
        return cost
    for index in range(len(problem.balance)):
        a, b = problem.balance[index, 0], problem.balance[index, 1]
        target, weight = problem.balance[index, 2], problem.balance[index, 3]
        total = np.int64(0)
        for one in range(hosts):
            host = desk.host[one]
            total += target * (problem.capacity[host, a] - state.load[host, a])
            total -= problem.capacity[host, b] - state.load[host, b]
        cost += weight * max(total, 0)
    return cost


@inlined
def _sort(problem: Reassignment, desk: Desk, items: int) -> None:
    """The items of the farthest reach first."""
    for first in range(1, items):
        item, place = desk.item[first], first
        while place > 0 and problem.reach[desk.item[place - 1]] < problem.reach[item]:
            desk.item[place] = desk.item[place - 1]
            place -= 1
        desk.item[place] = item


@inlined
def _least_demand(problem: Reassignment, desk: Desk, item: int, cell: int, hosts: int) -> np.int64:
    """What an item takes of a cell on any of the hosts at least."""
    least = HOPELESS
    for one in range(hosts):
        row = problem.variant[item, problem.kind[desk.host[one]]]
        if row >= 0:
            least = min(least, problem.demand[row, cell])
    return least


@inlined
def _pour(problem: Reassignment, state: State, desk: Desk, items: int, hosts: int) -> None:
    """Sum up what is over the soft capacities while the hosts are empty of the items, and once these are poured."""
    desk.away[0] = 0
    for cell in range(problem.demand.shape[1]):
        desk.over[0, cell] = desk.poured[cell] = 0
        for one in range(hosts):
            host = desk.host[one]
            over = state.load[host, cell] - problem.soft_capacity[host, cell]
            desk.over[0, cell] += max(over, 0)
            desk.poured[cell] += over
        for depth in range(items):
            desk.poured[cell] += _least_demand(problem, desk, desk.item[depth], cell, hosts)
        desk.poured[cell] = max(desk.poured[cell], 0)


@inlined
def _lift(problem: Reassignment, state: State, desk: Desk, items: int, hosts: int) -> None:
    """Take the items off their hosts."""
    for depth in range(items):
        item = desk.item[depth]
        host = state.host_of[item]
        for one in range(hosts):
            if desk.host[one] == host:
                desk.was[depth] = desk.best[depth] = one
        count_out(problem, state, item, host)
        leave(problem, state, item)


@kernel
def repack(problem: Reassignment, state: State, desk: Desk, size: tuple[int, int], nodes: int) -> tuple[np.int64, int]:
    """Place the first items of the desk anew on its first hosts, which they are on, ``size`` items and hosts.

    The change of cost, 0 at most, and how many nodes are left: as many at most are looked at, and the best that they
    show is taken. The problem may have neither curves nor costs of opening.
    """
    items, hosts = size
    _sort(problem, desk, items)
    _lift(problem, state, desk, items, hosts)
    floor = problem.group_move_weight * state.most_moved[0]
    _pour(problem, state, desk, items, hosts)
    for depth in range(items):
        place_item(problem, state, desk, depth, desk.was[depth])
    _, most = keep_rules(problem, state, desk, items)
    before = cost_of(problem, state, desk, items, hosts) + problem.group_move_weight * most
    floor += _poured_balance(problem, state, desk, hosts)
    for depth in range(items):
        step_back(problem, state, desk, depth)
    least, left = dive(problem, state, desk, size, (before, floor), nodes)
    for depth in range(items):
        count_in(problem, state, desk.item[depth], desk.host[desk.best[depth]])
        enter(problem, state, desk.item[depth], desk.host[desk.best[depth]])
    return least - before, left


@inlined
def _over(problem: Reassignment, state: State, host: int) -> np.int64:
    """Cost of what a host carries over its soft capacities."""
    cost = np.int64(0)
    for cell in range(problem.demand.shape[1]):
        cost += problem.soft_weight[cell] * max(state.load[host, cell] - problem.soft_capacity[host, cell], 0)
    return cost


@inlined
def _listed(values: NDArray[np.int64], count: int, value: int) -> bool:
    """Whether a value is among the first."""
    listed = False
    for index in range(count):
        listed = listed or values[index] == value
    return listed


@inlined
def _choose_hosts(problem: Reassignment, state: State, desk: Desk, random: NDArray[np.uint64], hosts: int) -> None:
    """Put some hosts on the desk, the first of them rather a costly one."""
    first, other = below(random, len(problem.kind)), below(random, len(problem.kind))
    costlier = _over(problem, state, other) > _over(problem, state, first)
    desk.host[0] = other if costlier else first
    for one in range(1, hosts):
        host = below(random, len(problem.kind))
        while _listed(desk.host, one, host):
            host = below(random, len(problem.kind))
        desk.host[one] = host


@inlined
def _choose_items(problem: Reassignment, state: State, desk: Desk, random: NDArray[np.uint64], hosts: int) -> int:
    """Put the items of the hosts on the desk, or as many as there is room for; how many."""
    items, seen = 0, 0
    for item in range(len(problem.home) - 1):
        if not _listed(desk.host, hosts, state.host_of[item]):
            continue
        seen += 1
        if items < MOST_ITEMS:
            desk.item[items] = item
            items += 1
        else:
            place = below(random, seen)
            if place < MOST_ITEMS:
                desk.item[place] = item
    return items


@kernel
def repack_some(
    problem: Reassignment, state: State, desk: Desk, random: NDArray[np.uint64], most_hosts: int, nodes: int
) -> np.int64:
    """Repack random hosts, so many at once, until so many nodes are looked at in all; the change of cost."""
    total, hosts = np.int64(0), min(most_hosts, len(problem.kind))
    while nodes > 0:
        _choose_hosts(problem, state, desk, random, hosts)
        items = _choose_items(problem, state, desk, random, hosts)
        given = min(nodes, MOST_NODES)
        left = given
        if items > 0:
            change, left = repack(problem, state, desk, (items, hosts), given)
            total += change
        nodes -= given - left + _OVERHEAD + items
    return total
