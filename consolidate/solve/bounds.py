"""Lower bounds: what has to stay on at least, whatever the packing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from consolidate.quiet import native_output_on_stderr
from consolidate.solve.columns.fleet import Captives
from consolidate.solve.loads import UNLIMITED
from consolidate.solve.problem import MAX_PER_HOST, MIN_DOMAINS, Problem
from consolidate.units import count

_START_SLOTS = 3
_ROUNDS = 10
_WORTHWHILE = 1e-3
"""Relative growth of the bound below which further rows are not worth their time."""
_NODES = 200
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class LowerBound:
    """A cost that no placement can go below, and what proves it."""

    cost: int
    kind: str
    because: str


def lower_bound(problem: Problem, captives: Sequence[Captives] = ()) -> LowerBound:
    """The largest of the bounds; what captives need, where that was found, also strengthens the fluid one."""
    quick = (_forced(problem), _groups(problem), _clique(problem), *(_columns(one) for one in captives))
    best = max(quick, key=lambda bound: bound.cost)
    if best.cost >= int(problem.arrays.cost.sum()):
        return best
    return max(best, _fluid(problem, captives), key=lambda bound: bound.cost)


def add_bounds(bounds: Sequence[LowerBound], kept: int) -> LowerBound:
    """The bound of a problem whose components have these, and where hosts in none of them cost ``kept`` anyway."""
    cost = sum(bound.cost for bound in bounds) + kept
    if len(bounds) == 1:
        return LowerBound(cost, bounds[0].kind, bounds[0].because)
    kinds: dict[str, int] = {}
    for bound in bounds:
        kinds[bound.kind] = kinds.get(bound.kind, 0) + bound.cost
    shares = ", ".join(f"{kinds[kind]} by the {kind} bound" for kind in sorted(kinds, key=lambda kind: -kinds[kind]))
    return LowerBound(
        cost, "components", f"{len(bounds)} parts of the fleet share no host, so their bounds add up: {shares}"
    )


def _columns(captives: Captives) -> LowerBound:
    """Column generation over the patterns in which hosts can carry what runs nowhere else."""
    who = f"{count(len(captives.items), 'workload')} that run on {count(len(captives.hosts), 'host')} only"
    return LowerBound(captives.cost, "columns", f"no mix of patterns holds {who} for less")


def _forced(problem: Problem) -> LowerBound:
    forced = problem.arrays.forced
    because = f"hosts that carry something that cannot move: {int(forced.sum())}"
    return LowerBound(int(problem.arrays.cost[forced].sum()), "immovable", because)


def _groups(problem: Problem) -> LowerBound:
    """A group that must be kept apart needs as many hosts as its rule says, the cheapest ones at best."""
    arrays = problem.arrays
    needed = 0
    for group, kind in enumerate(arrays.group_kind):
        bound = int(arrays.group_bound[group])
        if kind == MAX_PER_HOST:
            members = int(arrays.members_of[arrays.group_of == group].sum() + arrays.group_fixed[group].sum())
            needed = max(needed, -(-members // bound))
        elif kind == MIN_DOMAINS:
            needed = max(needed, bound)
    cost = int(np.sort(arrays.cost)[:needed].sum())
    return LowerBound(cost, "rules", f"one rule alone keeps its workloads on {count(needed, 'host')}")


def _clique(problem: Problem) -> LowerBound:
    """Items that each need more than half of the largest host, in one dimension and slot, share no host."""
    arrays = problem.arrays
    least = np.full((len(problem.items), *arrays.demand.shape[1:]), np.iinfo(np.int64).max)
    for item, variants in enumerate(arrays.variant):
        able = np.unique(variants[variants >= 0])
        least[item] = arrays.demand[able].min(axis=0) if len(able) else 0
    half = arrays.capacity.max(axis=0, initial=0)[None, :, None]
    large = (2 * least > half).sum(axis=0)
    needed = int(large.max(initial=0))
    if not needed:
        return LowerBound(0, "clique", "no workload needs half a host")
    row = int(np.unravel_index(large.argmax(), large.shape)[0])
    because = f"{count(needed, 'workload')} of which each needs more than half of any host's {problem.dimensions[row]}"
    return LowerBound(int(np.sort(arrays.cost)[:needed].sum()), "clique", because)


def _fluid(problem: Problem, captives: Sequence[Captives]) -> LowerBound:
    """Let every item be split among hosts like a liquid, and keep everything else.

    Kept are the capacity in every dimension and slot, the overhead of each isolation, what only runs for less at
    home while home is on, compatibility, pins and licences on hardware. Hosts that are alike are pooled, and how
    many of them are on is a whole number. Rows are generated as they are violated, so any stop gives a bound.
    """
    if not problem.items:
        return LowerBound(0, "fluid", "there is nothing to place")
    model = _Model(problem, captives)
    cost, steady = 0.0, 0
    for _ in range(_ROUNDS):
        solution = model.solve(whole=False)
        if solution is None:  # not even a liquid fits; construction will tell what is wrong
            break
        steady = steady + 1 if solution.fun < cost * (1 + _WORTHWHILE) else 0
        cost = float(solution.fun)
        if steady > 1 or not model.add_violated_rows(solution.x):
            break
    whole = model.solve(whole=True)
    if whole is not None and whole.mip_dual_bound is not None:
        cost = max(cost, float(whole.mip_dual_bound))
    because = "even if every workload could be split among hosts like a liquid, less would not hold them"
    if captives:
        where = (
            f"{len(one.items)} of them, which only {len(one.hosts)} hosts can take, cost {one.cost} there"
            for one in captives
        )
        because += f"; whole, by column generation, {' and '.join(where)}"
    return LowerBound(int(np.ceil(cost - _TOLERANCE * max(1.0, cost))), "fluid", because)


class _Model:
    """The relaxation. Columns: y (host on), k (hosts of a kind on), z (share away in a kind), n (share at home)."""

    def __init__(self, problem: Problem, captives: Sequence[Captives]) -> None:
        arrays = problem.arrays
        self.arrays, self.captives = arrays, captives
        self.kind_of = problem.kind
        self.hosts, self.items = len(problem.hosts), len(problem.items)
        self.kinds = int(problem.kind.max()) + 1
        example = np.array([int(np.flatnonzero(problem.kind == kind)[0]) for kind in range(self.kinds)])
        self.capacity = arrays.capacity[example]
        self.away = self._away(problem)
        at_home = np.flatnonzero(arrays.home >= 0)
        at_home = at_home[arrays.variant[at_home, arrays.home[at_home]] >= 0]
        self.home_item, self.home_host = at_home, arrays.home[at_home].astype(np.int64)
        self.first_kind = self.hosts
        self.first_away = self.first_kind + self.kinds
        self.first_home = self.first_away + len(self.away)
        self.columns = self.first_home + len(at_home)
        self.rows: list[tuple[int, int, int]] = self._start_rows()
        self.fixed_rows = self._fixed_rows()

    def solve(self, whole: bool) -> Any:
        """Solve with the rows so far; None where there is no solution."""
        kept = np.zeros(self.columns, dtype=np.int64)
        kept[self.first_kind : self.first_away] = 1 if whole else 0
        lower, upper = np.zeros(self.columns), np.ones(self.columns)
        lower[: self.hosts] = self.arrays.forced
        upper[self.first_kind : self.first_away] = np.bincount(self.kind_of, minlength=self.kinds)
        cost = np.concatenate([self.arrays.cost, np.zeros(self.columns - self.hosts)]).astype(np.float64)
        matrix = sparse.vstack([self._capacity_row(*row) for row in self.rows], format="csr")
        constraints = [*self.fixed_rows, LinearConstraint(matrix, -np.inf, 0.0)]
        with native_output_on_stderr():
            result = milp(
                cost,
                integrality=kept,
                bounds=Bounds(lower, upper),
                constraints=constraints,
                options={"node_limit": _NODES, "mip_rel_gap": 0.0},
            )
        return result if result.x is not None or (whole and result.mip_dual_bound is not None) else None

    def add_violated_rows(self, x: NDArray[np.float64]) -> bool:
        """Add each kind's most overfull slot by dimension; False where there is none."""
        arrays = self.arrays
        load = np.zeros((self.kinds, *arrays.demand.shape[1:]))
        share = x[self.first_away : self.first_home]
        for kind in range(self.kinds):
            here = (self.away[:, 1] == kind) & (share > 1e-9)
            load[kind] = np.tensordot(share[here], arrays.demand[self.away[here, 2]], axes=1)
            home = self.kind_of[self.home_host] == kind
            variants = arrays.variant[self.home_item[home], self.home_host[home]]
            load[kind] += np.tensordot(x[self.first_home :][home], arrays.demand[variants], axes=1)
        on = x[self.first_kind : self.first_away]
        excess = load / self.capacity[:, :, None].clip(1) - on[:, None, None]
        known, added = set(self.rows), False
        for kind, row in zip(*np.nonzero(excess.max(axis=2) > 1e-4), strict=True):
            new = (int(kind), int(row), int(excess[kind, row].argmax()))
            if new not in known:
                self.rows.append(new)
                added = True
        return added

    def _away(self, problem: Problem) -> NDArray[np.int64]:
        """(item, kind, variant) for every item and kind of host that can take it in as a stranger."""
        arrays, found = self.arrays, []
        for kind in range(self.kinds):
            members = np.flatnonzero(problem.kind == kind)
            # Where pins and bans tell hosts of a kind apart, what one of them takes in all of them do: a relaxation.
            # An item whose workloads have different homes has a variant for each: it may take the cheapest anywhere.
            elsewhere = arrays.home[:, None] != members[None, :]
            items, at = np.nonzero(elsewhere & (arrays.variant[:, members] >= 0))
            variants = arrays.variant[items, members[at]].astype(np.int64)
            found.append(np.unique(np.stack([items, np.full(len(items), kind), variants], axis=1), axis=0))
        return np.concatenate(found).reshape(-1, 3)

    def _start_rows(self) -> list[tuple[int, int, int]]:
        """The fleet's busiest slots, for every kind and dimension."""
        cheapest = self.arrays.demand[np.maximum(self.arrays.variant.max(axis=1), 0)].sum(axis=0)
        busiest = np.argsort(-cheapest, axis=1)[:, :_START_SLOTS]
        return [
            (kind, row, int(slot))
            for kind in range(self.kinds)
            for row in range(len(busiest))
            if self.capacity[kind, row] < UNLIMITED
            for slot in busiest[row]
        ]

    def _capacity_row(self, kind: int, row: int, slot: int) -> sparse.csr_matrix:
        """Load of a kind in a slot less what its hosts that are on can give, as a share of one host."""
        arrays, limit = self.arrays, float(max(self.capacity[kind, row], 1))
        away = np.flatnonzero(self.away[:, 1] == kind)
        home = np.flatnonzero(self.kind_of[self.home_host] == kind)
        at_home = arrays.variant[self.home_item[home], self.home_host[home]]
        columns = np.concatenate([self.first_away + away, self.first_home + home, [self.first_kind + kind]])
        amounts = np.concatenate(
            [
                arrays.demand[self.away[away, 2], row, slot] / limit,
                arrays.demand[at_home, row, slot] / limit,
                [-1.0 if self.capacity[kind, row] > 0 else 0.0],
            ]
        )
        return sparse.csr_matrix((amounts, (np.zeros(len(columns), dtype=np.int64), columns)), shape=(1, self.columns))

    def _fixed_rows(self) -> list[LinearConstraint]:
        def matrix(parts: list[tuple[NDArray[np.int64], NDArray[np.int64], float]], rows: int) -> sparse.csr_matrix:
            at = np.concatenate([row for row, _, _ in parts]), np.concatenate([column for _, column, _ in parts])
            values = np.concatenate([np.full(len(row), value) for row, _, value in parts])
            return sparse.csr_matrix((values, at), shape=(rows, self.columns))

        away = np.arange(self.first_away, self.first_home)
        home = np.arange(self.first_home, self.columns)
        kinds = np.arange(self.kinds)
        placed = matrix([(self.away[:, 0], away, 1.0), (self.home_item, home, 1.0)], self.items)
        counted = matrix(
            [(self.kind_of, np.arange(self.hosts), 1.0), (kinds, self.first_kind + kinds, -1.0)], self.kinds
        )
        rows = np.arange(len(home))
        only_if_on = matrix([(rows, home, 1.0), (rows, self.home_host, -1.0)], len(home))
        return [
            LinearConstraint(placed, 1.0, 1.0),
            LinearConstraint(counted, 0.0, 0.0),
            LinearConstraint(only_if_on, -np.inf, 0.0),
            *(self._captive_row(one) for one in self.captives),
        ]

    def _captive_row(self, captives: Captives) -> LinearConstraint:
        """Hosts that captives can run on cost at least what these need."""
        row = sparse.csr_matrix(
            (self.arrays.cost[captives.hosts], (np.zeros(len(captives.hosts), dtype=np.int64), captives.hosts)),
            shape=(1, self.columns),
        )
        return LinearConstraint(row, float(captives.cost), np.inf)
