"""Fit everything on fewer hosts by way of overfull ones.

A search that keeps every host within its capacity gets stuck where all of them are nearly full: hardly any shift or
swap fits. Here hosts may be overfull, and simulated annealing (Kirkpatrick, Gelatt and Vecchi, 1983) takes the load
above the capacity to nothing; the group rules hold throughout. Where it arrives, the placement is an ordinary one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import inlined, kernel
from consolidate.solve.kernels import NONE, State, place, remove, rules_allow
from consolidate.solve.problem import Arrays
from consolidate.solve.randomness import below, unit

_HOT, _COLD = 0.01, 0.0003
"""Temperatures at the start and the end, in hosts' worth of a slot above capacity; from sweeps over made-up estates."""
_FOCUSED = 0.75
"""Share of steps that start from an overfull host: what stands there is what matters."""
_TRIES = 30
"""Items looked at for one on an overfull host."""
_LOOKS = 1024
"""Steps between two looks at the whole."""
_SETTLED, _HOPELESS = 0.1, 8.0
"""Share of the steps after which load above capacity of so many temperatures a host will not go away any more. What
fits in the end has a tenth of that, what does not fit several times as much and a growing multiple."""


@kernel
def excess(arrays: Arrays, state: State, host: int) -> float:
    """Load above a host's capacity, summed over dimensions and slots, each as a share of the capacity."""
    return _excess(arrays, state, host, NONE, NONE)


@inlined
def _excess(arrays: Arrays, state: State, host: int, coming: int, going: int) -> float:
    """Excess once one variant has come to a host and another has left it; -1 stands for none."""
    total = 0.0
    for row in range(arrays.capacity.shape[1]):
        limit = arrays.capacity[host, row]
        highest = state.load_peak[host, row]
        if coming != NONE:
            highest += arrays.peak[coming, row]
        if highest <= limit:
            continue
        above = np.int64(0)
        for slot in range(arrays.demand.shape[2]):
            load = state.load[host, row, slot] - limit
            if coming != NONE:
                load += arrays.demand[coming, row, slot]
            if going != NONE:
                load -= arrays.demand[going, row, slot]
            above += max(load, 0)
        total += above / max(limit, 1)
    return total


@kernel
def evict(arrays: Arrays, state: State, usable: NDArray[np.bool_], walled: NDArray[np.bool_]) -> bool:
    """Move everything from hosts that are not usable to where it is least above capacity; False where rules forbid."""
    for source in range(len(state.occupancy)):
        while not usable[source] and state.first[source] != NONE:
            item = int(state.first[source])
            remove(arrays, state, item)
            best, least = NONE, np.inf
            for host in range(len(state.occupancy)):
                if usable[host] and arrays.variant[item, host] != NONE and rules_allow(arrays, state, item, host):
                    above = _excess(arrays, state, host, int(arrays.variant[item, host]), NONE)
                    above -= _excess(arrays, state, host, NONE, NONE)
                    if above < least and not (above > 0 and walled[host]):
                        best, least = host, above
            if best == NONE:
                return False
            place(arrays, state, item, best)
    return True


@inlined
def _exchange(arrays: Arrays, state: State, item: int, other: int, target: int) -> bool:
    """Carry out a shift, or a swap with another item, unless a group rule forbids it."""
    source = int(state.host_of[item])
    remove(arrays, state, item)
    if other != NONE:
        remove(arrays, state, other)
    if rules_allow(arrays, state, item, target):
        place(arrays, state, item, target)
        if other == NONE:
            return True
        if rules_allow(arrays, state, other, source):
            place(arrays, state, other, source)
            return True
        remove(arrays, state, item)
    place(arrays, state, item, source)
    if other != NONE:
        place(arrays, state, other, target)
    return False


@kernel
def squeeze(
    arrays: Arrays,
    state: State,
    usable: NDArray[np.bool_],
    walled: NDArray[np.bool_],
    steps: int,
    random: NDArray[np.uint64],
    over: NDArray[np.float64],
    succeeded: NDArray[np.int64],
    number: int,
) -> bool:
    """Put everything on the usable hosts and shift and swap until none is overfull; False where that is not reached.

    ``walled`` hosts never become overfull; others may on the way. ``over``, shape (H,), is filled with the excess of
    each host. Several may try at once: ``succeeded``, shape (1,), holds the lowest number of those that have, and a
    higher one then gives up.
    """
    hosts, items = len(state.occupancy), len(state.host_of)
    if not evict(arrays, state, usable, walled):
        return False
    for host in range(hosts):
        over[host] = _excess(arrays, state, host, NONE, NONE)
    above, on = 0.0, 0
    for step in range(steps):
        heat = _HOT * (_COLD / _HOT) ** (step / steps)
        if step % _LOOKS == 0:
            above, on = 0.0, 0  # summed anew, since small differences of large sums drift
            for host in range(hosts):
                if usable[host]:
                    above += over[host]
                    on += 1
            hopeless = step > _SETTLED * steps and above > _HOPELESS * heat * on
            if hopeless or succeeded[0] < number:
                return False
        if above < 1e-9 and _within(arrays, state, usable):
            succeeded[0] = min(succeeded[0], number)
            return True
        item = below(random, items)
        if unit(random) < _FOCUSED:
            for _ in range(_TRIES):
                if over[state.host_of[item]] > 0:
                    break
                item = below(random, items)
        other = NONE
        target = below(random, hosts)
        if unit(random) < 0.5:
            other = below(random, items)
            target = int(state.host_of[other])
        source = int(state.host_of[item])
        if target == source or not usable[target] or arrays.variant[item, target] == NONE:
            continue
        old, new, back, gone = int(arrays.variant[item, source]), int(arrays.variant[item, target]), NONE, NONE
        if other != NONE:
            back, gone = int(arrays.variant[other, source]), int(arrays.variant[other, target])
            if back == NONE:
                continue
        before = over[source] + over[target]
        allowed = before - heat * np.log(unit(random))
        reached = _excess(arrays, state, target, new, gone)
        if reached > allowed or (reached > 0 and walled[target]):
            continue
        left = _excess(arrays, state, source, back, old)
        if left > 0 and walled[source]:
            continue
        if reached + left <= allowed and _exchange(arrays, state, item, other, target):
            over[source], over[target] = left, reached
            above += reached + left - before
    return False


@inlined
def _within(arrays: Arrays, state: State, usable: NDArray[np.bool_]) -> bool:
    """Whether every usable host is within its capacity: exact, where the running sum of excesses has drifted."""
    for host in range(len(usable)):
        for row in range(arrays.capacity.shape[1]):
            if usable[host] and state.load_peak[host, row] > arrays.capacity[host, row]:
                return False
    return True
