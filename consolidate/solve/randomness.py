"""Random numbers for kernels: a generator whose state is ours, so that a seed means the same everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import inlined


def seeded(seed: int) -> int:
    """A well mixed, odd start for the generator (splitmix64)."""
    z = (seed + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    return (z ^ (z >> 27)) | 1


@inlined
def draw(random: NDArray[np.uint64]) -> np.uint64:
    """Next 64 bits (xorshift64*, Vigna 2016) of a state of shape (1,)."""
    x = random[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    random[0] = x
    return np.uint64(x * np.uint64(2685821657736338717))


@inlined
def below(random: NDArray[np.uint64], bound: int) -> int:
    """A whole number from 0 to bound - 1."""
    return int(np.int64((draw(random) >> np.uint64(32)) * np.uint64(bound) >> np.uint64(32)))


@inlined
def unit(random: NDArray[np.uint64]) -> float:
    """A number from 0 to 1."""
    return np.float64(draw(random) >> np.uint64(11)) * (1.0 / 9007199254740992.0)
