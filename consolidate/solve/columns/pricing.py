"""The best patterns for given item values: a bounded knapsack in many dimensions, by depth-first search.

Values and surrogate weights are integers, so that a bound from here is exact. Each node keeps the items that still
fit; what they can add at most is bounded by fractional knapsacks over *surrogates*, sums of the cells weighted by
multipliers. The first surrogate orders the branches; its multipliers are adapted until the fractional solution
loads all of its cells alike, which is what the duals of the knapsack's linear relaxation do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.columns.instance import Instance, Pattern
from consolidate.solve.columns.kernels import SHARE, Found, Knapsack, Tree, adapt, keep_apart, search

_MULTIPLIERS = 1 << 10
"""What integer multipliers sum to."""
_DEMAND_BITS = 42
"""So large may a demand be where it is multiplied by `SHARE`; of larger ones the last bits are dropped."""
_ADAPTING = 40
"""Rounds of adapting the multipliers."""


@dataclass(frozen=True)
class Priced:
    """What one search found."""

    patterns: tuple[Pattern, ...]
    best: int
    """Value of the best of them, or the threshold where there is none."""
    upper: int
    """No pattern has a value above this."""
    complete: bool
    """Whether nothing above the threshold was left out: then ``upper`` is the best value, or the threshold."""


def knapsack(instance: Instance, kind: int) -> Knapsack:
    """The kernel's view of a kind of bin."""
    demand, capacity = instance.demand[kind], instance.capacity[kind]
    shift = max(int(np.abs(demand).max(initial=0)).bit_length() - _DEMAND_BITS, 0)
    share = np.where(capacity > 0, (demand >> shift) * SHARE // np.maximum(-(-capacity >> shift), 1), 0)
    group, bound = instance.group, instance.group_bound
    credit = _credit(demand, instance.allowed[kind], instance.copies)
    allowed = instance.allowed[kind] & (demand <= capacity + credit).all(axis=1)
    return Knapsack(
        demand,
        capacity,
        np.minimum(share, 2 * SHARE),
        keep_apart(demand, capacity + credit, group, bound),
        group,
        bound,
        allowed,
        instance.monotone,
        kind,
        _most_items(demand[allowed], capacity + credit, instance.copies[allowed]),
    )


def price(
    sack: Knapsack,
    values: NDArray[np.int64],
    copies: NDArray[np.int64],
    multipliers: NDArray[np.float64],
    threshold: int,
    nodes: int,
    every: int = 0,
) -> Priced:
    """Search for patterns with a value above a threshold.

    ``multipliers`` (S, D) make the surrogates; ``nodes`` may be spent below each item. Good patterns of every item
    are returned; or, with ``every``, all maximal patterns above the threshold, up to so many.
    """
    weights = np.rint(multipliers / multipliers.sum(axis=1, keepdims=True) * _MULTIPLIERS).astype(np.int64)
    weight = weights @ sack.share.T
    candidates = np.flatnonzero(sack.allowed & (copies > 0) & ((values > 0) | (every > 0) | (not sack.monotone)))
    if not len(candidates):
        return Priced((), threshold, threshold, True)
    need = weight[:, candidates]
    ratio = np.where(need < 0, np.inf, values[candidates] / np.maximum(need, 0.5))
    by_ratio = np.argsort(-ratio, axis=1, kind="stable")
    by_value = np.argsort(-values[candidates], kind="stable")
    orders = candidates[np.concatenate([by_ratio[:1], by_value[None], by_ratio])].astype(np.int32)
    longest = sack.longest
    tree = _tree(sack, orders, weights.sum(axis=1) * SHARE, weight, copies, longest)
    rows = every if every else len(copies)
    found = Found(
        np.empty((rows, longest), dtype=np.int32),
        np.zeros(rows, dtype=np.int64),
        np.full(rows, threshold, dtype=np.int64),
        np.zeros(2, dtype=np.int64),
    )
    upper, complete = search(sack, values, tree, weight, found, threshold, nodes, every > 0)
    kept = [Pattern(sack.kind, tuple(sorted(found.items[row, : found.length[row]].tolist()))) for row in range(rows)]
    return Priced(
        tuple(dict.fromkeys(pattern for pattern in kept if pattern.items)),
        int(found.tally[1]),
        int(upper),
        bool(complete),
    )


def _credit(demand: NDArray[np.int64], allowed: NDArray[np.bool_], copies: NDArray[np.int64]) -> NDArray[np.int64]:
    """Room (D,) that all items of negative demand together would bring."""
    credit: NDArray[np.int64] = np.maximum(-demand, 0).T @ np.where(allowed, copies, 0)
    return credit


def _tree(
    sack: Knapsack,
    orders: NDArray[np.int32],
    room: NDArray[np.int64],
    weight: NDArray[np.int64],
    copies: NDArray[np.int64],
    longest: int,
) -> Tree:
    """The search at its root."""
    lists = np.empty((longest + 1, *orders.shape), dtype=np.int32)
    lists[0] = orders
    size = np.zeros(longest + 1, dtype=np.int64)
    size[0] = orders.shape[1]
    rank = np.zeros(len(copies), dtype=np.int32)
    rank[orders[0]] = np.arange(orders.shape[1])
    return Tree(
        lists=lists,
        size=size,
        position=np.zeros(longest + 1, dtype=np.int64),
        most=np.full(longest + 1, longest, dtype=np.int64),
        chosen=np.empty(longest + 1, dtype=np.int32),
        rank=rank,
        fitting=np.zeros(len(copies), dtype=np.bool_),
        left=sack.capacity.copy(),
        left_group=sack.group_bound.copy(),
        left_room=room,
        left_copies=copies.copy(),
        credit=_credit(sack.demand, sack.allowed, copies),
        credit_room=np.maximum(-weight, 0) @ np.where(sack.allowed, copies, 0),
    )


def adapted_multipliers(
    sack: Knapsack, values: NDArray[np.int64], copies: NDArray[np.int64], start: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Multipliers (D,) under which the fractional knapsack is nearly tightest."""
    adapted: NDArray[np.float64] = adapt(sack.share, values, np.where(sack.allowed, copies, 0), start, _ADAPTING)
    return adapted


def _most_items(demand: NDArray[np.int64], capacity: NDArray[np.int64], copies: NDArray[np.int64]) -> int:
    """At most so many items share a bin: in each cell the smallest ones first."""
    most = int(copies.sum())
    for cell in range(demand.shape[1]):
        sizes = np.sort(np.repeat(np.maximum(demand[:, cell], 0), copies))
        most = min(most, int(np.searchsorted(np.cumsum(sizes), capacity[cell], side="right")))
    return most
