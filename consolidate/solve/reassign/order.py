"""An order of moves, one after another, in which no host is overfull and no limit broken at any moment.

Each move takes an item off its host and puts it on another that has room for it then. Where nothing can go where it
shall, something in the way is parked on a third host.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import inlined, kernel
from consolidate.solve.reassign.delta import fits, may_enter
from consolidate.solve.reassign.problem import Reassignment
from consolidate.solve.reassign.state import State, count_in, count_out, enter, leave, new_state

_MOST_PARKINGS = 8
"""Times that one item is parked before it is given up."""


class Order(NamedTuple):
    """Moves in order, and what is left over."""

    item: NDArray[np.int64]
    host: NDArray[np.int64]
    """Where each move takes its item."""
    stuck: NDArray[np.int64]
    """Items for which no way was found."""


def order_moves(
    problem: Reassignment, start: NDArray[np.int64], target: NDArray[np.int64], spare: NDArray[np.int64]
) -> Order:
    """Order the moves from one placement to another.

    Args:
        problem: Without homes and transient cells: what has left a host is not charged to it.
        start: Host of each item, or -1 where it runs nowhere yet; shape (I,).
        target: Host of each item, shape (I,).
        spare: Hosts in the order in which they are tried for parking.

    """
    state = new_state(problem, start)
    capacity = len(start) * (_MOST_PARKINGS + 1)
    item, host = np.empty(capacity, dtype=np.int64), np.empty(capacity, dtype=np.int64)
    pending = np.flatnonzero(start != target)
    # What runs makes room by moving, what does not only takes it.
    pending = pending[np.argsort(start[pending] < 0, kind="stable")]
    parked = np.zeros(len(start), dtype=np.int64)
    moves = _order(problem, state, target, spare, (pending, parked), (item, host))
    stuck = np.flatnonzero(state.host_of[:-1] != target)
    return Order(item[:moves].copy(), host[:moves].copy(), stuck)


@inlined
def _may_enter(problem: Reassignment, state: State, item: int, host: int) -> bool:
    return fits(problem, state, item, host) and may_enter(problem, state, item, host)


@inlined
def _move(problem: Reassignment, state: State, item: int, host: int) -> None:
    source = state.host_of[item]
    if source >= 0:
        count_out(problem, state, item, source)
        leave(problem, state, item)
    count_in(problem, state, item, host)
    enter(problem, state, item, host)


@kernel
def _order(
    problem: Reassignment,
    state: State,
    target: NDArray[np.int64],
    spare: NDArray[np.int64],
    waiting: tuple[NDArray[np.int64], NDArray[np.int64]],
    out: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> int:
    pending, parked = waiting
    left, moves = len(pending), 0
    while left > 0:
        still = 0
        for index in range(left):
            item = pending[index]
            if state.host_of[item] == target[item]:
                continue  # where parking has taken it
            if _may_enter(problem, state, item, target[item]):
                _move(problem, state, item, target[item])
                out[0][moves], out[1][moves] = item, target[item]
                moves += 1
            else:
                pending[still] = item
                still += 1
        if still == left:
            made = _park(problem, state, target, spare, (pending[:left], parked), (out[0][moves:], out[1][moves:]))
            if made == 0:
                break
            moves += made
        left = still
    return moves


@kernel
def _park(
    problem: Reassignment,
    state: State,
    target: NDArray[np.int64],
    spare: NDArray[np.int64],
    waiting: tuple[NDArray[np.int64], NDArray[np.int64]],
    out: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> int:
    """Park items that stand where a waiting one shall go; how many were parked."""
    pending, parked = waiting
    made, first = 0, 0
    for item in pending:  # each is itself in the way of whatever waits for its host
        source = state.host_of[item]
        if source < 0 or parked[item] >= _MOST_PARKINGS:
            continue
        wanted = False
        for other in pending:
            if target[other] == source:
                wanted = True
                break
        if not wanted:
            continue
        for index in range(len(spare)):
            host = spare[(first + index) % len(spare)]
            if host != source and _may_enter(problem, state, item, host):
                _move(problem, state, item, host)
                out[0][made], out[1][made] = item, host
                parked[item] += 1
                made += 1
                first = (first + index) % len(spare)
                break
    return made
