"""Hosts saved at equal measured risk, against the stock recipe: adding up a percentile of every workload.

python -m tests.bench.savings --table

Both recipes plan on the same days and are judged on those that follow, each at several settings, so that each gives a
curve of hosts against the share of host-intervals in which a host lacked something. Days and shapes are pooled by trace
and shape: hosts of all splits are added up, and so are host-intervals. For every point of the stock recipe stands the
point of ours with the fewest hosts that was lacking no more often; where there is none, nothing is claimed.

percentiles    one amount for each workload: that percentile of its samples, of every resource
by hour        the 90 % quantile of each hour for all but memory, whose highest counts; joint risk on the raw series
memory too     the same, with memory by hour as well (``memory_time_aligned``)
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from consolidate.backtest import Judged, judge_sizings
from consolidate.model.policy import SizingPolicy
from tests.bench.histories import Judgement, judgements

PERCENTILES = (0.9, 0.95, 0.98, 0.99, 0.999, 1.0)
RISKS = ((0.01, 0), (0.003, 0), (0.001, 0), (0.0003, 0), (0.0, 0), (0.0, 100))
"""Risk that is planned for, and the margin on top in permille: as many points as the stock recipe has."""
STOCK = "percentiles"
HEADINGS = (
    "trace",
    "hosts of",
    "recipe",
    "setting",
    "hosts",
    "lacking %",
    "of CPU %",
    "of memory %",
    "ours",
    "saved %",
)


def recipes(trace: str) -> Mapping[str, Sequence[SizingPolicy]]:
    """Every recipe at every setting, the most daring first; PlanetLab's memory is always the same."""
    bare = SizingPolicy(cpu_margin_permille=0, memory_margin_permille=0, io_margin_permille=0, risk=1.0)
    stock = [
        replace(bare, name=f"{one:.3g}", time_aligned=False, cpu_quantile=one, io_quantile=one, memory_quantile=one)
        for one in PERCENTILES
    ]
    ours = [
        replace(
            bare,
            name=f"risk {risk:.2%}" + (f" and {margin / 10:g} % more" if margin else ""),
            cpu_quantile=0.9,
            io_quantile=0.9,
            risk=risk,
            cpu_margin_permille=margin,
            memory_margin_permille=margin,
            io_margin_permille=margin,
        )
        for risk, margin in RISKS
    ]
    by_hour = {STOCK: stock, "by hour": ours}
    if trace == "planetlab":
        return by_hour
    return by_hour | {"memory too": [replace(one, memory_time_aligned=True) for one in ours]}


@dataclass(frozen=True)
class Point:
    """A recipe at a setting, over all splits of a trace on one shape."""

    recipe: str
    setting: str
    hosts: int
    lacking: float
    """Share of the host-intervals in which a host lacked something."""
    by_resource: Mapping[str, float]


def pooled(recipe: str, judged: Sequence[Judged]) -> Point | None:
    """One setting over all splits; None where one of them has no plan. Every host counts alike."""
    if any(one.hosts is None for one in judged):
        return None
    hosts = np.array([one.hosts for one in judged])

    def mean(rates: list[float]) -> float:
        return float((hosts * rates).sum() / hosts.sum())

    names = sorted({name for one in judged for name in one.lacking})
    by_resource = {name: mean([one.lacking.get(name, 0.0) for one in judged]) for name in names}
    lacking = mean([one.violation_rate for one in judged])
    return Point(recipe, judged[0].name, int(hosts.sum()), lacking, by_resource)


def fewest(points: Sequence[Point], lacking: float) -> Point | None:
    """The point with the fewest hosts that is lacking no more often; of several the one lacking least."""
    safe = [one for one in points if one.lacking <= lacking]
    return min(safe, key=lambda one: (one.hosts, one.lacking), default=None)


def curve(trace: str, cases: Sequence[Judgement]) -> list[Point]:
    """Every recipe at every setting, over the splits of one trace and shape."""
    points = []
    for name, sizings in recipes(trace).items():
        judged = [
            judge_sizings(case.history, case.inputs.fleet, case.inputs.policy, case.train_days, sizings)
            for case in cases
        ]
        points += [one for each in zip(*judged, strict=True) if (one := pooled(name, each)) is not None]
    return points


def rows(trace: str, shape: str, points: Sequence[Point]) -> Iterator[tuple[str, ...]]:
    """The whole curve; beside the stock recipe what ours needs at its risk."""
    ours = [one for one in points if one.recipe != STOCK]
    for one in points:
        best = fewest(ours, one.lacking) if one.recipe == STOCK else None
        beside = ("", "") if best is None else (f"{best.hosts} ({best.recipe}, {best.setting})", _saved(one, best))
        resources = (f"{one.by_resource.get(name, 0.0):.3%}"[:-1] for name in ("cpu_milli", "memory_bytes"))
        yield (trace, shape, one.recipe, one.setting, str(one.hosts), f"{one.lacking:.3%}"[:-1], *resources, *beside)


def _saved(stock: Point, ours: Point) -> str:
    return f"{(stock.hosts - ours.hosts) / stock.hosts:.0%}"[:-1]


def main() -> None:
    """Print a curve as soon as all splits of a trace on a shape are judged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", nargs="+", choices=["planetlab", "bitbrains"], default=["planetlab", "bitbrains"])
    parser.add_argument("--table", action="store_true", help="Markdown; otherwise one JSON object a line")
    given = parser.parse_args()
    if given.table:
        print("| " + " | ".join(HEADINGS) + " |\n|" + "---|" * len(HEADINGS))
    for trace in given.traces:
        by_shape: dict[str, list[Judgement]] = {}
        for case in judgements([trace]):
            by_shape.setdefault(str(case.shape), []).append(case)
        for shape, cases in by_shape.items():
            for cells in rows(trace, shape, curve(trace, cases)):
                named = json.dumps(dict(zip(HEADINGS, cells, strict=True)))
                print("| " + " | ".join(cells) + " |" if given.table else named, flush=True)


if __name__ == "__main__":
    main()
