"""Profiles: a quantile for each hour of the week, of the day, or over all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.kernels import slot_quantiles
from consolidate.demand.rates import Amounts

WEEK_S = 7 * 86400
DAY_S = 86400
ALIKE = np.empty(0)
"""Weights of samples that all count alike."""


def slot_count(history_s: int) -> int:
    """Finest profile a history supports: each slot must have been seen twice, or once where it is a day."""
    if history_s >= 2 * WEEK_S:
        return 168
    return 24 if history_s >= DAY_S else 1


def history_s(amounts: Amounts, workloads: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Length of each workload's history in seconds, and the share of it that was measured; shape (workloads,)."""
    sizes = np.bincount(amounts.workload, minlength=workloads)
    first = np.cumsum(sizes) - sizes
    length = np.zeros(workloads, dtype=np.int64)
    coverage = np.zeros(workloads)
    for index in np.flatnonzero(sizes > 1):
        at_s = amounts.at_s[first[index] : first[index] + sizes[index]]
        interval_s = int(np.median(np.diff(at_s)))
        length[index] = at_s[-1] - at_s[0] + interval_s
        coverage[index] = min(1.0, sizes[index] * interval_s / length[index])
    return length, coverage


def quantile_profiles(
    amounts: Amounts, slots: NDArray[np.int64], quantile: float, weight: NDArray[np.float64] = ALIKE
) -> NDArray[np.float64]:
    """Nearest-rank quantile per workload and slot, shape (workloads, 168).

    Args:
        amounts: One dimension of every workload, at local times.
        slots: How many slots each workload's profile has, shape (workloads,); NaN beyond them.
        quantile: Share of a slot's samples at or below the result; rounded up to a sample, never interpolated.
        weight: What each sample counts, shape (samples,); empty where all count alike.

    A slot that was never seen takes the quantile over all of the workload's samples; without any, it is NaN.

    """
    begin = np.append(0, np.cumsum(np.bincount(amounts.workload, minlength=len(slots))))
    profiles: NDArray[np.float64] = slot_quantiles(begin, amounts.at_s, amounts.value, weight, slots, quantile)
    return profiles
