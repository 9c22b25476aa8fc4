"""What is asked for, in which pieces: times in chunks, hosts and workloads in groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from collectors.prometheus.promql import Scope, Source, level, one_of, peak_rate, rate, raw, resets
from collectors.prometheus.table import Table
from collectors.records import METRICS

MAX_POINTS = 11_000
"""Prometheus refuses more steps than this in one answer."""
MAX_ANSWER_SAMPLES = 100_000
"""A few megabytes of JSON: small enough to hold several at once, large enough to be worth a request."""
MAX_CHUNK_SAMPLES = 4_000_000
"""A chunk is held in memory until it is stored, which takes about a hundred megabytes of these."""
MAX_CHUNK_S = 86_400
"""A day: a pull that is killed loses no more, and a query does not keep its server busy for long."""

RATES: Mapping[str, str] = {
    "cpu_seconds_total": "cpu_cores",
    "disk_read_bytes_total": "disk_read_bytes_per_s",
    "disk_write_bytes_total": "disk_write_bytes_per_s",
    "disk_reads_total": "disk_iops",
    "disk_writes_total": "disk_iops",
    "net_rx_bytes_total": "net_rx_bytes_per_s",
    "net_tx_bytes_total": "net_tx_bytes_per_s",
}
"""Counters of many series (processors, disks, cards), which only their rates can be added up of, to what that gives."""
START = "start"
RESETS = "resets"
"""What is asked for beside metrics, to tell restarts."""


@dataclass(frozen=True)
class Grid:
    """Times that are asked for: both ends and every step between."""

    first_s: int
    last_s: int
    step_s: int

    @property
    def steps(self) -> int:
        """Number of times."""
        return (self.last_s - self.first_s) // self.step_s + 1

    def chunks(self, most_steps: int) -> Iterator[Grid]:
        """Consecutive grids of so many steps or fewer."""
        for first_s in range(self.first_s, self.last_s + 1, most_steps * self.step_s):
            yield replace(self, first_s=first_s, last_s=min(self.last_s, first_s + (most_steps - 1) * self.step_s))

    def halves(self) -> tuple[Grid, Grid]:
        """The earlier and the later steps of two or more."""
        middle_s = self.first_s + (self.steps // 2) * self.step_s
        return replace(self, last_s=middle_s - self.step_s), replace(self, first_s=middle_s)


def grid_until(until_s: int, length_s: int, step_s: int) -> Grid:
    """The last so many seconds before a time, on multiples of the step: pulled again, they are the same times."""
    last_s = until_s // step_s * step_s
    return Grid(last_s - (max(1, length_s // step_s) - 1) * step_s, last_s, step_s)


@dataclass(frozen=True)
class Group:
    """Values of a table's label that are asked for together."""

    values: tuple[str, ...]
    series: int
    """How many series a metric of them has, by what was there when it was counted."""
    whole: bool = False
    """All that there are, so that they need not be named."""


def make_groups(counts: Mapping[str, int], most_series: int) -> list[Group]:
    """Groups of so many series or fewer, but for a single value that has more."""
    if sum(counts.values()) <= most_series:
        return [Group(tuple(sorted(counts)), sum(counts.values()), whole=True)]
    groups: list[Group] = []
    values: list[str] = []
    series = 0
    for value, own in sorted(counts.items()):
        if values and series + own > most_series:
            groups.append(Group(tuple(values), series))
            values, series = [], 0
        values.append(value)
        series += own
    return [*groups, Group(tuple(values), series)]


@dataclass(frozen=True)
class Ask:
    """One column of a table: the store's metric, or what tells restarts."""

    table: Table
    metric: str
    kind: str
    """``rate``, ``peak``, ``level``, ``raw``, ``start`` or ``resets``."""
    sources: tuple[Source, ...]
    """More than one are added: reads and writes."""

    def expression(self, scope: Scope, peak_s: int = 0) -> str:
        """PromQL of it."""
        match self.kind:
            case "rate":
                return " + ".join(rate(source, scope) for source in self.sources)
            case "peak":
                return peak_rate(self.sources[0], scope, peak_s)
            case "level":
                return level(self.sources[0], scope)
            case "resets":
                return resets(self.sources[0], scope)
            case _:
                return raw(self.sources[0], scope)

    def rule(self, window_s: int) -> str:
        """Name of its recording rule, ``level:metric:operation``; empty where one series is read as it is."""
        operation = {"rate": "rate", "peak": "max_rate", "level": "max"}.get(self.kind)
        if operation is None:
            return ""
        name = f"{self.table.name}_{self.metric}".replace("-", "_")
        return f"{self.table.level}:{name}:{operation}{window_s}s"


def asks_of(table: Table, peaks: bool = False) -> list[Ask]:
    """Everything to ask for a table."""
    asks: list[Ask] = []
    rates: dict[str, list[Source]] = {}
    for metric, source in table.metrics.items():
        if source.expression or METRICS[metric].kind == "gauge":
            asks.append(Ask(table, metric, "raw" if source.expression else "level", (source,)))
        elif metric in RATES:
            rates.setdefault(RATES[metric], []).append(source)
        else:
            asks.append(Ask(table, metric, "raw", (source,)))
    asks += [Ask(table, metric, "rate", tuple(sources)) for metric, sources in rates.items()]
    if peaks and "cpu_cores" in rates:
        asks.append(Ask(table, "cpu_cores_max", "peak", tuple(rates["cpu_cores"])))
    if asks and table.start is not None:
        asks.append(Ask(table, START, "start", (table.start,)))
    if asks and table.resets is not None:
        asks.append(Ask(table, RESETS, "resets", (table.resets,)))
    return asks


@dataclass(frozen=True)
class Request:
    """One query over a range."""

    ask: Ask
    grid: Grid
    group: Group

    @property
    def samples(self) -> int:
        """How many it may answer with."""
        return self.group.series * self.grid.steps

    def scope(self, scope: Scope) -> Scope:
        """What it shares with others, and its own group."""
        return scope if self.group.whole else scope.within(one_of(self.ask.table.split, self.group.values))

    def halves(self, of_series: bool) -> tuple[Request, Request] | None:
        """Two requests for the same: halves of the series where they are too many, else of the time.

        None where it cannot be divided further. Each time stands for itself, so that nothing is lost between halves.
        """
        values = self.group.values
        if len(values) > 1 and (of_series or self.grid.steps == 1):
            middle, half = len(values) // 2, -(-self.group.series // 2)
            return (
                replace(self, group=Group(values[:middle], half)),
                replace(self, group=Group(values[middle:], half)),
            )
        if self.grid.steps > 1:
            first, second = self.grid.halves()
            return replace(self, grid=first), replace(self, grid=second)
        return None


def steps_of_chunk(series: int, step_s: int) -> int:
    """How many steps are asked for before they are stored.

    Args:
        series: Of all that is asked for.
        step_s: Seconds from one to the next.

    """
    return max(1, min(MAX_POINTS, MAX_CHUNK_S // step_s, MAX_CHUNK_SAMPLES // max(1, series)))


def requests_of(asks: Sequence[Ask], counts: Mapping[str, Mapping[str, int]], grid: Grid) -> list[Request]:
    """All requests of a chunk.

    Args:
        asks: What to ask for.
        counts: Table to value of its label to number of series.
        grid: The chunk's times.

    """
    most_series = max(1, MAX_ANSWER_SAMPLES // grid.steps)
    groups = {name: make_groups(own, most_series) for name, own in counts.items()}
    return [Request(ask, grid, group) for ask in asks for group in groups[ask.table.name]]
