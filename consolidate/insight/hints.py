"""Single moves that flatten a placement: off a host whose peak they lower, to one that has its peak at other times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from consolidate.demand import History
from consolidate.demand.replay import Replay, on_grid, replay
from consolidate.model.demand import Demand, Demands
from consolidate.model.fleet import Fleet, Host, Isolation, Workload
from consolidate.model.isolation import choose_isolation, cost_of
from consolidate.model.placement import Assignment, Placement
from consolidate.solve.evaluate import evaluate
from consolidate.solve.loads import Needs

LEAST_GAIN = 0.01
"""A hint lowers the source's peak by at least this share of what the host has; less is not worth a move."""
_SAME = 1e-6
"""Shares that differ by less are equal: rows are kept in single precision."""


@dataclass(frozen=True)
class Hint:
    """One move; peaks are shares of what a host has, replayed on the history, where 1 is full."""

    workload: str
    source: str
    target: str
    source_peak_before: float
    source_peak_after: float
    target_peak_after: float


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A workload that could leave its host, and what that would be worth."""

    workload: Workload
    demand: Demand
    source: int
    """Row in the replay."""
    after: float
    """Peak of the source without it, as a share."""
    row: NDArray[np.float32]
    """What was measured of it, by interval, shape (intervals,); NaN where it was off."""


class _Case:
    """A placement as it was replayed in one dimension, and what decides about a move."""

    def __init__(self, fleet: Fleet, demands: Demands, placement: Placement, replayed: Replay, dimension: str) -> None:
        by_name = {host.name: (index, host) for index, host in enumerate(fleet.hosts)}
        self.fleet, self.demands, self.placement, self.dimension = fleet, demands, placement, dimension
        self.hosts: tuple[Host, ...] = tuple(by_name[name][1] for name in replayed.hosts)
        self.start_s, self.interval_s = replayed.start_s, replayed.interval_s
        self.share: NDArray[np.float64] = replayed.share[:, replayed.dimensions.index(dimension)]
        """Load of each host in use, shape (hosts, intervals)."""
        self.peak: NDArray[np.float64] = self.share.max(axis=1)
        amounts = [host.without_headroom.amounts.get(dimension) for host in self.hosts]
        self.limit = np.array([np.inf if amount is None else max(amount, 1) for amount in amounts], dtype=np.float64)
        """What each host has, as in the replay, shape (hosts,)."""
        self.needs = Needs(fleet, demands)
        self.free = self.needs.free(placement)[[by_name[name][0] for name in replayed.hosts]]
        """Room of each host in use, shape (hosts, dimensions, slots)."""
        self.broken = self.broken_by(placement)

    def broken_by(self, placement: Placement) -> dict[tuple[str, str, str], int]:
        """Amount by which each rule is broken, as the oracle sees it."""
        score = evaluate(self.fleet, self.demands, placement, needs=self.needs)
        return {(one.rule, one.subject, one.unit): one.amount for one in score.violations}

    def allows(self, placement: Placement) -> bool:
        """Whether a placement breaks nothing that is not broken already, and nothing worse."""
        return all(amount <= self.broken.get(key, 0) for key, amount in self.broken_by(placement).items())


def swap_hints(
    history: History,
    fleet: Fleet,
    demands: Demands,
    placement: Placement,
    most: int = 10,
    dimension: str = "cpu_milli",
) -> tuple[Hint, ...]:
    """Moves among the hosts in use that lower a host's replayed peak, those that lower it most first.

    The target's peak stays at or below the source's new one. A host takes part in one hint at most, and every rule and
    capacity is kept by each hint alone and by all of them together, so any of them can be followed.

    Args:
        history: The samples to judge by.
        fleet: As planned for.
        demands: What the placement reserves.
        placement: Where the workloads run, or will.
        most: Number of hints after which to stop.
        dimension: Whose peak counts.

    """
    replayed = replay(history, fleet, demands, placement)
    if dimension not in replayed.dimensions or not replayed.share.size:
        return ()
    case = _Case(fleet, demands, placement, replayed, dimension)
    hints: list[Hint] = []
    touched: set[int] = set()
    so_far = placement
    for candidate in sorted(_candidates(history, case), key=lambda one: one.after - case.peak[one.source]):
        if len(hints) >= most:
            break
        if candidate.source in touched:
            continue
        for target, peak, kind in _targets(case, candidate, touched):
            change = {candidate.workload.name: Assignment(case.hosts[target].name, kind)}
            together = replace(so_far, assignments={**so_far.assignments, **change})
            alone = replace(placement, assignments={**placement.assignments, **change})
            if case.allows(alone) and (so_far is placement or case.allows(together)):
                hints.append(_hint(case, candidate, target, peak))
                touched |= {candidate.source, target}
                so_far = together
                break
    return tuple(hints)


def _hint(case: _Case, candidate: _Candidate, target: int, peak: float) -> Hint:
    source = candidate.source
    before = float(case.peak[source])
    return Hint(
        candidate.workload.name, case.hosts[source].name, case.hosts[target].name, before, candidate.after, peak
    )


def _candidates(history: History, case: _Case) -> Iterator[_Candidate]:
    """Workloads whose leaving lowers their host's peak enough; all of a part are tried in one array."""
    row_of = {host.name: row for row, host in enumerate(case.hosts)}
    for part in history.parts():
        known: list[tuple[int, Workload, Demand, Assignment]] = []
        for local, position in enumerate(part.positions):
            workload = case.fleet.workloads[position]
            assignment, demand = case.placement.assignments.get(workload.name), case.demands[workload.name]
            if assignment is not None and isinstance(demand, Demand):
                known.append((local, workload, demand, assignment))
        if not known:
            continue
        amounts, count = part.amounts[case.dimension], case.share.shape[1]
        grid = on_grid(amounts, len(part.positions), case.start_s, case.interval_s, count)
        grid = grid[[local for local, _, _, _ in known]]
        source = np.array([row_of[assignment.host] for _, _, _, assignment in known], dtype=np.int64)
        taken = _taken(case, [(w, d, a.isolation) for _, w, d, a in known], grid) / case.limit[source, None]
        after = np.maximum((case.share[source] - taken).max(axis=1), 0.0)
        for index in np.flatnonzero(case.peak[source] - after >= LEAST_GAIN):
            _, workload, demand, _ = known[index]
            row = grid[index].astype(np.float32)
            yield _Candidate(workload, demand, int(source[index]), float(after[index]), row)


def _taken(
    case: _Case, runs: Sequence[tuple[Workload, Demand, Isolation]], grid: NDArray[np.floating]
) -> NDArray[np.float64]:
    """What workloads take of a host in an isolation, as the replay counts it, shape (runs, intervals)."""
    costs = np.array([cost_of(case.fleet, *run, case.dimension) for run in runs], dtype=np.float64)
    taken = grid * (1000 + costs[:, :1]) / 1000 + costs[:, 1:]
    return np.nan_to_num(np.asarray(taken, dtype=np.float64), copy=False)


def _targets(case: _Case, candidate: _Candidate, touched: set[int]) -> Iterator[tuple[int, float, Isolation]]:
    """Hosts with room for the workload and a low enough peak with it: row, that peak, isolation; lowest peak first.

    Its own host is none, nor is one that has its peak above the source's new one already.
    """
    workload = candidate.workload
    closed = (*touched, candidate.source)
    able = [row for row in np.flatnonzero(case.peak <= candidate.after).tolist() if row not in closed]
    by_kind: dict[Isolation, list[int]] = {}
    for row in able:
        kind = choose_isolation(case.fleet, workload, case.hosts[row])
        if kind is not None and (workload.movable or workload.host == case.hosts[row].name):
            by_kind.setdefault(kind, []).append(row)
    found: list[tuple[float, int, Isolation]] = []
    for kind, rows in by_kind.items():
        need = case.needs.of(workload, kind)
        assert need is not None  # only workloads of known demand are candidates
        fitting = np.array(rows)[(case.free[rows] >= need).all(axis=(1, 2))]
        taken = _taken(case, [(workload, candidate.demand, kind)], candidate.row[None, :])
        peaks = (case.share[fitting] + taken / case.limit[fitting, None]).max(axis=1)
        good = peaks <= candidate.after + _SAME
        found += [(float(peak), int(row), kind) for peak, row in zip(peaks[good], fitting[good], strict=True)]
    for peak, row, kind in sorted(found):
        yield row, peak, kind
