"""How much of each resource a workload needs, hour by hour; or why that is not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.model.fleet import Isolation
from consolidate.model.resources import Resources

ESSENTIAL = ("cpu_milli", "memory_bytes")
"""Without these a workload's demand is unknown."""
SLOT_COUNTS = (1, 24, 168)
"""Profiles are flat, by hour of the day or by hour of the week (0 = Monday 00:00 UTC)."""


@dataclass(frozen=True)
class Seen:
    """Figures of a workload's whole history, without margin; None where nobody measured it."""

    typical_memory_bytes: int | None = None
    """Half of the time it had less in use."""
    page_cache_bytes: int | None = None
    """Half of the time it had less in the page cache, which can be dropped."""
    most_pids: int | None = None
    """Most processes and threads at once."""


@dataclass(frozen=True, eq=False)
class Demand:
    """What must be reserved for a workload, as measured where it runs now."""

    workload: str
    amounts: Mapping[str, NDArray[np.int64]]
    """By dimension, shape (slots,); a static dimension has one slot. Absent means not measured."""
    coverage: float = 1.0
    """Share of the expected measurements that were there, 0 to 1."""
    days: float = 0.0
    """Length of the history it rests on."""
    highest_cpu_milli: int = 0
    """Highest CPU ever measured, peaks within intervals included, with margin: what a limit must leave room for."""
    mean_cpu_milli: float = 0.0
    """Average CPU, for power; the slots hold what is reserved, which is more."""
    source: str = "stated"
    """``measured``, ``summary`` (the greatest use as its source sums it up), ``limit`` (too little was measured) or
    ``stated`` (in the fleet file)."""
    isolation: Isolation | None = None
    """What it was measured in, whose cost it therefore holds; None is what the workload has now."""
    seen: Seen = Seen()
    """What its limits are chosen from besides; it takes no room in a plan."""
    peak_coverage: float = 0.0
    """Share of its CPU samples that came with the peak within their interval, 0 to 1."""

    def __post_init__(self) -> None:
        """Refuse profiles that cannot be laid beside each other, and negative amounts."""
        for dimension, slots in self.amounts.items():
            if slots.shape not in {(count,) for count in SLOT_COUNTS}:
                raise ValueError(f"{self.workload}: {dimension} has shape {slots.shape}, not 1, 24 or 168 slots")
            if (slots < 0).any():
                raise ValueError(f"{self.workload}: {dimension} is negative")

    @property
    def slots(self) -> int:
        """Number of slots of the finest dimension."""
        return max((len(slots) for slots in self.amounts.values()), default=1)

    @property
    def peak(self) -> Resources:
        """Largest amount over all slots."""
        return Resources({dimension: int(slots.max()) for dimension, slots in self.amounts.items()})

    def at_slots(self, dimension: str, count: int) -> NDArray[np.int64]:
        """One dimension over ``count`` slots, shape (count,): a day repeats over the week; absent is zero load."""
        slots = self.amounts.get(dimension)
        if slots is None:
            return np.zeros(count, dtype=np.int64)
        return np.tile(slots, count // len(slots))


@dataclass(frozen=True)
class Unknown:
    """A workload whose demand is not known. It is left alone, and nothing is moved beside it."""

    workload: str
    reason: str


Demands = Mapping[str, Demand | Unknown]
"""By workload name."""
