"""Constructive heuristics for packing items into bins of several kinds, measured by Mommessin et al. (2025).

Filling one bin at a time is best for most mixes, best fit by falling size for big items. Cells weigh as much as what
is left to pack needs of them (their "Avg-Dyn"); random weights give further packings and further patterns.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.columns.instance import Instance, Packing, Pattern
from consolidate.solve.columns.kernels import DOT, NORM, fill_bin, place_all

_RULES = 3
"""Filling by dot product and by norm, and best fit."""


def packings(instance: Instance, seed: int, perturbed: int) -> Iterator[Packing]:
    """Yield complete packings: each rule once, then with random weights."""
    random = np.random.default_rng(seed)
    cells = instance.capacity.shape[1]
    for number in range(perturbed + _RULES):
        noise: NDArray[np.float64] = (
            random.uniform(0.5, 2.0, size=(1, cells))[0] if number >= _RULES else np.ones(cells)
        )
        rule = number % _RULES
        packing = _fill(instance, rule, noise) if rule in (DOT, NORM) else _best_fit(instance, noise)
        if packing is not None:
            yield packing


def _shares(instance: Instance) -> NDArray[np.float64]:
    """(K, N, D): demand as a share of capacity."""
    shares: NDArray[np.float64] = instance.demand / np.maximum(instance.capacity, 1)[:, None, :]
    return shares


def _fill(instance: Instance, rule: int, noise: NDArray[np.float64]) -> Packing | None:
    """Bin by bin: every kind is filled for trial, the one that holds most for its cost is kept."""
    shares = _shares(instance)
    left, available = instance.copies.copy(), instance.available.copy()
    worth = np.where(instance.allowed[..., None], shares, np.inf).min(axis=0)
    worth = np.where(np.isfinite(worth), worth, 0.0)
    packing: list[Pattern] = []
    while left.any():
        weight = noise * (worth * left[:, None]).sum(axis=0) / left.sum()
        best, best_rate = None, 0.0
        for kind in np.flatnonzero(available > 0).tolist():
            items = fill_bin(
                instance.demand[kind],
                shares[kind],
                instance.capacity[kind],
                np.where(instance.allowed[kind], left, 0),
                instance.group,
                instance.group_bound,
                weight,
                rule,
            )
            rate = float((worth[items] @ weight).sum() + 1e-9 * len(items)) / float(instance.cost[kind])
            if len(items) and (best is None or rate > best_rate):
                best, best_rate = Pattern(kind, tuple(sorted(items.tolist()))), rate
        if best is None:
            return None
        packing.append(best)
        left -= np.bincount(best.items, minlength=len(left))
        available[best.kind] -= 1
    return tuple(packing)


def _best_fit(instance: Instance, noise: NDArray[np.float64]) -> Packing | None:
    """Item by item from the largest, into the bin of the first kind that takes it and that it fills most."""
    shares = _shares(instance)[0]
    alone = (instance.demand[0] <= instance.capacity[0]).all() and (instance.group <= instance.group_bound).all()
    if len(instance.cost) > 1 or not instance.allowed.all() or not alone:
        return None
    weight = noise * (shares * instance.copies[:, None]).sum(axis=0)
    order = np.repeat(np.arange(len(shares)), instance.copies)
    size = (weight * shares**2).sum(axis=1)
    order = order[np.argsort(-size[order], kind="stable")]
    bin_of = place_all(
        instance.demand[0], shares, instance.capacity[0], order, instance.group, instance.group_bound, weight
    )
    bins = int(bin_of.max()) + 1
    if bins > instance.available[0]:
        return None
    return tuple(Pattern(0, tuple(sorted(order[bin_of == one].tolist()))) for one in range(bins))
