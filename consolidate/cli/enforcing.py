"""Verbs that touch hosts, or compare them with a plan."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

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
from consolidate.errors import InputError, StalePlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consolidate.apply import Outcome
    from consolidate.apply.hosts import HostOutcome, Pace
    from consolidate.verbs.over_ssh import Reach

verbs = typer.Typer()
command = partial(verbs.command, rich_help_panel="Enforce")

_REMOTE = "On many hosts"
SshOption = Annotated[bool, typer.Option("--ssh", help="On all hosts of the plan, over SSH.", rich_help_panel=_REMOTE)]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", help="With --ssh: this host, and no other.", rich_help_panel=_REMOTE)
]
ConcurrencyOption = Annotated[
    int, typer.Option(help="With --ssh: hosts at the same time.", min=1, rich_help_panel=_REMOTE)
]
SshConfigOption = Annotated[
    Path | None, typer.Option(help="With --ssh: file instead of ~/.ssh/config.", rich_help_panel=_REMOTE)
]
SudoOption = Annotated[bool, typer.Option("--sudo", help="With --ssh: by way of sudo.", rich_help_panel=_REMOTE)]
HelperOption = Annotated[
    str,
    typer.Option(
        help="With --sudo: the installed far end, all that sudo need allow.",
        show_default="sent along",
        rich_help_panel=_REMOTE,
    ),
]
PersistentOption = Annotated[
    bool, typer.Option("--persistent", help="Units of systemd keep their limits across a reboot.")
]


@command()
def doctor(
    plan_file: PlanArgument, host: HostOption = THIS_HOST, root: RootOption = ROOT, as_json: JsonOption = False
) -> None:
    """Tell for each key of a plan whether this host makes it effective, and what to do; exit 2 where not."""
    from consolidate.apply import LocalMachine
    from consolidate.verbs.doctor import diagnose

    text, unfit = diagnose(load_plan(plan_file), LocalMachine(host, root), as_json=as_json)
    print(text, end="")
    raise typer.Exit(CHANGES if unfit else 0)


@command()
def apply(
    plan_file: PlanArgument,
    host: HostOption = THIS_HOST,
    root: RootOption = ROOT,
    state: StateOption = STATE,
    yes: Annotated[bool, typer.Option("--yes", help="Write; without it only the difference is shown.")] = False,
    persistent: PersistentOption = False,
    canary: Annotated[
        str | None, typer.Option(help="Workload that is limited first.", show_default="the one with the least share")
    ] = None,
    guard: Annotated[
        bool, typer.Option("--guard", help="Limit the canary alone at first; watch, and take back what hurts.")
    ] = False,
    observe: Annotated[str, typer.Option(help="With --guard: how long to watch after each step.")] = "5m",
    grace: Annotated[str, typer.Option(help="With --guard: how long not to judge throttling and pressure.")] = "5m",
    condition: Annotated[
        str | None, typer.Option(help="With --guard: PromQL that must stay other than 0; compare with `> bool`.")
    ] = None,
    prometheus: Annotated[str | None, typer.Option(help="Address that answers --condition.")] = None,
    ssh: SshOption = False,
    only: OnlyOption = None,
    canary_host: Annotated[
        str | None, typer.Option(help="With --ssh: host that goes before all others.", rich_help_panel=_REMOTE)
    ] = None,
    max_hosts: Annotated[
        int | None, typer.Option(help="With --ssh: hosts written to, at most.", min=1, rich_help_panel=_REMOTE)
    ] = None,
    max_failures: Annotated[
        int, typer.Option(help="With --ssh: failures before no further host is begun.", min=0, rich_help_panel=_REMOTE)
    ] = 0,
    concurrency: ConcurrencyOption = 8,
    ssh_config: SshConfigOption = None,
    sudo: SudoOption = False,
    helper: HelperOption = "",
    as_json: JsonOption = False,
) -> None:
    """Enforce a plan's partitions on this host, or over SSH on all; a dry run unless --yes."""
    from consolidate.apply import LocalMachine, Records, apply_changes, prepare
    from consolidate.apply.backends.registry import BACKENDS, persistently
    from consolidate.apply.show import guarded_text, outcomes_text, preparation_text, to_json

    document = load_plan(plan_file)
    if ssh:
        from consolidate.apply.hosts import Pace
        from consolidate.verbs.over_ssh import apply_over_ssh

        if guard:
            raise InputError("--guard watches this host; run it on each host instead of --ssh")
        pace = Pace(concurrency, max_hosts, max_failures, canary_host)
        reach = _reach(state, only, pace, ssh_config, sudo, helper, persistent)
        _show_hosts(apply_over_ssh(document, reach, write=yes), as_json)
    machine, records = LocalMachine(host, root), Records(state, host)
    if host in {one.name for one in document.hosts} and not any(one.host == host for one in document.partitions):
        result({"changes": [], "waiting": []}, f"No changes: the plan limits nothing on {host}.", as_json)
        return
    backends = persistently() if persistent else BACKENDS
    preparation = prepare(document, machine, records, canary=canary, backends=backends)
    needed = any(change.needed for change in preparation.changes)
    if not yes or not needed:
        print(to_json(preparation) if as_json else preparation_text(preparation), end="")
        raise typer.Exit(CHANGES if needed else 0)
    if guard:
        from consolidate.verbs.guarded import Watching, apply_guarded

        found = apply_guarded(document, machine, records, canary, Watching(observe, grace, condition, prometheus))
        print(to_json(found) if as_json else guarded_text(found), end="")
        raise typer.Exit(1 if found.blocked else 0)
    outcomes = apply_changes(document, machine, preparation, records, backends=backends)
    print(to_json(outcomes) if as_json else outcomes_text(outcomes), end="")
    _fail_on_unfinished(outcomes)


@command()
def status(
    plan_file: PlanArgument,
    host: HostOption = THIS_HOST,
    root: RootOption = ROOT,
    state: StateOption = STATE,
    persistent: PersistentOption = False,
    ssh: SshOption = False,
    only: OnlyOption = None,
    concurrency: ConcurrencyOption = 8,
    ssh_config: SshConfigOption = None,
    sudo: SudoOption = False,
    helper: HelperOption = "",
    as_json: JsonOption = False,
) -> None:
    """Compare this host, or over SSH all, with a plan; exit 2 where a limit is not as planned."""
    from consolidate.apply import LocalMachine
    from consolidate.apply import status as compare
    from consolidate.apply.backends.registry import BACKENDS, persistently
    from consolidate.apply.show import status_text, to_json

    document = load_plan(plan_file)
    if ssh:
        from consolidate.apply.hosts import Pace
        from consolidate.verbs.over_ssh import status_over_ssh

        reach = _reach(state, only, Pace(concurrency), ssh_config, sudo, helper, persistent)
        _show_hosts(status_over_ssh(document, reach), as_json)
    backends = persistently() if persistent else BACKENDS
    found = compare(document, LocalMachine(host, root), backends=backends)
    print(to_json(found) if as_json else status_text(found), end="")
    raise typer.Exit(CHANGES if found.drifted else 0)


@command()
def rollback(
    host: Annotated[
        str | None, typer.Option(help="Host to take back.", show_default="the only one that was written to")
    ] = None,
    root: RootOption = ROOT,
    state: StateOption = STATE,
    everything: Annotated[bool, typer.Option("--all", help="Take back every plan, not only the last.")] = False,
    force: Annotated[bool, typer.Option(help="Also restore what somebody else has changed since.")] = False,
    ssh: SshOption = False,
    only: OnlyOption = None,
    concurrency: ConcurrencyOption = 8,
    ssh_config: SshConfigOption = None,
    sudo: SudoOption = False,
    helper: HelperOption = "",
    as_json: JsonOption = False,
) -> None:
    """Take back what apply wrote, to the byte."""
    from consolidate.apply import LocalMachine, Records
    from consolidate.apply import rollback as undo
    from consolidate.apply.records import hosts_with_writes
    from consolidate.apply.show import outcomes_text, to_json

    if ssh:
        from consolidate.apply.hosts import Pace
        from consolidate.verbs.over_ssh import rollback_over_ssh

        reach = _reach(state, only, Pace(concurrency), ssh_config, sudo, helper)
        _show_hosts(rollback_over_ssh(reach, everything=everything, force=force), as_json)
    written = hosts_with_writes(state)
    if host is None and len(written) > 1 and THIS_HOST not in written:
        raise InputError(f"{state}: several hosts were written to ({', '.join(written[:3])}); name one with --host")
    host = host or (written[0] if len(written) == 1 else THIS_HOST)
    outcomes = undo(LocalMachine(host, root), Records(state, host), everything=everything, force=force)
    print(to_json(outcomes) if as_json else outcomes_text(outcomes), end="")
    _fail_on_unfinished(outcomes)


@command()
def export(
    plan_file: PlanArgument,
    kind: Annotated[
        str, typer.Option("--format", help="ansible, compose, kubernetes, libvirt, nomad, shell or systemd.")
    ],
    host: Annotated[str | None, typer.Option(help="Only this host's partitions.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the files below this folder.")] = None,
) -> None:
    """Write a plan's partitions in another tool's words."""
    from consolidate.verbs.export import as_text, make_export, write_files

    made = make_export(load_plan(plan_file), kind, host)
    for sentence in made.unsaid:
        say(f"not exported: {sentence}")
    if out is None:
        print(as_text(made), end="")
    else:
        write_files(made, out)


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

    from consolidate.apply import LocalMachine
    from consolidate.apply import status as compare
    from consolidate.observe.exporter import Enforcement, Snapshot, render_metrics, serve_metrics

    def read() -> Snapshot:
        document = load_plan(plan_file)
        if not any(partition.host == host for partition in document.partitions):
            return Snapshot(document, ())
        found = compare(document, LocalMachine(host, root))
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


def _reach(
    state: Path,
    only: Sequence[str] | None,
    pace: Pace,
    config: Path | None,
    sudo: bool,
    helper: str,
    persistent: bool = False,
) -> Reach:
    from consolidate.apply.session import SshOptions
    from consolidate.verbs.over_ssh import Reach

    return Reach(state, only or (), SshOptions(config=config, sudo=sudo, installed=helper), pace, persistent, say)


def _show_hosts(outcomes: Sequence[HostOutcome], as_json: bool) -> NoReturn:
    from consolidate.apply.hosts_show import hosts_json, hosts_text

    print(hosts_json(outcomes) if as_json else hosts_text(outcomes), end="")
    kinds = {one.status for one in outcomes}
    if "failed" in kinds:
        stale = all(one.stale for one in outcomes if one.status == "failed")
        raise typer.Exit(StalePlanError.exit_code if stale else 1)
    raise typer.Exit(CHANGES if kinds & {"pending", "drifted", "skipped"} else 0)


def _fail_on_unfinished(outcomes: list[Outcome]) -> None:
    from consolidate.apply import unfinished

    if unfinished(outcomes):
        raise typer.Exit(1)
