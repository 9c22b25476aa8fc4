"""The packing problem of column generation: items, kinds of bins, and patterns that fill a bin.

Vector bin packing has one kind and one slot; a fleet has a kind for all hosts that are alike, and a *cell* for every
dimension and slot that matters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Instance:
    """K kinds of bins, N distinct items, D cells, G groups; integers throughout.

    A demand may be negative (an item that brings room); costs are positive.
    """

    demand: NDArray[np.int64]
    """(K, N, D): what an item takes in a bin of a kind."""
    allowed: NDArray[np.bool_]
    """(K, N): whether an item may be in a bin of a kind."""
    copies: NDArray[np.int64]
    """(N,): how many of the item there are."""
    capacity: NDArray[np.int64]
    """(K, D)"""
    cost: NDArray[np.int64]
    """(K,): of opening a bin."""
    available: NDArray[np.int64]
    """(K,): bins there are."""
    group: NDArray[np.int64]
    """(N, G): members of a group that an item stands for."""
    group_bound: NDArray[np.int64]
    """(G,): members of a group that may share a bin."""

    @cached_property
    def grain(self) -> int:
        """Every total cost is a multiple of this."""
        return gcd(*self.cost.tolist())

    @cached_property
    def monotone(self) -> bool:
        """Whether a part of a pattern is a pattern, which negative demands forbid."""
        return bool((self.demand >= 0).all())

    def round_up(self, numerator: int, denominator: int) -> int:
        """The least total cost that is not below a fraction."""
        return -(-numerator // (denominator * self.grain)) * self.grain

    def fits(self, pattern: Pattern) -> bool:
        """Whether a pattern keeps every capacity and group bound."""
        items, kind = np.array(pattern.items, dtype=np.int64), pattern.kind
        if not self.allowed[kind, items].all():
            return False
        load = self.demand[kind, items].sum(axis=0)
        members = self.group[items].sum(axis=0)
        return bool((load <= self.capacity[kind]).all() and (members <= self.group_bound).all())


@dataclass(frozen=True, order=True)
class Pattern:
    """What is in one bin: a kind, and items in ascending order, each as often as it is there."""

    kind: int
    items: tuple[int, ...]


ShouldStop = Callable[[], bool]
"""Asked now and then; true ends the search with what there is."""

Packing = tuple[Pattern, ...]
"""One pattern a bin; together they hold every copy of every item exactly once."""


def cost_of(instance: Instance, packing: Sequence[Pattern]) -> int:
    """Total opening cost."""
    return int(sum(int(instance.cost[pattern.kind]) for pattern in packing))


def uniform_bins(
    demand: NDArray[np.int64], capacity: NDArray[np.int64], copies: NDArray[np.int64] | None = None
) -> Instance:
    """Vector bin packing into equal bins of cost 1: demand (N, D), capacity (D,), copies (N,) or one of each."""
    items = len(demand)
    copies = np.ones(items, dtype=np.int64) if copies is None else copies
    return Instance(
        demand=np.ascontiguousarray(demand[None], dtype=np.int64),
        allowed=np.ones((1, items), dtype=np.bool_),
        copies=copies.astype(np.int64),
        capacity=np.ascontiguousarray(capacity[None], dtype=np.int64),
        cost=np.ones(1, dtype=np.int64),
        available=np.array([copies.sum()], dtype=np.int64),
        group=np.zeros((items, 0), dtype=np.int64),
        group_bound=np.zeros(0, dtype=np.int64),
    )


def merge_identical(instance: Instance) -> tuple[Instance, tuple[NDArray[np.int64], ...]]:
    """Items that nothing tells apart become copies of one; also, for each merged item, the items it stands for.

    An item of several copies appears once for each of them.
    """
    traits = np.concatenate(
        [
            np.where(instance.allowed[..., None], instance.demand, 0)
            .transpose(1, 0, 2)
            .reshape(len(instance.copies), -1),
            instance.allowed.T.astype(np.int64),
            instance.group,
        ],
        axis=1,
    )
    _, first, kind = np.unique(traits, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)  # keep the order of the items
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    label, keep = rank[kind.ravel()], first[order]
    members = tuple(
        np.repeat(where, instance.copies[where]) for where in (np.flatnonzero(label == one) for one in range(len(keep)))
    )
    merged = Instance(
        demand=np.ascontiguousarray(instance.demand[:, keep]),
        allowed=np.ascontiguousarray(instance.allowed[:, keep]),
        copies=np.array([len(one) for one in members], dtype=np.int64),
        capacity=instance.capacity,
        cost=instance.cost,
        available=instance.available,
        group=np.ascontiguousarray(instance.group[keep]),
        group_bound=instance.group_bound,
    )
    return merged, members
