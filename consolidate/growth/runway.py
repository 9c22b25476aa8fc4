"""How long hosts, pools and the fleet last: from the level now along the trend to the limit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.clock import local_times
from consolidate.demand.history import History, Part
from consolidate.errors import InputError
from consolidate.growth.trend import (
    Calendar,
    Direction,
    Kind,
    NoTrend,
    Subject,
    Trend,
    calendar,
    daily_amounts,
    daily_quantile,
    samples_per_day,
    trend_of,
    usual_count,
)
from consolidate.model.demand import Demand, Demands, Unknown
from consolidate.model.dimensions import SOURCES
from consolidate.model.fleet import Fleet, Host, Workload
from consolidate.model.isolation import cost_of, demand_on
from consolidate.model.placement import Assignment, Placement
from consolidate.model.resources import Resources
from consolidate.units import slot_of_week

YEAR_DAYS = 365
HORIZON_DAYS = 100 * YEAR_DAYS
"""What fills later than this does not fill."""


@dataclass(frozen=True)
class Runway:
    """Days until a subject is full in one dimension, counted from the end of the history."""

    subject: Subject
    dimension: str
    level: float | None
    """Amount now, in the dimension's unit; None where no day was measured."""
    limit: int
    """What its hosts have for workloads, headroom included."""
    days: float | None
    """0 where it is full already; None where it does not grow, or nobody knows."""
    earliest: float | None
    """By the upper end of the slope's 95 % interval; of a steady trend too, where that end grows."""
    latest: float | None
    """By the lower end; None is never."""
    trend: Trend | NoTrend
    comfortable_limit: int
    """The limit less headroom: what plans may use."""
    comfortable_days: float | None
    """Days until the headroom is being used, as ``days``."""


@dataclass(frozen=True, eq=False)
class _Loads:
    """What hosts carry in one dimension; samples of workloads summed by host."""

    total: NDArray[np.float64]
    """(hosts, intervals)."""
    seen: NDArray[np.bool_]
    """Whether anything was measured then, same shape."""
    measured: NDArray[np.float64]
    """Samples of each day, each weighing as much as its workload usually takes; (hosts, days)."""
    expected: NDArray[np.float64]
    """What the same would be if every workload had been measured from its first to its last day."""


def fleet_runways(
    history: History, fleet: Fleet, demands: Demands, placement: Placement, time_zone: str = "UTC"
) -> tuple[Runway, ...]:
    """Runway of the fleet, of each pool and of each host in use, in each limited and measured dimension; soonest first.

    Args:
        history: What was measured; a workload counts as off while it was not.
        fleet: All its hosts are there to be filled, also those that carry nothing; leave out what will be given back.
        demands: Say in which isolation each workload was measured, and stand in for what was never measured.
        placement: Where the workloads run, or would run.
        time_zone: Whose hours the demands' slots are.

    """
    days = calendar(history)
    if days is None:
        return ()
    used = {assignment.host for assignment in placement.assignments.values()}
    hosts = [host for host in fleet.hosts if host.name in used]
    limited = {dimension for host in fleet.hosts for dimension in host.without_headroom}
    names = tuple(name for name in SOURCES if name in limited and name in days.interval_s)
    costs = [_Costs(fleet, demands, name, time_zone) for name in names]
    loads = _host_loads(history, days, costs, hosts, fleet, placement)
    runways = [
        runway
        for subject, members in _subjects(fleet, hosts)
        for runway in _runways(subject, members, hosts, loads, days)
    ]
    return tuple(sorted(runways, key=_urgency))


def _urgency(runway: Runway) -> tuple[float, float, Subject, str]:
    soonest, at_the_earliest = (math.inf if days is None else days for days in (runway.days, runway.earliest))
    return soonest, at_the_earliest, runway.subject, runway.dimension


def _subjects(fleet: Fleet, used: Sequence[Host]) -> Iterator[tuple[Subject, Sequence[Host]]]:
    yield Subject(Kind.FLEET), fleet.hosts
    for family in sorted({fleet.systems[host.os].family for host in fleet.hosts}):
        yield Subject(Kind.POOL, family), [host for host in fleet.hosts if fleet.systems[host.os].family == family]
    for host in used:
        yield Subject(Kind.HOST, host.name), [host]


def _runways(
    subject: Subject, members: Sequence[Host], used: Sequence[Host], loads: dict[str, _Loads], days: Calendar
) -> Iterator[Runway]:
    """Runways of some hosts taken together, by dimension; none where one of them is not limited."""
    names = {host.name for host in members}
    rows = [row for row, host in enumerate(used) if host.name in names]
    at_day = np.arange(1 - days.days, 1)
    for dimension, load in loads.items():
        limit = _sum_of([host.without_headroom for host in members], dimension)
        comfortable = _sum_of([host.allocatable for host in members], dimension)
        if limit is None or comfortable is None or not load.seen[rows].any():
            continue
        samples = np.where(load.seen[rows].any(axis=0), load.total[rows].sum(axis=0), np.nan)[None]
        amounts = daily_amounts(samples, days.per_day(dimension), daily_quantile(dimension))[0]
        enough = 2 * load.measured[rows].sum(axis=0) >= load.expected[rows].sum(axis=0) * (1 - 1e-9)
        whole = ~np.isnan(amounts) & enough
        yield _runway(trend_of(subject, dimension, at_day[whole], amounts[whole]), amounts[whole], limit, comfortable)


def _sum_of(limits: Sequence[Resources], dimension: str) -> int | None:
    return sum(one.get(dimension) for one in limits) if all(dimension in one for one in limits) else None


def _runway(trend: Trend | NoTrend, amounts: NDArray[np.float64], limit: int, comfortable: int) -> Runway:
    level: float | None
    if isinstance(trend, Trend):
        level, low, high = trend.level, trend.low, trend.high
        # A slope that may be none is no growth.
        slope = trend.slope_per_day if trend.direction is Direction.GROWS else 0.0
    else:
        level, low, slope, high = float(amounts.max()) if len(amounts) else None, 0.0, 0.0, 0.0
    return Runway(
        subject=trend.subject,
        dimension=trend.dimension,
        level=level,
        limit=limit,
        days=_days_until(limit, level, slope),
        earliest=_days_until(limit, level, high),
        latest=_days_until(limit, level, low),
        trend=trend,
        comfortable_limit=comfortable,
        comfortable_days=_days_until(comfortable, level, slope),
    )


def _days_until(limit: int, level: float | None, slope_per_day: float) -> float | None:
    """Days from the level to the limit; None where the slope does not lead there within the horizon."""
    if level is None:
        return None
    if level >= limit:
        return 0.0
    if slope_per_day * HORIZON_DAYS < limit - level:
        return None
    return (limit - level) / slope_per_day


def _host_loads(
    history: History,
    days: Calendar,
    costs: Sequence[_Costs],
    hosts: Sequence[Host],
    fleet: Fleet,
    placement: Placement,
) -> dict[str, _Loads]:
    row_of = {host.name: row for row, host in enumerate(hosts)}
    loads = {}
    for one in costs:
        shape = (len(hosts), days.days * days.per_day(one.dimension))
        by_day = (len(hosts), days.days)
        loads[one.dimension] = _Loads(
            np.zeros(shape), np.zeros(shape, dtype=np.bool_), np.zeros(by_day), np.zeros(by_day)
        )
    for part in history.parts():
        placed = [
            (local, row_of[assignment.host], fleet.workloads[position], assignment)
            for local, position in enumerate(part.positions)
            if (assignment := placement.assignments.get(fleet.workloads[position].name)) is not None
            and assignment.host in row_of
        ]
        for one in costs:
            _add_part(loads[one.dimension], part, days, one.dimension, one, placed)
    return loads


@dataclass(frozen=True)
class _Costs:
    """What isolations add in one dimension."""

    fleet: Fleet
    demands: Demands
    dimension: str
    time_zone: str

    def on_top(self, workload: Workload, assignment: Assignment) -> tuple[int, int]:
        """Permille and a fixed amount; nothing for a workload whose demand is unknown, since it stays where it is."""
        demand = self.demands[workload.name]
        if isinstance(demand, Unknown):
            return 0, 0
        return cost_of(self.fleet, workload, demand, assignment.isolation, self.dimension)

    def reserved(self, workload: Workload, assignment: Assignment, at_s: NDArray[np.int64]) -> NDArray[np.float64]:
        """What is reserved for a workload that was never measured, hour by hour; its own overhead included."""
        demand = self.demands[workload.name]
        if isinstance(demand, Unknown) or self.dimension not in demand.amounts:
            return np.zeros(len(at_s))
        slots = demand_on(self.fleet, workload, demand, assignment.isolation, (self.dimension,), demand.slots)[0]
        return np.asarray(slots[slot_of_week(local_times(at_s, self.time_zone)) % len(slots)], dtype=np.float64)


def _add_part(
    loads: _Loads,
    part: Part,
    days: Calendar,
    dimension: str,
    costs: _Costs,
    placed: Sequence[tuple[int, int, Workload, Assignment]],
) -> None:
    """Add some workloads' samples to their hosts' loads."""
    grid, at_s = days.grid(part, dimension), days.at_s(dimension)
    counts = samples_per_day(grid, days.per_day(dimension))
    usual = usual_count(counts)
    alive = _from_first_to_last(counts > 0)
    for local, row, workload, assignment in placed:
        on = ~np.isnan(grid[local])
        if not on.any():
            loads.total[row] += costs.reserved(workload, assignment, at_s)
            continue
        permille, fixed = costs.on_top(workload, assignment)
        taken = grid[local, on] * (1000 + permille) / 1000 + fixed
        loads.total[row, on] += taken
        loads.seen[row] |= on
        weight = taken.mean()
        loads.measured[row] += weight * np.minimum(counts[local], usual[local])
        loads.expected[row] += weight * usual[local] * alive[local]


def _from_first_to_last(any_sample: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Days from each workload's first sample to its last, shape (workloads, days)."""
    begun = np.logical_or.accumulate(any_sample, axis=1)
    lasting = np.logical_or.accumulate(any_sample[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(begun & lasting, dtype=np.bool_)


def factor_after(percent_per_year: float, days: float) -> float:
    """What yearly growth makes of an amount after so many days, compounded: 20 % and two years are 1.44."""
    if not percent_per_year > -100:
        raise InputError(f"growth of {percent_per_year:g} % a year leaves nothing; give more than -100 %")
    return float((1 + percent_per_year / 100) ** (days / YEAR_DAYS))


def grown(demands: Demands, factor: float) -> Demands:
    """Demand after growth, for planning ahead; what is unknown stays unknown.

    Args:
        demands: As they are now.
        factor: By which every amount is multiplied, taken to three decimals and the result rounded up.

    Raises:
        InputError: where the factor is no positive number.

    """
    if not (math.isfinite(factor) and factor > 0):
        raise InputError(f"demand cannot grow by a factor of {factor:g}; give a positive number such as 1.2")
    permille = math.ceil(round(factor * 1000, 6))
    return {name: _scaled(demand, permille) for name, demand in demands.items()}


def _scaled(demand: Demand | Unknown, permille: int) -> Demand | Unknown:
    if isinstance(demand, Unknown):
        return demand
    return replace(
        demand,
        amounts={dimension: _times(slots, permille) for dimension, slots in demand.amounts.items()},
        highest_cpu_milli=int(_times(np.array([demand.highest_cpu_milli]), permille)[0]),
        mean_cpu_milli=demand.mean_cpu_milli * permille / 1000,
    )


def _times(amounts: NDArray[np.int64], permille: int) -> NDArray[np.int64]:
    """Multiply and round up; whole thousands apart, so that a petabyte does not overflow."""
    thousands, rest = np.divmod(amounts, 1000)
    return np.asarray(thousands * permille + (rest * permille + 999) // 1000, dtype=np.int64)
