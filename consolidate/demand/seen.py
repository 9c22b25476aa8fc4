"""What limits are chosen from besides demand: typical memory, page cache, processes and threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.history import PART_WORKLOADS, Reader
from consolidate.model.demand import Demand, Demands, Seen
from consolidate.model.dimensions import SOURCES
from consolidate.model.series import Columns


def with_seen(demands: Demands, read: Reader) -> Demands:
    """Demands with what was seen besides; read part by part, so that a large fleet fits in memory."""
    known = sorted(name for name, demand in demands.items() if isinstance(demand, Demand))
    found = dict(demands)
    for at in range(0, len(known), PART_WORKLOADS):
        part = frozenset(known[at : at + PART_WORKLOADS])
        memory = _of_each(read(SOURCES["memory_bytes"].gauge, part), part, np.median)
        cache = _of_each(read("memory_cache_bytes", part), part, np.median)
        pids = _of_each(read("pids", part), part, np.max)
        for name in part:
            if isinstance(demand := demands[name], Demand):
                found[name] = replace(demand, seen=Seen(memory.get(name), cache.get(name), pids.get(name)))
    return found


def _of_each(
    columns: Columns, names: frozenset[str], figure: Callable[[NDArray[np.float64]], np.float64]
) -> dict[str, int]:
    """A figure of all of each workload's samples, whichever incarnation they are of."""
    series: dict[str, list[int]] = {}
    for index, key in enumerate(columns.keys):
        if key.workload and key.name in names:
            series.setdefault(key.name, []).append(index)
    ends = np.searchsorted(columns.series, np.arange(len(columns.keys) + 1))  # samples stand in the order of series
    return {
        name: int(figure(values))
        for name, own in series.items()
        if len(values := np.concatenate([columns.value[ends[one] : ends[one + 1]] for one in own]))
    }
