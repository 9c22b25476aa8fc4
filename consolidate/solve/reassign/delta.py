"""One delta: what it does to a host that one item leaves and another comes.

A shift is two of these, a swap two, a chain three, with "no item" where nothing leaves or comes. Nothing is
allocated, and nothing is changed until a step is taken.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import inlined, kernel
from consolidate.solve.reassign.problem import UNBOUNDED, Reassignment
from consolidate.solve.reassign.state import State, count_in, count_out, curve_penalty, enter, leave

BARRED = np.int64(2**60)
"""Overload of a host by what cannot run there."""


@inlined
def host_change(
    problem: Reassignment,
    state: State,
    force: NDArray[np.int64],
    host: int,
    leaving: int,
    coming: int,
    most: float = np.inf,
) -> tuple[np.int64, np.int64]:
    """Change of a host's own cost, and of its overload with each unit weighted by its ``force``.

    The cost is that of opening, soft load, balance and curve. Where both together are above ``most`` for certain before
    the curve is looked at, it is left out: what comes back is above it too. Where the item cannot run the overload is
    `BARRED`.
    """
    come, go = problem.variant[coming, problem.kind[host]], problem.variant[leaving, problem.kind[host]]
    if come < 0:
        return np.int64(0), BARRED
    plus, minus = problem.demand[come], problem.demand[go]
    load = state.load[host]
    delta, overload = np.int64(0), np.int64(0)
    nothing = len(problem.home) - 1
    if problem.plain:
        overload = _overload(problem, state, force[host], host, (plus, minus))
    else:
        delta, overload = _soft_and_overload(problem, state, force[host], host, (leaving, coming), (plus, minus))
    left = state.occupancy[host] + (coming != nothing) - (leaving != nothing)
    if state.occupancy[host] == 0 and left > 0:
        delta += problem.opening[host]
    elif state.occupancy[host] > 0 and left == 0:
        delta -= problem.opening[host]
    hard = problem.capacity[host]
    for index in range(len(problem.balance)):
        a, b = problem.balance[index, 0], problem.balance[index, 1]
        target, factor = problem.balance[index, 2], problem.balance[index, 3]
        before = target * (hard[a] - load[a]) - (hard[b] - load[b])
        after = before - target * (plus[a] - minus[a]) + plus[b] - minus[b]
        delta += factor * (max(after, 0) - max(before, 0))
    if problem.curve_cells > 0 and delta + overload - state.curved[host] <= most:
        delta += curve_penalty(problem, state, host, minus, plus) - state.curved[host]
    return delta, overload


@inlined
def _overload(
    problem: Reassignment,
    state: State,
    force: NDArray[np.int64],
    host: int,
    demand: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> np.int64:
    """Change of the overload where nothing is charged but the load."""
    plus, minus = demand
    room, cells, overload = state.room[host], problem.demand.shape[1], np.int64(0)
    if state.overfull[host] == 0:
        signs = np.int64(0)
        for cell in range(cells):  # the sign of any that is negative
            signs |= room[cell] - plus[cell] + minus[cell]
        if signs >= 0:
            return overload
    for cell in range(cells):
        change = plus[cell] - minus[cell]
        overload += force[cell] * (max(change - room[cell], 0) - max(-room[cell], 0))
    return overload


@inlined
def _soft_and_overload(
    problem: Reassignment,
    state: State,
    force: NDArray[np.int64],
    host: int,
    items: tuple[int, int],
    demand: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> tuple[np.int64, np.int64]:
    """Change of the cost of soft load, and of the overload."""
    (leaving, coming), (plus, minus) = items, demand
    load, room, soft, weight = state.load[host], state.room[host], problem.soft_capacity[host], problem.soft_weight
    delta, overload = np.int64(0), np.int64(0)
    if problem.home[leaving] != host and problem.home[coming] != host:
        for cell in range(len(weight)):  # without a branch, so that it compiles to vector instructions
            change = plus[cell] - minus[cell]
            over = load[cell] - soft[cell]
            delta += weight[cell] * (max(over + change, 0) - max(over, 0))
            overload += force[cell] * (max(change - room[cell], 0) - max(-room[cell], 0))
    else:
        stays, was = problem.home[leaving] == host, problem.home[coming] == host
        for cell in range(len(weight)):
            change = plus[cell] - minus[cell]
            over = load[cell] - soft[cell]
            delta += weight[cell] * (max(over + change, 0) - max(over, 0))
            if problem.transient[cell]:
                change = (0 if was else plus[cell]) - (0 if stays else minus[cell])
            overload += force[cell] * (max(change - room[cell], 0) - max(-room[cell], 0))
    return delta, overload


@inlined
def move_change(problem: Reassignment, item: int, source: int, target: int) -> np.int64:
    """Change of an item's cost of being away from home."""
    home = problem.home[item]
    if home < 0:
        return np.int64(0)
    delta = np.int64(0)
    if len(problem.route) > 1:
        delta += problem.route[home, target] - problem.route[home, source]
    if source == home:
        delta += problem.move_cost[item]
    elif target == home:
        delta -= problem.move_cost[item]
    return delta


@inlined
def crowded(problem: Reassignment, state: State, host: int, leaving: int, coming: int) -> bool:
    """Whether a group of what comes would have too many members on the host: the rule that bars most, first."""
    for index in range(problem.groups.start[coming], problem.groups.start[coming + 1]):
        group = problem.groups.value[index]
        if problem.host_limit[group] == UNBOUNDED:  # most are, and the table of members is large
            continue
        members = state.on_host[group, host] + 1
        if members > problem.host_limit[group]:
            for other in range(problem.groups.start[leaving], problem.groups.start[leaving + 1]):
                if problem.groups.value[other] == group:
                    members -= 1
            if members > problem.host_limit[group]:
                return True
    return False


@inlined
def may_ever_run(problem: Reassignment, item: int, host: int) -> bool:
    """Whether an item is at home on a host, or fits beside what stays charged there: nothing that ever changes."""
    if problem.home[item] == host:
        return True
    row = problem.variant[item, problem.kind[host]]
    possible = row >= 0
    for index in range(len(problem.transient_cell)):
        possible = possible and problem.demand[row, problem.transient_cell[index]] <= problem.inbound[host, index]
        if not possible:
            break
    return possible


@inlined
def fits(problem: Reassignment, state: State, item: int, host: int) -> bool:
    """Whether a host has room for an item as things stand, in every cell; what has left is not charged."""
    row = problem.variant[item, problem.kind[host]]
    if row < 0:
        return False
    for cell in range(problem.demand.shape[1]):
        if state.load[host, cell] + problem.demand[row, cell] > problem.capacity[host, cell]:
            return False
    return True


@inlined
def within_limits(problem: Reassignment, state: State, item: int, host: int) -> bool:
    """Whether the limits on a host of an item's groups hold where it has just been counted in."""
    for index in range(problem.groups.start[item], problem.groups.start[item + 1]):
        group = problem.groups.value[index]
        here = state.on_host[group, host]
        if here > problem.host_limit[group]:
            return False
        for pair in range(problem.beside.start[group], problem.beside.start[group + 1], 2):
            if state.on_host[problem.beside.value[pair], host] > problem.beside.value[pair + 1]:
                return False
        for pair in range(problem.beside_of.start[group], problem.beside_of.start[group + 1], 2):
            if here > problem.beside_of.value[pair + 1] and state.on_host[problem.beside_of.value[pair], host] > 0:
                return False
    return True


@inlined
def may_have_come(problem: Reassignment, state: State, item: int, host: int) -> bool:
    """Whether the rules of an item's groups hold where it has just been counted in."""
    neighbourhood = problem.neighbourhood[host]
    for index in range(problem.groups.start[item], problem.groups.start[item + 1]):
        group = problem.groups.value[index]
        if state.locations[group] < problem.least_locations[group]:
            return False
        for other in range(problem.needs.start[group], problem.needs.start[group + 1]):
            if state.in_neighbourhood[problem.needs.value[other], neighbourhood] == 0:
                return False
    return within_limits(problem, state, item, host)


@kernel
def may_enter(problem: Reassignment, state: State, item: int, host: int) -> bool:
    """Whether an item that is not on a host would keep the limits of all groups there."""
    if crowded(problem, state, host, len(problem.home) - 1, item):
        return False
    count_in(problem, state, item, host)
    allowed = within_limits(problem, state, item, host)
    count_out(problem, state, item, host)
    return allowed


@inlined
def may_have_left(problem: Reassignment, state: State, item: int, host: int) -> bool:
    """Whether the rules of an item's groups hold where it has just been counted out."""
    neighbourhood = problem.neighbourhood[host]
    for index in range(problem.groups.start[item], problem.groups.start[item + 1]):
        group = problem.groups.value[index]
        if state.locations[group] < problem.least_locations[group]:
            return False
        if state.in_neighbourhood[group, neighbourhood] == 0:
            for other in range(problem.needed_by.start[group], problem.needed_by.start[group + 1]):
                if state.in_neighbourhood[problem.needed_by.value[other], neighbourhood] > 0:
                    return False
    return True


@kernel
def take(problem: Reassignment, state: State, first: int, to_first: int, second: int, to_second: int) -> bool:
    """Move one item, or two at once, if the rules of their groups hold afterwards.

    ``second`` is "no item" for a shift. False leaves the state as it was.
    """
    nothing = len(problem.home) - 1
    from_first, from_second = state.host_of[first], state.host_of[second]
    count_out(problem, state, first, from_first)
    if second != nothing:
        count_out(problem, state, second, from_second)
        count_in(problem, state, second, to_second)
    count_in(problem, state, first, to_first)
    allowed = may_have_come(problem, state, first, to_first) and may_have_left(problem, state, first, from_first)
    if allowed and second != nothing:
        allowed = may_have_come(problem, state, second, to_second) and may_have_left(
            problem, state, second, from_second
        )
    if not allowed:
        count_out(problem, state, first, to_first)
        if second != nothing:
            count_out(problem, state, second, to_second)
            count_in(problem, state, second, from_second)
        count_in(problem, state, first, from_first)
        return False
    leave(problem, state, first)
    if second != nothing:
        leave(problem, state, second)
        enter(problem, state, second, to_second)
    enter(problem, state, first, to_first)
    return True
