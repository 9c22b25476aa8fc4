"""Diving: fix the patterns that the relaxation likes best, generate more for what is left, and so on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.columns.choose import choose
from consolidate.solve.columns.generate import Generator
from consolidate.solve.columns.instance import Packing, Pattern, ShouldStop, cost_of

_ROUNDS = 2
"""Rounds of new patterns after each fixing."""
_NODES = 25
"""Nodes of pricing below each item: these patterns need not be the best."""
_SURE = 0.8
"""Patterns used as often as this are fixed together."""
_LIKELY = 0.4
_BATCH = 15
"""One in so many of the bins still open is fixed at a time, of patterns that are used more than `_LIKELY`."""
_FEW_BINS = 12
"""So many bins are left to an integer program."""
_FEW_NODES = 10
"""Nodes of that program."""


def dive(
    generator: Generator, limit: int, random: np.random.Generator, greed: float, should_stop: ShouldStop
) -> Packing | None:
    """A packing that costs at most ``limit``, or None.

    ``greed`` 1 always fixes what is used most; less lets others have their turn.
    """
    instance, master = generator.instance, generator.master
    copies, available = instance.copies.copy(), instance.available.copy()
    fixed: list[Pattern] = []
    packing, finished = None, False
    while not should_stop():
        master.restrict(copies, available)
        relaxed = generator.enrich(copies, _ROUNDS, _NODES)
        spent = cost_of(instance, fixed)
        if spent + relaxed.cost > limit + 1e-6:
            break
        if not finished and relaxed.cost <= _FEW_BINS * float(instance.cost.mean()):
            finished = True
            rest = _finish(generator, copies, available, limit - spent, should_stop)
            if rest is not None:
                packing = (*fixed, *rest)
                break
        new = _fix(generator, relaxed.use, copies, available, random, greed)
        if not new:
            break
        fixed += new
        if not copies.any():
            packing = tuple(fixed)
            break
    master.restrict(instance.copies, instance.available)
    return packing


def _finish(
    generator: Generator, copies: NDArray[np.int64], available: NDArray[np.int64], limit: int, should_stop: ShouldStop
) -> Packing | None:
    """The rest by an integer program over what is known of it."""
    instance = generator.instance
    rest: dict[Pattern, None] = {}
    for pattern in generator.master.patterns:
        part = _part(pattern, copies)
        if part == pattern or (instance.monotone and part.items):
            rest[part] = None
    return choose(instance, list(rest), copies, available, (0, limit), _FEW_NODES, should_stop).packing


def _part(pattern: Pattern, copies: NDArray[np.int64]) -> Pattern:
    kept: list[int] = []
    for item in pattern.items:
        if kept.count(item) < copies[item]:
            kept.append(item)
    return Pattern(pattern.kind, tuple(kept))


def _fix(
    generator: Generator,
    use: NDArray[np.float64],
    copies: NDArray[np.int64],
    available: NDArray[np.int64],
    random: np.random.Generator,
    greed: float,
) -> list[Pattern]:
    """Take the most used patterns, all that are nearly whole and at least one; ``copies`` and bins go down."""
    batch = max(1, int(use.sum()) // _BATCH)
    liking = use * random.uniform(greed, 1.0, len(use))
    new: list[Pattern] = []
    for index in np.argsort(-liking, kind="stable").tolist():
        if use[index] <= 1e-6 or (new and use[index] < (_SURE if len(new) >= batch else _LIKELY)):
            break
        pattern = generator.master.patterns[index]
        for _ in range(max(int(use[index] + 1 - _SURE), 1)):
            part = _part(pattern, copies)
            whole = part == pattern
            if (
                not part.items
                or not available[pattern.kind]
                or (not whole and (new or not generator.instance.monotone))
            ):
                break
            copies -= np.bincount(part.items, minlength=len(copies))
            available[pattern.kind] -= 1
            new.append(part)
    return new
