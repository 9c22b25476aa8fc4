"""Compiled loops over samples."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

WIDTH = 168
"""Slots of the finest profile: hours of a week."""


@njit(cache=True)
def _nearest_rank(samples: NDArray[np.float64], quantile: float) -> float:
    """Smallest sample with at least the quantile's share at or below it; the samples are put in order on the way."""
    rank = max(int(np.ceil(quantile * len(samples))) - 1, 0)
    if rank == len(samples) - 1:
        return float(samples.max())
    samples.sort()
    return float(samples[rank])


@njit(cache=True)
def _nearest_weight(samples: NDArray[np.float64], weight: NDArray[np.float64], quantile: float) -> float:
    """Smallest sample at or below which the quantile's share of the weight lies."""
    order = np.argsort(samples)
    wanted = quantile * weight.sum()
    for one in order[:-1]:
        wanted -= weight[one]
        if wanted <= 0.0:
            return float(samples[one])
    return float(samples[order[-1]])


@njit(cache=True)
def _pick(samples: NDArray[np.float64], weight: NDArray[np.float64], quantile: float) -> float:
    """The quantile; the highest is the highest, whatever it weighs."""
    if len(weight) == 0 or quantile >= 1.0:
        return _nearest_rank(samples, quantile)
    return _nearest_weight(samples, weight, quantile)


@njit(cache=True)
def _by_slot(at_s: NDArray[np.int64], width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Samples' indices ordered by slot, and where each slot begins among them, shape (width + 1,)."""
    slot, begin = np.empty(len(at_s), np.int64), np.zeros(width + 1, np.int64)
    for index in range(len(at_s)):
        slot[index] = (at_s[index] // 3600 + 72) % 168 % width
        begin[slot[index] + 1] += 1
    for one in range(width):
        begin[one + 1] += begin[one]
    order, filled = np.empty(len(at_s), np.int64), begin.copy()
    for index in range(len(at_s)):
        order[filled[slot[index]]] = index
        filled[slot[index]] += 1
    return order, begin


@njit(parallel=True, cache=True)
def slot_quantiles(
    begin: NDArray[np.int64],
    at_s: NDArray[np.int64],
    value: NDArray[np.float64],
    weight: NDArray[np.float64],
    slots: NDArray[np.int64],
    quantile: float,
) -> NDArray[np.float64]:
    """Nearest-rank quantile of each workload's samples by slot of the week, day or none, shape (workloads, 168).

    Args:
        begin: Where each workload's samples begin, shape (workloads + 1,).
        at_s: Times of all samples, ordered by workload.
        value: The samples.
        weight: What each counts; empty where all count alike.
        slots: 1, 24 or 168 for each workload; beyond them, and without samples, the result is NaN.
        quantile: In (0, 1]; of an empty slot the quantile of all of the workload's samples is taken.

    """
    profiles = np.full((len(slots), WIDTH), np.nan)
    for workload in prange(len(slots)):
        own = slice(begin[workload], begin[workload + 1])
        if own.stop == own.start:
            continue
        order, starts = _by_slot(at_s[own], slots[workload])
        samples = value[own][order]
        heavy = weight[own][order] if len(weight) else weight
        profile = profiles[workload, : slots[workload]]
        for slot in range(slots[workload]):
            held = slice(starts[slot], starts[slot + 1])
            if held.stop > held.start:
                profile[slot] = _pick(samples[held], heavy[held] if len(heavy) else heavy, quantile)
        if np.isnan(profile).any():
            profile[np.isnan(profile)] = _pick(value[own].copy(), weight[own] if len(weight) else weight, quantile)
    return profiles
