"""Pulls from a monitoring system into a store, and goes on where an earlier pull ended."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from collectors.prometheus.access import read_access
from collectors.prometheus.client import Client
from collectors.prometheus.limit import Limiter
from collectors.prometheus.mapping import load_mapping
from collectors.prometheus.plan import grid_until
from collectors.prometheus.promql import parse_selector
from collectors.prometheus.pull import Options, Pull, mark_name, resumed, source_name
from collectors.prometheus.rules import recording_rules
from collectors.records import TraceError
from consolidate.errors import InputError
from consolidate.store import Store
from consolidate.units import parse_duration_s

SETTLE_S = 60
"""What is younger may not have reached the monitoring system yet: scrapes are under way, and some hold back longer."""
SHORTEST_STEP_S = 10


@dataclass(frozen=True)
class PullRequest:
    """What the command line asks for."""

    url: str
    last: str = "30d"
    step: str = "5m"
    mapping: Path | None = None
    match: str = ""
    max_concurrent: int = 4
    max_per_second: float = 10.0
    peaks: str = ""
    """Width of the windows whose highest CPU use is kept too, such as 1m; empty for none."""
    recorded: bool = False
    """Read recording rules, as `rules_text` prints them."""


@dataclass(frozen=True)
class PullResult:
    """What was pulled."""

    samples: int
    """Stored, marks included."""
    hosts: int
    workloads: int
    until_s: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """The result for programs."""
        return {
            "samples": self.samples,
            "hosts": self.hosts,
            "workloads": self.workloads,
            "until_s": self.until_s,
            "notes": list(self.notes),
        }


def pull(
    request: PullRequest,
    place: Path,
    say: Callable[[str], None],
    environment: Mapping[str, str] = os.environ,
    now_s: Callable[[], float] = time.time,
) -> PullResult:
    """Pull into a store, which is made where there is none.

    A chunk and the mark of its end are stored as one, so that a pull that was killed goes on without a gap or a
    duplicate, and one that is repeated only fetches what is new.

    Raises:
        InputError: for an option that cannot be used, or a monitoring system that cannot be read.

    """
    step_s = _step_s(request.step)
    grid = grid_until(int(now_s()) - SETTLE_S, parse_duration_s(request.last), step_s)
    options = _options(request, step_s)
    try:
        mapped = load_mapping(request.mapping)
        access = read_access(request.url, environment, mapped.access)
        limiter = Limiter(request.max_concurrent, request.max_per_second)
        store = Store.create(place)
        source = source_name(access, options.matchers)
        rest = resumed(grid, _done_s(store, source))
        if rest is None:
            return PullResult(0, 0, 0, grid.last_s, ("nothing is new since the last pull",))
        with Client(access, limiter) as client:
            running = Pull(client, mapped, rest, options)
            say(f"pull: about {running.series} series, {rest.steps} steps of {rest.step_s} s")
            stored = 0
            for chunk in running.chunks():
                stored += store.append(chunk.records, source)
                done = (chunk.grid.last_s - rest.first_s) / max(1, rest.last_s - rest.first_s)
                say(f"pull: {done:.0%}, {stored} samples")
            notes = tuple(running.notes())
            return PullResult(stored, len(running.hosts), len(running.workloads), rest.last_s, notes)
    except TraceError as error:
        raise InputError(str(error)) from None


def rules_text(request: PullRequest) -> str:
    """Recording rules that make pulls of this step cheap, as a file of Prometheus.

    Raises:
        InputError: for an option or a mapping file that cannot be used.

    """
    step_s = _step_s(request.step)
    options = _options(request, step_s)
    try:
        return recording_rules(load_mapping(request.mapping), options.matchers, step_s, options.peak_s)
    except TraceError as error:
        raise InputError(str(error)) from None


def _step_s(text: str) -> int:
    step_s = parse_duration_s(text)
    if step_s < SHORTEST_STEP_S:
        raise InputError(f"{text!r} is too short a step; give {SHORTEST_STEP_S}s or more, at least two scrapes long")
    return step_s


def _options(request: PullRequest, step_s: int) -> Options:
    if request.max_concurrent < 1 or not 0 < request.max_per_second < float("inf"):
        raise InputError(
            f"{request.max_concurrent} at once and {request.max_per_second:g} a second are no caps; give more than 0"
        )
    peak_s = parse_duration_s(request.peaks) if request.peaks else 0
    if request.peaks and not 0 < peak_s < step_s:
        raise InputError(f"{request.peaks!r} does not lie within a step of {step_s} s; give a part of it, such as 1m")
    try:
        matchers = parse_selector(request.match)
    except ValueError as error:
        raise InputError(str(error)) from None
    return Options(matchers, peak_s, request.recorded)


def _done_s(store: Store, source: str) -> int | None:
    """End of the last chunk that was stored of a source."""
    marks = store.columns("collector_success", {mark_name(source)})
    return int(marks.at_s.max()) if len(marks.at_s) else None
