"""The fluid bound: let every item be split among hosts like a liquid, and keep everything else.

Kept are the capacity in every dimension and slot, the overhead of each isolation, what only runs for less at home
while home is on, compatibility, pins and licences on hardware. Hosts that are alike are pooled. Rows are generated as
they are violated, and the prices of room at each stage say which sets of hosts are too little: the cheapest set that
none of them rules out is the bound, so any stop gives one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from consolidate.quiet import native_output_on_stderr
from consolidate.solve.columns.fleet import Captives
from consolidate.solve.loads import UNLIMITED
from consolidate.solve.problem import Problem, least_demand

_GRAINS = (0.0, 2**-10, 2**-8, 2**-6, 2**-4, 2**-2)
"""Shares of the largest room within which room counts as equal, one after another."""
_MOST_WORK = 2_000_000
"""Workloads times the square of pools of hosts: about what the linear program's columns and rows go with."""
_START_SLOTS = 3
_ROUNDS = 10
_WORTHWHILE = 1e-3
"""Relative growth of the bound below which further rows are not worth their time."""
_NODES = 200
_SHORT = 1e-6
"""Share of a host below which room is not missing."""


def pooled(problem: Problem) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pool of each host, shape (H,), and the room that a host of each has, shape (pools, R).

    Hosts that take in the same and have equal room share one; where these are too many for a linear program, those of
    nearly equal room, and each counts as the roomiest of them in every dimension. Measured hosts hardly ever have as
    much memory to the byte.
    """
    room = problem.arrays.capacity
    for grain in _GRAINS:
        step = np.ceil(np.where(room < UNLIMITED, room, 0).max(axis=0, initial=1) * grain).clip(1).astype(np.int64)
        key = np.concatenate([problem.family[:, None], -(-room // step)], axis=1)
        pool = np.unique(key, axis=0, return_inverse=True)[1].ravel().astype(np.int64)
        pools = int(pool.max()) + 1
        if len(problem.items) * pools**2 <= _MOST_WORK:
            break
    roomiest = np.zeros((pools, room.shape[1]), dtype=np.int64)
    np.maximum.at(roomiest, pool, room)
    return pool, roomiest


@dataclass(frozen=True, eq=False)
class Fluid:
    """What hosts cost at least that hold all items as a liquid, and the captives whole; and which hosts might do."""

    cost: float
    model: Relaxation
    rows: Sequence[LinearConstraint]
    """What any hosts must fulfil."""

    def cheapest_hosts(self, times: float) -> NDArray[np.bool_] | None:
        """The cheapest hosts, shape (hosts,), that hold so many times everything by all that is known; None if none."""
        more = [LinearConstraint(row.A, row.lb * times, row.ub) for row in self.rows]
        return self.model.cheapest_hosts(more)[1]


def pour(problem: Problem, captives: Sequence[Captives]) -> Fluid:
    """Bound what hosts cost."""
    model = Relaxation(problem, captives)
    cost, steady = 0.0, 0
    enough: list[LinearConstraint] = []
    for _ in range(_ROUNDS):
        solution = model.solve()
        if solution is None:  # not even a liquid fits; construction will tell what is wrong
            break
        enough.append(model.enough_hosts(solution.prices))
        steady = steady + 1 if solution.cost < cost * (1 + _WORTHWHILE) else 0
        cost = solution.cost
        if steady > 1 or not model.add_violated_rows(solution.x):
            break
    volumes = model.volumes()
    for _ in range(_ROUNDS if enough else 0):
        bound, hosts = model.cheapest_hosts([*volumes, *enough])
        cost = max(cost, bound)
        if hosts is None:
            break
        short = model.solve(hosts)
        if short is None or short.cost < _SHORT:
            break
        enough.append(model.enough_hosts(short.prices))
    return Fluid(cost, model, [*volumes, *enough])


@dataclass(frozen=True, eq=False)
class Liquid:
    """An optimum of the relaxation."""

    cost: float
    x: NDArray[np.float64]
    """(columns,)"""
    prices: NDArray[np.float64]
    """(rows,): what one more host's worth of room would save in each kind, dimension and slot that has a row."""


class Relaxation:
    """The relaxation. Columns: y (host on), k (hosts of a kind on), z (share away in a kind), n (share at home)."""

    def __init__(self, problem: Problem, captives: Sequence[Captives]) -> None:
        arrays = problem.arrays
        self.arrays, self.captives = arrays, captives
        self.kind_of, self.capacity = pooled(problem)
        self.hosts, self.items, self.kinds = len(problem.hosts), len(problem.items), len(self.capacity)
        self.away = self._away(problem)
        at_home = np.flatnonzero(arrays.home >= 0)
        at_home = at_home[arrays.variant[at_home, arrays.home[at_home]] >= 0]
        self.home_item, self.home_host = at_home, arrays.home[at_home].astype(np.int64)
        self.first_kind = self.hosts
        self.first_away = self.first_kind + self.kinds
        self.first_home = self.first_away + len(self.away)
        self.columns = self.first_home + len(at_home)
        self.rows: list[tuple[int, int, int]] = self._start_rows()
        self.equal, self.at_most = self._fixed_rows()

    def solve(self, on: NDArray[np.bool_] | None = None) -> Liquid | None:
        """Solve with the rows so far; None where there is no solution.

        Where the hosts that are on are given, shape (hosts,), what costs is the room that is missing everywhere, as a
        share of a host.
        """
        cost = np.concatenate([self.arrays.cost, np.zeros(self.columns - self.hosts + 1)]).astype(np.float64)
        lower, upper = np.zeros(self.columns + 1), np.ones(self.columns + 1)
        upper[self.first_kind : self.first_away] = np.bincount(self.kind_of, minlength=self.kinds)
        if on is None:
            lower[: self.hosts], upper[-1] = self.arrays.forced, 0.0
        else:
            lower[: self.hosts] = upper[: self.hosts] = on
            cost[:], cost[-1], upper[-1] = 0.0, 1.0, np.inf
        room = [self._capacity_row(*row) for row in self.rows]
        rows = sparse.vstack([*room, *self.at_most])
        missing = np.where(np.arange(rows.shape[0]) < len(room), -1.0, 0.0)
        most = sparse.hstack([rows, sparse.csr_matrix(missing[:, None])], format="csr")
        exact = sparse.hstack(
            [sparse.vstack(self.equal), sparse.csr_matrix((self.items + self.kinds, 1))], format="csr"
        )
        right = np.zeros(most.shape[0])
        right[len(right) - len(self.captives) :] = [-one.cost for one in self.captives]
        ones = np.concatenate([np.ones(self.items), np.zeros(self.kinds)])
        bounds = list(zip(lower.tolist(), upper.tolist(), strict=True))
        with native_output_on_stderr():
            result = linprog(cost, most, right, exact, ones, bounds, method="highs")
        if not result.success or result.x is None:
            return None
        prices = np.maximum(-result.ineqlin.marginals[: len(self.rows)], 0.0)
        return Liquid(float(cost @ result.x), result.x[:-1], prices)

    def enough_hosts(self, prices: NDArray[np.float64]) -> LinearConstraint:
        """What any hosts must fulfil that hold everything, by prices of room, shape (rows,).

        At these, a host is worth the room it has and what its own workloads save by staying; together the hosts that
        are on must be worth at least what all workloads cost where room is cheapest for them. True of any prices,
        and of those at an optimum it says as much as the whole relaxation (Benders, 1962).
        """
        arrays = self.arrays
        worth, price = np.zeros(self.kinds), np.zeros((self.kinds, *arrays.demand.shape[1:]))
        for (kind, row, slot), amount in zip(self.rows, prices.tolist(), strict=True):
            worth[kind] += amount if self.capacity[kind, row] > 0 else 0.0
            price[kind, row, slot] = amount / max(self.capacity[kind, row], 1)
        rows, slots = np.nonzero(price.any(axis=0))
        need = arrays.demand[:, rows, slots] @ price[:, rows, slots].T
        away = np.full(self.items, np.inf)
        np.minimum.at(away, self.away[:, 0], need[self.away[:, 2], self.away[:, 1]])
        at_home = np.full(self.items, np.inf)
        at_home[self.home_item] = need[arrays.variant[self.home_item, self.home_host], self.kind_of[self.home_host]]
        stuck = np.isinf(away)  # its home is on in any case, being forced
        cheapest = np.where(stuck, at_home, away)
        saved = np.maximum(cheapest - at_home, 0.0)
        weight = worth[self.kind_of]
        np.add.at(weight, self.home_host, saved[self.home_item])
        return LinearConstraint(weight, cheapest.sum(), np.inf)

    def volumes(self) -> list[LinearConstraint]:
        """What any hosts must fulfil in one dimension alone: their room is that of all workloads in the busiest slot.

        The rest of the relaxation says as much, unless unlike hosts were pooled.
        """
        arrays = self.arrays
        busiest = least_demand(arrays).sum(axis=0).max(axis=1, initial=0)
        limited = (arrays.capacity < UNLIMITED).all(axis=0) & (busiest > 0)
        return [
            LinearConstraint(arrays.capacity[:, row] / busiest[row], 1.0, np.inf) for row in np.flatnonzero(limited)
        ]

    def cheapest_hosts(self, enough: Sequence[LinearConstraint]) -> tuple[float, NDArray[np.bool_] | None]:
        """The cheapest hosts that fulfil all this and may hold the captives, and a bound on what such hosts cost."""
        captive = [LinearConstraint(-row[:, : self.hosts], one.cost, np.inf) for row, one in self._captive_rows()]
        with native_output_on_stderr():
            result = milp(
                self.arrays.cost.astype(np.float64),
                integrality=np.ones(self.hosts, dtype=np.int64),
                bounds=Bounds(self.arrays.forced.astype(np.float64), 1.0),
                constraints=[*enough, *captive],
                options={"node_limit": _NODES, "mip_rel_gap": 0.0},
            )
        bound = 0.0 if result.mip_dual_bound is None else float(result.mip_dual_bound)
        return bound, None if result.x is None else result.x > 0.5

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
            members = np.flatnonzero(self.kind_of == kind)
            # Where pins and bans tell hosts of a kind apart, what one of them takes in all of them do: a relaxation.
            # An item whose workloads have different homes has a variant for each: it may take the cheapest anywhere.
            elsewhere = arrays.home[:, None] != members[None, :]
            items, at = np.nonzero(elsewhere & (arrays.variant[:, members] >= 0))
            variants = arrays.variant[items, members[at]].astype(np.int64)
            items, variants = np.divmod(np.unique(items * len(arrays.demand) + variants), len(arrays.demand))
            found.append(np.stack([items, np.full(len(items), kind), variants], axis=1))
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

    def _fixed_rows(self) -> tuple[list[sparse.csr_matrix], list[sparse.csr_matrix]]:
        """Rows that hold exactly (1 for items, 0 for kinds), and rows of at most 0 or, for captives, less."""

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
        return [placed, counted], [only_if_on, *(row for row, _ in self._captive_rows())]

    def _captive_rows(self) -> Iterator[tuple[sparse.csr_matrix, Captives]]:
        """Less the cost of the hosts that captives can run on: at most less what these need."""
        for one in self.captives:
            at = (np.zeros(len(one.hosts), dtype=np.int64), one.hosts)
            yield sparse.csr_matrix((-self.arrays.cost[one.hosts], at), shape=(1, self.columns)), one
