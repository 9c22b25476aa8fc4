"""Back-test: size and plan on the first part of a history, freeze the plan, and judge it on the rest.

Nothing of the judged part is used before it is judged, but for one thing: only workloads that ran on both sides of the
split are planned and judged, so that room left by those that went away hides no violation. Next to the policies stand
what others do (adding up peaks, 95 % quantiles or limits) and the clairvoyant plan, made from the judged part itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from consolidate.backtest.calibrate import calibrated
from consolidate.backtest.promise import Promise, promise
from consolidate.demand import History, estimate
from consolidate.demand.replay import DAY_S, replay
from consolidate.demand.subset import fleet_without
from consolidate.errors import InfeasibleError, InputError
from consolidate.model.fleet import Fleet
from consolidate.model.policy import SIZING_POLICIES, Policy, SizingPolicy
from consolidate.risk import solve_within_risk, worst_host
from consolidate.solve.solve import Effort

_BARE = SizingPolicy(cpu_margin_permille=0, memory_margin_permille=0, io_margin_permille=0, risk=1.0)
BASELINES = (
    replace(_BARE, name="sum of maxima", time_aligned=False, cpu_quantile=1.0, io_quantile=1.0),
    replace(_BARE, name="sum of 95 %", time_aligned=False, memory_quantile=0.95),
    replace(_BARE, name="sum of limits", min_hours=float("inf"), vcpus_per_core=1.0),
)
LEAST_JUDGED_S = DAY_S - 3600
"""A day; its last sample is an interval before its end."""
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
    promise: Promise | None
    """As the days planned on make it; None where there were too few."""
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
    within: float
    """Share of the days of hosts that kept the policy's risk."""
    lacking: Mapping[str, float]
    """Share of the host-intervals in which each resource was lacking; those that never were are left out."""
    repairs: int = 0
    """Rounds of repair that the plan took."""
    note: str = ""
    """Why there is no plan."""

    @property
    def kept(self) -> bool | None:
        """Whether no more was lacking than was promised."""
        return None if self.promise is None else self.violation_rate <= self.promise.at_most

    @property
    def expected(self) -> bool | None:
        """Whether the interval holds the rate that was to be expected."""
        return None if self.promise is None else self.low <= self.promise.usual <= self.high


@dataclass(frozen=True)
class BackTest:
    """The verdicts, and what they rest on."""

    train_days: float
    judged_days: float
    left_out: tuple[str, ...]
    """Workloads that were measured on one side of the split only; they are neither planned nor judged."""
    judged: tuple[Judged, ...]
    halves: tuple[Judged, ...] = ()
    """The policy as configured, on random halves of the workloads, where that was asked."""

    @property
    def promises_kept(self) -> float | None:
        """In what share of the halves; None without any that promised something."""
        kept = [one.kept for one in self.halves if one.kept is not None]
        return sum(kept) / len(kept) if kept else None

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
    split = _split(history, fleet, train_days)
    chosen = policy.sizing
    policies = list(SIZING_POLICIES.values())
    if chosen not in policies:
        policies = [replace(chosen, name=f"{chosen.name}, as configured"), *policies]
    verdicts = []
    for sizing in (*policies, FLAT, *BASELINES, CLAIRVOYANT):
        progress(sizing.name)
        # The baselines and the clairvoyant know no headroom: what they reserve is all they keep.
        bare = sizing in (*BASELINES, CLAIRVOYANT)
        chosen_fleet = _without_headroom(split.fleet) if bare else split.fleet
        asked, search = replace(policy, sizing=sizing), effort or Effort()
        promised = None if bare else promise(split.train, split.fleet, asked, search, split.judged_days)
        known = replace(split, fleet=chosen_fleet, train=split.rest if sizing is CLAIRVOYANT else split.train)
        verdicts.append(_judge(known, asked, seed, search, promised))
    return BackTest(train_days, split.judged_days, split.left_out, tuple(verdicts))


def calibration(
    history: History, fleet: Fleet, policy: Policy, train_days: float, seed: int = 0, effort: Effort | None = None
) -> Judged:
    """The policy with the margin that the days planned on ask for, judged like the others.

    Raises:
        InputError: where the history is too short to be split there.

    """
    split, search = _split(history, fleet, train_days), effort or Effort()
    asked = replace(policy, sizing=calibrated(split.train, split.fleet, policy, search, split.judged_days))
    promised = promise(split.train, split.fleet, asked, search, split.judged_days)
    return _judge(split, asked, seed, search, promised)


def judge_halves(
    history: History,
    fleet: Fleet,
    policy: Policy,
    train_days: float,
    count: int,
    seed: int = 0,
    effort: Effort | None = None,
) -> tuple[Judged, ...]:
    """The policy on random halves of the workloads.

    Each half is planned, promised and judged by itself, so that this shows how often promises are kept, and not how
    near a single one came (subsampling, Politis and Romano 1994).

    Raises:
        InputError: where the history is too short to be split there.

    """
    split, search = _split(history, fleet, train_days), effort or Effort()
    random, judged = np.random.default_rng(seed), []
    for _ in range(count):
        chosen = random.permutation(len(split.fleet.workloads)) < len(split.fleet.workloads) / 2
        half = split.only(chosen)
        promised = promise(half.train, half.fleet, policy, search, half.judged_days)
        judged.append(_judge(half, policy, seed, search, promised))
    return tuple(judged)


@dataclass(frozen=True, eq=False)
class _Split:
    """What is planned on and what is judged by."""

    train: History
    rest: History
    fleet: Fleet
    left_out: tuple[str, ...]
    judged_days: float

    def only(self, kept: NDArray[np.bool_]) -> _Split:
        """The same of some workloads, shape (workloads,)."""
        dropped = {one.name for one, stays in zip(self.fleet.workloads, kept, strict=True) if not stays}
        fleet = fleet_without(self.fleet, dropped)
        return replace(self, train=self.train.only(kept), rest=self.rest.only(kept), fleet=fleet)


def _split(history: History, fleet: Fleet, train_days: float) -> _Split:
    """A history before and after so many days, of the workloads that were measured on both sides."""
    span = history.span_s()
    cut_s = span[0] + round(train_days * DAY_S) if span is not None else 0
    if span is None or not span[0] < cut_s <= span[1] - LEAST_JUDGED_S:
        days = 0.0 if span is None else (span[1] - span[0]) / DAY_S
        raise InputError(
            f"{days:.1f} days of history cannot be split after {train_days:g}; train on fewer days and leave at least "
            "one to judge by"
        )
    kept = _on_both_sides(history, len(fleet.workloads), cut_s)
    if not kept.any():
        raise InputError(f"no workload was measured both before and after {train_days:g} days; split elsewhere")
    left_out = tuple(one.name for one, stays in zip(fleet.workloads, kept, strict=True) if not stays)
    if left_out:
        history, fleet = history.only(kept), fleet_without(fleet, set(left_out))
    train, rest = history.between(span[0], cut_s), history.between(cut_s, span[1] + 1)
    return _Split(train, rest, fleet, left_out, (span[1] - cut_s) / DAY_S)


def _on_both_sides(history: History, workloads: int, cut_s: int) -> NDArray[np.bool_]:
    """Which workloads' CPU was measured before a time and from then on, shape (workloads,)."""
    kept = np.zeros(workloads, dtype=np.bool_)
    for part in history.parts():
        cpu = part.amounts["cpu_milli"]
        before = np.bincount(cpu.workload[cpu.at_s < cut_s], minlength=len(part.positions))
        since = np.bincount(cpu.workload[cpu.at_s >= cut_s], minlength=len(part.positions))
        kept[part.positions] = (before > 0) & (since > 0)
    return kept


def _judge(split: _Split, policy: Policy, seed: int, effort: Effort, promised: Promise | None = None) -> Judged:
    known, fleet = split.train, split.fleet
    demands = estimate(known, fleet, policy.sizing, {})
    try:
        plan = solve_within_risk(known, fleet, demands, policy, seed, effort, lambda what, cost: None)
    except InfeasibleError as error:
        return Judged(policy.sizing.name, None, None, None, 0, 0, 0, 0, 0, 0, "", 0, 0, {}, note=str(error))
    fared = replay(split.rest, fleet, plan.demands, plan.result.placement, policy.sizing)
    low, high = fared.interval(seed)
    weeks = fared.share.shape[2] * fared.interval_s / (7 * DAY_S)
    worst, worst_rate = worst_host(fared)
    return Judged(
        policy.sizing.name,
        plan.result.hosts_used,
        plan.result.bound.cost,
        promised,
        fared.violation_rate,
        low,
        high,
        fared.violation_minutes / weeks if weeks else 0.0,
        fared.severity,
        fared.longest_minutes,
        worst,
        worst_rate,
        float((fared.host_days() <= policy.sizing.risk).mean()),
        {name: rate for name, rate in fared.lacking().items() if rate},
        plan.repairs,
    )


def _without_headroom(fleet: Fleet) -> Fleet:
    return replace(fleet, hosts=tuple(replace(host, headroom_permille=0) for host in fleet.hosts))


def risk_curve(
    history: History, fleet: Fleet, policy: Policy, train_days: float, quantiles: Iterable[float], seed: int = 0
) -> list[tuple[float, Judged]]:
    """Hosts against violations as the CPU quantile goes up: the price of risk, measured."""
    chosen = list(quantiles)
    sizings = [replace(policy.sizing, name=f"{one:.0%}", cpu_quantile=one, risk=1.0) for one in chosen]
    return list(zip(chosen, judge_sizings(history, fleet, policy, train_days, sizings, seed), strict=True))


def judge_sizings(
    history: History, fleet: Fleet, policy: Policy, train_days: float, sizings: Iterable[SizingPolicy], seed: int = 0
) -> list[Judged]:
    """Plans by other sizings than the policy's, judged like it, but without a promise.

    Raises:
        InputError: where the history is too short to be split there.

    """
    split = _split(history, fleet, train_days)
    return [_judge(split, replace(policy, sizing=sizing), seed, Effort()) for sizing in sizings]
