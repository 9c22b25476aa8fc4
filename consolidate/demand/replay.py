"""What would have happened: a placement against the samples as they were measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.clock import counted
from consolidate.demand.history import History
from consolidate.demand.rates import Amounts
from consolidate.model.demand import Demand, Demands
from consolidate.model.dimensions import SOURCES
from consolidate.model.fleet import Fleet, Host
from consolidate.model.isolation import cost_of
from consolidate.model.placement import Placement
from consolidate.model.policy import SizingPolicy

DAY_S = 86400
_LEAST_STRETCHES = 6
"""Of time, that an interval is drawn from."""
_DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Replay:
    """Load of every host in use, interval by interval, as a share of what the host has."""

    hosts: tuple[str, ...]
    dimensions: tuple[str, ...]
    start_s: int
    interval_s: int
    share: NDArray[np.float64]
    """(hosts, dimensions, intervals): 1 is full; headroom does not count, since it is there to be used."""

    @property
    def over(self) -> NDArray[np.bool_]:
        """Intervals in which a host lacked something, shape (hosts, intervals)."""
        return np.asarray((self.share > 1).any(axis=1), dtype=np.bool_)

    @property
    def violation_rate(self) -> float:
        """Share of host-intervals in which the host lacked something."""
        return float(self.over.mean()) if self.over.size else 0.0

    @property
    def violation_minutes(self) -> float:
        """Their length, all hosts together."""
        return float(self.over.sum() * self.interval_s / 60)

    @property
    def severity(self) -> float:
        """Mean excess over the limit where there was one, as a share of it."""
        worst = self.share.max(axis=1)
        return float((worst[worst > 1] - 1).mean()) if (worst > 1).any() else 0.0

    @property
    def longest_minutes(self) -> float:
        """Longest time without a pause that some host lacked something."""
        padded = np.pad(self.over.astype(np.int8), ((0, 0), (1, 1)))
        edges = np.diff(padded, axis=1)
        starts, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
        return float((ends[:, 1] - starts[:, 1]).max() * self.interval_s / 60) if len(starts) else 0.0

    def host_days(self) -> NDArray[np.float64]:
        """How often each host on each day lacked the resource that it lacked most often, shape (hosts × days,)."""
        days = max(1, round(self.share.shape[2] * self.interval_s / DAY_S))
        lacking = [(day > 1).mean(axis=2) for day in np.array_split(self.share, days, axis=2) if day.size]
        return np.concatenate([day.max(axis=1) for day in lacking]) if lacking else np.empty(0)

    def lacking(self) -> dict[str, float]:
        """Share of the host-intervals in which each resource was lacking."""
        rates = (self.share > 1).mean(axis=(0, 2)) if self.share.size else np.zeros(len(self.dimensions))
        return dict(zip(self.dimensions, rates.tolist(), strict=True))

    def interval(self, seed: int) -> tuple[float, float]:
        """95 % confidence interval of the violation rate, by drawing hosts and days with replacement.

        A crowded host is crowded day after day, and on a busy day it is many hosts that are crowded. So neither days of
        one host nor hosts of one day are independent; both are drawn, each by itself (pigeonhole bootstrap, Owen 2007).
        Of few days it is parts of them. How much days differ that nobody has seen, no interval of one day can tell.
        Where there was no violation, redrawing finds none either, yet 3/n of n days may have one (Hanley and
        Lippman-Hand 1983): of one host in one interval at least.
        """
        rates = self._stretches()
        if not rates.size:
            return self.violation_rate, self.violation_rate
        random = np.random.default_rng(seed)
        hosts, stretches = (random.multinomial(n, np.full(n, 1 / n), size=_DRAWS) / n for n in rates.shape)
        drawn = ((hosts @ rates) * stretches).sum(axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        return float(low), max(float(high), 3 / self.over.size)

    def _stretches(self) -> NDArray[np.float64]:
        """Violation rate of every host in every day, or in parts of a few days; shape (hosts, stretches)."""
        count = self.over.shape[1]
        if not self.over.size:
            return np.empty((0, 0))
        stretches = max(round(count * self.interval_s / DAY_S), min(_LEAST_STRETCHES, count))
        return np.stack([one.mean(axis=1) for one in np.array_split(self.over, stretches, axis=1)], axis=1)


def replay(
    history: History,
    fleet: Fleet,
    demands: Demands,
    placement: Placement,
    policy: SizingPolicy | None = None,
    interval_s: int = 300,
) -> Replay:
    """Sum what was measured by host and interval; a workload that was not measured then counts as off.

    Args:
        history: The samples to judge by.
        fleet: As planned for.
        demands: Say in which isolation each workload was measured.
        placement: Where the workloads would have run.
        policy: Where it counts less of off-hours, so does the replay; memory always counts.
        interval_s: Of several samples in an interval the highest counts.

    """
    span = history.span_s()
    placed = placement.assignments
    hosts = [host for host in fleet.hosts if any(assignment.host == host.name for assignment in placed.values())]
    limited = {name: _limits(hosts, name) for name in SOURCES}
    names = tuple(name for name, limits in limited.items() if np.isfinite(limits).any())
    if span is None:
        return Replay(tuple(host.name for host in hosts), names, 0, interval_s, np.zeros((len(hosts), len(names), 0)))
    row_of = {host.name: row for row, host in enumerate(hosts)}
    count = (span[1] - span[0]) // interval_s + 1
    share = np.zeros((len(hosts), len(names), count))
    counts = counted(span[0] + interval_s * np.arange(count), policy or SizingPolicy())
    for part in history.parts():
        for column, name in enumerate(names):
            grid = on_grid(part.amounts[name], len(part.positions), span[0], interval_s, count)
            for row, position in enumerate(part.positions):
                workload = fleet.workloads[position]
                assignment, demand = placed.get(workload.name), demands[workload.name]
                if assignment is None or not isinstance(demand, Demand):
                    continue
                permille, fixed = cost_of(fleet, workload, demand, assignment.isolation, name)
                on = ~np.isnan(grid[row])
                share[row_of[assignment.host], column, on] += grid[row, on] * (1000 + permille) / 1000 + fixed
    share /= np.stack([limited[name] for name in names], axis=1)[:, :, None] if names else 1
    for column, name in enumerate(names):
        share[:, column] *= 1.0 if name == "memory_bytes" else counts
    return Replay(tuple(host.name for host in hosts), names, span[0], interval_s, share)


def on_grid(amounts: Amounts, workloads: int, start_s: int, interval_s: int, count: int) -> NDArray[np.float64]:
    """Highest sample of each interval, shape (workloads, count); NaN where there is none."""
    grid = np.full((workloads, count), -np.inf)
    at = (amounts.at_s - start_s) // interval_s
    inside = (at >= 0) & (at < count)
    np.maximum.at(grid, (amounts.workload[inside], at[inside]), amounts.value[inside])
    return np.where(np.isneginf(grid), np.nan, grid)


def _limits(hosts: list[Host], dimension: str) -> NDArray[np.float64]:
    """What hosts have in a dimension, headroom included; infinite where that is not limited."""
    return np.array([_limit(host.without_headroom.amounts, dimension) for host in hosts])


def _limit(amounts: Mapping[str, int], dimension: str) -> float:
    return float(max(amounts[dimension], 1)) if dimension in amounts else np.inf
