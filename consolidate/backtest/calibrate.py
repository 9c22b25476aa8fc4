"""The smallest CPU margin with which hosts keep the policy's risk: found on the days that are planned on alone."""

from __future__ import annotations

from dataclasses import replace

from consolidate.backtest.promise import promise
from consolidate.demand import History
from consolidate.model.fleet import Fleet
from consolidate.model.policy import Policy, SizingPolicy
from consolidate.solve.solve import Effort

MARGINS_PERMILLE = (0, 30, 60, 100, 150, 200, 300, 400)
"""Candidates, closer together where most are found."""
CONFIDENCE = 0.9
"""Share of the days of hosts that have to keep the risk; it takes nine of them to say so at all."""


def calibrated(train: History, fleet: Fleet, policy: Policy, effort: Effort, judged_days: float) -> SizingPolicy:
    """The policy with its margin on CPU and IO calibrated; with the largest candidate where none keeps the risk.

    The margin is the factor by which peaks outgrow the days they were sized on. It is found by a nested back-test, the
    one that also makes promises, so that what the plan is judged by has no part in it. The fleet in its worst block has
    to keep the risk, and so have hosts by the day. That rates fall as margins grow is taken for granted, which makes
    the search a bisection.

    Args:
        train: What will be planned on.
        fleet: The fleet it was read for.
        policy: All but the margins stays.
        effort: The same for every block.
        judged_days: Length of what the plan will be judged by.

    """
    low, high = 0, len(MARGINS_PERMILLE) - 1
    while low < high:
        middle = (low + high) // 2
        told = promise(train, fleet, replace(policy, sizing=_with(policy.sizing, middle)), effort, judged_days)
        if told is not None and told.worst <= told.risk and told.within >= CONFIDENCE:
            high = middle
        else:
            low = middle + 1
    return _with(policy.sizing, low)


def _with(sizing: SizingPolicy, candidate: int) -> SizingPolicy:
    margin = MARGINS_PERMILLE[candidate]
    name = f"{sizing.name}, {margin / 10:g} % found"
    return replace(sizing, name=name, cpu_margin_permille=margin, io_margin_permille=margin)
