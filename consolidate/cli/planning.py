"""Verbs that plan."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from consolidate.cli.options import (
    CHANGES,
    EffortOption,
    FleetOption,
    JsonOption,
    MaybeStore,
    PlanArgument,
    SeedOption,
)
from consolidate.console import Progress, ReportFormat, effort_of, load_plan, say, show, write, write_plan
from consolidate.errors import InfeasibleError, InputError

verbs = typer.Typer()
command = partial(verbs.command, rich_help_panel="Plan")


@command()
def plan(
    store: MaybeStore = None,
    fleet: FleetOption = None,
    source: Annotated[
        tuple[str, Path] | None,
        typer.Option("--from", metavar="FORMAT PLACE", help="Plan from a file or folder that can be imported."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the plan document here.")] = None,
    growth: Annotated[str, typer.Option(help="Plan for demand grown by this much, such as 20%.")] = "0%",
    seed: SeedOption = 0,
    effort: EffortOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Pack the workloads onto as few hosts as the rules allow; exit 2 where that changes anything."""
    from consolidate.pipeline import run_once
    from consolidate.solve.shortage import infeasible_json
    from consolidate.units import parse_permille
    from consolidate.verbs.plan_export import plan_export

    if store is None and fleet is None and source is None:
        raise InputError("nothing to plan: give --store or --from, --fleet, or both")
    if store is not None and source is not None:
        raise InputError("--store and --from are two sources; import the file into the store, or give one of them")
    grown = parse_permille(growth)
    try:
        with Progress() as stages:
            if source is not None:
                document = plan_export(*source, fleet, seed, effort_of(effort), stages, grown)
            else:
                document = run_once(store, fleet, seed, effort_of(effort), stages, grown).plan
    except InfeasibleError as error:
        if as_json:
            print(json.dumps(infeasible_json(error), indent=1))
        raise
    if out is not None:
        write_plan(document, out)
    show(document, ReportFormat.JSON if as_json else ReportFormat.TEXT, None)
    raise typer.Exit(CHANGES if document.changes else 0)


@command()
def report(
    plan_file: PlanArgument,
    kind: Annotated[ReportFormat, typer.Option("--format", help="How to show it.")] = ReportFormat.TEXT,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of stdout.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a plan as text, Markdown, JSON or one self-contained HTML page."""
    show(load_plan(plan_file), ReportFormat.JSON if as_json else kind, out)


@command()
def demo(
    out: Annotated[
        Path, typer.Option(help="Directory for the store, the fleet file, the plan and the reports.")
    ] = Path("consolidate-out"),
    seed: SeedOption = 1,
    effort: EffortOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Make up an estate of 300 servers on six systems and run the whole pipeline on it."""
    import shutil

    from consolidate.demo import make_estate
    from consolidate.pipeline import run_once
    from consolidate.store import Store

    store, fleet = out / "store", out / "fleet.yaml"
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: not a directory; name one with --out")
    if store.exists():
        Store(store)  # whatever else lies there is not ours to remove
        shutil.rmtree(store)
    with Progress() as stages:
        estate = make_estate(seed)
        samples = Store.create(store).append(estate.records)
        write(fleet, estate.fleet_yaml)
        stages.done("collect", f"{samples} samples of a made-up estate")
        outcome = run_once(store, fleet, seed, effort_of(effort), stages)
    write_plan(outcome.plan, out / "plan.json")
    show(outcome.plan, ReportFormat.HTML, out / "report.html")
    show(outcome.plan, ReportFormat.MARKDOWN, out / "report.md")
    show(outcome.plan, ReportFormat.JSON if as_json else ReportFormat.TEXT, None)
    say(f"wrote {out / 'plan.json'}, {out / 'report.html'} and {out / 'report.md'}")
