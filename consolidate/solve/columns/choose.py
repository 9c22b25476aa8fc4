"""The best packing that a given set of patterns allows: set covering as a mixed integer program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

from consolidate.solve.columns.instance import Instance, Packing, Pattern, ShouldStop
from consolidate.solve.columns.master import quiet_highs


@dataclass(frozen=True)
class Chosen:
    """What the program came to."""

    packing: Packing | None
    """Below the limit on cost; None where there was none, or none was found."""
    exhausted: bool
    """Whether these patterns are known to make none cheaper, or none below the limit where there is no packing."""


def choose(
    instance: Instance,
    patterns: Sequence[Pattern],
    copies: NDArray[np.int64],
    available: NDArray[np.int64],
    costs: tuple[int, int],
    nodes: int,
    should_stop: ShouldStop,
) -> Chosen:
    """Cover ``copies`` by bins of these patterns ; ``costs`` are the least that is possible and the most wanted."""
    enough, limit = costs
    if not patterns or enough > limit:
        return Chosen(None, True)
    highs = quiet_highs()
    highs.setOptionValue("mip_max_nodes", nodes)
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.setOptionValue("mip_abs_gap", 0.999 * instance.grain)
    highs.setOptionValue("objective_target", enough + 0.001 * instance.grain)
    highs.passModel(_model(instance, patterns, copies, available, limit))
    highs.cbMipInterrupt.subscribe(lambda event: event.interrupt(should_stop()))
    highs.run()
    status = highs.getModelStatus()
    if highs.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return Chosen(None, status == highspy.HighsModelStatus.kInfeasible)
    times = np.rint(np.array(highs.getSolution().col_value)).astype(np.int64)
    used = [pattern for pattern, often in zip(patterns, times.tolist(), strict=True) for _ in range(often)]
    packing = trimmed(instance, used, copies)
    # A solution that turns out to be no packing says nothing about others.
    return Chosen(packing, packing is not None and status == highspy.HighsModelStatus.kOptimal)


def _model(
    instance: Instance,
    patterns: Sequence[Pattern],
    copies: NDArray[np.int64],
    available: NDArray[np.int64],
    limit: int,
) -> highspy.HighsLp:
    """Rows: items, kinds, total cost; exact covering where a part of a pattern need not be one."""
    items, kinds = len(instance.copies), len(instance.cost)
    start, index, value = [0], [], []
    for pattern in patterns:
        rows, times = np.unique(np.array(pattern.items, dtype=np.int64), return_counts=True)
        index += [*rows.tolist(), items + pattern.kind, items + kinds]
        value += [*times.tolist(), 1, int(instance.cost[pattern.kind])]
        start.append(len(index))
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(patterns), items + kinds + 1
    model.col_cost_ = instance.cost[[pattern.kind for pattern in patterns]].astype(np.float64)
    model.col_lower_ = np.zeros(len(patterns))
    model.col_upper_ = np.full(len(patterns), float(max(copies.max(initial=1), 1)))
    inf = highspy.kHighsInf
    model.row_lower_ = np.concatenate([copies, np.full(kinds + 1, -inf)])
    most = np.full(items, inf) if instance.monotone else copies
    model.row_upper_ = np.concatenate([most, available, [limit]]).astype(np.float64)
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_ = np.array(start), np.array(index)
    model.a_matrix_.value_ = np.array(value, dtype=np.float64)
    model.integrality_ = [highspy.HighsVarType.kInteger] * len(patterns)
    return model


def trimmed(instance: Instance, patterns: Sequence[Pattern], copies: NDArray[np.int64]) -> Packing | None:
    """Take surplus copies out, and bins that hold nothing then; None where something is missing or no longer fits."""
    left = copies.copy()
    packing = []
    for pattern in sorted(patterns, key=lambda one: -len(one.items)):
        kept = []
        for item in pattern.items:
            if left[item]:
                left[item] -= 1
                kept.append(item)
        part = Pattern(pattern.kind, tuple(kept))
        if kept and not (len(kept) == len(pattern.items) or instance.monotone or instance.fits(part)):
            return None
        if kept:
            packing.append(part)
    return None if left.any() else tuple(packing)
