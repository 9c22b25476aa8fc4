"""Every placement of a small problem, one after another: the search that can say that there is none."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import kernel
from consolidate.solve.kernels import NONE, State, empty_state, fits, place, remove, rules_allow
from consolidate.solve.presolve import alike_hosts, alike_items
from consolidate.solve.problem import Arrays

_FOUND, _NONE_LEFT, _SPENT = range(3)


class Verdict(enum.Enum):
    """What is known about whether a placement exists."""

    POSSIBLE = "possible"
    """One was found."""
    IMPOSSIBLE = "impossible"
    """It is proved that there is none."""
    UNKNOWN = "unknown"
    """None was found, and nothing was proved."""


@dataclass
class Budget:
    """Nodes of search trees that may still be visited; shared by the searches of one question."""

    nodes: int


class Placements:
    """A depth-first search through the placements of a problem, which stops at each one found.

    Of placements that differ only in equal items or equal hosts one is visited: equal items come in the order of
    their hosts, and of the equal hosts that are still empty only the first is opened. The smallest of the equivalent
    placements in the order of hosts passes both tests, so none is lost.
    """

    def __init__(self, arrays: Arrays, budget: Budget, symmetric: bool = True) -> None:
        """Items with the least choice first; without ``symmetric`` every placement counts as different."""
        items, hosts = arrays.variant.shape
        self.arrays = arrays
        self.budget = budget
        self.state: State = empty_state(arrays)
        same_item = alike_items(arrays) if symmetric else np.arange(items)
        same_host = alike_hosts(arrays) if symmetric else np.arange(hosts)
        self._order = np.lexsort((same_item, -arrays.size, (arrays.variant >= 0).sum(axis=1)))
        ordered = same_item[self._order]
        self._twin = np.concatenate([[False], ordered[1:] == ordered[:-1]])[:items]
        self._alike_before = _previous_of_class(same_host)
        self._choice = np.full(items, NONE, dtype=np.int64)
        self._at = np.zeros(2, dtype=np.int64)

    def next(self) -> Verdict:
        """Go on to the next placement, which ``state`` then holds."""
        if self.budget.nodes <= 0:
            return Verdict.UNKNOWN
        if not len(self._order):  # one placement of nothing, and no second
            self._at[0] += 1
            return Verdict.POSSIBLE if self._at[0] == 1 else Verdict.IMPOSSIBLE
        self._at[1] = self.budget.nodes
        ended = _next_leaf(self.arrays, self.state, self._order, self._twin, self._alike_before, self._choice, self._at)
        self.budget.nodes = int(self._at[1])
        return {_FOUND: Verdict.POSSIBLE, _NONE_LEFT: Verdict.IMPOSSIBLE}.get(ended, Verdict.UNKNOWN)


def _previous_of_class(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The last one before each that is of its class, or -1."""
    latest: dict[int, int] = {}
    before = np.full(len(classes), NONE, dtype=np.int64)
    for index, one in enumerate(classes.tolist()):
        before[index] = latest.get(one, NONE)
        latest[one] = index
    return before


@kernel
def _next_leaf(
    arrays: Arrays,
    state: State,
    order: NDArray[np.int64],
    twin: NDArray[np.bool_],
    alike_before: NDArray[np.int64],
    choice: NDArray[np.int64],
    at: NDArray[np.int64],
) -> int:
    """Resume the search; ``at`` holds the depth and the nodes left, ``choice`` the host tried at each depth."""
    items, hosts = arrays.variant.shape
    depth = at[0]
    while True:
        if depth == items:  # go on from a placement that was found before
            depth -= 1
        item, host = order[depth], choice[depth]
        if host != NONE:
            remove(arrays, state, item)
        elif twin[depth]:
            host = choice[depth - 1] - 1
        host += 1
        while host < hosts and not (
            arrays.variant[item, host] >= 0
            and (alike_before[host] == NONE or state.occupancy[host] > 0 or state.occupancy[alike_before[host]] > 0)
            and fits(arrays, state, item, host)
            and rules_allow(arrays, state, item, host)
        ):
            host += 1
        if host == hosts:
            choice[depth] = NONE
            depth -= 1
            if depth < 0:
                at[0] = 0
                return _NONE_LEFT
            continue
        place(arrays, state, item, host)
        choice[depth] = host
        depth += 1
        at[1] -= 1
        at[0] = depth
        if depth == items:
            return _FOUND
        if at[1] <= 0:
            return _SPENT
