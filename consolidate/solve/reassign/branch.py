"""The search tree of repacking: every item of a desk on one of its hosts, by branch and bound.

Items are placed in the order of the desk. However the rest is placed, what is over the soft capacities of the hosts
only grows, and is at least what it would be if all of their load were poured; so of each cell the larger counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import inlined
from consolidate.solve.reassign.delta import may_have_come, may_have_left
from consolidate.solve.reassign.problem import Reassignment
from consolidate.solve.reassign.state import State, count_in, count_out

MOST_ITEMS = 48
"""Items that are placed anew at once, at most."""
MOST_HOSTS = 6
"""Hosts that they are placed on, at most."""
HOPELESS = np.int64(2**62)
"""More than anything costs."""


class Desk(NamedTuple):
    """Room to work in, for N items on K hosts in D cells."""

    item: NDArray[np.int64]
    """(N,): what is placed, in this order."""
    host: NDArray[np.int64]
    """(K,): where it may go."""
    was: NDArray[np.int64]
    """(N,): which of the hosts each item was on."""
    best: NDArray[np.int64]
    """(N,): which it is on in the best placement found."""
    at: NDArray[np.int64]
    """(N,): which it is on in the one looked at."""
    tried: NDArray[np.int64]
    """(N,): how many branches of a depth are done."""
    branch: NDArray[np.int64]
    """(N, K): hosts at each depth, the most promising first."""
    bound: NDArray[np.int64]
    """(N, K): least cost below each branch."""
    over: NDArray[np.int64]
    """(N + 1, D): load over the soft capacities at each depth, of all hosts together."""
    away: NDArray[np.int64]
    """(N + 1,): cost of what is away from home at each depth."""
    poured: NDArray[np.int64]
    """(D,): load over the soft capacities if all hosts were one."""


def new_desk(problem: Reassignment) -> Desk:
    """An empty one."""
    cells = problem.demand.shape[1]
    items, hosts = np.zeros((5, MOST_ITEMS), dtype=np.int64), np.zeros(MOST_HOSTS, dtype=np.int64)
    table = np.zeros((2, MOST_ITEMS, MOST_HOSTS), dtype=np.int64)
    return Desk(
        items[0],
        hosts,
        items[1],
        items[2],
        items[3],
        items[4],
        table[0],
        table[1],
        np.zeros((MOST_ITEMS + 1, cells), dtype=np.int64),
        np.zeros(MOST_ITEMS + 1, dtype=np.int64),
        np.zeros(cells, dtype=np.int64),
    )


@inlined
def _put(problem: Reassignment, state: State, item: int, host: int, sign: int) -> None:
    """Add an item to what a host carries and to its groups there, or take it away, and nothing else."""
    row, away = problem.variant[item, problem.kind[host]], problem.home[item] != host
    for cell in range(problem.demand.shape[1]):
        amount = sign * problem.demand[row, cell]
        state.load[host, cell] += amount
        if away or not problem.transient[cell]:
            state.room[host, cell] -= amount
    for index in range(problem.groups.start[item], problem.groups.start[item + 1]):
        state.on_host[problem.groups.value[index], host] += sign


@inlined
def _away(problem: Reassignment, item: int, host: int) -> np.int64:
    """Cost of an item's being on a host and not at home."""
    home = problem.home[item]
    if home < 0 or home == host:
        return np.int64(0)
    return problem.move_cost[item] + (problem.route[home, host] if len(problem.route) > 1 else 0)


@inlined
def _below(problem: Reassignment, state: State, desk: Desk, depth: int, host: int) -> np.int64:
    """Least cost once the item at a depth is on a host; hopeless where it may not be."""
    item = desk.item[depth]
    row = problem.variant[item, problem.kind[host]]
    if row < 0:
        return HOPELESS
    for index in range(problem.groups.start[item], problem.groups.start[item + 1]):
        group = problem.groups.value[index]
        if state.on_host[group, host] >= problem.host_limit[group]:
            return HOPELESS
    away = problem.home[item] != host
    cost, excess = np.int64(0), np.int64(0)
    for cell in range(problem.demand.shape[1]):
        amount = problem.demand[row, cell]
        charge = amount if away or not problem.transient[cell] else 0
        excess = max(excess, charge - state.room[host, cell])
        over = state.load[host, cell] - problem.soft_capacity[host, cell]
        over = desk.over[depth, cell] + max(over + amount, 0) - max(over, 0)
        cost += problem.soft_weight[cell] * max(over, desk.poured[cell])
    if excess > 0:
        return HOPELESS
    return cost + desk.away[depth] + _away(problem, item, host)


@inlined
def _branch(problem: Reassignment, state: State, desk: Desk, depth: int, hosts: int) -> None:
    """List the branches of a depth, the most promising first."""
    for one in range(hosts):
        bound, place = _below(problem, state, desk, depth, desk.host[one]), one
        while place > 0 and desk.bound[depth, place - 1] > bound:
            desk.bound[depth, place], desk.branch[depth, place] = (
                desk.bound[depth, place - 1],
                desk.branch[depth, place - 1],
            )
            place -= 1
        desk.bound[depth, place], desk.branch[depth, place] = bound, one
    desk.tried[depth] = 0


@inlined
def place_item(problem: Reassignment, state: State, desk: Desk, depth: int, one: int) -> None:
    """Put the item of a depth on one of the hosts."""
    item, host = desk.item[depth], desk.host[one]
    row = problem.variant[item, problem.kind[host]]
    for cell in range(problem.demand.shape[1]):
        over = state.load[host, cell] - problem.soft_capacity[host, cell]
        grown = max(over + problem.demand[row, cell], 0) - max(over, 0)
        desk.over[depth + 1, cell] = desk.over[depth, cell] + grown
    desk.away[depth + 1] = desk.away[depth] + _away(problem, item, host)
    _put(problem, state, item, host, 1)
    desk.at[depth] = one


@inlined
def cost_of(problem: Reassignment, state: State, desk: Desk, depth: int, hosts: int) -> np.int64:
    """Cost of all items placed, that of groups moved left out."""
    cost = desk.away[depth]
    for cell in range(problem.demand.shape[1]):
        cost += problem.soft_weight[cell] * desk.over[depth, cell]
    for index in range(len(problem.balance)):
        a, b = problem.balance[index, 0], problem.balance[index, 1]
        target, weight = problem.balance[index, 2], problem.balance[index, 3]
        for one in range(hosts):
            host = desk.host[one]
            free, other = (
                problem.capacity[host, a] - state.load[host, a],
                problem.capacity[host, b] - state.load[host, b],
            )
            cost += weight * max(target * free - other, 0)
    return cost


@inlined
def keep_rules(problem: Reassignment, state: State, desk: Desk, items: int) -> tuple[bool, np.int64]:
    """Whether the rules of all groups hold as the items are placed, and how many the most moved group has moved."""
    for depth in range(items):
        item, host = desk.item[depth], desk.host[desk.at[depth]]
        for index in range(problem.groups.start[item], problem.groups.start[item + 1]):
            state.on_host[problem.groups.value[index], host] -= 1
        count_in(problem, state, item, host)
    kept, most = True, state.most_moved[0]
    for depth in range(items):
        item, source = desk.item[depth], desk.host[desk.was[depth]]
        kept = may_have_come(problem, state, item, desk.host[desk.at[depth]]) and may_have_left(
            problem, state, item, source
        )
        if not kept:
            break
    for depth in range(items):
        item, host = desk.item[depth], desk.host[desk.at[depth]]
        count_out(problem, state, item, host)
        for index in range(problem.groups.start[item], problem.groups.start[item + 1]):
            state.on_host[problem.groups.value[index], host] += 1
    return kept, most


@inlined
def _judge(problem: Reassignment, state: State, desk: Desk, items: int, hosts: int, least: np.int64) -> np.int64:
    """Cost of a placement of all items, or ``least`` where it is no less or breaks a rule."""
    cost = cost_of(problem, state, desk, items, hosts)
    if cost >= least:
        return least
    kept, most = keep_rules(problem, state, desk, items)
    cost += problem.group_move_weight * most
    return cost if kept and cost < least else least


@inlined
def step_back(problem: Reassignment, state: State, desk: Desk, depth: int) -> None:
    """Take the item of a depth off its host again."""
    _put(problem, state, desk.item[depth], desk.host[desk.at[depth]], -1)


@inlined
def dive(
    problem: Reassignment, state: State, desk: Desk, size: tuple[int, int], costs: tuple[np.int64, np.int64], nodes: int
) -> tuple[np.int64, int]:
    """The least cost of a placement, which `Desk.best` then holds, and how many nodes are left.

    ``costs`` are that of the best placement so far, and of any beside soft load and being away at least.
    """
    items, hosts = size
    least, floor = costs
    depth = 0
    _branch(problem, state, desk, 0, hosts)
    while True:
        one = desk.tried[depth]
        if one == hosts or desk.bound[depth, one] + floor >= least or nodes <= 0:
            if depth == 0:
                return least, nodes
            depth -= 1
            step_back(problem, state, desk, depth)
            continue
        desk.tried[depth] += 1
        nodes -= 1
        place_item(problem, state, desk, depth, desk.branch[depth, one])
        if depth + 1 < items:
            depth += 1
            _branch(problem, state, desk, depth, hosts)
            continue
        cost = _judge(problem, state, desk, items, hosts, least)
        if cost < least:
            least = cost
            for done in range(items):
                desk.best[done] = desk.at[done]
        step_back(problem, state, desk, depth)
