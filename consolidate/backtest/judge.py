"""Back-test: size and plan on the first part of a history, freeze the plan, and judge it on the rest.

Nothing of the judged part is used before it is judged. What is promised for it was measured with a rolling origin: the
same policy, planned on fewer days and judged on those that followed, all before the split. Next to the policies stand
what others do (adding up peaks, 95 % quantiles or limits) and the clairvoyant plan, made from the judged part itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from consolidate.demand import History, estimate
from consolidate.demand.replay import replay
from consolidate.errors import InfeasibleError, InputError
from consolidate.model.fleet import Fleet
from consolidate.model.policy import SIZING_POLICIES, Policy, SizingPolicy
from consolidate.risk import solve_within_risk, worst_host
from consolidate.solve.solve import Effort

DAY_S = 86400
_BARE = SizingPolicy(cpu_margin_permille=0, memory_margin_permille=0, io_margin_permille=0, risk=1.0)
BASELINES = (
    replace(_BARE, name="sum of maxima", time_aligned=False, cpu_quantile=1.0, io_quantile=1.0),
    replace(_BARE, name="sum of 95 %", time_aligned=False, memory_quantile=0.95),
    replace(_BARE, name="sum of limits", min_hours=float("inf")),
)
FLAT = replace(SIZING_POLICIES["balanced"], name="balanced, flat", time_aligned=False)
"""The balanced policy without hours: what is saved by laying peaks beside valleys."""
CLAIRVOYANT = replace(_BARE, name="clairvoyant", cpu_quantile=1.0, io_quantile=1.0)


@dataclass(frozen=True)
class Judged:
    """One way to plan, and how its plan fared."""

    name: str
    hosts: int | None
    """None where no plan was possible."""
    lower_bound: int | None
    promised: float | None
    """Violation rate that earlier days, judged in the same way, led to expect; None where there were too few."""
    kept: float | None
    """Share of redrawn judged days whose interval holds the promise."""
    violation_rate: float
    low: float
    high: float
    """95 % confidence interval of the rate."""
    minutes_per_week: float
    """That a host lacked something, all hosts together."""
    severity: float
    longest_minutes: float
    worst_host: str
    worst_host_rate: float
    note: str = ""


@dataclass(frozen=True)
class BackTest:
    """The verdicts, and what they rest on."""

    train_days: float
    judged_days: float
    judged: tuple[Judged, ...]

    def regret(self, one: Judged) -> int | None:
        """Hosts more than the clairvoyant plan needs."""
        best = next((other.hosts for other in self.judged if other.name == CLAIRVOYANT.name), None)
        return None if one.hosts is None or best is None else one.hosts - best


def backtest(
    history: History,
    fleet: Fleet,
    policy: Policy,
    train_days: float,
    seed: int = 0,
    effort: Effort | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> BackTest:
    """Judge every policy and baseline on the part of a history after its first days.

    Raises:
        InputError: where the history is too short to be split there.

    """
    span = history.span_s()
    cut_s = span[0] + round(train_days * DAY_S) if span is not None else 0
    if span is None or not span[0] < cut_s < span[1] - DAY_S:
        days = 0.0 if span is None else (span[1] - span[0]) / DAY_S
        raise InputError(
            f"{days:.1f} days of history cannot be split after {train_days:g}; train on fewer days and leave at least "
            "one to judge by"
        )
    train, rest = history.between(span[0], cut_s), history.between(cut_s, span[1] + 1)
    chosen = policy.sizing
    policies = list(SIZING_POLICIES.values())
    if chosen not in policies:
        policies = [replace(chosen, name=f"{chosen.name}, as configured"), *policies]
    verdicts = []
    for sizing in (*policies, FLAT, *BASELINES, CLAIRVOYANT):
        progress(sizing.name)
        known = rest if sizing is CLAIRVOYANT else train
        # The baselines and the clairvoyant know no headroom: what they reserve is all they keep.
        bare = sizing in (*BASELINES, CLAIRVOYANT)
        judged_fleet = _without_headroom(fleet) if bare else fleet
        asked = replace(policy, sizing=sizing)
        search = effort or Effort()
        promised = None if bare else _promise(history, cut_s, span[1] - cut_s, judged_fleet, asked, search)
        verdicts.append(_judge(known, rest, judged_fleet, asked, seed, search, promised))
    return BackTest(train_days, (span[1] - cut_s) / DAY_S, tuple(verdicts))


def _promise(history: History, cut_s: int, judged_s: int, fleet: Fleet, policy: Policy, effort: Effort) -> float | None:
    """Violation rate over all earlier splits of the same length that leave a quarter of the days to plan on."""
    span = history.span_s()
    assert span is not None  # the caller has split it
    least_s = (cut_s - span[0]) / 4
    over, judged = 0, 0
    while (cut_s := cut_s - judged_s) - span[0] >= least_s:
        known, then = history.between(span[0], cut_s), history.between(cut_s, cut_s + judged_s)
        demands = estimate(known, fleet, policy.sizing, {})
        try:
            plan = solve_within_risk(known, fleet, demands, policy, 0, effort, lambda what, cost: None)
        except InfeasibleError:
            return None
        fared = replay(then, fleet, plan.demands, plan.result.placement)
        over, judged = over + int(fared.over.sum()), judged + fared.over.size
    return over / judged if judged else None


def _judge(
    known: History,
    rest: History,
    fleet: Fleet,
    policy: Policy,
    seed: int,
    effort: Effort,
    promised: float | None = None,
) -> Judged:
    demands = estimate(known, fleet, policy.sizing, {})
    try:
        plan = solve_within_risk(known, fleet, demands, policy, seed, effort, lambda what, cost: None)
    except InfeasibleError as error:
        return Judged(policy.sizing.name, None, None, None, None, 0, 0, 0, 0, 0, 0, "", 0, str(error))
    fared = replay(rest, fleet, plan.demands, plan.result.placement)
    low, high = fared.interval(seed)
    weeks = fared.share.shape[2] * fared.interval_s / (7 * DAY_S)
    worst, worst_rate = worst_host(fared)
    return Judged(
        policy.sizing.name,
        plan.result.hosts_used,
        plan.result.bound.cost,
        promised,
        None if promised is None else fared.share_of_splits_that_hold(promised, seed),
        fared.violation_rate,
        low,
        high,
        fared.violation_minutes / weeks if weeks else 0.0,
        fared.severity,
        fared.longest_minutes,
        worst,
        worst_rate,
        f"{plan.repairs} repairs" if plan.repairs else "",
    )


def _without_headroom(fleet: Fleet) -> Fleet:
    return replace(fleet, hosts=tuple(replace(host, headroom_permille=0) for host in fleet.hosts))


def risk_curve(
    history: History, fleet: Fleet, policy: Policy, train_days: float, quantiles: Iterable[float], seed: int = 0
) -> list[tuple[float, Judged]]:
    """Hosts against violations as the CPU quantile goes up: the price of risk, measured."""
    span = history.span_s()
    if span is None:
        return []
    cut_s = span[0] + round(train_days * DAY_S)
    train, rest = history.between(span[0], cut_s), history.between(cut_s, span[1] + 1)
    points = []
    for quantile in quantiles:
        sizing = replace(policy.sizing, name=f"{quantile:.0%}", cpu_quantile=quantile, risk=1.0)
        points.append((quantile, _judge(train, rest, fleet, replace(policy, sizing=sizing), seed, Effort())))
    return points
