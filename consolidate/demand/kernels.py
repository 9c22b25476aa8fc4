"""Compiled loops over samples."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray


@njit(cache=True)
def _rank(quantile: float, count: int) -> int:
    """Position of the nearest-rank quantile among so many samples in order."""
    rank = int(np.ceil(quantile * count)) - 1
    return rank if rank > 0 else 0


@njit(cache=True)
def _pick(samples: NDArray[np.float64], rank: int) -> float:
    """Sample of a rank; the samples are put in order on the way, unless the highest is asked for."""
    if rank == len(samples) - 1:
        return float(samples.max())
    samples.sort()
    return float(samples[rank])


@njit(parallel=True, cache=True)
def slot_quantiles(
    first: NDArray[np.int64],
    size: NDArray[np.int64],
    at_s: NDArray[np.int64],
    value: NDArray[np.float64],
    slots: NDArray[np.int64],
    quantile: float,
    profiles: NDArray[np.float64],
) -> None:
    """Nearest-rank quantile of each workload's samples by slot of the week, day or none; one workload a step.

    Args:
        first: Where each workload's samples begin, shape (workloads,).
        size: How many there are.
        at_s: Times of all samples, ordered by workload.
        value: The samples.
        slots: 1, 24 or 168 for each workload.
        quantile: In (0, 1]; of an empty slot the quantile of all of the workload's samples is taken.
        profiles: Filled in place, shape (workloads, 168).

    """
    for workload in prange(len(first)):
        count, width = size[workload], slots[workload]
        if count == 0:
            continue
        own = value[first[workload] : first[workload] + count]
        begin = np.zeros(width + 1, np.int64)
        slot = np.empty(count, np.int64)
        for index in range(count):
            slot[index] = (at_s[first[workload] + index] // 3600 + 72) % 168 % width
            begin[slot[index] + 1] += 1
        for one in range(width):
            begin[one + 1] += begin[one]
        grouped, filled = np.empty(count), begin.copy()
        for index in range(count):
            grouped[filled[slot[index]]] = own[index]
            filled[slot[index]] += 1
        overall = np.nan
        for one in range(width):
            held = begin[one + 1] - begin[one]
            if held > 0:
                profiles[workload, one] = _pick(grouped[begin[one] : begin[one + 1]], _rank(quantile, held))
            else:
                if np.isnan(overall):
                    overall = _pick(own.copy(), _rank(quantile, count))
                profiles[workload, one] = overall
