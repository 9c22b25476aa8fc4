"""Two sources that measured the same: whether they agree, and whether their clocks do.

Of two sources one counts (`consolidate.store.choice`). Where the other says something else, one of them is wrong, and
nobody but whoever runs them can say which. They are compared as means over the same stretches of time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.rates import Amounts, added, counter_rates, gauge_levels
from consolidate.insight.looks import BUSY_CPU_MILLI, LEAST_BYTES, LEAST_SAMPLES
from consolidate.insight.series import length
from consolidate.model.dimensions import SOURCES, Source
from consolidate.model.finding import Finding
from consolidate.model.series import Columns
from consolidate.units import format_amount

FACTOR = 1.5
"""Averages further apart than this disagree; sampling at other seconds does not come to as much."""
LEAST_STRETCH_S = 60
LONGEST_LAG_S = 14 * 3600
"""The clocks of the world's time zones are at most so far from UTC."""
ALIKE = 0.8
"""Correlation of two series that show the same."""
BETTER = 0.5
"""At another lag no more than this share may be left unexplained of what is as the clocks say."""
LEAST_LAG = 2
"""Stretches; one is no lag, since one source may tell a mean of the past and the other of the time around."""
LEAST_STRETCHES = 48

ReadMetric = Callable[[str], Columns]


@dataclass(frozen=True)
class Pair:
    """What two sources measured of one dimension of a host or workload."""

    subject: str
    dimension: str
    chosen: str
    """Name of the source that counts."""
    other: str
    read_chosen: ReadMetric
    read_other: ReadMetric


def compare(pairs: Iterable[Pair]) -> Iterator[Finding]:
    """Pairs whose averages or clocks differ."""
    for pair in pairs:
        source = SOURCES[pair.dimension]
        series = _amounts(pair.read_chosen, source), _amounts(pair.read_other, source)
        if min(len(one.value) for one in series) < LEAST_SAMPLES:
            continue
        step_s = max(LEAST_STRETCH_S, *(int(np.median(np.diff(one.at_s))) for one in series))
        chosen, other = (_means(one, step_s) for one in series)
        lag_s = _lag_s(chosen, other, step_s)
        if lag_s:
            when = "later" if lag_s > 0 else "earlier"
            yield Finding(
                pair.subject,
                pair.dimension,
                "clock",
                f"{pair.other} shows the same as {pair.chosen} {_long(abs(lag_s))} {when}: a clock that is wrong, or "
                "local time taken for UTC?",
            )
        else:
            yield from _disagreement(pair, chosen, other, step_s)


def _disagreement(pair: Pair, chosen: _Means, other: _Means, step_s: int) -> Iterator[Finding]:
    _, mine, its = np.intersect1d(chosen.stretch, other.stretch, assume_unique=True, return_indices=True)
    if len(mine) * step_s < LEAST_SAMPLES * LEAST_STRETCH_S:
        return
    means = float(chosen.mean[mine].mean()), float(other.mean[its].mean())
    least = {"cpu_milli": BUSY_CPU_MILLI, "memory_bytes": LEAST_BYTES}.get(pair.dimension, 1.0)
    if max(means) >= least and max(means) > FACTOR * min(means):
        amounts = [format_amount(pair.dimension, round(mean)) for mean in means]
        yield Finding(
            pair.subject,
            pair.dimension,
            "disagree",
            f"{amounts[0]} on average by {pair.chosen}, which counts, and {amounts[1]} by {pair.other} over the same "
            f"{_long(len(mine) * step_s)}: another unit, or not the same thing?",
        )


@dataclass(frozen=True, eq=False)
class _Means:
    """Mean of each stretch of time that has samples; stretches are counted from 1970."""

    stretch: NDArray[np.int64]
    mean: NDArray[np.float64]


def _amounts(read: ReadMetric, source: Source) -> Amounts:
    columns = read(source.gauge)
    amounts = gauge_levels(columns, np.zeros(len(columns.keys), dtype=np.int64))
    for counter in source.counters:
        columns = read(counter)
        if len(columns.value):
            rates = counter_rates(columns, np.zeros(len(columns.keys), dtype=np.int64))
            amounts = added(amounts, rates) if len(amounts.value) else rates
    return Amounts(amounts.workload, amounts.at_s, amounts.value * source.factor)


def _means(amounts: Amounts, step_s: int) -> _Means:
    stretch, first = np.unique(amounts.at_s // step_s, return_index=True)
    counts = np.diff(np.append(first, len(amounts.value)))
    return _Means(stretch, np.add.reduceat(amounts.value, first) / counts)


def _lag_s(chosen: _Means, other: _Means, step_s: int) -> int:
    """How much later the other shows the same; 0 where it does not, or where no other lag fits much better."""
    begin, end = max(chosen.stretch[0], other.stretch[0]), min(chosen.stretch[-1], other.stretch[-1])
    most = min(LONGEST_LAG_S // step_s, (end - begin) // 3)
    if end - begin < LEAST_STRETCHES or most < 1:
        return 0
    lags = np.arange(-most, most + 1)
    likeness = np.array([_likeness(chosen, other, int(lag)) for lag in lags])
    best = int(np.argmax(likeness))
    lag = int(lags[best])
    differs = likeness[best] >= ALIKE and 1 - likeness[best] <= BETTER * (1 - likeness[most])
    return lag * step_s if differs and abs(lag) >= LEAST_LAG else 0


def _likeness(chosen: _Means, other: _Means, lag: int) -> float:
    """Correlation where the other is taken to be late by a number of stretches; 0 where it says nothing."""
    _, mine, its = np.intersect1d(chosen.stretch, other.stretch - lag, assume_unique=True, return_indices=True)
    left, right = chosen.mean[mine], other.mean[its]
    if len(left) < LEAST_STRETCHES or left.std() == 0 or right.std() == 0:
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])


def _long(seconds: int) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 7200 else length(seconds)
