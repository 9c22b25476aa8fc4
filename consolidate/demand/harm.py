"""Limits that already hurt: what was throttled or killed is larger than what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.history import Reader
from consolidate.model.demand import ESSENTIAL, Demand, Demands, Unknown
from consolidate.model.fleet import Fleet
from consolidate.model.series import Columns

THROTTLED_SHARE = 0.01
"""Of the periods in which a group could run; above it, its CPU was cut and not merely measured."""
RAISE_PERMILLE = 200
"""A fifth more, the step the Kubernetes vertical autoscaler takes after an out-of-memory kill."""


@dataclass(frozen=True)
class Harm:
    """What a workload's present limits did to it."""

    throttled_share: float
    """Of the periods in which it could run."""
    oom_kills: int

    def of(self, dimension: str) -> bool:
        """Whether it lacked this."""
        if dimension == "cpu_milli":
            return self.throttled_share > THROTTLED_SHARE
        return dimension == "memory_bytes" and self.oom_kills > 0


def find_harm(read: Reader, fleet: Fleet) -> dict[str, Harm]:
    """Harm by workload, where there was any."""
    names = {workload.name for workload in fleet.workloads}
    kills = _risen(read("oom_kills_total", names), names)
    # A container whose first process is killed takes its group's count along; its engine still knows.
    for name, restarts in _risen(read("oom_restarts_total", names), names).items():
        kills[name] = kills.get(name, 0.0) + restarts
    throttled = _risen(read("cpu_throttled_periods_total", names), names)
    periods = _risen(read("cpu_periods_total", names), names)
    harm = {}
    for name in sorted(kills.keys() | throttled.keys()):
        one = Harm(throttled.get(name, 0.0) / max(periods.get(name, 0.0), 1.0), int(kills.get(name, 0.0)))
        if any(one.of(dimension) for dimension in ESSENTIAL):
            harm[name] = one
    return harm


def raise_harmed(demands: Demands, harm: Mapping[str, Harm]) -> Demands:
    """Reserve a fifth more CPU for what was throttled, and more memory for what was killed for want of it."""
    raised: dict[str, Demand | Unknown] = dict(demands)
    for name, one in harm.items():
        demand = demands[name]
        if not isinstance(demand, Demand) or demand.source != "measured":
            continue
        amounts = {
            dimension: _more(slots) if one.of(dimension) else slots for dimension, slots in demand.amounts.items()
        }
        highest = demand.highest_cpu_milli
        if one.of("cpu_milli"):
            highest += highest * RAISE_PERMILLE // 1000
        raised[name] = replace(demand, amounts=amounts, highest_cpu_milli=highest)
    return raised


def told_harm(harm: Mapping[str, Harm]) -> str:
    """One sentence; empty where nothing was harmed."""
    if not harm:
        return ""
    throttled, killed = (sum(one.of(dimension) for one in harm.values()) for dimension in ESSENTIAL)
    worst = max(harm, key=lambda name: (harm[name].oom_kills, harm[name].throttled_share))
    return (
        f"Limits hurt already: {throttled} workloads were throttled in over {THROTTLED_SHARE:.0%} of their time and "
        f"{killed} were killed for want of memory, {worst} most; {RAISE_PERMILLE / 10:g} % more is reserved for them."
    )


def _more(slots: NDArray[np.int64]) -> NDArray[np.int64]:
    return slots + (slots * RAISE_PERMILLE + 999) // 1000


def _risen(columns: Columns, names: set[str]) -> dict[str, float]:
    """By how much a counter rose within its incarnations, by workload."""
    if not len(columns.value):
        return {}
    same = columns.series[1:] == columns.series[:-1]
    steps = np.where(same, np.maximum(np.diff(columns.value), 0.0), 0.0)
    by_series = np.bincount(columns.series[1:], weights=steps, minlength=len(columns.keys))
    risen: dict[str, float] = {}
    for key, amount in zip(columns.keys, by_series.tolist(), strict=True):
        if key.workload and key.name in names:
            risen[key.name] = risen.get(key.name, 0.0) + amount
    return risen
