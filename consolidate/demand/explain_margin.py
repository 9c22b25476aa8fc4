"""How a margin is told: what it comes to, and where the workload's limit cuts it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from consolidate.demand.figures import full
from consolidate.demand.sizing import rule_of, with_margin
from consolidate.model.policy import SizingPolicy


def margin_steps(
    dimension: str, base: float, policy: SizingPolicy, limit: float, rating: float, hurt: bool
) -> Iterator[str]:
    """The amount with its margin, and what its limit makes of that.

    Args:
        dimension: Whose amount it is.
        base: The amount, CPU in reference cores.
        policy: By whose margin.
        limit: What the workload may take at most, in its own cores; infinite where that is not known.
        rating: Of those cores; 1 for all but CPU.
        hurt: Whether the workload was throttled or killed at that limit.

    """
    margin, most = rule_of(dimension, policy)[1], limit * rating
    [whole] = with_margin(np.array([base]), margin, math.inf).tolist()
    yield f"    {f'and {margin / 10:g} % margin':15} {full(dimension, whole)}"
    if whole <= most:
        if most < math.inf:
            yield f"    which is within the limit of {full(dimension, limit)}{_rated(dimension, limit, rating)}"
        return
    at = f"at the limit of {full(dimension, limit)}{_rated(dimension, limit, rating)}"
    if hurt:
        yield f"    not cut         {at}, since that hurt it"
    elif base <= most:
        yield f"    cut             {at}: {full(dimension, most)}"
    else:
        yield f"    cut             {at}, but not below what the margin is added to: {full(dimension, base)}"


def _rated(dimension: str, limit: float, rating: float) -> str:
    """What a limit is in reference cores, where its own are others."""
    return "" if rating == 1.0 else f" (× {rating:g} as its cores are rated: {full(dimension, limit * rating)})"
