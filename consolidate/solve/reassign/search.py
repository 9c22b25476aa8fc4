"""The search of one worker: annealing sweeps, each from the best placement so far, until a clock runs out."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.randomness import seeded
from consolidate.solve.reassign.anneal import anneal, new_scratch, press
from consolidate.solve.reassign.bounds import lower_bound
from consolidate.solve.reassign.branch import new_desk
from consolidate.solve.reassign.climate import MOST_FORCE, Climate
from consolidate.solve.reassign.eject import ejection_work
from consolidate.solve.reassign.problem import Reassignment, overload_units
from consolidate.solve.reassign.repack import may_be_repacked, repack_some
from consolidate.solve.reassign.score import score
from consolidate.solve.reassign.state import State, by_host, new_state, one_list

Clock = Callable[[], float]
"""Share of the budget that is spent, from 0 to 1; called again after every burst of steps."""
Report = Callable[[float, int, NDArray[np.int64]], None]
"""Called with the share spent, the cost and the placement whenever there is a better one."""

_STEPS = 20
"""Steps for each item between two looks at the clock and at the capacities."""
_NODES = 5
"""Nodes of repacking for each step of annealing."""
_BURST = (20_000, 200_000)
"""Fewest and most steps between two looks."""


@dataclass(frozen=True)
class Sweep:
    """One cooling, from ``start`` to ``end`` of the budget."""

    start: float
    end: float
    hot: float
    """Temperature at first, in units of `Weather.heat`."""
    cold: float
    """Temperature at last."""
    wall: float = 0.0
    """Share of it after which capacities are walls; before, they are forces."""
    afresh: bool = False
    """Whether it begins where the search began, and not from the best placement so far."""
    repacked: int = 0
    """Hosts that are repacked at once, time and again; 0 for none."""


@dataclass(frozen=True)
class Style:
    """How a worker searches; what one problem needs melts or freezes another, so workers differ."""

    heat: float
    """Temperature at first, as a multiple of what the scale of items suggests."""
    sweeps: tuple[Sweep, ...]


_LAST = (Sweep(0.85, 1.0, 1e-2, 1e-4),)
STYLES = (
    Style(3.0, (Sweep(0.0, 0.85, 1.0, 1e-3, wall=0.95), *_LAST)),
    Style(10.0, (Sweep(0.0, 0.85, 1.0, 1e-3), *_LAST)),
)
"""Styles of the workers, in turn: one cooling as slow as can be, and a short second one."""
STYLES_OF_PLAIN = (
    Style(1.0, (Sweep(0.0, 0.85, 1.0, 1e-3, wall=0.95), *_LAST)),
    Style(3.0, (Sweep(0.0, 0.85, 1.0, 1e-3, wall=0.95), *_LAST)),
)
"""Where no soft load costs but hosts do for being on: an item's weight has a host's cost in it, so less heat does."""
_REHEATS = (0.3, 0.1, 0.1, 0.3, 0.1, 0.03)
_COLD, _COOLED = 0.03, 0.5
"""Shares of the budget of a small problem when the cold sweep ends, and when the coolings from the start do."""


def _again(walls: tuple[float, ...]) -> Style:
    """A cold sweep, coolings from the start, one for each wall, and then one from each reheat of the best of all.

    Every third reheat has walls throughout: with forces some problems end with what is over a capacity, and are the
    better for it where they do not. The last ends where no step of any cost is taken uphill.
    """
    starts, ends = np.linspace(_COLD, _COOLED, len(walls) + 1), np.linspace(_COOLED, 1.0, len(_REHEATS) + 1)
    coolings = [
        Sweep(start, end, 1.0, 1e-3, wall, afresh=True, repacked=2 + number % 3)
        for number, (wall, (start, end)) in enumerate(zip(walls, itertools.pairwise(starts.tolist()), strict=True))
    ]
    reheats = [
        Sweep(
            start, end, hot, 1e-4 if end < 1.0 else 1e-7, 0.0 if number % 3 == 2 else walls[0], repacked=2 + number % 3
        )
        for number, (hot, (start, end)) in enumerate(zip(_REHEATS, itertools.pairwise(ends.tolist()), strict=True))
    ]
    return Style(10.0, (Sweep(0.0, _COLD, 1e-4, 1e-7, repacked=3), *coolings, *reheats))


STYLES_OF_SMALL = (_again((0.0, 0.5, 0.7)), _again((0.7, 0.5, 0.7)))
"""Of a small problem, which one cooling does not need the whole of a budget for: it is heated again and again."""
SMALL = 200_000
"""Items times hosts of a small problem at most."""
IN_PARTS = 1.0
"""Heat of a problem that is cooled in parts."""
PARTS_SWEEPS = (Sweep(0.0, 0.93, 1.0, 1e-2), Sweep(0.93, 1.0, 1e-2, 1e-4))
"""How a problem is cooled in parts: slowly to where little changes any more, and then soon to the end."""
INFEASIBLE = 2**62
"""Cost of a placement that exceeds a capacity."""


class Weather:
    """How hot it is, by how much of a sweep is done, in units that the problem itself sets."""

    _HEAT = 0.12
    """A sweep starts at this share of what a mean item weighs in a host of mean occupancy."""
    _PRICE = (1.0, 0.01)
    """Price of all transient room at first and at last, in units of all that there is to gain."""
    _PRICED = 0.8
    """Share of a sweep after which transient room is free."""
    _FORCE = (0.5, 3.0)
    """Cost of a unit over capacity, at first and at last, in units of the cost of one over soft capacity."""
    _GROWTH, _DECAY = 1.02, 0.998
    """Factors of the force on a capacity at each look, where it is exceeded and where not."""
    _EJECTION = 60.0
    """Chance of an ejection, times the cells that one looks at, so that all take a share of the time."""
    _RELOCATION = 0.5
    """Chance of a relocation where hosts cost differently for being on: most are judged by sums alone."""
    _HOLD = 0.85
    """Share of a sweep after which force does not wane."""

    def __init__(self, problem: Reassignment, start: NDArray[np.int64], cost: int, heat: float) -> None:
        self.unit = overload_units(problem)
        self.heat = heat * self._HEAT * problem.reach[:-1].mean() * problem.hosts / max(problem.items, 1)
        room = np.maximum(new_state(problem, start).room, 0).sum(axis=0)
        share = problem.demand[:, problem.transient] / np.maximum(room[problem.transient], 1)
        self.price = np.append(share.sum(axis=1)[problem.variant[:-1].max(axis=1)], 0.0) * max(
            cost - lower_bound(problem), 0
        )
        self.ejection = self._EJECTION / ejection_work(problem)
        self.relocation = self._RELOCATION if problem.plain and np.ptp(problem.opening) else 0.0
        self.force = np.ones(problem.capacity.shape)

    def at(self, sweep: Sweep, done: float) -> Climate:
        """The climate when so much of a sweep is done."""
        temperature = max(self.heat * sweep.hot * (sweep.cold / sweep.hot) ** done, 1e-9)
        first, last = self._PRICE
        fall = done / self._PRICED
        price = self.price * (first * (last / first) ** fall * sweep.hot if fall < 1 else 0.0)
        price[-1] = price.max()
        low, high = self._FORCE
        force = self.force * (low * (high / low) ** done) if done < sweep.wall else np.full_like(self.force, MOST_FORCE)
        return Climate(temperature, price, np.ceil(force * self.unit).astype(np.int64), self.ejection, self.relocation)

    def press(self, problem: Reassignment, state: State, done: float) -> bool:
        """Let the forces follow the capacities that are exceeded; whether any is."""
        return press(problem, state, self.force, self._GROWTH, 1.0 if done > self._HOLD else self._DECAY)


def search(
    problem: Reassignment, start: NDArray[np.int64], clock: Clock, seed: int, report: Report, style: Style = STYLES[0]
) -> tuple[int, NDArray[np.int64]]:
    """Improve a feasible placement; the result is never worse than the start.

    Deterministic where the clock counts its own calls and not seconds.
    """
    cost = score(problem, start).cost
    if not problem.items:
        report(0.0, cost, start)
        return cost, start
    weather, roster, scratch = Weather(problem, start, cost, style.heat), one_list(problem), new_scratch(problem)
    desk = new_desk(problem)
    random = np.array([seeded(seed)], dtype=np.uint64)
    best = start.copy()
    best_cost = INFEASIBLE if weather.press(problem, new_state(problem, start), 0.0) else cost
    report(0.0, best_cost, best)
    for sweep in style.sweeps:
        state = new_state(problem, start if sweep.afresh else best)
        cost = score(problem, state.host_of[:-1]).cost
        while (spent := clock()) < sweep.end:
            done = max(spent - sweep.start, 0.0) / (sweep.end - sweep.start)
            cost += int(anneal(problem, state, weather.at(sweep, done), burst(problem), random, roster, scratch))
            if sweep.repacked and may_be_repacked(problem):
                cost += int(repack_some(problem, state, desk, random, sweep.repacked, _NODES * burst(problem)))
            if not weather.press(problem, state, done) and cost < best_cost:
                best, best_cost = state.host_of[:-1].copy(), cost
                report(spent, best_cost, best)
    return best_cost, best


def cool(
    problem: Reassignment, start: NDArray[np.int64], clock: Clock, seed: int, until: float
) -> tuple[int, NDArray[np.int64]]:
    """Anneal until so much of the budget is spent, with capacities as walls and without ejections.

    For whoever cools a large problem in parts: what comes back is where the search stands, not the best it saw, and
    how the cost changed.
    """
    if not problem.items:
        return 0, start
    weather, roster, scratch = Weather(problem, start, 0, IN_PARTS), one_list(problem), new_scratch(problem)
    random = np.array([seeded(seed)], dtype=np.uint64)
    state, change = new_state(problem, start), 0
    while (spent := clock()) < until:
        sweep = PARTS_SWEEPS[spent >= PARTS_SWEEPS[0].end]
        climate = weather.at(sweep, (spent - sweep.start) / (sweep.end - sweep.start))._replace(
            ejection=0.0, relocation=0.0
        )
        change += int(anneal(problem, state, climate, burst(problem), random, by_host(roster, state), scratch))
    return change, state.host_of[:-1].copy()


def styles(problem: Reassignment) -> tuple[Style, ...]:
    """Styles of the workers, in turn; short coolings live from repacking, and so pay only where that is possible."""
    if problem.plain:
        return STYLES_OF_PLAIN
    small = problem.items * problem.hosts <= SMALL
    return STYLES_OF_SMALL if small and may_be_repacked(problem) else STYLES


def burst(problem: Reassignment) -> int:
    """Steps between two looks."""
    return min(max(_STEPS * problem.items, _BURST[0]), _BURST[1])


def compile_search(problem: Reassignment, start: NDArray[np.int64]) -> None:
    """Compile the kernels where no cache has them, so that workers load them and do not each compile their own."""
    if not problem.items:
        return
    search(problem, start, lambda: 1.0, 0, lambda spent, cost, host_of: None)
    climate = Weather(problem, start, 0, IN_PARTS).at(PARTS_SWEEPS[-1], 1.0)
    state = new_state(problem, start)
    random = np.ones(1, dtype=np.uint64)
    anneal(problem, state, climate, 0, random, one_list(problem), new_scratch(problem))
    if styles(problem) is STYLES_OF_SMALL:
        repack_some(problem, state, new_desk(problem), random, 1, 0)
