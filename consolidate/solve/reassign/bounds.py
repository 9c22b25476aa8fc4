"""What any placement costs at least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from consolidate.quiet import native_output_on_stderr
from consolidate.solve.reassign.problem import Reassignment

_TOLERANCE = 1e-6
"""Relative error that the linear program's answer may have; its solver's own tolerances are 1e-7."""
_TANGENTS = 48
"""Tangents that stand for a curve in the linear program; they run below it, so that the bound holds."""
_NODES = 200
"""Of the integer program about whole hosts."""


def lower_bound(problem: Reassignment) -> int:
    """Soft load and balance as if all hosts were one, and hosts and curves as if items could be poured.

    Moves cost nothing at least.
    """
    return soft_bound(problem) + max(fluid_bound(problem)[0], whole_hosts(problem)[0])


def soft_bound(problem: Reassignment) -> int:
    """No way of dividing a total over hosts lowers the sum of its excesses.

    Items are charged with their least demand over the kinds of host, so that the totals are those of any placement;
    where kinds differ, balance, which is not monotone in the demand, is left out.
    """
    total = least_load(problem)
    bound = int((np.maximum(total - problem.soft_capacity.sum(axis=0), 0) * problem.soft_weight).sum())
    if problem.variant.shape[1] == 1:
        free = problem.capacity.sum(axis=0) - total
        for a, b, target, weight in problem.balance:
            bound += int(weight) * max(0, int(target) * int(free[a]) - int(free[b]))
    return bound


def least_load(problem: Reassignment) -> NDArray[np.int64]:
    """Demand (D,) of all items together, each at its least over the kinds of host."""
    kinds, of_item = np.unique(problem.variant[:-1], axis=0, return_inverse=True)
    demand = np.where((kinds >= 0)[:, :, None], problem.demand[kinds], np.iinfo(np.int64).max).min(axis=1)
    total: NDArray[np.int64] = np.bincount(of_item.ravel(), minlength=len(kinds)) @ demand
    return total


def whole_hosts(problem: Reassignment, slack: float = 0.0) -> tuple[int, NDArray[np.int64]]:
    """What whole hosts cost at least that have room for all items, and so much more, in each cell; and the cheapest.

    0 and none where hosts cost nothing, or all of them are too few.
    """
    load = least_load(problem)
    used, paid = load > 0, problem.opening[problem.opening > 0]
    if not used.any() or not len(paid):
        return 0, np.zeros(0, dtype=np.int64)
    room = LinearConstraint((problem.capacity[:, used] / load[used]).T, 1.0 + slack, np.inf)
    cost, whole = problem.opening / paid.min(), np.ones(problem.hosts, dtype=np.int64)
    with native_output_on_stderr():
        found = milp(
            cost,
            integrality=whole,
            bounds=Bounds(0, 1),
            constraints=room,
            options={"node_limit": _NODES, "mip_rel_gap": 0.0},
        )
    if found.x is None or found.mip_dual_bound is None:
        return 0, np.zeros(0, dtype=np.int64)
    grain = int(np.gcd.reduce(problem.opening))
    least = found.mip_dual_bound * paid.min() * (1 - _TOLERANCE)
    return int(np.ceil(least / grain)) * grain, np.flatnonzero(found.x > 0.5)


def fluid_bound(problem: Reassignment) -> tuple[int, NDArray[np.float64]]:
    """Opening and curves where load can be poured: a linear program; and the hosts (K',) it opens of each class.

    Hosts of one class are alike in kind, capacity and opening cost (`classes`). For each class k, y hosts are open
    and carry z in every cell: z <= capacity · y, and the penalty of a curved cell is above each tangent of y · f(z/y),
    which is convex in y and z.
    """
    class_of = classes(problem)
    count = np.bincount(class_of)
    if not problem.curve_cells and not problem.opening.any():
        return 0, np.zeros(len(count))
    example = np.array([int(np.flatnonzero(class_of == one)[0]) for one in range(len(count))])
    program = _Fluid(problem, example, count)
    with native_output_on_stderr():
        result = program.solve()
    if result is None:
        return 0, np.zeros(len(count))
    cost, opened = result
    rounded = problem.hosts * problem.curve_cells  # a penalty is rounded down on every host
    return max(int(np.ceil(cost * (1 - _TOLERANCE))) - rounded, 0), opened


def classes(problem: Reassignment) -> NDArray[np.int64]:
    """Class (H,) of each host."""
    key = np.concatenate([problem.kind[:, None], problem.opening[:, None], problem.capacity], axis=1)
    found: NDArray[np.int64] = np.unique(key, axis=0, return_inverse=True)[1].ravel().astype(np.int64)
    return found


class _Fluid:
    """The program. Columns: y (hosts open of a class), z (load of a class in a cell), c (its penalty there)."""

    def __init__(self, problem: Reassignment, example: NDArray[np.int64], count: NDArray[np.int64]) -> None:
        self.problem, self.example, self.count = problem, example, count
        self.capacity = problem.capacity[example].astype(np.float64)
        self.cells = problem.capacity.shape[1]
        self.load = least_load(problem).astype(np.float64)
        self.scale = np.maximum(self.capacity.max(axis=0), 1.0)
        self.first_load = len(example)
        self.first_penalty = self.first_load + len(example) * self.cells
        self.columns = self.first_penalty + len(example) * problem.curve_cells
        # Of the cheapest host: in units of a dear one others cost so little that the solver takes it for nothing.
        costs = problem.opening[problem.opening > 0]
        self.unit = float(costs.min() if len(costs) else max(problem.curve.max(), 1))

    def solve(self) -> tuple[float, NDArray[np.float64]] | None:
        """Least cost and hosts open of each class; None where there is no solution."""
        kinds = len(self.example)
        cost = np.zeros(self.columns)
        cost[:kinds] = self.problem.opening[self.example] / self.unit
        cost[self.first_penalty :] = 1.0
        upper = np.full(self.columns, np.inf)
        upper[:kinds] = self.count
        within, ceiling = self._within(), self._tangents()
        everything = self.load / self.scale
        rows = [LinearConstraint(self._all(), everything, everything), LinearConstraint(within, -np.inf, 0.0)]
        if ceiling is not None:
            rows.append(LinearConstraint(ceiling, -np.inf, 0.0))
        result = milp(cost, bounds=Bounds(np.zeros(self.columns), upper), constraints=rows)
        return (float(result.fun) * self.unit, result.x[:kinds]) if result.x is not None else None

    def _loads(self) -> NDArray[np.int64]:
        """Column of each class and cell, (K', D)."""
        return self.first_load + np.arange(len(self.example) * self.cells).reshape(len(self.example), self.cells)

    def _all(self) -> sparse.csr_matrix:
        """Everything is somewhere."""
        columns = self._loads()
        rows = np.broadcast_to(np.arange(self.cells), columns.shape)
        return sparse.csr_matrix(
            (np.ones(columns.size), (rows.ravel(), columns.ravel())), shape=(self.cells, self.columns)
        )

    def _within(self) -> sparse.csr_matrix:
        """No class carries more than its open hosts can."""
        columns = self._loads().ravel()
        rows = np.arange(len(columns))
        hosts = np.repeat(np.arange(len(self.example)), self.cells)
        values = np.concatenate([np.ones(len(rows)), -(self.capacity / self.scale).ravel()])
        at = np.concatenate([rows, rows]), np.concatenate([columns, hosts])
        return sparse.csr_matrix((values, at), shape=(len(rows), self.columns))

    def _tangents(self) -> sparse.csr_matrix | None:
        """A penalty is above every tangent: slope · z + height · y - c <= 0."""
        problem, parts = self.problem, []
        loads = self._loads()
        for index, host in enumerate(self.example.tolist()):
            kind = int(problem.kind[host])
            curve, step = problem.curve[kind].astype(np.float64), 2.0 ** int(problem.curve_shift[kind])
            knots = np.unique(np.linspace(0, len(curve) - 2, _TANGENTS).astype(np.int64))
            slope = np.diff(curve)[knots] / step
            height = curve[knots] - slope * knots * step
            for cell in range(problem.curve_cells):
                penalty = self.first_penalty + index * problem.curve_cells + cell
                rows = np.repeat(np.arange(len(knots)), 3)
                columns = np.tile([loads[index, cell], index, penalty], len(knots))
                values = np.stack(
                    [slope * self.scale[cell] / self.unit, height / self.unit, -np.ones(len(knots))], axis=1
                )
                shape = (len(knots), self.columns)
                parts.append(sparse.csr_matrix((values.ravel(), (rows, columns)), shape=shape))
        return sparse.vstack(parts, format="csr") if parts else None
