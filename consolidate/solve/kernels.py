"""Compiled inner loops over the arrays of a problem. Nothing is allocated per candidate.

State invariants, which the property tests check against the oracle: ``load`` is the sum of the demands of the
items placed on a host, ``load_peak`` its maximum over slots, and the group counts are those of the placed items.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import inlined, kernel
from consolidate.solve.problem import MAX_HOSTS, MAX_PER_HOST, MIN_DOMAINS, Arrays
from consolidate.solve.randomness import draw

NONE = -1
HOME_BONUS = 1e-3
"""Breaks ties in favour of the host an item already runs on."""


class State(NamedTuple):
    """A partial assignment and its sums."""

    host_of: NDArray[np.int64]
    """(I,): host of each item, or -1."""
    load: NDArray[np.int64]
    """(H, R, T)"""
    load_peak: NDArray[np.int64]
    """(H, R)"""
    load_peak_slot: NDArray[np.int64]
    """(H, R)"""
    load_shape: NDArray[np.float64]
    """(H, R, B)"""
    occupancy: NDArray[np.int64]
    """(H,): items on each host."""
    first: NDArray[np.int64]
    """(H,): head of the host's linked list of items."""
    after: NDArray[np.int64]
    """(I,): next item on the same host."""
    before: NDArray[np.int64]
    """(I,): previous item on the same host."""
    on_host: NDArray[np.int64]
    """(G, H): members of a group on a host."""
    in_domain: NDArray[np.int64]
    """(G, D): members of a group in a failure domain."""
    spread: NDArray[np.int64]
    """(G, 3): hosts used, domains used, members not yet placed."""


def empty_state(arrays: Arrays) -> State:
    """A state in which nothing is placed."""
    items, hosts = arrays.variant.shape
    _, rows, slots = arrays.demand.shape
    groups, domains = len(arrays.group_kind), int(arrays.domain.max(initial=-1)) + 1
    in_domain = np.zeros((groups, domains), dtype=np.int64)
    np.add.at(in_domain.T, arrays.domain, arrays.group_fixed.T)
    spread = np.zeros((groups, 3), dtype=np.int64)
    spread[:, 0], spread[:, 1] = (arrays.group_fixed > 0).sum(axis=1), (in_domain > 0).sum(axis=1)
    np.add.at(spread[:, 2], arrays.group_of, arrays.members_of)
    return State(
        host_of=np.full(items, NONE, dtype=np.int64),
        load=np.zeros((hosts, rows, slots), dtype=np.int64),
        load_peak=np.zeros((hosts, rows), dtype=np.int64),
        load_peak_slot=np.zeros((hosts, rows), dtype=np.int64),
        load_shape=np.zeros((hosts, rows, arrays.shape.shape[2])),
        occupancy=np.zeros(hosts, dtype=np.int64),
        first=np.full(hosts, NONE, dtype=np.int64),
        after=np.full(items, NONE, dtype=np.int64),
        before=np.full(items, NONE, dtype=np.int64),
        on_host=arrays.group_fixed.copy(),
        in_domain=in_domain,
        spread=spread,
    )


def copy_state(source: State, target: State) -> None:
    """Overwrite one state with another."""
    for theirs, mine in zip(source, target, strict=True):
        mine[:] = theirs


@inlined
def fits(arrays: Arrays, state: State, item: int, host: int) -> bool:
    """Whether an item's demand fits beside a host's load in every dimension and slot.

    Most candidates are decided by the peaks; only the rest are compared slot by slot.
    """
    variant = arrays.variant[item, host]
    if variant < 0:
        return False
    rows = arrays.capacity.shape[1]
    doubtful = False
    for row in range(rows):
        limit = arrays.capacity[host, row]
        if state.load_peak[host, row] + arrays.peak[variant, row] <= limit:
            continue
        if state.load[host, row, arrays.peak_slot[variant, row]] + arrays.peak[variant, row] > limit:
            return False
        if state.load_peak[host, row] + arrays.demand[variant, row, state.load_peak_slot[host, row]] > limit:
            return False
        doubtful = True
    if not doubtful:
        return True
    for row in range(rows):
        limit = arrays.capacity[host, row]
        if state.load_peak[host, row] + arrays.peak[variant, row] <= limit:
            continue
        for slot in range(arrays.demand.shape[2]):
            if state.load[host, row, slot] + arrays.demand[variant, row, slot] > limit:
                return False
    return True


@inlined
def rules_allow(arrays: Arrays, state: State, item: int, host: int) -> bool:
    """Whether placing an item keeps every group rule, or leaves enough unplaced members to keep it."""
    for index in range(arrays.group_start[item], arrays.group_start[item + 1]):
        group, members = arrays.group_of[index], arrays.members_of[index]
        kind, bound = arrays.group_kind[group], arrays.group_bound[group]
        if kind == MAX_PER_HOST:
            if state.on_host[group, host] + members > bound:
                return False
        elif kind == MAX_HOSTS:
            hosts, domains = state.spread[group, 0], state.spread[group, 1]
            if state.on_host[group, host] == 0:
                hosts += 1
            if state.in_domain[group, arrays.domain[host]] == 0:
                domains += 1
            # What is licensed for few hosts and must be spread may not use them up in too few domains.
            if hosts > bound or domains + bound - hosts < arrays.group_domains[group]:
                return False
        elif kind == MIN_DOMAINS:
            domains = state.spread[group, 1]
            if state.in_domain[group, arrays.domain[host]] == 0:
                domains += 1
            if domains + state.spread[group, 2] - members < bound:
                return False
    return True


@kernel
def place(arrays: Arrays, state: State, item: int, host: int) -> None:
    """Put an unplaced item on a host."""
    variant = arrays.variant[item, host]
    rows, slots = arrays.demand.shape[1], arrays.demand.shape[2]
    for row in range(rows):
        highest, where = np.int64(-1), 0
        for slot in range(slots):
            state.load[host, row, slot] += arrays.demand[variant, row, slot]
            if state.load[host, row, slot] > highest:
                highest, where = state.load[host, row, slot], slot
        state.load_peak[host, row], state.load_peak_slot[host, row] = highest, where
        for block in range(arrays.shape.shape[2]):
            state.load_shape[host, row, block] += arrays.shape[variant, row, block]
    head = state.first[host]
    state.after[item], state.before[item], state.first[host] = head, NONE, item
    if head != NONE:
        state.before[head] = item
    state.host_of[item] = host
    state.occupancy[host] += 1
    for index in range(arrays.group_start[item], arrays.group_start[item + 1]):
        group, members, domain = arrays.group_of[index], arrays.members_of[index], arrays.domain[host]
        if state.on_host[group, host] == 0:
            state.spread[group, 0] += 1
        if state.in_domain[group, domain] == 0:
            state.spread[group, 1] += 1
        state.on_host[group, host] += members
        state.in_domain[group, domain] += members
        state.spread[group, 2] -= members


@kernel
def remove(arrays: Arrays, state: State, item: int) -> None:
    """Take a placed item off its host."""
    host = state.host_of[item]
    variant = arrays.variant[item, host]
    rows, slots = arrays.demand.shape[1], arrays.demand.shape[2]
    for row in range(rows):
        highest, where = np.int64(-1), 0
        for slot in range(slots):
            state.load[host, row, slot] -= arrays.demand[variant, row, slot]
            if state.load[host, row, slot] > highest:
                highest, where = state.load[host, row, slot], slot
        state.load_peak[host, row], state.load_peak_slot[host, row] = highest, where
        for block in range(arrays.shape.shape[2]):
            state.load_shape[host, row, block] -= arrays.shape[variant, row, block]
    following, preceding = state.after[item], state.before[item]
    if preceding == NONE:
        state.first[host] = following
    else:
        state.after[preceding] = following
    if following != NONE:
        state.before[following] = preceding
    state.host_of[item] = NONE
    state.occupancy[host] -= 1
    for index in range(arrays.group_start[item], arrays.group_start[item + 1]):
        group, members, domain = arrays.group_of[index], arrays.members_of[index], arrays.domain[host]
        state.on_host[group, host] -= members
        state.in_domain[group, domain] -= members
        state.spread[group, 2] += members
        if state.on_host[group, host] == 0:
            state.spread[group, 0] -= 1
        if state.in_domain[group, domain] == 0:
            state.spread[group, 1] -= 1


@inlined
def affinity_to(arrays: Arrays, state: State, item: int, host: int) -> np.float64:
    """Weighted dot product of an item's demand with what a host has left: high where they complement each other.

    The measure of Panigrahy et al. (2011), summed over time so that a peak meets a valley.
    """
    variant = arrays.variant[item, host]
    blocks = arrays.shape.shape[2]
    total = np.float64(0.0)
    for row in range(arrays.capacity.shape[1]):
        scale = 1.0 / max(arrays.capacity[host, row], 1)
        free = 1.0 - state.load_peak[host, row] * scale
        part = 0.0
        for block in range(blocks):
            part += arrays.shape[variant, row, block] * (free - state.load_shape[host, row, block] + 1.0)
        total += arrays.weight[row] * part
    return np.float64(total / blocks)


@inlined
def rise(arrays: Arrays, state: State, item: int, host: int) -> np.float64:
    """How much an item raises a host's peaks, less a quarter of how full it already is: low is a good fit."""
    variant = arrays.variant[item, host]
    total = np.float64(0.0)
    for row in range(arrays.capacity.shape[1]):
        highest = np.int64(0)
        if arrays.weight[row] > 1e-9:
            for slot in range(arrays.demand.shape[2]):
                highest = max(highest, state.load[host, row, slot] + arrays.demand[variant, row, slot])
            scale = arrays.weight[row] / max(arrays.capacity[host, row], 1)
            total += scale * (highest - 1.25 * state.load_peak[host, row])
    return total


@kernel
def fill_host(arrays: Arrays, state: State, host: int, noise: NDArray[np.float64]) -> None:
    """Bin-centric construction: keep adding the fitting item with the highest affinity (larger ones preferred)."""
    while True:
        best, best_score = NONE, -1.0
        for item in range(len(state.host_of)):
            if state.host_of[item] != NONE or arrays.variant[item, host] < 0:
                continue
            score = affinity_to(arrays, state, item, host) * noise[item]
            if score <= best_score:
                continue
            if fits(arrays, state, item, host) and rules_allow(arrays, state, item, host):
                best, best_score = item, score
        if best == NONE:
            return
        place(arrays, state, best, host)


@kernel
def best_host(arrays: Arrays, state: State, item: int) -> int:
    """Host on which an item fits best, or -1; a host that is on is always better than one that is not."""
    best, best_score, best_on = NONE, np.inf, False
    dearest = np.int64(1)
    for cost in arrays.cost:
        dearest = max(dearest, cost)
    for host in range(len(state.occupancy)):
        on = state.occupancy[host] > 0 or arrays.forced[host]
        if best_on and not on:
            continue
        if not (fits(arrays, state, item, host) and rules_allow(arrays, state, item, host)):
            continue
        score = rise(arrays, state, item, host)
        if not on:
            score += arrays.cost[host] / dearest
        if host == arrays.home[item]:
            score -= HOME_BONUS
        if score < best_score or (on and not best_on):
            best, best_score, best_on = host, score, on
    return best


@kernel
def insert_all(arrays: Arrays, state: State, order: NDArray[np.int64]) -> int:
    """Best fit in a given order; return how many items found no place."""
    left = 0
    for item in order:
        if state.host_of[item] == NONE:
            host = best_host(arrays, state, item)
            if host == NONE:
                left += 1
            else:
                place(arrays, state, item, host)
    return left


@inlined
def _below(random: NDArray[np.uint64], bound: int) -> int:
    return int(np.int64((draw(random) >> np.uint64(33)) % np.uint64(bound)))


@kernel
def _largest_unplaced(arrays: Arrays, state: State, tabu: NDArray[np.int64], now: int) -> int:
    best, best_size = NONE, -1.0
    for item in range(len(state.host_of)):
        if state.host_of[item] == NONE and tabu[item] <= now and arrays.size[item] > best_size:
            best, best_size = item, arrays.size[item]
    return best


@inlined
def _fits_instead(arrays: Arrays, state: State, item: int, out: int, host: int) -> bool:
    """Whether an item fits on a host once another has left; first judged where the item peaks."""
    new, old = arrays.variant[item, host], arrays.variant[out, host]
    rows, slots = arrays.demand.shape[1], arrays.demand.shape[2]
    for row in range(rows):
        slot = arrays.peak_slot[new, row]
        left = arrays.capacity[host, row] - state.load[host, row, slot] + arrays.demand[old, row, slot]
        if arrays.peak[new, row] > left:
            return False
    for row in range(rows):
        limit = arrays.capacity[host, row]
        if state.load_peak[host, row] + arrays.peak[new, row] <= limit:
            continue
        for slot in range(slots):
            if state.load[host, row, slot] - arrays.demand[old, row, slot] + arrays.demand[new, row, slot] > limit:
                return False
    return True


@kernel
def _rules_allow_instead(arrays: Arrays, state: State, item: int, out: int, host: int) -> bool:
    """Whether the group rules allow an item on a host once another has left."""
    if arrays.group_start[item] == arrays.group_start[item + 1]:
        return True
    remove(arrays, state, out)
    allowed = rules_allow(arrays, state, item, host)
    place(arrays, state, out, host)
    return allowed


@kernel
def _swap_in(
    arrays: Arrays, state: State, item: int, usable: NDArray[np.bool_], tabu: NDArray[np.int64], now: int
) -> int:
    """Put an item where it displaces the smallest other one; return that one, now unplaced, or -1."""
    best_target, best_out, best_size = NONE, NONE, np.inf
    for host in range(len(state.occupancy)):
        if not usable[host] or arrays.variant[item, host] < 0:
            continue
        out = state.first[host]
        while out != NONE:
            following = state.after[out]
            if (
                arrays.size[out] < best_size
                and tabu[out] <= now
                and _fits_instead(arrays, state, item, out, host)
                and _rules_allow_instead(arrays, state, item, out, host)
            ):
                best_target, best_out, best_size = host, out, arrays.size[out]
            out = following
    if best_out == NONE:
        return NONE
    remove(arrays, state, best_out)
    place(arrays, state, item, best_target)
    return best_out


@kernel
def _best_usable(arrays: Arrays, state: State, item: int, usable: NDArray[np.bool_]) -> int:
    best, best_score = NONE, np.inf
    for host in range(len(state.occupancy)):
        if usable[host] and fits(arrays, state, item, host) and rules_allow(arrays, state, item, host):
            score = rise(arrays, state, item, host)
            if host == arrays.home[item]:
                score -= HOME_BONUS
            if score < best_score:
                best, best_score = host, score
    return best


@kernel
def repack(
    arrays: Arrays,
    state: State,
    usable: NDArray[np.bool_],
    patience: int,
    random: NDArray[np.uint64],
    tabu: NDArray[np.int64],
) -> bool:
    """Place everything on the usable hosts, displacing smaller items where need be.

    A consistent neighbourhood search in the spirit of Buljubašić and Vasquez (2016): items on other hosts are
    lifted; every state on the way is feasible and partial; the unplaced items shrink until none is left, or have
    not shrunk for ``patience`` steps. The caller restores the state on failure.
    """
    for host in range(len(state.occupancy)):
        while not usable[host] and state.first[host] != NONE:
            remove(arrays, state, state.first[host])
    tabu[:] = 0
    unplaced, size = 0, 0.0
    for item in range(len(state.host_of)):
        if state.host_of[item] == NONE:
            unplaced += 1
            size += arrays.size[item]
    least, since = size, 0
    now = 0
    while unplaced > 0 and since <= patience:
        now += 1
        since += 1
        item = _largest_unplaced(arrays, state, tabu, now)
        if item == NONE:
            continue
        target = _best_usable(arrays, state, item, usable)
        if target != NONE:
            place(arrays, state, item, target)
            unplaced -= 1
            size -= arrays.size[item]
        else:
            out = _swap_in(arrays, state, item, usable, tabu, now)
            if out != NONE:
                size += arrays.size[out] - arrays.size[item]
                tabu[item] = now + 2 + _below(random, 8)
            else:
                tabu[item] = now + 1 + _below(random, 4)
                _shake(arrays, state, usable, random)
        if size < least - 1e-12:
            least, since = size, 0
    return bool(unplaced == 0)


@kernel
def _shake(arrays: Arrays, state: State, usable: NDArray[np.bool_], random: NDArray[np.uint64]) -> None:
    """Shift a few random items between usable hosts, so that the room left lies elsewhere."""
    items, hosts = arrays.variant.shape
    for _ in range(20):
        item, host = _below(random, items), _below(random, hosts)
        source = int(state.host_of[item])
        if source == NONE or source == host or not usable[host]:
            continue
        remove(arrays, state, item)
        if fits(arrays, state, item, host) and rules_allow(arrays, state, item, host):
            place(arrays, state, item, host)
        else:
            place(arrays, state, item, source)


@kernel
def go_home(arrays: Arrays, state: State) -> int:
    """Return moved items to the host they run on now, where it stays on and has room; return how many."""
    returned = 0
    for item in range(len(state.host_of)):
        home, host = arrays.home[item], state.host_of[item]
        if home == NONE or host == NONE or host == home or (state.occupancy[home] == 0 and not arrays.forced[home]):
            continue
        remove(arrays, state, item)
        if fits(arrays, state, item, home) and rules_allow(arrays, state, item, home):
            place(arrays, state, item, home)
            returned += 1
        else:
            place(arrays, state, item, host)
    return returned


@kernel
def relocate(arrays: Arrays, source: State, target: NDArray[np.int64], order: NDArray[np.int64], into: State) -> bool:
    """Fill an empty state from a complete one, each host's contents on its target; False where one is barred."""
    for item in order:
        host = target[source.host_of[item]]
        if not (fits(arrays, into, item, host) and rules_allow(arrays, into, item, host)):
            return False
        place(arrays, into, item, host)
    return True
