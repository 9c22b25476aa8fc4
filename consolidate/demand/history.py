"""What was measured of a fleet's workloads: amounts over time, in the planner's dimensions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.rates import Amounts, added, counter_rates, gauge_levels
from consolidate.model.dimensions import SOURCES, Source
from consolidate.model.fleet import Fleet
from consolidate.model.series import Columns

PART_WORKLOADS = 250
"""A month of five minutes of so many workloads takes about fifty megabytes a dimension."""

Reader = Callable[[str, Container[str] | None], Columns]
_Change = Callable[[Columns, NDArray[np.int64]], Columns]
"""Samples of series and their workloads' indices to what they come to."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some of a fleet's workloads, few enough to hold in memory; in amounts they are counted from 0."""

    positions: NDArray[np.int64]
    """Index in the fleet of each workload, shape (workloads of the part,)."""
    amounts: Mapping[str, Amounts]
    """By dimension; CPU in reference cores."""
    peaks: Mapping[str, Amounts] = field(default_factory=dict)
    """The most within the intervals that samples average, by dimension, where a source has it."""


class History(Protocol):
    """What was measured of a fleet's workloads, part by part."""

    def parts(self) -> Iterator[Part]:
        """Every part; together they hold each workload once."""
        ...

    def between(self, start_s: int, end_s: int) -> History:
        """What was measured from a time to before another."""
        ...

    def without(self, start_s: int, end_s: int) -> History:
        """What was measured before a time, or from another on."""
        ...

    def only(self, kept: NDArray[np.bool_]) -> History:
        """Of some workloads only, shape (workloads of the fleet,); they are numbered anew."""
        ...

    def span_s(self) -> tuple[int, int] | None:
        """First and last time of any CPU measurement."""
        ...


@dataclass(frozen=True, eq=False)
class Parts:
    """A history of parts that are made when they are asked for."""

    make: Sequence[Callable[[], Part]]

    def parts(self) -> Iterator[Part]:
        """Every part."""
        return (one() for one in self.make)

    def between(self, start_s: int, end_s: int) -> Parts:
        """What was measured from a time to before another."""
        return self._each(lambda part: _at(part, lambda at_s: (at_s >= start_s) & (at_s < end_s)))

    def without(self, start_s: int, end_s: int) -> Parts:
        """What was measured before a time, or from another on."""
        return self._each(lambda part: _at(part, lambda at_s: (at_s < start_s) | (at_s >= end_s)))

    def only(self, kept: NDArray[np.bool_]) -> Parts:
        """Of some workloads only, shape (workloads of the fleet,); they are numbered anew."""
        return self._each(lambda part: _of(part, kept))

    def _each(self, change: Callable[[Part], Part]) -> Parts:
        return Parts(tuple(functools.partial(_changed, one, change) for one in self.make))

    def span_s(self) -> tuple[int, int] | None:
        """First and last time of any CPU measurement."""
        times = [part.amounts["cpu_milli"].at_s for part in self.parts()]
        times = [at_s for at_s in times if len(at_s)]
        return (min(int(at_s.min()) for at_s in times), max(int(at_s.max()) for at_s in times)) if times else None


def in_memory(amounts: Mapping[str, Amounts], workloads: int) -> Parts:
    """A history of one part that is there already."""
    part = Part(np.arange(workloads), amounts)
    return Parts((lambda: part,))


def read_history(read: Reader, fleet: Fleet) -> Parts:
    """A history that is read part by part.

    Args:
        read: Gives the samples of a metric, of some workloads.
        fleet: CPU is multiplied by the rating of the host it was measured on, also where it has moved since.

    """
    ratings = cpu_ratings(fleet)
    rating_by_host = {host.name: host.cpu_rating for host in fleet.hosts}
    # In the order of their names, as the store has them, so that nothing has to be sorted.
    ordered = sorted(range(len(fleet.workloads)), key=lambda position: fleet.workloads[position].name)
    chunks = [np.array(ordered[at : at + PART_WORKLOADS]) for at in range(0, len(ordered), PART_WORKLOADS)]

    def load(positions: NDArray[np.int64]) -> Part:
        index = {fleet.workloads[position].name: local for local, position in enumerate(positions)}

        def rated(columns: Columns, owner: NDArray[np.int64]) -> Columns:
            own = [
                rating_by_host.get(key.measured_on, 1.0) if key.measured_on else ratings[positions[local]]
                for key, local in zip(columns.keys, owner, strict=True)
            ]
            return Columns(columns.keys, columns.series, columns.at_s, columns.value * np.array(own)[columns.series])

        amounts = {
            dimension: _read(read, source, index, rated if dimension == "cpu_milli" else _as_measured)
            for dimension, source in SOURCES.items()
        }
        peaks = {
            dimension: _read(read, Source(source.peak, (), source.factor), index, rated)
            for dimension, source in SOURCES.items()
            if source.peak
        }
        return Part(positions, amounts, peaks)

    # One part stays in memory; of many, each is read again when it is needed again.
    keep = functools.cache if len(chunks) == 1 else (lambda function: function)
    return Parts(tuple(keep(functools.partial(load, positions)) for positions in chunks))


def _changed(make: Callable[[], Part], change: Callable[[Part], Part]) -> Part:
    return change(make())


def _at(part: Part, chosen: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> Part:
    """A part's samples of some times."""
    amounts, peaks = (
        {name: _where(one, chosen(one.at_s)) for name, one in series.items()} for series in (part.amounts, part.peaks)
    )
    return Part(part.positions, amounts, peaks)


def _of(part: Part, kept: NDArray[np.bool_]) -> Part:
    """A part's workloads that are kept, as the fleet and the part count those that are left."""
    here, fleet_index = kept[part.positions], np.cumsum(kept) - 1
    local = np.cumsum(here) - 1

    def kept_of(one: Amounts) -> Amounts:
        own = _where(one, here[one.workload])
        return Amounts(local[own.workload], own.at_s, own.value)

    amounts, peaks = ({name: kept_of(one) for name, one in series.items()} for series in (part.amounts, part.peaks))
    return Part(fleet_index[part.positions[here]], amounts, peaks)


def _where(amounts: Amounts, keep: NDArray[np.bool_]) -> Amounts:
    return Amounts(amounts.workload[keep], amounts.at_s[keep], amounts.value[keep])


def highest(read: Reader, metric: str, workload: str) -> int:
    """Highest sample of a gauge that is no dimension; 0 where there is none."""
    columns = read(metric, {workload})
    own = np.array([key.workload != "" and key.name == workload for key in columns.keys], dtype=np.bool_)
    values = columns.value[own[columns.series]]
    return int(values.max()) if len(values) else 0


def cpu_ratings(fleet: Fleet) -> NDArray[np.float64]:
    """Rating of the host each workload is on; 1 where it has none."""
    by_host = {host.name: host.cpu_rating for host in fleet.hosts}
    return np.array([by_host.get(workload.host or "", 1.0) for workload in fleet.workloads])


def _read(read: Reader, source: Source, index: Mapping[str, int], change: _Change) -> Amounts:
    columns, owner = _known(read(source.gauge, index), index)
    amounts = gauge_levels(change(columns, owner), owner)
    for counter in source.counters:
        columns, owner = _known(read(counter, index), index)
        if len(columns.value):
            rates = counter_rates(change(columns, owner), owner)
            amounts = added(amounts, rates) if len(amounts.value) else rates
    return Amounts(amounts.workload, amounts.at_s, amounts.value * source.factor)


def _as_measured(columns: Columns, owner: NDArray[np.int64]) -> Columns:
    return columns


def _known(columns: Columns, index: Mapping[str, int]) -> tuple[Columns, NDArray[np.int64]]:
    """The samples of workloads in the fleet, and the workload's index of each series."""
    owner = np.array([index.get(key.name, -1) if key.workload else -1 for key in columns.keys], dtype=np.int64)
    if (owner >= 0).all():
        return columns, owner
    keep = owner[columns.series] >= 0
    return Columns(columns.keys, columns.series[keep], columns.at_s[keep], columns.value[keep]), owner
