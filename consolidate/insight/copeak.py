"""Who peaks together: workloads whose busiest intervals coincide, and which should therefore not share a host.

Verma, Dasgupta, Nayak, De and Kothari ("Server workload analysis for power minimization using consolidation", USENIX
ATC 2009) found that peaks seldom coincide, but that there are clusters of servers whose peaks do, and that such peak
clusters have to be spread over hosts. The measure here is the overlap of the sets of peak intervals (Szymkiewicz
and Simpson), which is Jaccard's with the smaller set below the line: a short peak within a long one counts in full.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from consolidate.demand import History
from consolidate.demand.replay import on_grid
from consolidate.model.fleet import Fleet

INTERVAL_S = 300
PEAK_SHARE = 0.05
"""A workload peaks in this share of the intervals in which it was measured."""
LEAST_PEAKS = 12
"""Of fewer peak intervals (an hour) half coincide with another's by chance too often in a large fleet."""
TOGETHER = 0.5
"""Workloads that share this much of their peaks on average are a group; by chance they would share a twentieth."""


@dataclass(frozen=True, eq=False)
class CoPeak:
    """How much workloads peak together."""

    names: tuple[str, ...]
    """In the order of the fleet."""
    share: NDArray[np.float32]
    """(workloads, workloads), symmetric, 1 on the diagonal: share of the peak intervals of the one that has fewer in
    which the other peaks too; 0 where one of them has too few to tell, or none because it never varies."""
    groups: tuple[tuple[str, ...], ...]
    """Two or more workloads each, who peak together; the largest group first, its members in order of their names."""


def copeak(history: History, fleet: Fleet, dimension: str = "cpu_milli") -> CoPeak:
    """Compare the peak intervals of every two workloads in one dimension."""
    names = tuple(workload.name for workload in fleet.workloads)
    peaks = _peaks(history, len(names), dimension)
    counts = peaks.sum(axis=1)
    peaks[counts < LEAST_PEAKS] = False
    ones = peaks.astype(np.float32)  # sums of fewer than 2^24 ones are exact
    both = ones @ ones.T
    fewer = np.maximum(np.minimum(counts[:, None], counts[None, :]), 1).astype(np.float32)
    share = np.asarray(both / fewer, dtype=np.float32)
    np.fill_diagonal(share, 1.0)
    return CoPeak(names, share, _groups(names, share))


def top_intervals(grid: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Intervals in the top ``PEAK_SHARE`` of each row, shape (rows, intervals) like the grid, in which NaN is off.

    The lowest value that still counts is the nearest-rank quantile. Where it stands out from the median, all that reach
    it are peaks, be it a plateau that is longer than the share; where it does not, only what rises above it is a peak,
    so that an idle workload peaks when it wakes and one that never varies has no peak.
    """
    measured = (~np.isnan(grid)).sum(axis=1)
    ordered = np.sort(grid, axis=1)  # NaN goes to the end
    row = np.arange(len(grid))
    last = np.maximum(measured - 1, 0)
    threshold = ordered[row, np.maximum(measured - np.ceil(measured * PEAK_SHARE).astype(np.int64), 0)]
    median = ordered[row, last // 2]
    at_least = grid >= threshold[:, None]
    return np.asarray(np.where((threshold > median)[:, None], at_least, grid > threshold[:, None]), dtype=np.bool_)


def _peaks(history: History, workloads: int, dimension: str) -> NDArray[np.bool_]:
    """Peak intervals of every workload, shape (workloads, intervals)."""
    span = history.span_s()
    if span is None:
        return np.zeros((workloads, 0), dtype=np.bool_)
    count = (span[1] - span[0]) // INTERVAL_S + 1
    peaks = np.zeros((workloads, count), dtype=np.bool_)
    for part in history.parts():
        grid = on_grid(part.amounts[dimension], len(part.positions), span[0], INTERVAL_S, count)
        peaks[part.positions] = top_intervals(grid)
    return peaks


def _groups(names: tuple[str, ...], share: NDArray[np.float32]) -> tuple[tuple[str, ...], ...]:
    """Clusters by average linkage, cut where two would share less than ``TOGETHER`` on average.

    Single linkage chains: where shifts overlap from hour to hour it makes one group of a whole estate, whose ends have
    no peak in common. The order of the names settles ties, so that the order of the fleet does not matter.
    """
    if len(names) < 2:
        return ()
    order = sorted(range(len(names)), key=names.__getitem__)
    apart = 1.0 - share[np.ix_(order, order)].astype(np.float64)
    label = fcluster(linkage(squareform(apart, checks=False), "average"), 1 - TOGETHER, "distance")
    members = [tuple(names[order[at]] for at in np.flatnonzero(label == one)) for one in np.unique(label)]
    return tuple(sorted((group for group in members if len(group) > 1), key=lambda group: (-len(group), group)))
