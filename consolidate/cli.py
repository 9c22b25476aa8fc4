"""The command line: verbs and wiring. Results on stdout, progress and errors on stderr.

Exit codes: 0 fine, 1 error, 2 changes proposed or found, 3 infeasible, 4 stale or altered plan.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from consolidate.console import (
    Progress,
    ReportFormat,
    effort_of,
    load_plan,
    result,
    say,
    show,
    width,
    write,
    write_plan,
)
from consolidate.errors import ConsolidateError, InfeasibleError, InputError

if TYPE_CHECKING:
    from collectors.records import Record
    from consolidate.apply import Outcome

app = typer.Typer(
    help="Plan, prove and enforce the consolidation of underutilised servers onto fewer hosts.",
    pretty_exceptions_enable=False,
    add_completion=True,
)

FLUSH_S = 60
"""Rounds of this long are stored together: a kill loses no more, and a month is not a million segments."""
CHANGES = 2
"""Exit code: something would change, or has."""

StoreOption = Annotated[Path, typer.Option("--store", help="Directory of the sample store.")]
MaybeStore = Annotated[Path | None, typer.Option("--store", help="Directory of the sample store.")]
FleetOption = Annotated[Path | None, typer.Option("--fleet", help="YAML file: hosts, workloads, rules, policy.")]
PlanArgument = Annotated[Path, typer.Argument(help="Plan file, as `consolidate plan --out` wrote it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
SeedOption = Annotated[int, typer.Option(help="Same seed and effort, same plan.", min=0)]
EffortOption = Annotated[int, typer.Option(help="How hard to search: 1 is usual, 10 is patient.", min=1, max=1000)]
HostOption = Annotated[str, typer.Option("--host", help="Name of this host in the plan.", show_default="this host's")]
RootOption = Annotated[Path, typer.Option("--root", help="Directory that looks like the host's /.")]
StateOption = Annotated[Path, typer.Option("--state", help="Directory of the journal.")]
FORMATS = "bitbrains, planetlab, records"
"""Written out here because the registry of importers takes longer to load than `--help` may."""
THIS_HOST = platform.node()
ROOT = Path("/")
STATE = Path("/var/lib/consolidate")


def main() -> NoReturn:
    """Run a verb; an error the user can mend is one sentence and an exit code."""
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except typer.TyperException as error:  # a wrong option is an error, not a change
        print(f"consolidate: {error.format_message().rstrip('.')}; see consolidate --help", file=sys.stderr)
        sys.exit(1)
    except (typer.Abort, KeyboardInterrupt):
        print("consolidate: interrupted", file=sys.stderr)
        sys.exit(130)
    except ConsolidateError as error:
        print(f"consolidate: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    sys.exit(code or 0)


@app.command()
def collect(
    store: StoreOption,
    host: HostOption = THIS_HOST,
    root: RootOption = ROOT,
    interval: Annotated[float, typer.Option(help="Seconds between rounds.", min=1)] = 10.0,
    count: Annotated[int, typer.Option(help="Number of rounds; a rate needs two.", min=1)] = 2,
    keep: Annotated[str, typer.Option(help="Remove what is older, such as 30d.", show_default="everything")] = "",
    as_json: JsonOption = False,
) -> None:
    """Sample this host and its control groups into a store."""
    from collectors.run import run_all
    from consolidate.store import Store
    from consolidate.units import parse_duration_s

    if keep:
        parse_duration_s(keep)  # refused before anything is collected
    if not (root / "proc").is_dir():
        raise InputError(f"{root}: no proc directory below it; give a directory that looks like a host's /")
    samples, began = Store.create(store), time.monotonic()
    stored, flushed = 0, began
    waiting: list[Record] = []
    for number in range(count):
        time.sleep(max(0.0, began + number * interval - time.monotonic()))
        records = run_all(root, host, int(time.time()), say)
        waiting += records
        say(f"collect: round {number + 1} of {count}, {len(records)} records")
        if number + 1 < count and time.monotonic() - flushed < FLUSH_S:
            continue
        stored += samples.append(waiting)
        waiting, flushed = [], time.monotonic()
        if keep:
            samples.retain(int(time.time()) - parse_duration_s(keep))
    result({"store": str(store), "samples": stored}, f"{stored} samples in {store}", as_json)


@app.command("import")
def import_trace(
    kind: Annotated[str, typer.Argument(help=f"Format of the files: {FORMATS}.")],
    place: Annotated[Path, typer.Argument(help="File or folder to import.")],
    store: StoreOption,
    as_json: JsonOption = False,
) -> None:
    """Import exports, traces or other hosts' records into a store."""
    from collectors.importers import IMPORTERS
    from collectors.records import TraceError
    from consolidate.store import Store

    if kind not in IMPORTERS:
        raise InputError(f"no format {kind!r} to import; name one of {FORMATS}")
    try:
        records = list(IMPORTERS[kind].read(place))
    except TraceError as error:
        raise InputError(str(error)) from None
    samples = Store.create(store).append(records)
    result({"store": str(store), "samples": samples}, f"{samples} samples in {store}", as_json)


@app.command()
def demand(store: StoreOption, fleet: FleetOption = None, as_json: JsonOption = False) -> None:
    """Size every workload from its samples."""
    from consolidate.pipeline import measure, read_fleet
    from consolidate.report.demand import demand_json, demand_text
    from consolidate.store import Store

    samples = Store(store)
    inputs = read_fleet(samples, fleet)
    demands = measure(samples, inputs)
    print(json.dumps(demand_json(demands), indent=1) if as_json else demand_text(demands, width()), end="")


@app.command()
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
    from consolidate.demand.harm import find_harm, raise_harmed
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
    demands = raise_harmed(estimate(history, alone, sizing, inputs.stated), harm)
    page_cache = highest(samples.columns, "memory_cache_bytes", workload)
    lines = list(steps(history, alone, demands, sizing, workload, harm.get(workload), page_cache))
    print(json.dumps(lines, indent=1) if as_json else "\n".join(lines))


@app.command()
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
    from consolidate.backtest import calibration, promises_kept, risk_curve
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
    kept = promises_kept(history, inputs.fleet, inputs.policy, days, splits, seed) if splits else None
    shown = replace(verdicts, promises_kept=kept)
    print(backtest_json(shown, points) if as_json else backtest_text(shown, points, width()), end="")


@app.command()
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


@app.command()
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


@app.command()
def quality(store: StoreOption, fleet: FleetOption = None, as_json: JsonOption = False) -> None:
    """Call out measurements that look wrong; exit 2 where any do."""
    from consolidate.insight import findings
    from consolidate.insight.show import quality_json, quality_text
    from consolidate.pipeline import read, read_fleet
    from consolidate.store import Store

    samples = Store(store)
    inputs = read_fleet(samples, fleet)
    found = findings(read(samples, inputs), inputs.fleet, samples.columns)
    print(quality_json(found) if as_json else quality_text(found, width()), end="")
    raise typer.Exit(CHANGES if found else 0)


@app.command()
def plan(
    store: MaybeStore = None,
    fleet: FleetOption = None,
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

    if store is None and fleet is None:
        raise InputError("nothing to plan: give --store, --fleet, or both")
    try:
        with Progress() as stages:
            outcome = run_once(store, fleet, seed, effort_of(effort), stages, parse_permille(growth))
    except InfeasibleError as error:
        if as_json:
            print(json.dumps(infeasible_json(error), indent=1))
        raise
    if out is not None:
        write_plan(outcome.plan, out)
    show(outcome.plan, ReportFormat.JSON if as_json else ReportFormat.TEXT, None)
    raise typer.Exit(CHANGES if outcome.plan.changes else 0)


@app.command()
def report(
    plan_file: PlanArgument,
    kind: Annotated[ReportFormat, typer.Option("--format", help="How to show it.")] = ReportFormat.TEXT,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of stdout.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a plan as text, Markdown, JSON or one self-contained HTML page."""
    show(load_plan(plan_file), ReportFormat.JSON if as_json else kind, out)


@app.command()
def apply(
    plan_file: PlanArgument,
    host: HostOption = THIS_HOST,
    root: RootOption = ROOT,
    state: StateOption = STATE,
    yes: Annotated[bool, typer.Option("--yes", help="Write; without it only the difference is shown.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Enforce this host's partitions of a plan; a dry run unless --yes."""
    from consolidate.apply import Files, Journal, apply_changes, prepare
    from consolidate.apply.show import outcomes_text, preparation_text, to_json

    document, files = load_plan(plan_file), Files(root)
    if host in {one.name for one in document.hosts} and not any(one.host == host for one in document.partitions):
        result({"changes": [], "waiting": []}, f"No changes: the plan limits nothing on {host}.", as_json)
        return
    preparation = prepare(document, host, files)
    needed = any(change.needed for change in preparation.changes)
    if not yes or not needed:
        print(to_json(preparation) if as_json else preparation_text(preparation), end="")
        raise typer.Exit(CHANGES if needed else 0)
    outcomes = apply_changes(document, host, preparation, files, Journal(state / "journal.jsonl"), time.monotonic)
    print(to_json(outcomes) if as_json else outcomes_text(outcomes), end="")
    _fail_on_unfinished(outcomes)


@app.command()
def status(
    plan_file: PlanArgument, host: HostOption = THIS_HOST, root: RootOption = ROOT, as_json: JsonOption = False
) -> None:
    """Compare this host with a plan; exit 2 where a limit is not as planned."""
    from consolidate.apply import Files
    from consolidate.apply import status as compare
    from consolidate.apply.show import status_text, to_json

    found = compare(load_plan(plan_file), host, Files(root))
    print(to_json(found) if as_json else status_text(found), end="")
    raise typer.Exit(CHANGES if found.drifted else 0)


@app.command()
def rollback(
    root: RootOption = ROOT,
    state: StateOption = STATE,
    everything: Annotated[bool, typer.Option("--all", help="Take back every plan, not only the last.")] = False,
    force: Annotated[bool, typer.Option(help="Also restore what somebody else has changed since.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take back what apply wrote, to the byte."""
    from consolidate.apply import Files, Journal
    from consolidate.apply import rollback as undo
    from consolidate.apply.show import outcomes_text, to_json

    outcomes = undo(Journal(state / "journal.jsonl"), Files(root), time.monotonic, everything=everything, force=force)
    print(to_json(outcomes) if as_json else outcomes_text(outcomes), end="")
    _fail_on_unfinished(outcomes)


@app.command()
def serve(
    plan_file: PlanArgument,
    host: HostOption = THIS_HOST,
    root: RootOption = ROOT,
    address: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 9753,
    once: Annotated[bool, typer.Option(help="Print the metrics once, for a textfile collector.")] = False,
) -> None:
    """Export a plan, and how far this host has drifted from it, as Prometheus metrics."""
    import threading

    from consolidate.apply import Files
    from consolidate.apply import status as compare
    from consolidate.observe.exporter import Enforcement, Snapshot, render_metrics, serve_metrics

    def read() -> Snapshot:
        document = load_plan(plan_file)
        if not any(partition.host == host for partition in document.partitions):
            return Snapshot(document, ())
        found = compare(document, host, Files(root))
        return Snapshot(document, (Enforcement(host, found.keys, len(found.drifted)),))

    if once:
        print(render_metrics(read()).decode(), end="")
        return
    stop = threading.Event()
    try:
        serve_metrics(read, address, port, stop, ready=_ready, report=say)
    except KeyboardInterrupt:
        stop.set()


@app.command()
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


def _ready(address: str, port: int) -> None:
    say(f"serving http://{address}:{port}/metrics")


def _fail_on_unfinished(outcomes: list[Outcome]) -> None:
    from consolidate.apply.apply import unfinished

    if unfinished(outcomes):
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
