"""What a plan promises of days it has not seen, told before they are judged.

The promise is the policy's risk: at most so large a share of the host-intervals lacks something. Where the days that
are planned on say more, or are too few to vouch for so little, it is what they can vouch for. How much better than that
it should be, and in how many days of a host the risk holds for that host alone, is told beside it.

Cross-validation in blocks, within the days that are planned on: a block of days is left out, the rest is sized and
planned as ever, and the plan is judged on the block; each block in turn. A rolling origin would plan on ever fewer days
and so promise the fate of a plan that knew less than this one does; leaving a block out comes as near as can be to the
history that the plan rests on. The rest of the way is reckoned: the next sample is above the highest of n alike with a
chance of 1 / (n + 1), so rates shrink nearly as the history grows, and are multiplied by the share of days that was
left. What is expected is the block in the middle. The worst block may raise the promise: there a load changed for good,
say, which a plan that has seen it withstands, and which the next such change may repeat.

A day of a host is a trial, of which n were made: a host lacked something in a share x of it. Were the next such day
alike, at most (Σ x + 1) / (n + 1) of it would be lacking, since the next may be the worst so far, and lack all day
(conformal risk control, Angelopoulos et al., ICLR 2024). Likewise, where k of them went over the risk, the next goes
over with a chance of at most (k + 1) / (n + 1). Where all loads rise together, days of different hosts are not as many
trials, which is what the worst block is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.demand import History, estimate
from consolidate.demand.replay import DAY_S, replay
from consolidate.errors import InfeasibleError
from consolidate.model.fleet import Fleet
from consolidate.model.policy import Policy
from consolidate.risk import solve_within_risk
from consolidate.solve.solve import Effort

LEAST_BLOCKS = 3
"""A block is as long as what is judged, but never more than a third of the days, which the plan would miss."""


@dataclass(frozen=True)
class Promise:
    """Shares of the host-intervals in which a host will lack something."""

    usual: float
    """As in the block in the middle (the mean of two)."""
    worst: float
    """As in the worst block."""
    risk: float
    """The policy's."""
    host_days: int
    """Days of hosts that were left out and judged."""
    lacking: float
    """In how many of them a host lacked something, each by the share of the day."""
    over: int
    """Those on which the host lacked one of its resources more often than the risk allows."""

    @property
    def at_most(self) -> float:
        """What is promised."""
        return max(self.risk, self.worst, (self.lacking + 1) / (self.host_days + 1))

    @property
    def within(self) -> float:
        """Share of the days of hosts that should keep the risk."""
        return 1 - (self.over + 1) / (self.host_days + 1)


def promise(train: History, fleet: Fleet, policy: Policy, effort: Effort, judged_days: float) -> Promise | None:
    """Violation rates to expect; None where there are too few days to tell.

    Args:
        train: What will be planned on.
        fleet: The fleet it was read for.
        policy: How it will be planned.
        effort: The same for every block.
        judged_days: Length of what the plan will be judged by.

    """
    rates, daily, days = [], [], measured_days(train)
    for block in _blocks(days, judged_days):
        start_s, end_s = int(block[0]) * DAY_S, (int(block[-1]) + 1) * DAY_S
        known, then = train.without(start_s, end_s), train.between(start_s, end_s)
        demands = estimate(known, fleet, policy.sizing, {})
        try:
            plan = solve_within_risk(known, fleet, demands, policy, 0, effort, lambda what, cost: None)
        except InfeasibleError:
            return None
        fared = replay(then, fleet, plan.demands, plan.result.placement, policy.sizing)
        rates.append(fared.violation_rate * (1 - len(block) / len(days)))
        daily.append(fared.host_days())
    if not rates:
        return None
    risk, lacking = policy.sizing.risk, np.concatenate(daily)
    over = int((lacking > risk).sum())
    return Promise(float(np.median(rates)), max(rates), risk, len(lacking), float(lacking.sum()), over)


def measured_days(history: History) -> NDArray[np.int64]:
    """Days since the epoch (UTC) of which there is any CPU measurement, in order."""
    days = [np.unique(part.amounts["cpu_milli"].at_s // DAY_S) for part in history.parts()]
    return np.unique(np.concatenate(days)) if days else np.empty(0, np.int64)


def _blocks(days: NDArray[np.int64], judged_days: float) -> Iterator[NDArray[np.int64]]:
    """Neighbouring days, in groups of about equal length; none of a single day, without which nothing is left."""
    if len(days) < 2:
        return
    count = max(LEAST_BLOCKS, round(len(days) / max(judged_days, 1.0)))
    yield from np.array_split(days, min(count, len(days)))
