"""The restricted master problem: a linear program over the patterns known so far, kept warm in HiGHS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

from consolidate.quiet import native_output_discarded
from consolidate.solve.columns.instance import Instance, Pattern


@dataclass(frozen=True)
class Relaxed:
    """An optimum of the relaxation over the known patterns."""

    cost: float
    use: NDArray[np.float64]
    """(P,): bins of each pattern, fractional, in the order in which patterns were added."""
    value: NDArray[np.float64]
    """(N,): what one more copy of an item would cost; never negative."""
    penalty: NDArray[np.float64]
    """(K,): what one bin fewer of a kind would cost; never negative."""


def quiet_highs() -> highspy.Highs:
    """A solver that prints nothing, not even its name."""
    with native_output_discarded():
        highs = highspy.Highs()  # type: ignore[no-untyped-call]
        highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    return highs


class Master:
    """Patterns in, prices out.

    Copies are covered at least (a bin may hold fewer than its pattern says), bins of a kind are used at most as
    often as there are. What is solved is the dual program: its variables are the prices, and a new pattern is a new
    row, which the dual simplex method takes in its stride; how often a pattern is used is the row's multiplier. A
    highest price for an item keeps the program bounded before the patterns do.
    """

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.patterns: list[Pattern] = []
        self._known: set[Pattern] = set()
        self._items, self._kinds = len(instance.copies), len(instance.cost)
        self._highs = quiet_highs()
        self._highs.setOptionValue("presolve", "off")  # nothing to gain where rows are added to an optimal basis
        self._highs.setOptionValue("solver", "simplex")
        none = np.array([], dtype=np.int32)
        highest = float(instance.cost.max()) * 4
        for copies in instance.copies.tolist():
            self._highs.addCol(-float(copies), 0.0, highest, 0, none, none.astype(np.float64))
        for bins in instance.available.tolist():
            self._highs.addCol(float(bins), 0.0, highspy.kHighsInf, 0, none, none.astype(np.float64))

    def add(self, patterns: Iterable[Pattern]) -> int:
        """Take in patterns that are new; return how many."""
        before = len(self.patterns)
        for pattern in patterns:
            if pattern in self._known:
                continue
            self._known.add(pattern)
            self.patterns.append(pattern)
            times = Counter(pattern.items)
            columns = np.array([*times, self._items + pattern.kind], dtype=np.int32)
            amounts = np.array([*times.values(), -1], dtype=np.float64)
            cost = float(self.instance.cost[pattern.kind])
            self._highs.addRow(-highspy.kHighsInf, cost, len(columns), columns, amounts)
        return len(self.patterns) - before

    def restrict(self, copies: NDArray[np.int64], available: NDArray[np.int64]) -> None:
        """Ask for the covering of some of the copies by some of the bins only."""
        amounts = np.concatenate([-copies, available]).astype(np.float64)
        self._highs.changeColsCost(len(amounts), np.arange(len(amounts), dtype=np.int32), amounts)
        if not self.instance.monotone:  # a pattern cannot be had in part
            for index, pattern in enumerate(self.patterns):
                fits = (np.bincount(pattern.items, minlength=self._items) <= copies).all()
                most = float(self.instance.cost[pattern.kind]) if fits else highspy.kHighsInf
                self._highs.changeRowBounds(index, -highspy.kHighsInf, most)

    def solve(self) -> Relaxed:
        """Optimise over the patterns known so far."""
        self._highs.run()
        solution = self._highs.getSolution()
        prices = np.maximum(np.array(solution.col_value), 0.0)
        use = np.maximum(-np.array(solution.row_dual), 0.0)
        cost = -float(self._highs.getInfo().objective_function_value)
        return Relaxed(cost, use, prices[: self._items], prices[self._items :])
