"""Data that look wrong are called out, never mended: whoever runs the source knows what was meant.

========== =======================================================================================================
percent    a CPU maximum of 50 to 100 times the cores of the workload's host or limit: percent where cores are meant
impossible a CPU maximum above twice the cores of its host: percent of a whole machine, or another unit
zeros      an hour or more of exact zeros within a series that is otherwise never near zero: zeros that mean missing
constant   a day or more without any change, above zero: a collector that is stuck
intervals  times between samples of two kinds, so that a quantile weighs one part of the history more
duplicates several samples of a series at one second
resets     a counter that fell within one incarnation, or a negative amount
========== =======================================================================================================

Duplicates and resets are in what was stored; a history no longer has them, since the higher of two samples counts and
no rate crosses a reset. They are counted where the store's reader is given too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.demand import History
from consolidate.demand.history import PART_WORKLOADS, SOURCES, Reader, cpu_ratings
from consolidate.demand.rates import Amounts
from consolidate.model.fleet import Fleet
from consolidate.units import format_amount

LEAST_SAMPLES = 12
"""Of fewer samples nothing is said."""
PERCENT = (50.0, 100.0)
IMPOSSIBLE = 2.0
ZEROS_S = 3600
"""Exact zeros for so long are called out."""
BUSY_SHARE = 0.2
"""A series is never near zero where all but a twentieth of its values above zero reach this share of their median."""
BUSY_CPU_MILLI = 50
"""A median below this is an idle workload's, whose use may have been rounded to zero."""
CONSTANT_S = 86400
APART = 0.25
"""Times between samples differ where they are further apart than this share."""
MIXED_SHARE = 0.1
_LEVELS = frozenset({"cpu_milli", "memory_bytes"})
"""Dimensions that something that runs always uses; reading or sending nothing for hours is usual."""


@dataclass(frozen=True, order=True)
class Finding:
    """One thing about one series that looks wrong."""

    workload: str
    dimension: str
    kind: str
    detail: str


@dataclass(frozen=True, eq=False)
class _Series:
    """One dimension of the workloads of a part; everything else by workload, shape (workloads,)."""

    dimension: str
    amounts: Amounts
    host_milli: NDArray[np.float64]
    """CPU of the workload's host, NaN where it is not known."""
    limit_milli: NDArray[np.float64]
    """CPU of the workload's limit, likewise."""
    count: NDArray[np.int64]
    first: NDArray[np.int64]
    """Where the workload's samples begin."""
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    length_s: NDArray[np.int64]
    """From the first sample to the last."""


Look = Callable[[_Series], Iterator[tuple[int, str]]]
"""Looks for one kind of finding: (index of the workload, detail)."""


def findings(history: History, fleet: Fleet, read: Reader | None = None) -> tuple[Finding, ...]:
    """Everything that looks wrong, ordered by workload, dimension and kind.

    Args:
        history: What the plan is sized on.
        fleet: The fleet it was read for.
        read: Gives the stored samples, for what a history does not hold any more.

    """
    found: list[Finding] = []
    host_milli, limit_milli = _cores(fleet)
    for part in history.parts():
        names = [fleet.workloads[position].name for position in part.positions]
        for dimension, amounts in part.amounts.items():
            series = _series(dimension, amounts, host_milli[part.positions], limit_milli[part.positions])
            for kind, look in LOOKS.items():
                found += [Finding(names[index], dimension, kind, detail) for index, detail in look(series)]
    if read is not None:
        found += _stored(read, fleet)
    return tuple(sorted(found))


def _series(
    dimension: str, amounts: Amounts, host_milli: NDArray[np.float64], limit_milli: NDArray[np.float64]
) -> _Series:
    """Reduce the samples once, for all that is looked for; a workload without samples has zeros."""
    workloads = len(host_milli)
    count = np.bincount(amounts.workload, minlength=workloads)
    first = np.cumsum(count) - count
    has = count > 0
    lowest, highest, length_s = np.zeros(workloads), np.zeros(workloads), np.zeros(workloads, dtype=np.int64)
    if has.any():
        lowest[has] = np.minimum.reduceat(amounts.value, first[has])
        highest[has] = np.maximum.reduceat(amounts.value, first[has])
        length_s[has] = amounts.at_s[(first + count - 1)[has]] - amounts.at_s[first[has]]
    return _Series(dimension, amounts, host_milli, limit_milli, count, first, lowest, highest, length_s)


def _cores(fleet: Fleet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """CPU of each workload's host and limit, in thousandths of a reference core like its samples; NaN if unknown."""
    hosts = {host.name: host.in_reference_cores(host.capacity).get("cpu_milli", 0) for host in fleet.hosts}
    on_host = np.array([hosts.get(workload.host or "", 0) for workload in fleet.workloads], dtype=np.float64)
    limit = np.array([workload.limits.get("cpu_milli", 0) for workload in fleet.workloads], dtype=np.float64)
    limit *= cpu_ratings(fleet)
    return np.where(on_host > 0, on_host, np.nan), np.where(limit > 0, limit, np.nan)


def _percent(series: _Series) -> Iterator[tuple[int, str]]:
    if series.dimension != "cpu_milli":
        return
    for index in np.flatnonzero(_is_percent(series)):
        of = ((series.host_milli, "its host has"), (series.limit_milli, "its limit is"))
        cores, what = next((cores[index], what) for cores, what in of if _within(series.highest, cores)[index])
        highest = float(series.highest[index])
        yield (
            int(index),
            f"highest is {_cpu(highest)}, {highest / cores:.0f} times the {_cpu(cores)} that {what}: percent?",
        )


def _is_percent(series: _Series) -> NDArray[np.bool_]:
    return _within(series.highest, series.host_milli) | _within(series.highest, series.limit_milli)


def _within(highest: NDArray[np.float64], cores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a maximum is so many times the cores as a percentage of them is; never where those are not known."""
    times = highest / cores
    return np.asarray((times >= PERCENT[0]) & (times <= PERCENT[1]), dtype=np.bool_)


def _impossible(series: _Series) -> Iterator[tuple[int, str]]:
    if series.dimension != "cpu_milli":
        return
    for index in np.flatnonzero((series.highest > IMPOSSIBLE * series.host_milli) & ~_is_percent(series)):
        yield (
            int(index),
            f"highest is {_cpu(series.highest[index])}, but its host has {_cpu(series.host_milli[index])}: "
            "another unit, or another host?",
        )


def _zeros(series: _Series) -> Iterator[tuple[int, str]]:
    """Runs of zeros that begin and end within the series, so that an early start or an end is none."""
    if series.dimension not in _LEVELS or not len(series.amounts.value):
        return
    amounts = series.amounts
    zero = amounts.value == 0
    same = np.concatenate([[False], (np.diff(amounts.workload) == 0) & (zero[1:] == zero[:-1])])
    begin = np.flatnonzero(~same)
    end = np.append(begin[1:], len(zero))  # the sample after the run
    owner = amounts.workload[begin]
    inner = (begin > series.first[owner]) & (end < (series.first + series.count)[owner])
    runs = np.flatnonzero(zero[begin] & inner)
    # From the first zero to the next sample above it.
    length_s = amounts.at_s[end[runs]] - amounts.at_s[begin[runs]]
    runs, length_s = runs[length_s >= ZEROS_S], length_s[length_s >= ZEROS_S]
    for index in np.unique(owner[runs]):
        own = amounts.value[series.first[index] : series.first[index] + series.count[index]]
        low, median = np.quantile(own[own > 0], [0.05, 0.5], method="inverted_cdf") if (own > 0).any() else (0.0, 1.0)
        busy = series.dimension != "cpu_milli" or median >= BUSY_CPU_MILLI
        if busy and low >= BUSY_SHARE * median:
            mine = owner[runs] == index
            share = float((end[runs] - begin[runs])[mine].sum() / series.count[index])
            yield (
                int(index),
                f"{_times(int(mine.sum()), 'run')} of exact zeros, the longest {_length(int(length_s[mine].max()))}, "
                f"{share:.0%} of its samples, where half of the rest is above "
                f"{format_amount(series.dimension, round(float(median)))}: missing?",
            )


def _constant(series: _Series) -> Iterator[tuple[int, str]]:
    stuck = (series.lowest == series.highest) & (series.highest > 0) & (series.count >= LEAST_SAMPLES)
    for index in np.flatnonzero(stuck & (series.length_s >= CONSTANT_S)):
        amount = format_amount(series.dimension, round(float(series.highest[index])))
        yield int(index), f"{amount} in each of {series.count[index]:,} samples: a collector that is stuck?"


def _intervals(series: _Series) -> Iterator[tuple[int, str]]:
    """Shorter times than usual in number, or longer ones, three alike in a row, over much of the time.

    Usual is what six of ten times are within, so that of two that alternate it is the longer. Longer ones that stand
    alone are gaps, which coverage tells.
    """
    amounts = series.amounts
    apart_s = np.diff(amounts.at_s)
    owner = amounts.workload[1:]
    inside = (np.diff(amounts.workload) == 0) & (apart_s > 0)
    apart_s, owner = apart_s[inside], owner[inside]
    workloads = len(series.count)
    sizes = np.bincount(owner, minlength=workloads)
    if not len(apart_s):
        return
    first = np.cumsum(sizes) - sizes
    ordered = apart_s[np.lexsort((apart_s, owner))]
    rank = np.clip(np.ceil(0.6 * sizes).astype(np.int64) - 1, 0, None)
    usual_s = ordered[np.minimum(first + rank, len(ordered) - 1)]
    short = apart_s < (1 - APART) * usual_s[owner]
    long = apart_s > (1 + APART) * usual_s[owner]
    followed = (owner[1:] == owner[:-1]) & (np.abs(np.diff(apart_s)) <= APART * apart_s[:-1])
    lasting = long & np.append(followed, False) & np.append(followed[1:], [False, False])
    enough = sizes >= LEAST_SAMPLES
    few = np.bincount(owner, short, workloads) >= MIXED_SHARE * sizes
    slow = np.bincount(owner, apart_s * lasting, workloads) >= MIXED_SHARE * np.bincount(owner, apart_s, workloads)
    for index in np.flatnonzero(enough & (few | slow)):
        other = (short if few[index] else lasting) & (owner == index)
        yield (
            int(index),
            f"samples are {usual_s[index]} s apart, but {_times(int(other.sum()), 'time')} of {sizes[index]:,} "
            f"about {int(np.median(apart_s[other]))} s",
        )


def _twice(series: _Series) -> Iterator[tuple[int, str]]:
    amounts = series.amounts
    again = (np.diff(amounts.workload) == 0) & (np.diff(amounts.at_s) == 0)
    yield from _counted(np.bincount(amounts.workload[1:][again], minlength=len(series.count)), _TWICE)


def _negative(series: _Series) -> Iterator[tuple[int, str]]:
    amounts = series.amounts
    below = np.bincount(amounts.workload[amounts.value < 0], minlength=len(series.count))
    yield from _counted(below, "{} below zero: a counter's reset that was subtracted?")


_TWICE = "{} at a second that has one already"
LOOKS: Mapping[str, Look] = {
    "percent": _percent,
    "impossible": _impossible,
    "zeros": _zeros,
    "constant": _constant,
    "intervals": _intervals,
    "duplicates": _twice,
    "resets": _negative,
}
"""One kind of finding, one look."""


def _counted(counts: NDArray[np.int64], sentence: str) -> Iterator[tuple[int, str]]:
    for index in np.flatnonzero(counts):
        yield int(index), sentence.format(_times(int(counts[index]), "sample"))


def _stored(read: Reader, fleet: Fleet) -> Iterator[Finding]:
    """Duplicates and resets in what was stored, some workloads at a time."""
    names = sorted(workload.name for workload in fleet.workloads)
    for at in range(0, len(names), PART_WORKLOADS):
        chunk = names[at : at + PART_WORKLOADS]
        for dimension, source in SOURCES.items():
            for metric in (source.gauge, *source.counters):
                yield from _stored_metric(read, metric, dimension, chunk, metric in source.counters)


def _stored_metric(read: Reader, metric: str, dimension: str, names: list[str], is_counter: bool) -> Iterator[Finding]:
    wanted = {name: index for index, name in enumerate(names)}
    columns = read(metric, wanted.keys())
    owner = np.array([wanted.get(key.name, -1) if key.workload else -1 for key in columns.keys], dtype=np.int64)
    if not len(columns.value) or (owner < 0).all():
        return
    series = columns.series[1:]
    same = (np.diff(columns.series) == 0) & (owner[series] >= 0)
    twice = same & (np.diff(columns.at_s) == 0)
    kinds = [("duplicates", twice, f"{_TWICE} ({metric})")]
    if is_counter:
        fell = same & (np.diff(columns.value) < 0)
        kinds.append(("resets", fell, f"{{}} below the one before within one incarnation ({metric})"))
    for kind, which, sentence in kinds:
        counts = np.bincount(owner[series[which]], minlength=len(names))
        yield from (Finding(names[index], dimension, kind, detail) for index, detail in _counted(counts, sentence))


def _cpu(milli: float | np.float64) -> str:
    return format_amount("cpu_milli", round(float(milli)))


def _times(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _length(seconds: int) -> str:
    return f"{seconds / 3600:.0f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.1f} d"
