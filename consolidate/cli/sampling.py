"""Verbs that bring measurements in."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consolidate.cli.options import (
    FLUSH_S,
    FORMATS,
    ROOT,
    THIS_HOST,
    HostOption,
    JsonOption,
    KeepOption,
    MaybeStore,
    RootOption,
    StoreOption,
)
from consolidate.console import result, say
from consolidate.errors import InputError

if TYPE_CHECKING:
    from collectors.records import Record


verbs = typer.Typer()
command = partial(verbs.command, rich_help_panel="Measure")


@command()
def collect(
    store: StoreOption,
    host: HostOption = THIS_HOST,
    root: RootOption = ROOT,
    interval: Annotated[float, typer.Option(help="Seconds between rounds.", min=1)] = 10.0,
    count: Annotated[int, typer.Option(help="Number of rounds; a rate needs two.", min=1)] = 2,
    keep: KeepOption = "",
    daemon: Annotated[bool, typer.Option("--daemon", help="Sample until told to end, by way of a spool.")] = False,
    listen: Annotated[str, typer.Option(help="Daemon: address for its own metrics, such as 127.0.0.1:9754.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Sample this host and its workloads into a store."""
    from collectors.run import run_all
    from collectors.sources import AGENT
    from consolidate.store import Store
    from consolidate.units import parse_duration_s

    keep_s = parse_duration_s(keep) if keep else None  # refused before anything is collected
    if not (root / "proc").is_dir():
        raise InputError(f"{root}: no proc directory below it; give a directory that looks like a host's /")
    if daemon:
        _sample_for_months(store, root, host, interval, listen, keep_s)
        return
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
        stored += samples.append(waiting, AGENT)
        waiting, flushed = [], time.monotonic()
        if keep_s is not None:
            samples.retain(int(time.time()) - keep_s)
    result({"store": str(store), "samples": stored}, f"{stored} samples in {store}", as_json)


def _sample_for_months(store: Path, root: Path, host: str, interval_s: float, listen: str, keep_s: int | None) -> None:
    from collectors.agent.command import Options
    from consolidate.verbs.agent import daemon, spool_of
    from consolidate.verbs.receive import address_of

    at = address_of(listen) if listen else None
    options = Options(root=root, host=host, interval_s=interval_s, spool=spool_of(store), listen=at)
    daemon(store, options, keep_s, say)


@command()
def receive(
    store: StoreOption,
    listen: Annotated[str, typer.Option(help="Address that agents push to, such as 0.0.0.0:9755.")] = "",
    fetch: Annotated[list[str] | None, typer.Option("--from", help="Address of an agent to fetch from.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the token that agents know.")] = None,
    keep: KeepOption = "",
) -> None:
    """Take what agents sample into a store, until told to end: docs/agent.md."""
    import signal
    import threading

    from consolidate.units import parse_duration_s
    from consolidate.verbs.receive import Receiving, address_of, token_of
    from consolidate.verbs.receive import receive as take

    if not listen and not fetch:
        raise InputError("nothing to receive from: give --listen, --from, or both")
    options = Receiving(
        store,
        address_of(listen) if listen else None,
        fetch or (),
        token_of(token_file) if token_file else "",
        parse_duration_s(keep) if keep else None,
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    take(options, stop, say)


@command("import")
def import_trace(
    kind: Annotated[str, typer.Argument(help=f"Format of the files: {FORMATS}.")],
    place: Annotated[Path, typer.Argument(help="File or folder to import.")],
    store: StoreOption,
    as_json: JsonOption = False,
) -> None:
    """Import exports, traces or other hosts' records into a store."""
    from collectors.importers import IMPORTERS
    from collectors.records import NoteRecord, TraceError
    from collectors.sources import AGENT
    from consolidate.store import Store

    if kind not in IMPORTERS:
        raise InputError(f"no format {kind!r} to import; name one of {FORMATS}")
    try:
        records = list(IMPORTERS[kind].read(place))
    except TraceError as error:
        raise InputError(str(error)) from None
    samples = Store.create(store).append(records, AGENT if kind == "records" else kind)
    notes = [one.text for one in records if isinstance(one, NoteRecord)]
    for note in notes:
        say(f"import: {note}")
    result({"store": str(store), "samples": samples, "notes": notes}, f"{samples} samples in {store}", as_json)


pull = typer.Typer(help="Pull from a monitoring system into a store.")
verbs.add_typer(pull, name="pull", rich_help_panel="Measure")


@pull.command("prometheus")
def pull_prometheus(
    url: Annotated[str, typer.Argument(help="Address of Prometheus, Thanos, Mimir or VictoriaMetrics.")] = "",
    store: MaybeStore = None,
    last: Annotated[str, typer.Option(help="How far back to ask.")] = "30d",
    step: Annotated[str, typer.Option(help="Time between two samples.")] = "5m",
    mapping: Annotated[Path | None, typer.Option(help="TOML file: metrics and labels of your own exporters.")] = None,
    match: Annotated[str, typer.Option(help='Only what has these labels, such as env="prod".')] = "",
    max_concurrent: Annotated[int, typer.Option(help="Queries at once, at most.", min=1)] = 4,
    max_per_second: Annotated[float, typer.Option(help="Queries a second, at most.", min=0.01)] = 10.0,
    peaks: Annotated[str, typer.Option(help="Also keep the CPU's peaks within each step, of this long.")] = "",
    recorded: Annotated[bool, typer.Option(help="Read the series that the rules of --rules record.")] = False,
    rules: Annotated[bool, typer.Option(help="Print recording rules that make long pulls cheap, and end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Pull hosts, workloads and what they used from a monitoring system; it goes on where it ended."""
    from consolidate.verbs.pull import PullRequest, rules_text
    from consolidate.verbs.pull import pull as pull_into

    request = PullRequest(url, last, step, mapping, match, max_concurrent, max_per_second, peaks, recorded)
    if rules:
        print(rules_text(request), end="")
        return
    if not url or store is None:
        raise InputError("give the address to pull from and --store, or --rules")
    done = pull_into(request, store, say)
    for note in done.notes:
        say(f"pull: {note}")
    where = f"{done.samples} samples of {done.hosts} hosts and {done.workloads} workloads in {store}"
    result({"store": str(store), **done.to_json()}, where, as_json)
