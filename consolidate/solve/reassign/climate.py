"""What a step of the search is judged by, beside the cost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import inlined
from consolidate.solve.randomness import unit
from consolidate.solve.reassign.problem import Reassignment

MOST_FORCE = 1e4
"""The force on a capacity that is exceeded for long, in units of that on one that never was."""


class Climate(NamedTuple):
    """What a step is judged by, beside the cost."""

    temperature: float
    price: NDArray[np.float64]
    """(I + 1,): cost of an item's being away from home."""
    force: NDArray[np.int64]
    """(H, D): cost of each unit of load over a capacity."""
    ejection: float
    """Chance that a step is an ejection."""
    relocation: float = 0.0
    """Chance that it is a relocation."""


@inlined
def toll(problem: Reassignment, climate: Climate, item: int, source: int, target: int) -> float:
    """Change of the price an item pays for being away."""
    home = problem.home[item]
    if home < 0:
        return 0.0
    return climate.price[item] * (np.int64(target != home) - np.int64(source != home))


@inlined
def patience(temperature: float, random: NDArray[np.uint64]) -> float:
    """The most that a step may lose: Metropolis's rule with the chance drawn first, so that judging can stop at it."""
    return -temperature * np.log(1.0 - unit(random))
