"""Verbs that touch hosts, or compare them with a plan."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from consolidate.cli.options import (
    CHANGES,
    ROOT,
    STATE,
    THIS_HOST,
    HostOption,
    JsonOption,
    PlanArgument,
    RootOption,
    StateOption,
)
from consolidate.console import load_plan, result, say

if TYPE_CHECKING:
    from consolidate.apply import Outcome


verbs = typer.Typer()
command = partial(verbs.command, rich_help_panel="Enforce")


@command()
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


@command()
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


@command()
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


@command()
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


def _ready(address: str, port: int) -> None:
    say(f"serving http://{address}:{port}/metrics")


def _fail_on_unfinished(outcomes: list[Outcome]) -> None:
    from consolidate.apply.apply import unfinished

    if unfinished(outcomes):
        raise typer.Exit(1)
