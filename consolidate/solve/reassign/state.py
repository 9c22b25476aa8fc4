"""A complete placement and the sums that make a change cheap to judge.

Invariants, which the property tests check against `score`: every sum is that of the items on the host, exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import inlined, kernel
from consolidate.solve.reassign.problem import Reassignment


class State(NamedTuple):
    """A placement of every item, in sums over hosts, groups and moves."""

    host_of: NDArray[np.int64]
    """(I + 1,): host of each item; the last is no item and nowhere."""
    load: NDArray[np.int64]
    """(H, D)"""
    room: NDArray[np.int64]
    """(H, D): capacity less the load, and in transient cells also less the demand of what has left."""
    overfull: NDArray[np.int64]
    """(H,): cells without room enough."""
    occupancy: NDArray[np.int64]
    """(H,)"""
    curved: NDArray[np.int64]
    """(H,): penalty of the load by the curve."""
    on_host: NDArray[np.int16]
    """(G, H): members of a group on a host."""
    in_location: NDArray[np.int32]
    """(G, L)"""
    locations: NDArray[np.int64]
    """(G,): locations that hold a member."""
    in_neighbourhood: NDArray[np.int32]
    """(G, N)"""
    moved: NDArray[np.int64]
    """(G,): members that are not at home."""
    moved_groups: NDArray[np.int64]
    """(members of the largest group + 2,): how many groups have moved so many members."""
    most_moved: NDArray[np.int64]
    """(1,): members that the most moved group has moved."""
    version: NDArray[np.int64]
    """(H + 1,): a number that each host has had only since its load last changed; the last is the latest given."""


class Roster(NamedTuple):
    """Lists of items that steps are drawn from: every list as often as another, and in it every item."""

    item: NDArray[np.int64]
    """(I,)"""
    start: NDArray[np.int64]
    """(lists + 1,): where each list begins."""
    by_size: NDArray[np.int64]
    """(I,): items in the order of their size."""
    rank: NDArray[np.int64]
    """(I,): where each item is in that order."""


def one_list(problem: Reassignment) -> Roster:
    """Every item as often as another."""
    by_size = np.argsort(problem.reach[:-1], kind="stable")
    rank = np.empty_like(by_size)
    rank[by_size] = np.arange(len(by_size))
    return Roster(np.arange(problem.items), np.array([0, problem.items]), by_size, rank)


def by_host(roster: Roster, state: State) -> Roster:
    """The same items, but every host as often as another, so that those with few large items are not left to chance."""
    host_of = state.host_of[:-1]
    item = np.argsort(host_of, kind="stable")
    return roster._replace(item=item, start=np.searchsorted(host_of[item], np.arange(len(state.occupancy) + 1)))


def new_state(problem: Reassignment, host_of: NDArray[np.int64]) -> State:
    """The sums of a placement."""
    hosts, cells = problem.capacity.shape
    groups = len(problem.host_limit)
    sizes = np.bincount(problem.groups.value, minlength=max(groups, 1))
    state = State(
        host_of=np.full(problem.items + 1, -1, dtype=np.int64),
        load=np.zeros((hosts, cells), dtype=np.int64),
        room=problem.capacity.copy(),
        overfull=np.zeros(hosts, dtype=np.int64),
        occupancy=np.zeros(hosts, dtype=np.int64),
        curved=np.zeros(hosts, dtype=np.int64),
        on_host=np.zeros((groups, hosts), dtype=np.int16),
        in_location=np.zeros((groups, int(problem.location.max()) + 1), dtype=np.int32),
        locations=np.zeros(groups, dtype=np.int64),
        in_neighbourhood=np.zeros((groups, int(problem.neighbourhood.max()) + 1), dtype=np.int32),
        moved=np.zeros(groups, dtype=np.int64),
        moved_groups=np.zeros(int(sizes.max()) + 2, dtype=np.int64),
        most_moved=np.zeros(1, dtype=np.int64),
        version=np.arange(hosts + 1),
    )
    state.moved_groups[0] = groups
    _fill(problem, state, host_of.astype(np.int64))
    return state


@inlined
def curve_penalty(
    problem: Reassignment, state: State, host: int, minus: NDArray[np.int64], plus: NDArray[np.int64]
) -> np.int64:
    """Penalty by the curve once a demand, shape (D,), has left a host and another has come."""
    load, curve, penalty = state.load[host], problem.curve[problem.kind[host]], np.int64(0)
    shift, last = problem.curve_shift[problem.kind[host]], len(curve) - 2
    for cell in range(problem.curve_cells):  # without a branch, so that it compiles to vector instructions
        then = load[cell] + plus[cell] - minus[cell]
        knot = np.uint64(min(max(then >> shift, 0), last))  # unsigned: no index counts from the end
        below = curve[knot]
        penalty += below + (((curve[knot + np.uint64(1)] - below) * (then - (np.int64(knot) << shift))) >> shift)
    return penalty


@kernel
def _fill(problem: Reassignment, state: State, host_of: NDArray[np.int64]) -> None:
    for item in range(len(host_of)):
        home = problem.home[item]
        if home >= 0:
            row = problem.variant[item, problem.kind[home]]
            for cell in range(len(problem.transient)):
                if problem.transient[cell]:
                    state.room[home, cell] -= problem.demand[row, cell]
        if host_of[item] >= 0:
            enter(problem, state, item, host_of[item])
            count_in(problem, state, item, host_of[item])
    for host in range(len(problem.kind)):  # also those that only what has left is charged to
        _changed(problem, state, host)


@inlined
def _changed(problem: Reassignment, state: State, host: int) -> None:
    """Renew what follows from a host's load and room."""
    nothing = problem.demand[len(problem.demand) - 1]
    state.curved[host] = curve_penalty(problem, state, host, nothing, nothing)
    short = 0
    for cell in range(problem.demand.shape[1]):
        short += state.room[host, cell] < 0
    state.overfull[host] = short
    state.version[-1] += 1
    state.version[host] = state.version[-1]


@kernel
def enter(problem: Reassignment, state: State, item: int, host: int) -> None:
    """Add an item to the load of a host (not to the groups)."""
    row = problem.variant[item, problem.kind[host]]
    away = problem.home[item] != host
    for cell in range(problem.demand.shape[1]):
        state.load[host, cell] += problem.demand[row, cell]
        if away or not problem.transient[cell]:
            state.room[host, cell] -= problem.demand[row, cell]
    state.host_of[item] = host
    state.occupancy[host] += 1
    _changed(problem, state, host)


@kernel
def leave(problem: Reassignment, state: State, item: int) -> None:
    """Take an item off the load of its host (not off the groups)."""
    host = state.host_of[item]
    row = problem.variant[item, problem.kind[host]]
    away = problem.home[item] != host
    for cell in range(problem.demand.shape[1]):
        state.load[host, cell] -= problem.demand[row, cell]
        if away or not problem.transient[cell]:
            state.room[host, cell] += problem.demand[row, cell]
    state.host_of[item] = -1
    state.occupancy[host] -= 1
    _changed(problem, state, host)


@kernel
def count_in(problem: Reassignment, state: State, item: int, host: int) -> None:
    """Count an item into its groups on a host."""
    location, neighbourhood = problem.location[host], problem.neighbourhood[host]
    for index in range(problem.groups.start[item], problem.groups.start[item + 1]):
        group = problem.groups.value[index]
        state.on_host[group, host] += 1
        state.in_location[group, location] += 1
        if state.in_location[group, location] == 1:
            state.locations[group] += 1
        state.in_neighbourhood[group, neighbourhood] += 1
        if host != problem.home[item] and problem.home[item] >= 0:
            _count_moved(state, group, 1)


@kernel
def count_out(problem: Reassignment, state: State, item: int, host: int) -> None:
    """Take an item out of its groups on a host."""
    location, neighbourhood = problem.location[host], problem.neighbourhood[host]
    for index in range(problem.groups.start[item], problem.groups.start[item + 1]):
        group = problem.groups.value[index]
        state.on_host[group, host] -= 1
        state.in_location[group, location] -= 1
        if state.in_location[group, location] == 0:
            state.locations[group] -= 1
        state.in_neighbourhood[group, neighbourhood] -= 1
        if host != problem.home[item] and problem.home[item] >= 0:
            _count_moved(state, group, -1)


@kernel
def _count_moved(state: State, group: int, by: int) -> None:
    state.moved_groups[state.moved[group]] -= 1
    state.moved[group] += by
    state.moved_groups[state.moved[group]] += 1
    state.most_moved[0] = max(state.most_moved[0], state.moved[group])
    while state.most_moved[0] > 0 and state.moved_groups[state.most_moved[0]] == 0:
        state.most_moved[0] -= 1
