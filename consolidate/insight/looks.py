"""What to look for in the samples of one dimension: one kind of finding, one look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from consolidate.insight.series import Series, apart, in_words, length, times

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
GAP_S = 3600
"""A pause of at least so long, and three times as long as usual, is a gap."""
GAPS_SHARE = 0.1
LONG_GAP_S = 86400
"""Gaps are called out where one is as long as this, or all together take the share above of the time."""
ROLLED_UP_S = 600
"""Averages over as long as this hide the peaks that a plan is made for."""
SMALL_BYTES = 8 * 1024**2
"""Something that is at work needs more memory as a rule; in kilobytes, this is eight gigabytes."""
LEAST_BYTES = 64 * 1024**2
_LEVELS = frozenset({"cpu_milli", "memory_bytes"})
"""Dimensions that something that runs always uses; reading or sending nothing for hours is usual."""


Look = Callable[[Series], Iterator[tuple[int, str]]]
"""Looks for one kind of finding: (index of the workload, detail)."""


def kilobytes(memory: Series, cpu: Series) -> Iterator[tuple[int, str]]:
    """Memory far too small for something that is at work, and about right if it were a thousand times as much."""
    mean = np.bincount(cpu.amounts.workload, cpu.amounts.value, len(cpu.count)) / np.maximum(cpu.count, 1)
    times = memory.highest * 1024
    likely = (memory.highest < SMALL_BYTES) & (times >= LEAST_BYTES) & ~(times > memory.host)
    for index in np.flatnonzero(likely & (mean >= BUSY_CPU_MILLI) & (memory.count >= LEAST_SAMPLES)):
        yield (
            int(index),
            f"highest is {in_words(memory, memory.highest[index])} at {in_words(cpu, mean[index])} on average: "
            "kilobytes where bytes are meant?",
        )


def _percent(series: Series) -> Iterator[tuple[int, str]]:
    if series.dimension != "cpu_milli":
        return
    for index in np.flatnonzero(_is_percent(series)):
        of = ((series.host, "its host has"), (series.limit, "its limit is"))
        cores, what = next((cores[index], what) for cores, what in of if _within(series.highest, cores)[index])
        highest = float(series.highest[index])
        yield (
            int(index),
            f"highest is {in_words(series, highest)}, {highest / cores:.0f} times the "
            f"{in_words(series, cores)} that {what}: percent?",
        )


def _is_percent(series: Series) -> NDArray[np.bool_]:
    return _within(series.highest, series.host) | _within(series.highest, series.limit)


def _within(highest: NDArray[np.float64], cores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a maximum is so many times the cores as a percentage of them is; never where those are not known."""
    times = highest / cores
    return np.asarray((times >= PERCENT[0]) & (times <= PERCENT[1]), dtype=np.bool_)


def _impossible(series: Series) -> Iterator[tuple[int, str]]:
    if series.dimension not in _LEVELS:
        return
    percent = _is_percent(series) & (series.dimension == "cpu_milli")
    for index in np.flatnonzero((series.highest > IMPOSSIBLE * series.host) & ~percent):
        yield (
            int(index),
            f"highest is {in_words(series, series.highest[index])}, but its host has "
            f"{in_words(series, series.host[index])}: another unit, or another host?",
        )


def _zeros(series: Series) -> Iterator[tuple[int, str]]:
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
                f"{times(int(mine.sum()), 'run')} of exact zeros, the longest {length(int(length_s[mine].max()))}, "
                f"{share:.0%} of its samples, where half of the rest is above "
                f"{in_words(series, median)}: missing?",
            )


def _constant(series: Series) -> Iterator[tuple[int, str]]:
    stuck = (series.lowest == series.highest) & (series.highest > 0) & (series.count >= LEAST_SAMPLES)
    for index in np.flatnonzero(stuck & (series.length_s >= CONSTANT_S)):
        amount = in_words(series, series.highest[index])
        yield int(index), f"{amount} in each of {series.count[index]:,} samples: a collector that is stuck?"


def _intervals(series: Series) -> Iterator[tuple[int, str]]:
    """Shorter times than usual in number, or longer ones, three alike in a row, over much of the time.

    Usual is what six of ten times are within, so that of two that alternate it is the longer. Longer ones that stand
    alone are gaps, which coverage tells.
    """
    if series.regular.all():
        return
    apart_s, owner = apart(series.amounts)
    workloads = len(series.count)
    sizes = np.bincount(owner, minlength=workloads)
    usual_s = series.usual_s
    short = apart_s < (1 - APART) * usual_s[owner]
    long = apart_s > (1 + APART) * usual_s[owner]
    followed = (owner[1:] == owner[:-1]) & (np.abs(np.diff(apart_s)) <= APART * apart_s[:-1])
    lasting = long & np.append(followed, False) & np.append(followed[1:], [False, False])[: len(long)]
    enough = sizes >= LEAST_SAMPLES
    few = np.bincount(owner, short, workloads) >= MIXED_SHARE * sizes
    slow = np.bincount(owner, apart_s * lasting, workloads) >= MIXED_SHARE * np.bincount(owner, apart_s, workloads)
    for index in np.flatnonzero(enough & (few | slow)):
        other = (short if few[index] else lasting) & (owner == index)
        yield (
            int(index),
            f"samples are {usual_s[index]} s apart, but {times(int(other.sum()), 'time')} of {sizes[index]:,} "
            f"about {int(np.median(apart_s[other]))} s",
        )


def _gaps(series: Series) -> Iterator[tuple[int, str]]:
    """Long pauses in what is always there."""
    if series.dimension not in _LEVELS or series.regular.all():
        return
    apart_s, owner = apart(series.amounts)
    long = (apart_s >= GAP_S) & (apart_s >= 3 * series.usual_s[owner])
    apart_s, owner = apart_s[long], owner[long]
    workloads = len(series.count)
    total_s, count = np.bincount(owner, apart_s, workloads), np.bincount(owner, minlength=workloads)
    longest_s = np.zeros(workloads, dtype=np.int64)
    np.maximum.at(longest_s, owner, apart_s)
    share = total_s / np.maximum(series.length_s, 1)
    enough = series.count >= LEAST_SAMPLES
    for index in np.flatnonzero(enough & ((longest_s >= LONG_GAP_S) | (share >= GAPS_SHARE))):
        yield (
            int(index),
            f"{times(int(count[index]), 'gap')}, the longest {length(int(longest_s[index]))}: "
            f"{share[index]:.0%} of {length(int(series.length_s[index]))} was not measured",
        )


def _rolled_up(series: Series) -> Iterator[tuple[int, str]]:
    if series.dimension != "cpu_milli":
        return
    for index in np.flatnonzero((series.usual_s >= ROLLED_UP_S) & (series.count >= LEAST_SAMPLES)):
        apart = f"{series.usual_s[index] / 60:g} minutes"
        yield int(index), f"samples are {apart} apart: averages of so long hide the peaks within"


def _twice(series: Series) -> Iterator[tuple[int, str]]:
    amounts = series.amounts
    again = (np.diff(amounts.workload) == 0) & (np.diff(amounts.at_s) == 0)
    yield from counted(np.bincount(amounts.workload[1:][again], minlength=len(series.count)), TWICE)


def _negative(series: Series) -> Iterator[tuple[int, str]]:
    amounts = series.amounts
    below = np.bincount(amounts.workload[amounts.value < 0], minlength=len(series.count))
    yield from counted(below, "{} below zero: a counter's reset that was subtracted?")


TWICE = "{} at a second that has one already"
LOOKS: Mapping[str, Look] = {
    "percent": _percent,
    "impossible": _impossible,
    "zeros": _zeros,
    "constant": _constant,
    "intervals": _intervals,
    "gaps": _gaps,
    "rolled up": _rolled_up,
    "duplicates": _twice,
    "resets": _negative,
}
"""One kind of finding, one look."""


def counted(counts: NDArray[np.int64], sentence: str) -> Iterator[tuple[int, str]]:
    """A sentence for each workload that has any, with how many samples."""
    for index in np.flatnonzero(counts):
        yield int(index), sentence.format(times(int(counts[index]), "sample"))
