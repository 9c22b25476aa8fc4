"""How a load repeats: periods found in it, and days that are unlike others of their weekday."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.rates import Amounts

HOUR_S, DAY_S = 3600, 86400
REPEATS = 0.3
"""Autocorrelation from which on a load repeats: what it was a period ago explains a tenth of its variance (0.3²)."""
QUIET_SHARE = 0.5
"""A day is quiet below this share of what is usual for its weekday, and below all that usually varies."""
QUIET_DEVIATIONS = 3.0
COMPLETE = 0.75
"""A day with less than this share of the usual number of samples is not compared: its night may be all there is."""
SAME_WEEKDAYS = 3
"""So many of a weekday are needed to say what is usual."""
_TO_SIGMA = 1.4826
"""Standard deviations in a median absolute deviation, where that is normally distributed."""


def found_slots(amounts: Amounts, slots: NDArray[np.int64]) -> NDArray[np.int64]:
    """Slots that each workload's load gives reason for: 168 or 24 where it repeats by week or day, otherwise 1.

    Args:
        amounts: One dimension, at local times.
        slots: The most that each workload's history allows, shape (workloads,).

    """
    hourly, _, _ = _means(amounts, HOUR_S, len(slots))
    by_day, by_week = _autocorrelation(hourly, 24), _autocorrelation(hourly, 168)
    # What repeats by day repeats by week as well; only where a week tells more is each slot worth its fewer samples.
    weekly = (slots == 168) & (by_week >= REPEATS) & (by_week > by_day)
    daily = (slots >= 24) & (by_day >= REPEATS)
    return np.where(weekly, 168, np.where(daily, 24, 1))


def quiet_days(amounts: Amounts, workloads: int) -> tuple[NDArray[np.bool_], int]:
    """Days far quieter than others of their weekday, shape (workloads, days), and the first day since the epoch.

    A holiday among four Mondays takes a quarter of their samples, and with them makes a busy hour's quantile too
    small. Days that are busier than usual are load, and stay.

    Args:
        amounts: One dimension, at local times.
        workloads: How many there are.

    """
    daily, count, first = _means(amounts, DAY_S, workloads)
    usual_count = _row_medians(np.where(count > 0, count, np.nan))
    daily = np.where(count >= COMPLETE * usual_count, daily, np.nan)
    quiet = np.zeros(daily.shape, dtype=np.bool_)
    for weekday in range(min(7, daily.shape[1])):
        same = daily[:, weekday::7]
        enough = (~np.isnan(same)).sum(axis=1) >= SAME_WEEKDAYS
        usual = _row_medians(same)
        spread = _TO_SIGMA * _row_medians(np.abs(same - usual))
        low = (same < usual * QUIET_SHARE) & (same < usual - QUIET_DEVIATIONS * spread)
        quiet[:, weekday::7] = low & enough[:, None]
    return quiet, first


def without_days(amounts: Amounts, left_out: NDArray[np.bool_], first_day: int) -> Amounts:
    """The samples of all other days; ``left_out`` has shape (workloads, days)."""
    keep = ~left_out[amounts.workload, amounts.at_s // DAY_S - first_day]
    return Amounts(amounts.workload[keep], amounts.at_s[keep], amounts.value[keep])


def _means(amounts: Amounts, step_s: int, workloads: int) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Mean and number of each workload's samples by step, shape (workloads, steps), and the first step.

    The mean is NaN where there are no samples.
    """
    if not len(amounts.value):
        return np.full((workloads, 0), np.nan), np.zeros((workloads, 0)), 0
    step = amounts.at_s // step_s
    first = int(step.min())
    width = int(step.max()) - first + 1
    cell = amounts.workload * width + step - first
    count = np.bincount(cell, minlength=workloads * width).astype(np.float64)
    total = np.bincount(cell, weights=amounts.value, minlength=workloads * width)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean.reshape(workloads, width), count.reshape(workloads, width), first


def _autocorrelation(series: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    """Correlation of each row with itself so many steps before, shape (rows,); 0 where it does not vary."""
    if series.shape[1] <= lag:
        return np.zeros(len(series))
    now, then = series[:, lag:], series[:, :-lag]
    both = ~(np.isnan(now) | np.isnan(then))
    count = np.maximum(both.sum(axis=1), 1)[:, None]
    now, then = np.where(both, now, 0.0), np.where(both, then, 0.0)
    now = np.where(both, now - now.sum(axis=1, keepdims=True) / count, 0.0)
    then = np.where(both, then - then.sum(axis=1, keepdims=True) / count, 0.0)
    scale = np.sqrt((now**2).sum(axis=1) * (then**2).sum(axis=1))
    return np.asarray(np.where(scale > 0, (now * then).sum(axis=1) / np.where(scale > 0, scale, 1.0), 0.0))


def _row_medians(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of what each row has, shape (rows, 1); NaN where it has nothing."""
    if not rows.shape[1]:
        return np.full((len(rows), 1), np.nan)
    ordered = np.sort(rows, axis=1)  # NaN comes last
    count = (~np.isnan(rows)).sum(axis=1)
    at = np.arange(len(rows))
    low, high = ordered[at, np.maximum(count - 1, 0) // 2], ordered[at, np.minimum(count // 2, rows.shape[1] - 1)]
    return np.asarray((low + high) / 2)[:, None]
