"""Data that look wrong are called out, never mended: whoever runs the source knows what was meant.

========== =======================================================================================================
percent    a CPU maximum of 50 to 100 times the cores of the workload's host or limit: percent where cores are meant
impossible a maximum above twice what its host has of CPU or memory: percent of a whole machine, or another unit
kilobytes  a memory maximum far too small for something that uses CPU, and right if it were kilobytes
zeros      an hour or more of exact zeros within a series that is otherwise never near zero: zeros that mean missing
constant   a day or more without any change, above zero: a collector that is stuck
intervals  times between samples of two kinds, so that a quantile weighs one part of the history more
duplicates several samples of a series at one second
resets     a counter that fell within one incarnation, or a negative amount
same name  machines that have one name and cannot be the same, or a name that may be either of two (`store.identity`)
cloned     machines that have one identifier and cannot be the same
replaced   a host that was installed anew, or another one under its name
no plan    hosts and workloads that cannot be planned for as they are
disagree   two sources whose averages over the same time differ by more than half (`insight.rivalry`)
clock      two sources one of which lags behind the other
========== =======================================================================================================

Others are no faults, but whoever relies on a plan should know of them (`NOTES`): gaps, peaks lost in roll-ups,
dimensions that nobody measured, CPU models that nobody rated, hosts that are off, hosts and workloads that several
sources have, and whose samples were set aside.

Duplicates and resets are in what was stored; a history no longer has them, since the higher of two samples counts and
no rate crosses a reset. They are counted where the store's reader is given too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from consolidate.demand import History
from consolidate.demand.history import PART_WORKLOADS, Part, Reader
from consolidate.insight.looks import LOOKS, TWICE, counted, kilobytes
from consolidate.insight.series import room, series_of
from consolidate.model.dimensions import SOURCES
from consolidate.model.finding import Finding
from consolidate.model.fleet import Fleet

NOTES = frozenset({"gaps", "rolled up", "missing", "not rated", "off", "merged", "moved", "set aside"})
"""Kinds that are no faults of the data."""


def findings(history: History, fleet: Fleet, read: Reader | None = None) -> tuple[Finding, ...]:
    """Everything that looks wrong, ordered by workload, dimension and kind.

    Args:
        history: What the plan is sized on.
        fleet: The fleet it was read for.
        read: Gives the stored samples, for what a history does not hold any more.

    """
    found: list[Finding] = []
    for part in history.parts():
        found += _of_part(part, fleet)
    if read is not None:
        found += _stored(read, fleet)
    return tuple(sorted(found))


class Inspected:
    """A history whose parts are looked at on their way to whoever asks for them, so that none is read again."""

    def __init__(self, history: History, fleet: Fleet) -> None:
        """Of a history, as read for a fleet."""
        self._history, self._fleet = history, fleet
        self._found: dict[int, tuple[Finding, ...]] = {}

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What looked wrong in the parts that came by."""
        return tuple(sorted(finding for own in self._found.values() for finding in own))

    def parts(self) -> Iterator[Part]:
        """Every part; see `History`."""
        for number, part in enumerate(self._history.parts()):
            if number not in self._found:
                self._found[number] = tuple(_of_part(part, self._fleet))
            yield part

    def between(self, start_s: int, end_s: int) -> History:
        """What was measured from a time to before another; nobody looks at it."""
        return self._history.between(start_s, end_s)

    def without(self, start_s: int, end_s: int) -> History:
        """What was measured before a time, or from another on; nobody looks at it."""
        return self._history.without(start_s, end_s)

    def only(self, kept: NDArray[np.bool_]) -> History:
        """Of some workloads only; nobody looks at it."""
        return self._history.only(kept)

    def span_s(self) -> tuple[int, int] | None:
        """First and last time of any CPU measurement."""
        return self._history.span_s()


def faults(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Those that look wrong, without what is only to be known."""
    return tuple(one for one in found if one.kind not in NOTES)


def _of_part(part: Part, fleet: Fleet) -> Iterator[Finding]:
    names = [fleet.workloads[position].name for position in part.positions]
    series = {}
    for dimension, amounts in part.amounts.items():
        host, limit = room(fleet, dimension)
        series[dimension] = series_of(dimension, amounts, host[part.positions], limit[part.positions])
        for kind, look in LOOKS.items():
            yield from (Finding(names[at], dimension, kind, detail) for at, detail in look(series[dimension]))
    for at, detail in kilobytes(series["memory_bytes"], series["cpu_milli"]):
        yield Finding(names[at], "memory_bytes", "kilobytes", detail)


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
    kinds = [("duplicates", twice, f"{TWICE} ({metric})")]
    if is_counter:
        fell = same & (np.diff(columns.value) < 0)
        kinds.append(("resets", fell, f"{{}} below the one before within one incarnation ({metric})"))
    for kind, which, sentence in kinds:
        counts = np.bincount(owner[series[which]], minlength=len(names))
        yield from (Finding(names[index], dimension, kind, detail) for index, detail in counted(counts, sentence))
