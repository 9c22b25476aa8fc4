"""Sets of hosts that might do, where hosts cost for being on and nothing else costs: everything is put on one of them.

A walk that opens and closes hosts one by one pays for each of them on the way. But which hosts are the cheapest that
have room for all items as a liquid is a small integer program, with a row for each resource; and to put everything on
hosts that are given is a search without costs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.reassign.bounds import whole_hosts
from consolidate.solve.reassign.construct import construct
from consolidate.solve.reassign.problem import Reassignment, restrict
from consolidate.solve.reassign.score import score
from consolidate.solve.reassign.search import INFEASIBLE, Clock, Report, Style, search

SLACKS = (0.0, 0.002, 0.005, 0.01, 0.02, 0.04)
"""Shares by which hosts are chosen too roomy, one after another: a liquid fills them to the last, items do not."""
_SHARE = 0.1
"""Of the budget, for each set."""


def may_be_chosen(problem: Reassignment) -> bool:
    """Whether hosts cost differently, nothing else costs, and items on some of them are a problem by themselves."""
    tied = (problem.home >= 0).any() or problem.least_locations.any() or len(problem.needs.value)
    alone = problem.plain and problem.curve_cells == 0 and not len(problem.balance)
    return bool(problem.items and alone and np.ptp(problem.opening) and not tied)


def search_chosen(
    problem: Reassignment, start: NDArray[np.int64], clock: Clock, seed: int, report: Report, style: Style
) -> tuple[int, NDArray[np.int64]]:
    """Search on chosen hosts, the cheapest first, until everything is placed; go on from there on all hosts.

    Just `search` where hosts cannot be chosen; deterministic as that is.
    """
    if may_be_chosen(problem):
        before = score(problem, start)
        report(0.0, INFEASIBLE if before.violations else before.cost, start)
        for slack in SLACKS:
            placed = _placed(problem, slack, clock, seed, style)
            if placed is not None:
                better = before.violations or score(problem, placed).cost < before.cost
                start = placed if better else start
                break
    return search(problem, start, _next_part(clock, 1.0), seed, report, style)


def _placed(problem: Reassignment, slack: float, clock: Clock, seed: int, style: Style) -> NDArray[np.int64] | None:
    """Hosts of all items, of the chosen ones; None where not all could be placed within the share of the budget."""
    _, hosts = whole_hosts(problem, slack)
    if not len(hosts):
        return None
    paid = restrict(problem, np.arange(problem.items), hosts)._replace(opening=np.zeros(len(hosts), dtype=np.int64))
    try:
        first = construct(paid, seed)
    except ValueError:  # groups want more hosts
        return None
    done = False
    part = _next_part(clock, _SHARE)

    def report(spent: float, cost: int, host_of: NDArray[np.int64]) -> None:
        nonlocal done
        done = cost < INFEASIBLE

    cost, at = search(paid, first, lambda: 1.0 if done else part(), seed, report, style)
    return hosts[at] if cost < INFEASIBLE else None


def _next_part(clock: Clock, share: float) -> Clock:
    """The clock of the next share of the budget, or of what is left of it."""
    begin = clock()
    length = min(share, 1.0 - begin)
    return lambda: min((clock() - begin) / length, 1.0) if length > 0 else 1.0
