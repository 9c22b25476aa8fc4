"""Closing the gap: every pattern that a cheaper packing could use, and an integer program over all of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.columns.choose import Chosen, choose
from consolidate.solve.columns.generate import Generator
from consolidate.solve.columns.instance import Pattern, ShouldStop

_ROUNDS = 40
"""Times that patterns which are worth more are added first."""


def close(
    generator: Generator,
    bound: int,
    upper: int,
    pricing_nodes: int,
    most_patterns: int,
    choice_nodes: int,
    should_stop: ShouldStop,
) -> Chosen:
    """Look for a packing cheaper than ``upper`` among all that there are; exhausted proves that there is none.

    Given up where that would be ``most_patterns`` of all kinds together, or more.

    With prices under which no pattern is worth more than it costs, a packing costs the value of all items plus what
    its patterns are worth less than they cost. A cheaper packing can therefore only use patterns whose loss is at
    most the gap, which are few once the gap is small (reduced cost fixing, carried to its end).
    """
    instance, scale = generator.instance, generator.scale
    limit = upper - instance.grain
    prices = _feasible_prices(generator, pricing_nodes, should_stop)
    if prices is None:
        return Chosen(None, False)
    values, penalties = prices
    slack = limit * scale - int(values @ instance.copies - penalties @ instance.available)
    patterns: list[Pattern] = []
    for kind in range(len(instance.cost)):
        most = most_patterns - len(patterns)
        found = generator.enumerate(kind, values, int(penalties[kind]) - slack, pricing_nodes, most)
        if not found.complete or len(found.patterns) >= most:
            return Chosen(None, False)
        patterns += found.patterns
    return choose(instance, patterns, instance.copies, instance.available, (bound, limit), choice_nodes, should_stop)


def _feasible_prices(
    generator: Generator, nodes: int, should_stop: ShouldStop
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Prices under which no pattern is worth more than its bin costs, all in whole parts; None where too hard."""
    instance, scale = generator.instance, generator.scale
    for _ in range(_ROUNDS):
        if should_stop():
            return None
        values, penalties = generator.integers(generator.master.solve())
        priced = generator.price(values, penalties, instance.copies, None, nodes, perturb=False)
        if not all(one.complete for one in priced):
            return None
        if not generator.master.add(pattern for one in priced for pattern in one.patterns):
            break
    shrink = Fraction(1)
    for kind, one in enumerate(priced):
        if one.upper > penalties[kind]:
            shrink = min(shrink, Fraction(int(instance.cost[kind]) * scale, one.upper - int(penalties[kind])))
    part, whole = shrink.numerator, shrink.denominator
    down = np.array([int(value) * part // whole for value in values], dtype=np.int64)
    up = np.array([-(-int(penalty) * part // whole) for penalty in penalties], dtype=np.int64)
    return down, up
