"""Verbs that say what the measurements amount to, and how far they can be believed."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from consolidate.cli.options import CHANGES, EffortOption, FleetOption, JsonOption, SeedOption, StoreOption
from consolidate.console import Progress, effort_of, load_plan, say, width
from consolidate.errors import InputError

verbs = typer.Typer()
command = partial(verbs.command, rich_help_panel="Judge")


@command()
def demand(store: StoreOption, fleet: FleetOption = None, as_json: JsonOption = False) -> None:
    """Size every workload from its samples."""
    from consolidate.pipeline import measure, read_fleet
    from consolidate.report.demand import demand_json, demand_text
    from consolidate.store import Store

    samples = Store(store)
    inputs = read_fleet(samples, fleet)
    demands = measure(samples, inputs)
    print(json.dumps(demand_json(demands), indent=1) if as_json else demand_text(demands, width()), end="")


@command()
def explain(
    workload: Annotated[str, typer.Argument(help="Name of the workload in the fleet.")],
    store: StoreOption,
    fleet: FleetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every step from a workload's samples to its size."""
    import difflib

    from consolidate.demand import estimate, read_history
    from consolidate.demand.explain import explain as steps
    from consolidate.demand.harm import find_harm
    from consolidate.demand.history import highest
    from consolidate.demand.subset import fleet_without
    from consolidate.pipeline import read_fleet
    from consolidate.store import Store

    samples = Store(store)
    inputs = read_fleet(samples, fleet)
    names = [one.name for one in inputs.fleet.workloads]
    if workload not in names:
        close = difflib.get_close_matches(workload, names, n=1)
        raise InputError(f"no workload {workload!r}; " + (f"did you mean {close[0]!r}?" if close else "see `demand`"))
    # Nothing else is read, so that one of thousands is explained at once.
    alone, sizing = fleet_without(inputs.fleet, {name for name in names if name != workload}), inputs.policy.sizing
    history, harm = read_history(samples.columns, alone), find_harm(samples.columns, alone)
    demands = estimate(history, alone, sizing, inputs.stated, harm)
    page_cache = highest(samples.columns, "memory_cache_bytes", workload)
    lines = list(steps(history, alone, demands, sizing, workload, harm.get(workload), page_cache))
    print(json.dumps(lines, indent=1) if as_json else "\n".join(lines))


@command()
def backtest(
    store: StoreOption,
    fleet: FleetOption = None,
    train: Annotated[str, typer.Option(help="Plan on this much of the history, judge on the rest.")] = "21d",
    curve: Annotated[bool, typer.Option(help="Also plan at several quantiles: hosts against risk.")] = False,
    calibrate: Annotated[
        bool, typer.Option(help="Also find the least margin that keeps the policy's risk, on the days planned on.")
    ] = False,
    splits: Annotated[
        int, typer.Option(help="Also count in how many random halves of the workloads promises are kept.", min=0)
    ] = 0,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Plan on the first part of the history and judge the plans on the rest."""
    from dataclasses import replace

    from consolidate.backtest import backtest as judge
    from consolidate.backtest import calibration, judge_halves, risk_curve
    from consolidate.backtest.show import backtest_json, backtest_text
    from consolidate.demand import read_history
    from consolidate.pipeline import read_fleet
    from consolidate.store import Store
    from consolidate.units import parse_duration_s

    days = parse_duration_s(train) / 86400
    samples = Store(store)
    inputs = read_fleet(samples, fleet)
    history = read_history(samples.columns, inputs.fleet)
    verdicts = judge(history, inputs.fleet, inputs.policy, days, seed, progress=lambda name: say(f"backtest: {name}"))
    if calibrate:
        say("backtest: calibrating")
        found = calibration(history, inputs.fleet, inputs.policy, days, seed)
        verdicts = replace(verdicts, judged=(*verdicts.judged, found))
    quantiles = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0) if curve else ()
    points = risk_curve(history, inputs.fleet, inputs.policy, days, quantiles, seed)
    if splits:
        say(f"backtest: {splits} random halves")
        halves = judge_halves(history, inputs.fleet, inputs.policy, days, splits, seed)
        verdicts = replace(verdicts, halves=halves)
    print(backtest_json(verdicts, points) if as_json else backtest_text(verdicts, points, width()), end="")


@command()
def runway(
    store: StoreOption,
    fleet: FleetOption = None,
    plan_file: Annotated[Path | None, typer.Option("--plan", help="Plan file whose placement counts.")] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Tell how many days hosts, pools and the fleet last at the present trend."""
    from consolidate.growth import fleet_runways, planned_placement
    from consolidate.growth.show import growth_json, growth_text
    from consolidate.model.placement import current_placement
    from consolidate.pipeline import measure, read, read_fleet
    from consolidate.risk import solve_within_risk
    from consolidate.store import Store

    samples = Store(store)
    inputs = read_fleet(samples, fleet)
    history, demands = read(samples, inputs), measure(samples, inputs)
    placement = current_placement(inputs.fleet)
    if plan_file is not None:
        placement = planned_placement(inputs.fleet, load_plan(plan_file))
    elif not placement.assignments:
        say("runway: nothing is placed yet, so the placement is the solver's")
        checked = solve_within_risk(history, inputs.fleet, demands, inputs.policy, seed, effort_of(1), lambda *_: None)
        demands, placement = checked.demands, checked.result.placement
    elif left_out := len(inputs.fleet.workloads) - len(placement.assignments):
        say(f"runway: {left_out} workloads run nowhere yet and are not counted; give a plan with --plan")
    runways = fleet_runways(history, inputs.fleet, demands, placement, inputs.policy.sizing.time_zone)
    print(growth_json(runways) if as_json else growth_text(runways, width()), end="")


@command()
def insight(
    store: StoreOption,
    fleet: FleetOption = None,
    seed: SeedOption = 0,
    effort: EffortOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Show who peaks together, moves that would flatten the plan's hosts, and how sure the plan is."""
    from consolidate.insight import confidence, copeak, swap_hints
    from consolidate.insight.show import confidence_json, confidence_text, copeak_json, copeak_text
    from consolidate.pipeline import run_once

    with Progress() as stages:
        done = run_once(store, fleet, seed, effort_of(effort), stages)
    estate = done.inputs.fleet
    peaks = copeak(done.history, estate)
    hints = swap_hints(done.history, estate, done.demands, done.result.placement)
    sure = confidence(estate, done.demands, done.result, effort_of(effort), done.inputs.policy.objective)
    if as_json:
        parts = {"copeak": copeak_json(peaks, hints), "confidence": confidence_json(sure)}
        print(json.dumps({name: json.loads(text) for name, text in parts.items()}, indent=1))
    else:
        print(copeak_text(peaks, hints, width()) + "\n" + confidence_text(sure, width()), end="")


@command()
def quality(store: StoreOption, fleet: FleetOption = None, as_json: JsonOption = False) -> None:
    """Call out measurements that look wrong; exit 2 where any do."""
    from consolidate.insight import faults
    from consolidate.insight.show import quality_json, quality_text
    from consolidate.pipeline import find_faults
    from consolidate.store import Store

    found = find_faults(Store(store), fleet)
    print(quality_json(found) if as_json else quality_text(found, width()), end="")
    raise typer.Exit(CHANGES if faults(found) else 0)
