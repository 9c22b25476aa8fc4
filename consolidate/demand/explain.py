"""From a workload's samples to its size, step by step: every number follows from the one before."""

from __future__ import annotations

import datetime
import math
import textwrap
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.explain_margin import margin_steps
from consolidate.demand.explain_start import steps_without_measurements, why_not_measured
from consolidate.demand.figures import brief, full
from consolidate.demand.harm import RAISE_PERMILLE, Harm
from consolidate.demand.history import History, Part, cpu_ratings
from consolidate.demand.kernels import WIDTH
from consolidate.demand.predictors import BODY_QUANTILE, PREDICTORS, Samples, moments, overall
from consolidate.demand.profile import history_s, slot_count
from consolidate.demand.repeats import DAY_S, quiet_days
from consolidate.demand.sizing import at_local_times, peaks_of, predictors_of, rule_of, samples_of, with_margin
from consolidate.model.demand import Demand, Demands, Unknown
from consolidate.model.dimensions import SOURCES
from consolidate.model.fleet import Fleet, Workload
from consolidate.model.policy import Predictor, SizingPolicy
from consolidate.units import count, format_amount, format_slot

WIDTH_SHOWN = 80
_IN_A_PLAN = (
    "A plan adds what the isolation costs on the host it chooses, and a tenth or more of the amount for each time that "
    "host was found over the policy's risk."
)
SHOWN_DAYS = 3
"""Of quiet days that were left out, so many are named."""


def explain(
    history: History,
    fleet: Fleet,
    demands: Demands,
    policy: SizingPolicy,
    name: str,
    harm: Harm | None = None,
    page_cache_bytes: int = 0,
) -> Iterator[str]:
    """Lines that lead from what was measured to what is reserved.

    Args:
        history: What was measured.
        fleet: The fleet it was read for.
        demands: What is reserved.
        policy: By which it was sized.
        name: Of the workload.
        harm: What its present limits did to it.
        page_cache_bytes: The most it ever held of files; 0 where that was not measured.

    """
    workload = next(one for one in fleet.workloads if one.name == name)
    for line in _lines(_Explained(history, fleet, workload, policy), demands[name], harm, page_cache_bytes):
        indent = 20 if line.startswith("    ") else 2
        yield from textwrap.wrap(line, WIDTH_SHOWN, subsequent_indent=" " * indent) or [""]


@dataclass(frozen=True, eq=False)
class _Explained:
    """What is explained, from what."""

    history: History
    fleet: Fleet
    workload: Workload
    policy: SizingPolicy

    def part(self) -> Part:
        """The workload alone."""
        own = np.array([one is self.workload for one in self.fleet.workloads])
        return next(part for part in self.history.only(own).parts() if len(part.positions))

    def alone(self) -> Fleet:
        """The fleet without other workloads."""
        return replace(self.fleet, workloads=(self.workload,), rules=())


def _lines(subject: _Explained, demand: Demand | Unknown, harm: Harm | None, page_cache_bytes: int) -> Iterator[str]:
    workload = subject.workload
    where = f"on {workload.host}" if workload.host else "not placed yet"
    system = "system not known" if workload.os == "unknown" else workload.os
    yield f"{workload.name}: {system}, {workload.isolation.value}, {where}"
    if isinstance(demand, Unknown):
        yield f"  its demand is unknown: {demand.reason}"
        yield "  so it stays where it is, and nothing is moved beside it"
        return
    part, alone = subject.part(), subject.alone()
    if demand.source != "measured":
        yield f"  {why_not_measured(demand, part, subject.policy)}"
    for dimension, slots in demand.amounts.items():
        busiest = int(slots.argmax())
        yield ""
        yield f"  {dimension}"
        if demand.source == "measured":
            step = _Step(subject, dimension, demand, harm is not None and harm.of(dimension))
            busiest = (yield from _measured(step, part, alone)) % len(slots)
            yield from _harmed(dimension, harm)
            if dimension == "memory_bytes" and page_cache_bytes:
                cache = format_amount(dimension, page_cache_bytes)
                yield f"    page cache      {cache} at most, not counted: it is given back"
        elif demand.source != "stated":
            yield from steps_without_measurements(alone, workload, part, subject.policy, dimension)
        floor = subject.policy.floor.get(dimension) if demand.source == "measured" else 0
        yield f"    reserved        {full(dimension, int(slots.max()))}{_range(dimension, slots, busiest, floor)}"
    if unlimited := [one for one in SOURCES if demand.source == "limit" and one not in demand.amounts]:
        yield ""
        yield f"  Of {', '.join(unlimited)} nothing is reserved: it has no limit there."
    yield ""
    yield f"  Reserved amounts are rounded up, CPU to thousandths of a core. {_IN_A_PLAN}"


@dataclass(frozen=True, eq=False)
class _Step:
    """What one dimension's steps are told from."""

    subject: _Explained
    dimension: str
    demand: Demand
    hurt: bool
    """Whether its limit left it without what it wanted."""

    @property
    def policy(self) -> SizingPolicy:
        """By which it was sized."""
        return self.subject.policy

    @property
    def rating(self) -> float:
        """What a unit of it counts: of CPU, the speed of the cores that it runs on, in reference cores."""
        return float(cpu_ratings(self.subject.alone())[0]) if self.dimension == "cpu_milli" else 1.0

    def told(self, amount: float) -> str:
        """An amount with its unit, as exactly as is needed to reckon along."""
        return full(self.dimension, amount)


def _measured(step: _Step, part: Part, alone: Fleet) -> Generator[str, None, int]:
    """The steps; returns the slot that decides."""
    dimension, policy = step.dimension, step.policy
    yield from _raw(step, part)
    length_s = history_s(part.amounts["cpu_milli"], 1)[0]
    samples = samples_of(part, alone, dimension, length_s, policy)
    yield from _peaks(step, part)
    if policy.skip_quiet_days and dimension != "memory_bytes":
        yield from _quiet(step, part)
    width = int(samples.slots[0])
    predicted = {one: PREDICTORS[one](samples)[0, :width] for one in predictors_of(dimension, policy)}
    largest = np.max(list(predicted.values()), axis=0)
    counts = np.array(policy.counted_permille if policy.counted_permille and dimension != "memory_bytes" else [1000])
    within = with_margin(largest, rule_of(dimension, policy)[1], np.inf if step.hurt else float(samples.limit[0]))
    counted = np.tile(within, max(1, len(counts) // width)) * counts
    # Where a limit makes several alike, the one of which most was measured.
    busiest = int(np.lexsort((-np.tile(largest, len(counted) // width), -counted))[0])
    yield f"    slots           {_slots(step, width)}"
    if width > 1:
        held = int((samples.slot == busiest % width).sum())
        named, alike = format_slot(busiest % width, width), int((largest == largest[busiest % width]).sum())
        rank = f"the first of {alike} equally high ones" if alike > 1 else f"the highest of the {width}"
        yield f"    busiest         {named}, {rank}; it has {held} samples"
    for one, profile in predicted.items():
        words = _told_prediction(one, samples, busiest % width, step)
        yield f"    {one.value:15} {words}: {step.told(profile[busiest % width])}"
    base = float(largest[busiest % width])
    if len(predicted) > 1:
        yield f"    the largest     {step.told(base)}"
    limit = step.subject.workload.limits.amounts.get(dimension, math.inf)
    yield from margin_steps(dimension, base, policy, limit, step.rating, step.hurt)
    base = float(within[busiest % width])
    if len(counts) > 1:
        base = base * int(counts[busiest]) / 1000
        yield f"    that counts     {counts[busiest] / 10:g} % of it at {format_slot(busiest, 168)}: {step.told(base)}"
    floor = policy.floor.get(dimension)
    if floor:
        raised = "which raises this" if base < floor else "which is less"
        yield f"    the floor       {step.told(floor)} for every workload, {raised}"
    return busiest


def _raw(step: _Step, part: Part) -> Iterator[str]:
    """What was measured."""
    amounts = part.amounts[step.dimension]
    first, last = (f"{_date(at_s):%Y-%m-%d %H:%M}" for at_s in amounts.at_s[[0, -1]])
    interval_s = int(np.median(np.diff(amounts.at_s))) if len(amounts.at_s) > 1 else 0
    [length_s], [coverage] = history_s(amounts, 1)
    yield f"    samples         {len(amounts.value):,}, from {first} to {last} UTC"
    yield f"    coverage        {coverage:.1%} of {length_s / DAY_S:.1f} days, one every {interval_s} s"
    if step.rating != 1.0:
        rated = f"{step.rating:g}"
        yield f"    measured on a host whose cores are rated {rated}: every amount is what it used × {rated}"
    points = np.quantile(amounts.value, [0.5, 0.95, 0.99, 1.0], method="inverted_cdf")
    p50, p95, p99, most = (brief(step.dimension, point) for point in points)
    yield f"    mean            {brief(step.dimension, amounts.value.mean())}"
    yield f"    of all samples  half are at most {p50}, 95 % at most {p95}"
    yield f"                    99 % at most {p99}, the highest is {most}"


def _peaks(step: _Step, part: Part) -> Iterator[str]:
    """What peaks within intervals are known, and what of them counts."""
    peaks = part.peaks.get(step.dimension)
    if peaks is None or not len(peaks.value):
        return
    means = part.amounts[step.dimension]
    above = peaks_of(means, peaks) - means.value
    known = ~np.isnan(above)
    told = step.told(peaks.value.max())
    yield f"    peaks           {known.sum():,} samples come with the peak within their interval, {told} at most"
    share = step.policy.peak_permille
    if share == 1000:
        yield "                    which stands for the sample from here on"
    elif share:
        yield f"                    {share / 10:g} % of what it is above the sample is added to it from here on"
    else:
        yield "                    which the policy does not look at in sizing, only in limits"


def _quiet(step: _Step, part: Part) -> Iterator[str]:
    """Days that were left out."""
    left_out, first = quiet_days(at_local_times(part.amounts[step.dimension], step.policy), 1)
    days = np.flatnonzero(left_out[0]) + first
    if len(days):
        named = ", ".join(f"{_date(day * DAY_S):%Y-%m-%d}" for day in days[:SHOWN_DAYS])
        more = f" and {len(days) - SHOWN_DAYS} more" if len(days) > SHOWN_DAYS else ""
        yield f"    left out        {named}{more}: far quieter than others of the weekday"


def _slots(step: _Step, width: int) -> str:
    """How finely time is told apart, and why."""
    if step.dimension == "memory_bytes" and not step.policy.memory_time_aligned:
        return "one for all hours, as what it holds stays, whatever the hour"
    if width == 1:
        return f"one for all hours: {_why_flat(step)}"
    return f"{width}, one for each hour of the {'week' if width == 168 else 'day'} in {step.policy.time_zone}"


def _why_flat(step: _Step) -> str:
    if not step.policy.time_aligned and step.dimension != "memory_bytes":
        return "the policy is not time-aligned"
    if slot_count(round(step.demand.days * DAY_S)) > 1:
        return "its load was not found to repeat"
    return f"{step.demand.days:.1f} days of history allow no more"


def _told_prediction(one: Predictor, samples: Samples, slot: int, step: _Step) -> str:
    """What a prediction for a slot follows from."""
    here = samples.amounts.value[samples.slot == slot]
    limit = float(samples.limit[0])
    limited = f", at most its limit {step.told(limit)}" if np.isfinite(limit) else ""
    match one:
        case Predictor.QUANTILE if len(samples.weight) and samples.quantile < 1:
            return f"{samples.quantile:.0%} by weight, halved every {step.policy.half_life_days:g} days of age"
        case Predictor.QUANTILE:
            count = len(here) or len(samples.amounts.value)
            rank = max(int(np.ceil(samples.quantile * count)), 1)
            highest = ", the highest" if rank == count else ""
            which = "those" if len(here) else "all"
            return f"{samples.quantile:.0%} of {which} {count:,}, number {rank:,} from below{highest}"
        case Predictor.SIGMA:
            mean, deviation = (moment[0, slot] for moment in moments(samples, samples.slot, WIDTH))
            cut = f", cut at {step.told(limit)}" if mean + samples.sigmas * deviation > limit else ""
            return f"mean {step.told(mean)} and {samples.sigmas:g} × {step.told(deviation)}{cut}"
        case Predictor.LIMIT_QUANTILE:
            return f"{samples.quantile:.0%} of all samples{limited}"
        case Predictor.BODY_AND_TAIL:
            body = float(overall(samples, BODY_QUANTILE)[0, 0])
            stayed = len(here) > 0 and here.max() <= body
            above = "kept here" if stayed else "left here"
            return f"body {step.told(body)} ({BODY_QUANTILE:.0%} of all), {above}"


def _harmed(dimension: str, harm: Harm | None) -> Iterator[str]:
    if harm is None or not harm.of(dimension):
        return
    throttled = f"it was throttled in {harm.throttled_share:.0%} of its periods"
    killed = f"{harm.oom_kills} of its processes were killed for want of memory"
    why = throttled if dimension == "cpu_milli" else killed
    yield f"    and {RAISE_PERMILLE / 10:g} % more   since {why}"


def _range(dimension: str, slots: NDArray[np.int64], busiest: int, floor: int) -> str:
    if len(slots) == 1:
        return ""
    quiet = int(slots.argmin())
    highest = busiest if slots[busiest] == slots.max() else int(slots.argmax())
    why = ", the floor" if 0 < int(slots[quiet]) == floor else ""
    least = brief(dimension, int(slots[quiet]))
    return f" at {_alike(slots, highest)}; least {least} at {_alike(slots, quiet)}{why}"


def _alike(slots: NDArray[np.int64], slot: int) -> str:
    """A slot, and how many others have the same."""
    others = int((slots == slots[slot]).sum()) - 1
    return format_slot(slot, len(slots)) + (f" and {count(others, 'other hour')}" if others else "")


def _date(at_s: np.int64) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(at_s), datetime.UTC)
