"""What was measured of a fleet's workloads: amounts over time, in the planner's dimensions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.rates import Amounts, added, counter_rates, gauge_levels
from consolidate.model.fleet import Fleet
from consolidate.model.series import Columns

PART_WORKLOADS = 250
"""A month of five minutes of so many workloads takes about fifty megabytes a dimension."""

Reader = Callable[[str, Container[str] | None], Columns]


@dataclass(frozen=True)
class _Source:
    """Metrics a dimension is made of: a gauge, or counters whose rates add up."""

    gauge: str
    counters: tuple[str, ...] = ()
    factor: float = 1.0


SOURCES: Mapping[str, _Source] = {
    "cpu_milli": _Source("cpu_cores", ("cpu_seconds_total",), 1000.0),
    "memory_bytes": _Source("memory_working_set_bytes"),
    "disk_read_bytes_per_s": _Source("disk_read_bytes_per_s", ("disk_read_bytes_total",)),
    "disk_write_bytes_per_s": _Source("disk_write_bytes_per_s", ("disk_write_bytes_total",)),
    "disk_iops": _Source("disk_iops", ("disk_reads_total", "disk_writes_total")),
    "net_rx_bytes_per_s": _Source("net_rx_bytes_per_s", ("net_rx_bytes_total",)),
    "net_tx_bytes_per_s": _Source("net_tx_bytes_per_s", ("net_tx_bytes_total",)),
}


@dataclass(frozen=True, eq=False)
class Part:
    """Some of a fleet's workloads, few enough to hold in memory; in amounts they are counted from 0."""

    positions: NDArray[np.int64]
    """Index in the fleet of each workload, shape (workloads of the part,)."""
    amounts: Mapping[str, Amounts]
    """By dimension; CPU in reference cores."""


class History(Protocol):
    """What was measured of a fleet's workloads, part by part."""

    def parts(self) -> Iterator[Part]:
        """Every part; together they hold each workload once."""
        ...

    def between(self, start_s: int, end_s: int) -> History:
        """What was measured from a time to before another."""
        ...

    def span_s(self) -> tuple[int, int] | None:
        """First and last time of any CPU measurement."""
        ...


@dataclass(frozen=True, eq=False)
class Parts:
    """A history of parts that are made when they are asked for."""

    make: Sequence[Callable[[], Part]]
    window: tuple[int, int] | None = None

    def parts(self) -> Iterator[Part]:
        """Every part, cut to the window."""
        for one in self.make:
            part = one()
            yield part if self.window is None else _cut(part, *self.window)

    def between(self, start_s: int, end_s: int) -> Parts:
        """What was measured from a time to before another."""
        if self.window is not None:
            start_s, end_s = max(start_s, self.window[0]), min(end_s, self.window[1])
        return Parts(self.make, (start_s, end_s))

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
        fleet: CPU is multiplied by the rating of the host it was measured on.

    """
    ratings = cpu_ratings(fleet)
    # In the order of their names, as the store has them, so that nothing has to be sorted.
    ordered = sorted(range(len(fleet.workloads)), key=lambda position: fleet.workloads[position].name)
    chunks = [np.array(ordered[at : at + PART_WORKLOADS]) for at in range(0, len(ordered), PART_WORKLOADS)]

    def load(positions: NDArray[np.int64]) -> Part:
        index = {fleet.workloads[position].name: local for local, position in enumerate(positions)}
        amounts = {dimension: _read(read, source, index) for dimension, source in SOURCES.items()}
        cpu = amounts["cpu_milli"]
        amounts["cpu_milli"] = Amounts(cpu.workload, cpu.at_s, cpu.value * ratings[positions][cpu.workload])
        return Part(positions, amounts)

    # One part stays in memory; of many, each is read again when it is needed again.
    keep = functools.cache if len(chunks) == 1 else (lambda function: function)
    return Parts(tuple(keep(functools.partial(load, positions)) for positions in chunks))


def _cut(part: Part, start_s: int, end_s: int) -> Part:
    chosen = {}
    for dimension, one in part.amounts.items():
        keep = (one.at_s >= start_s) & (one.at_s < end_s)
        chosen[dimension] = Amounts(one.workload[keep], one.at_s[keep], one.value[keep])
    return Part(part.positions, chosen)


def cpu_ratings(fleet: Fleet) -> NDArray[np.float64]:
    """Rating of the host each workload was measured on; 1 where it has none."""
    by_host = {host.name: host.cpu_rating for host in fleet.hosts}
    return np.array([by_host.get(workload.host or "", 1.0) for workload in fleet.workloads])


def _read(read: Reader, source: _Source, index: Mapping[str, int]) -> Amounts:
    gauge = _known(read(source.gauge, index), index)
    amounts = gauge_levels(*gauge)
    for counter in source.counters:
        columns, owner = _known(read(counter, index), index)
        if len(columns.value):
            rates = counter_rates(columns, owner)
            amounts = added(amounts, rates) if len(amounts.value) else rates
    return Amounts(amounts.workload, amounts.at_s, amounts.value * source.factor)


def _known(columns: Columns, index: Mapping[str, int]) -> tuple[Columns, NDArray[np.int64]]:
    """The samples of workloads in the fleet, and the workload's index of each series."""
    owner = np.array([index.get(key.name, -1) if key.workload else -1 for key in columns.keys], dtype=np.int64)
    if (owner >= 0).all():
        return columns, owner
    keep = owner[columns.series] >= 0
    return Columns(columns.keys, columns.series[keep], columns.at_s[keep], columns.value[keep]), owner
