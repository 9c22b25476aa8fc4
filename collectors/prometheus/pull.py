"""Pulls a range of time, chunk by chunk: each is whole, so that what is stored tells where to go on."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace

from collectors.prometheus.access import Access
from collectors.prometheus.answer import Answer, Found, PullError, TooMuchError
from collectors.prometheus.assemble import Assembler, Tally
from collectors.prometheus.client import Client
from collectors.prometheus.plan import RESETS, START, Ask, Grid, Request, asks_of, requests_of, steps_of_chunk
from collectors.prometheus.survey import Survey, scope_of, take_survey
from collectors.prometheus.table import Mapped
from collectors.records import HostRecord, NoteRecord, Record, Sample, WorkloadRecord

SOURCE = "prometheus"


@dataclass(frozen=True)
class Options:
    """What is pulled, and how."""

    matchers: tuple[str, ...] = ()
    """Of all series that are looked at."""
    peak_s: int = 0
    """Also the highest CPU use over windows of so many seconds within each step; 0 for none."""
    recorded: bool = False
    """Read what recording rules have made of it."""


@dataclass(frozen=True)
class Chunk:
    """Everything of some steps; stored together or not at all."""

    grid: Grid
    records: Sequence[Record]


def source_name(access: Access, matchers: Sequence[str]) -> str:
    """Name of what is pulled: another system, tenant or selection has one of its own."""
    told = "\n".join((access.origin, *matchers))
    return f"{SOURCE}:{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def mark_name(source: str) -> str:
    """Workload under which the end of every chunk is marked, as collectors mark that they ran."""
    return f"collector/{source}"


class Pull:
    """One pull, from its survey to its last chunk."""

    def __init__(self, client: Client, mapped: Mapped, grid: Grid, options: Options) -> None:
        """Ask what is there.

        Raises:
            PullError: where nothing is, or it cannot be asked.

        """
        self._client, self._grid, self._options = client, grid, options
        self.source = source_name(client.access, options.matchers)
        self.survey: Survey = take_survey(client, mapped, options.matchers, grid)
        self._asks = [ask for table in self.survey.tables for ask in asks_of(table, options.peak_s > 0)]
        if not self._asks:
            known = ", ".join(table.name for table in mapped.tables)
            raise PullError(
                f"{client.access.url}: nothing that a table knows ({known}); "
                "check the selector and the time, or name your metrics in a mapping file"
            )
        self._assembler = Assembler(self.survey, grid.step_s)
        self._refused: dict[tuple[str, str], tuple[int, bool]] = {}
        self._warnings: dict[str, None] = {}
        self._unanswered = {(ask.table.name, ask.metric): ask for ask in self._asks if ask.kind not in (START, RESETS)}
        self.hosts: set[str] = set()
        """Hosts that were there at the end of some chunk."""
        self.workloads: set[tuple[str, str]] = set()
        """(host, workload) that were there at the end of some chunk."""

    @property
    def series(self) -> int:
        """How many series will be asked for, about."""
        return sum(sum(self.survey.counts[ask.table.name].values()) for ask in self._asks)

    @property
    def tally(self) -> Tally:
        """What was left out so far."""
        return self._assembler.tally

    def notes(self) -> list[str]:
        """Sentences about what is missing, could be mistaken or was left out so far."""
        tally = self.tally
        notes = [*self.survey.notes, *(f"the server warns: {text}" for text in self._warnings)]
        for (table, metric), ask in self._unanswered.items():
            why = f"; a step of {self._grid.step_s} s may hold less than two scrapes" if ask.kind == "rate" else ""
            notes.append(f"{table}: {metric} has no values{why}")
        if tally.twice:
            name, labels = min(tally.twice.items())
            notes.append(
                f"{len(tally.twice)} hosts or workloads are measured twice, such as {name}; left out: {labels}"
            )
        notes += [f"{table}: no name for {labels}" for table, labels in sorted(tally.nameless.items())]
        if tally.restarts:
            notes.append(f"{tally.restarts} rates are left out, since something restarted within their step")
        if tally.not_finite:
            notes.append(f"{tally.not_finite} values are left out, since they are no finite numbers")
        return notes

    def chunks(self) -> Iterator[Chunk]:
        """Pull every chunk in order of time.

        Raises:
            PullError: where a part of a chunk cannot be had; the chunks before are whole.

        """
        with ThreadPoolExecutor(self._client.max_concurrent, thread_name_prefix="pull") as pool:
            for grid in self._grid.chunks(steps_of_chunk(self.series, self._grid.step_s)):
                began = time.monotonic()
                answers = self._answers(pool, grid)
                records = [*self._assembler.records(answers, grid), *self._marks(grid, time.monotonic() - began)]
                self.hosts |= {one.name for one in records if isinstance(one, HostRecord)}
                self.workloads |= {(one.host, one.name) for one in records if isinstance(one, WorkloadRecord)}
                yield Chunk(grid, records)

    def _marks(self, grid: Grid, took_s: float) -> Iterator[Record]:
        own = mark_name(self.source)
        yield Sample(grid.last_s, "", own, "", "collector_duration_seconds", took_s)
        yield Sample(grid.last_s, "", own, "", "collector_success", 1.0)
        yield from (NoteRecord(self.source, note) for note in self.notes())

    def _answers(self, pool: ThreadPoolExecutor, grid: Grid) -> list[tuple[Ask, list[Found]]]:
        """Answers to all requests of a chunk, as they were asked for."""
        requests = requests_of(self._asks, self.survey.counts, grid)
        waiting: Mapping[Future[list[Answer]], int] = {
            pool.submit(self._fetch, request): place for place, request in enumerate(requests)
        }
        found: dict[int, list[Found]] = {}
        try:
            for future in as_completed(waiting):
                answers = future.result()
                found[waiting[future]] = [one for answer in answers for one in answer.series]
                self.tally.not_finite += sum(answer.not_finite for answer in answers)
                self._warnings |= {text: None for answer in answers for text in answer.warnings}
        finally:
            for future in waiting:
                future.cancel()
        for place, request in enumerate(requests):
            if found[place]:
                self._unanswered.pop((request.ask.table.name, request.ask.metric), None)
        return [(request.ask, found[place]) for place, request in enumerate(requests)]

    def _fetch(self, request: Request) -> list[Answer]:
        """An answer, or those to the parts of the request where it is too much for the server."""
        key = request.ask.table.name, request.ask.metric
        refused, of_series = self._refused.get(key, (None, False))
        if refused is not None and request.samples >= refused and (halves := request.halves(of_series)):
            return [answer for half in halves for answer in self._fetch(half)]
        grid = request.grid
        try:
            return [self._client.query_range(self._expression(request), grid.first_s, grid.last_s, grid.step_s)]
        except TooMuchError as error:
            if (halves := request.halves(error.of_series)) is None:
                raise
            # What is larger is not even tried from now on.
            self._refused[key] = min(request.samples, refused or request.samples), error.of_series
            return [answer for half in halves for answer in self._fetch(half)]

    def _expression(self, request: Request) -> str:
        ask = request.ask
        scope = request.scope(scope_of(ask.table, self._options.matchers, self._grid.step_s))
        rule = ask.rule(self._grid.step_s) if self._options.recorded else ""
        if rule:
            return f"{rule}{{{','.join(scope.matchers)}}}"
        return ask.expression(scope, self._options.peak_s)


def resumed(grid: Grid, done_s: int | None) -> Grid | None:
    """What is left of a range when everything until a time has been stored; None where nothing is."""
    if done_s is None or done_s < grid.first_s:
        return grid
    first_s = grid.first_s + ((done_s - grid.first_s) // grid.step_s + 1) * grid.step_s
    return replace(grid, first_s=first_s) if first_s <= grid.last_s else None
