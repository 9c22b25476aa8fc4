"""Samples of one dimension of some workloads, reduced once for all that is looked for in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.history import cpu_ratings
from consolidate.demand.rates import Amounts
from consolidate.model.fleet import Fleet
from consolidate.units import format_amount


@dataclass(frozen=True, eq=False)
class Series:
    """One dimension of the workloads of a part; everything else by workload, shape (workloads,)."""

    dimension: str
    amounts: Amounts
    host: NDArray[np.float64]
    """What the workload's host has of it, NaN where it is not known."""
    limit: NDArray[np.float64]
    """What the workload's limit is, likewise."""
    count: NDArray[np.int64]
    first: NDArray[np.int64]
    """Where the workload's samples begin."""
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    length_s: NDArray[np.int64]
    """From the first sample to the last."""
    usual_s: NDArray[np.int64]
    """Within which six of ten times between samples are; 0 without any."""
    regular: NDArray[np.bool_]
    """Whether all of them are alike."""


def series_of(dimension: str, amounts: Amounts, host: NDArray[np.float64], limit: NDArray[np.float64]) -> Series:
    """Reduce the samples once, for all that is looked for; a workload without samples has zeros."""
    workloads = len(host)
    count = np.bincount(amounts.workload, minlength=workloads)
    first = np.cumsum(count) - count
    has = count > 0
    lowest, highest, length_s = np.zeros(workloads), np.zeros(workloads), np.zeros(workloads, dtype=np.int64)
    if has.any():
        lowest[has] = np.minimum.reduceat(amounts.value, first[has])
        highest[has] = np.maximum.reduceat(amounts.value, first[has])
        length_s[has] = amounts.at_s[(first + count - 1)[has]] - amounts.at_s[first[has]]
    usual_s, regular = _usual(*apart(amounts), workloads)
    return Series(dimension, amounts, host, limit, count, first, lowest, highest, length_s, usual_s, regular)


def room(fleet: Fleet, dimension: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each workload's host has and its limit is, CPU in reference cores like its samples; NaN if unknown."""
    hosts = {host.name: host.in_reference_cores(host.capacity).get(dimension, 0) for host in fleet.hosts}
    on_host = np.array([hosts.get(workload.host or "", 0) for workload in fleet.workloads], dtype=np.float64)
    limit = np.array([workload.limits.get(dimension, 0) for workload in fleet.workloads], dtype=np.float64)
    if dimension == "cpu_milli":
        limit *= cpu_ratings(fleet)
    return np.where(on_host > 0, on_host, np.nan), np.where(limit > 0, limit, np.nan)


def apart(amounts: Amounts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Times between neighbouring samples and whose they are."""
    apart_s = np.diff(amounts.at_s)
    inside = (np.diff(amounts.workload) == 0) & (apart_s > 0)
    return apart_s[inside], amounts.workload[1:][inside]


def _usual(
    apart_s: NDArray[np.int64], owner: NDArray[np.int64], workloads: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Usual time between samples of each workload, and whether it has no other; see `Series`."""
    usual_s, regular = np.zeros(workloads, dtype=np.int64), np.ones(workloads, dtype=np.bool_)
    sizes = np.bincount(owner, minlength=workloads)
    has = sizes > 0
    if not has.any():
        return usual_s, regular
    first = np.cumsum(sizes) - sizes
    usual_s[has] = np.maximum.reduceat(apart_s, first[has])
    regular[has] = np.minimum.reduceat(apart_s, first[has]) == usual_s[has]
    mixed = ~regular[owner]  # the others need no sorting
    apart_s, owner, sizes = apart_s[mixed], owner[mixed], np.where(regular, 0, sizes)
    ordered = apart_s[np.lexsort((apart_s, owner))]
    rank = np.cumsum(sizes) - sizes + np.ceil(0.6 * sizes).astype(np.int64) - 1
    usual_s[~regular] = ordered[rank[~regular]]
    return usual_s, regular


def in_words(series: Series, amount: float | np.float64) -> str:
    """An amount of a series' dimension."""
    return format_amount(series.dimension, round(float(amount)))


def times(count: int, what: str) -> str:
    """A number of things."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def length(seconds: int) -> str:
    """A time of hours or days."""
    return f"{seconds / 3600:.0f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.1f} d"
