"""From counters and gauges to amounts: a rate never crosses a restart or a gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.model.series import Columns

GAP_INTERVALS = 3
"""A pause longer than this many of the series' usual intervals is a gap."""


@dataclass(frozen=True, eq=False)
class Amounts:
    """Amounts of one dimension, ordered by workload and time."""

    workload: NDArray[np.int64]
    """Index of the workload, shape (samples,)."""
    at_s: NDArray[np.int64]
    value: NDArray[np.float64]


def counter_rates(columns: Columns, owner: NDArray[np.int64]) -> Amounts:
    """Rate per second between neighbouring samples of one incarnation.

    Args:
        columns: A counter's samples.
        owner: Workload index of each series, shape (series,).

    """
    same = columns.series[1:] == columns.series[:-1]
    elapsed_s = np.diff(columns.at_s)
    risen = np.diff(columns.value)
    apart = same & (elapsed_s > 0)
    usual_s = _usual_interval(columns.series[1:][apart], elapsed_s[apart], len(columns.keys))
    series = columns.series[1:]
    good = apart & (risen >= 0) & (elapsed_s <= GAP_INTERVALS * usual_s[series])
    middle_s = columns.at_s[1:][good] - elapsed_s[good] // 2
    return _ordered(owner[series[good]], middle_s, risen[good] / elapsed_s[good], np.add)


def gauge_levels(columns: Columns, owner: NDArray[np.int64]) -> Amounts:
    """Levels as measured; of two at the same second the higher."""
    return _ordered(owner[columns.series], columns.at_s, columns.value, np.maximum)


def added(left: Amounts, right: Amounts) -> Amounts:
    """Sum of two dimensions that were measured together, such as reads and writes."""
    return _ordered(
        np.concatenate([left.workload, right.workload]),
        np.concatenate([left.at_s, right.at_s]),
        np.concatenate([left.value, right.value]),
        np.add,
    )


def _usual_interval(series: NDArray[np.int64], elapsed_s: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Median interval of each series, shape (count,)."""
    usual = np.zeros(count, dtype=np.int64)
    order = np.lexsort((elapsed_s, series))
    sizes = np.bincount(series, minlength=count)
    middle = np.cumsum(sizes) - sizes + sizes // 2
    measured = sizes > 0
    usual[measured] = elapsed_s[order][middle[measured]]
    return usual


def _ordered(
    workload: NDArray[np.int64], at_s: NDArray[np.int64], value: NDArray[np.float64], merge: np.ufunc
) -> Amounts:
    if not len(value):
        return Amounts(workload, at_s, value)
    further, later = np.diff(workload), np.diff(at_s)
    if not ((further > 0) | ((further == 0) & (later >= 0))).all():
        order = np.lexsort((at_s, workload))
        workload, at_s, value = workload[order], at_s[order], value[order]
        further, later = np.diff(workload), np.diff(at_s)
    fresh = np.concatenate([[True], (further != 0) | (later != 0)])
    if fresh.all():
        return Amounts(workload, at_s, value)
    starts = np.flatnonzero(fresh)
    return Amounts(workload[starts], at_s[starts], merge.reduceat(value, starts))
