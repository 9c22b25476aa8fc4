"""A placement from nothing, good enough to search from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import kernel
from consolidate.solve.randomness import below, seeded
from consolidate.solve.reassign.climate import MOST_FORCE
from consolidate.solve.reassign.delta import BARRED, crowded, host_change, may_enter
from consolidate.solve.reassign.problem import Reassignment, overload_units
from consolidate.solve.reassign.state import State, count_in, enter, new_state

CANDIDATES = 64
"""Hosts that are looked at for each item."""


def construct(problem: Reassignment, seed: int = 0) -> NDArray[np.int64]:
    """Hosts (I,) for all items: the largest first, each where it costs least among some random hosts.

    Capacities are exceeded where need be, which the search mends; limits of groups on a host are kept.

    Raises:
        ValueError: where an item finds no host that its groups allow.

    """
    random = np.array([seeded(seed)], dtype=np.uint64)
    size = (
        problem.reach[:-1]
        + (problem.demand / np.maximum(problem.capacity.max(axis=0), 1)).sum(axis=1)[
            np.maximum(problem.variant[:-1, 0], 0)
        ]
        * problem.reach.mean()
    )
    state = new_state(problem, np.full(problem.items, -1))
    force = np.ceil(np.broadcast_to(overload_units(problem) * MOST_FORCE, problem.capacity.shape)).astype(np.int64)
    left = _insert(problem, state, force, np.argsort(-size, kind="stable"), random)
    if left >= 0:
        raise ValueError(f"item {left} finds no host that the limits of its groups allow")
    return state.host_of[:-1].copy()


@kernel
def _insert(
    problem: Reassignment,
    state: State,
    force: NDArray[np.int64],
    order: NDArray[np.int64],
    random: NDArray[np.uint64],
) -> np.int64:
    """Place the items in this order; the first that has no place, or -1."""
    hosts, nothing = len(problem.kind), len(problem.home) - 1
    for item in order:
        best, least = -1, BARRED
        for attempt in range(2):
            looks = min(CANDIDATES, hosts) if attempt == 0 else hosts
            first = below(random, hosts)
            for look in range(looks):
                host = (first + look) % hosts if attempt == 1 or looks == hosts else below(random, hosts)
                if crowded(problem, state, host, nothing, item):
                    continue
                cost, overload = host_change(problem, state, force, host, nothing, item)
                if cost + overload < least and may_enter(problem, state, item, host):
                    best, least = host, cost + overload
            if best >= 0:
                break
        if best < 0:
            return np.int64(item)
        count_in(problem, state, item, best)
        enter(problem, state, item, best)
    return np.int64(-1)
