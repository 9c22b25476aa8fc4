"""The stages in order: stored samples and a fleet file in, a plan out."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from consolidate import __version__
from consolidate.config import Inputs, load_inputs, read_inputs
from consolidate.demand import History, estimate, read_history
from consolidate.demand.harm import find_harm, told_harm
from consolidate.demand.seen import with_seen
from consolidate.errors import InputError
from consolidate.growth import grown
from consolidate.insight import Inspected, Pair, compare, findings, missing
from consolidate.insight.summary import quality_sentences
from consolidate.model.demand import Demands
from consolidate.model.dimensions import SOURCES
from consolidate.model.finding import Finding
from consolidate.model.series import Columns, workload_name
from consolidate.plan.build import build_plan
from consolidate.plan.plan import Plan
from consolidate.risk import solve_within_risk, told
from consolidate.solve.solve import Effort, Result
from consolidate.store import Store
from consolidate.store.choice import stream_name
from consolidate.units import count

COMPARED = 200
"""Pairs of sources that are compared sample by sample."""


@dataclass
class Stages:
    """Told what is going on, and how long each stage took."""

    report: Callable[[str], None]
    took_s: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    def done(self, stage: str, detail: str) -> None:
        """A stage has ended."""
        now = time.monotonic()
        self.took_s[stage] = now - self._began
        self.report(f"{stage}: {detail} ({now - self._began:.1f} s)")
        self._began = now

    def progress(self, what: str, cost: int) -> None:
        """The search is at it."""
        self.report(f"solve: {what}" + (f", {cost} so far" if cost else ""))


@dataclass(frozen=True)
class Outcome:
    """Everything one run found out."""

    inputs: Inputs
    history: History
    demands: Demands
    result: Result
    plan: Plan


def run_once(
    store: Path | None, fleet: Path | None, seed: int, effort: Effort, stages: Stages, growth_permille: int = 0
) -> Outcome:
    """One run: store → demand → solve → plan; for demand as it is, or grown."""
    samples = Store(store) if store is not None else None
    inputs = read_fleet(samples, fleet)
    stages.done("config", f"{count(len(inputs.fleet.hosts), 'host')}, {count(len(inputs.fleet.workloads), 'workload')}")
    history = read(samples, inputs)
    inspected = Inspected(history, inputs.fleet)
    harm = find_harm(samples.columns, inputs.fleet) if samples is not None else {}
    demands = estimate(inspected, inputs.fleet, inputs.policy.sizing, inputs.stated, harm)
    if growth_permille:
        demands = grown(demands, 1 + growth_permille / 1000)
    stages.done("demand", count(len(demands), "workload"))
    checked = solve_within_risk(history, inputs.fleet, demands, inputs.policy, seed, effort, stages.progress)
    demands, result = checked.demands, checked.result
    stages.done("solve", f"cost {result.score.cost}, at least {result.bound.cost}")
    span = samples.span() if samples is not None else None
    as_of_s = span[1] if span is not None else None
    tool = f"consolidate {__version__}"
    quality = quality_sentences(sorted_out(samples, inputs, inspected.findings)) if samples else ()
    notes = [*quality, *inputs.notes, *(note for note in (told_harm(harm), told(checked)) if note)]
    demands = with_seen(demands, samples.columns) if samples is not None else demands
    plan = build_plan(inputs.fleet, demands, inputs.policy, result, tool, as_of_s, notes)
    stages.done("plan", f"{count(len(plan.moves), 'move')} in {count(plan.waves, 'wave')}")
    return Outcome(inputs, history, demands, result, plan)


def read_fleet(samples: Store | None, fleet: Path | None) -> Inputs:
    """What was measured, joined with the fleet file where there is one."""
    hosts = samples.hosts().values() if samples is not None else ()
    workloads = samples.workloads() if samples is not None else {}
    rules, notes = (samples.rules(), samples.notes()) if samples is not None else ((), ())
    if fleet is None:
        return read_inputs("", "the store", hosts, workloads, rules, notes)
    return load_inputs(fleet, hosts, workloads, rules, notes)


def read(samples: Store | None, inputs: Inputs) -> History:
    """What was measured of the fleet's workloads."""
    return read_history(samples.columns if samples is not None else Columns.empty, inputs.fleet)


def find_faults(samples: Store, fleet: Path | None) -> tuple[Finding, ...]:
    """Everything that looks wrong about a store's data, or should be known of them."""
    try:
        inputs = read_fleet(samples, fleet)
    except InputError as error:  # which may well come from what looks wrong
        return tuple(sorted((*samples.findings(), Finding("the fleet", "", "no plan", str(error)))))
    return sorted_out(samples, inputs, findings(read(samples, inputs), inputs.fleet, samples.columns))


def sorted_out(samples: Store, inputs: Inputs, of_series: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings about single series, with those about what is missing and about several sources."""
    everything = (
        *of_series,
        *samples.findings(),
        *compare(_pairs(samples)),
        *missing(inputs.fleet, samples.measured()),
    )
    return tuple(sorted(everything))


def _pairs(samples: Store) -> Iterator[Pair]:
    """What two sources measured both, hosts before their workloads; of very many the first are as good as all."""
    rivals = [rival for rival in samples.rivals() if rival.owner[0] in SOURCES]
    for rival in sorted(rivals, key=lambda rival: (rival.owner[2] != "", rival.owner))[:COMPARED]:
        dimension, host, workload = rival.owner
        name = workload_name(host, workload)
        yield Pair(
            name if workload else host,
            dimension,
            stream_name(rival.chosen),
            stream_name(rival.other),
            functools.partial(samples.columns, workloads={name}),
            functools.partial(samples.of_rival, rival=rival),
        )


def measure(samples: Store | None, inputs: Inputs) -> Demands:
    """Demand of every workload."""
    harm = find_harm(samples.columns, inputs.fleet) if samples is not None else {}
    return estimate(read(samples, inputs), inputs.fleet, inputs.policy.sizing, inputs.stated, harm)
