"""Robust trends: one amount a day, and the slope that half of all pairs of days exceed.

The slope is Theil's (1950), with the interval that Sen (1968) gave for it: a third of the days may be wrong without
moving it. Both take days as independent of each other, which load that wanders, or follows the week, is not: the
interval is widened by what neighbouring days have in common (as Hamed and Rao, 1998, do for the test of Mann and
Kendall; here by the first lag alone).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, theilslopes

from consolidate.demand.history import History, Part
from consolidate.demand.rates import Amounts
from consolidate.demand.replay import on_grid
from consolidate.model.fleet import Fleet

DAY_S = 86400
MIN_DAYS = 7
"""A week: with less, its rhythm looks like a trend."""
LEVEL = 0.95
"""Of confidence, of the slope's interval."""
MOST_ALIKE = 0.9
"""Highest correlation of neighbouring days that is reckoned with; more leaves no days that count."""
QUANTILE = 0.95
"""Of a day's samples; memory, which is not compressible, counts by its maximum."""
RECENT_DAYS = 7
"""The level now is at least the highest of these."""
INTERVALS_S = (300, 600, 900, 1200, 1800, 3600, 7200, 10800, 14400, 21600, 43200, DAY_S)
"""Lengths that divide a day."""


class Kind(enum.StrEnum):
    """What a trend is of."""

    FLEET = "fleet"
    POOL = "pool"
    """The hosts of one family of operating systems."""
    HOST = "host"
    WORKLOAD = "workload"


@dataclass(frozen=True, order=True)
class Subject:
    """Something that may grow."""

    kind: Kind
    name: str = ""
    """Empty where the fleet is meant."""

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}".rstrip()


class Direction(enum.StrEnum):
    """What can be said of a slope."""

    GROWS = "grows"
    STEADY = "steady"
    """Its interval contains 0."""
    SHRINKS = "shrinks"


@dataclass(frozen=True)
class Trend:
    """Level and slope of a subject's daily amounts in one dimension, in the dimension's unit."""

    subject: Subject
    dimension: str
    level: float
    """At the end of the history: where the line ends, at least the highest of the last 7 days."""
    slope_per_day: float
    low: float
    """Lower end of the slope's 95 % interval, per day."""
    high: float
    days: int
    """Number of days it rests on."""

    @property
    def direction(self) -> Direction:
        """Whether it grows or shrinks, where that is certain enough."""
        if self.low <= 0 <= self.high:
            return Direction.STEADY
        return Direction.GROWS if self.low > 0 else Direction.SHRINKS


@dataclass(frozen=True)
class NoTrend:
    """A subject whose trend is unknown."""

    subject: Subject
    dimension: str
    reason: str


@dataclass(frozen=True)
class Calendar:
    """The days (UTC) of a history, from the first to the last, cut into intervals."""

    first_day: int
    """Days since the Unix epoch."""
    days: int
    interval_s: Mapping[str, int]
    """By dimension: not shorter than the usual time between samples, so that sums meet, and a day holds them whole."""

    def per_day(self, dimension: str) -> int:
        """Number of intervals of a day."""
        return DAY_S // self.interval_s[dimension]

    def at_s(self, dimension: str) -> NDArray[np.int64]:
        """Start of every interval, Unix seconds, shape (intervals,)."""
        interval_s = self.interval_s[dimension]
        return self.first_day * DAY_S + interval_s * np.arange(self.days * self.per_day(dimension))

    def grid(self, part: Part, dimension: str) -> NDArray[np.float64]:
        """Highest sample of every interval, shape (workloads of the part, intervals); NaN where there is none."""
        count = self.days * self.per_day(dimension)
        start_s, interval_s = self.first_day * DAY_S, self.interval_s[dimension]
        return on_grid(part.amounts[dimension], len(part.positions), start_s, interval_s, count)


def calendar(history: History) -> Calendar | None:
    """Days and usual intervals of all that was measured; None where nothing was."""
    first, last = [], []
    usual: dict[str, float] = {}
    for part in history.parts():
        for dimension, amounts in part.amounts.items():
            if len(amounts.at_s):
                first.append(int(amounts.at_s.min()))
                last.append(int(amounts.at_s.max()))
                usual[dimension] = max(usual.get(dimension, 0.0), _usual_gap_s(amounts))
    if not first:
        return None
    first_day, last_day = min(first) // DAY_S, max(last) // DAY_S
    return Calendar(first_day, last_day - first_day + 1, {name: _interval_s(gap_s) for name, gap_s in usual.items()})


def _usual_gap_s(amounts: Amounts) -> float:
    """Median time between neighbouring samples of one workload, in seconds."""
    gaps = np.diff(amounts.at_s)[np.diff(amounts.workload) == 0]
    return float(np.median(gaps)) if len(gaps) else 0.0


def _interval_s(gap_s: float) -> int:
    """The shortest interval that usually holds a sample, also where the clock wavers by a tenth."""
    return next((one for one in INTERVALS_S if one * 1.1 >= gap_s), DAY_S)


def daily_quantile(dimension: str) -> float:
    """Which quantile of a day's samples stands for the day."""
    return 1.0 if dimension == "memory_bytes" else QUANTILE


def daily_amounts(samples: NDArray[np.float64], per_day: int, quantile: float) -> NDArray[np.float64]:
    """Nearest-rank quantile of every day, shape (subjects, days); NaN where a day holds no sample.

    Args:
        samples: Shape (subjects, days × per_day), NaN where nothing was measured.
        per_day: Number of intervals of a day.
        quantile: Share of a day's samples at or below the result.

    """
    ordered = np.sort(samples.reshape(len(samples), -1, per_day), axis=2)  # NaN goes last
    count = (~np.isnan(ordered)).sum(axis=2)
    rank = np.maximum(np.ceil(np.round(quantile * count, 9)).astype(np.int64), 1)
    return np.take_along_axis(ordered, rank[:, :, None] - 1, axis=2)[:, :, 0]


def samples_per_day(grid: NDArray[np.float64], per_day: int) -> NDArray[np.int64]:
    """Number of measured intervals, shape (subjects, days)."""
    return np.asarray((~np.isnan(grid)).reshape(len(grid), -1, per_day).sum(axis=2), dtype=np.int64)


def usual_count(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Median number of samples of the days that hold any, shape (subjects,)."""
    return np.array([np.median(row[row > 0]) if row.any() else 0.0 for row in counts])


def trend_of(
    subject: Subject, dimension: str, at_day: NDArray[np.int64], amounts: NDArray[np.float64]
) -> Trend | NoTrend:
    """Trend of a series of daily amounts: Theil's slope (1950) and Sen's interval (1968).

    Args:
        subject: What was measured.
        dimension: In which dimension.
        at_day: Which day each amount is of; 0 is the last of the history, the one before is -1.
        amounts: One a day, in the dimension's unit.

    """
    if len(amounts) < MIN_DAYS:
        days = f"{len(amounts)} whole day{' was' if len(amounts) == 1 else 's were'} measured"
        return NoTrend(subject, dimension, f"{days}, {MIN_DAYS} are needed")
    fit = theilslopes(amounts, at_day, LEVEL)
    residuals = amounts - (fit.intercept + fit.slope * at_day)
    fit = theilslopes(amounts, at_day, _outside(_likeness(at_day, residuals)))
    level = max(float(fit.intercept), float(amounts[at_day > -RECENT_DAYS].max(initial=0.0)))
    slope, low, high = float(fit.slope), float(fit.low_slope), float(fit.high_slope)
    return Trend(subject, dimension, level, slope, low, high, len(amounts))


def _likeness(at_day: NDArray[np.int64], residuals: NDArray[np.float64]) -> float:
    """Correlation of the ranks of neighbouring days about the line, 0 to 0.9; ranks, so that outliers do not count."""
    _, ranks, counts = np.unique(residuals, return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - (counts - 1) / 2)[ranks] - (len(residuals) + 1) / 2
    spread = float((middle**2).mean())
    neighbours = np.diff(at_day) == 1
    if spread == 0 or not neighbours.any():
        return 0.0
    return float(np.clip((middle[1:] * middle[:-1])[neighbours].mean() / spread, 0.0, MOST_ALIKE))


def _outside(likeness: float) -> float:
    """Error probability to ask for, so that an interval for independent days is wide enough for alike ones.

    The variance of a sum of days with correlation r between neighbours is larger by (1 + r) / (1 − r).
    """
    deviations = float(norm.ppf((1 + LEVEL) / 2)) * ((1 + likeness) / (1 - likeness)) ** 0.5
    return float(2 * norm.sf(deviations))


def workload_trends(history: History, fleet: Fleet) -> tuple[Trend | NoTrend, ...]:
    """Trend of every workload in every dimension that was measured of it, in the fleet's order."""
    days = calendar(history)
    if days is None:
        return ()
    found = [one for part in history.parts() for one in _part_trends(part, days, fleet)]
    order = {workload.name: position for position, workload in enumerate(fleet.workloads)}
    return tuple(sorted(found, key=lambda one: order[one.subject.name]))  # and the order of dimensions stays


def _part_trends(part: Part, days: Calendar, fleet: Fleet) -> Iterator[Trend | NoTrend]:
    at_day = np.arange(1 - days.days, 1)
    for dimension in (name for name in part.amounts if name in days.interval_s):
        grid, per_day = days.grid(part, dimension), days.per_day(dimension)
        amounts = daily_amounts(grid, per_day, daily_quantile(dimension))
        counts = samples_per_day(grid, per_day)
        whole = (counts > 0) & (2 * counts >= usual_count(counts)[:, None])
        for row in np.flatnonzero(whole.any(axis=1)):
            subject = Subject(Kind.WORKLOAD, fleet.workloads[part.positions[row]].name)
            yield trend_of(subject, dimension, at_day[whole[row]], amounts[row, whole[row]])
