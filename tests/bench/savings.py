"""Hosts saved at equal measured risk, against the stock recipe: adding up a percentile of every workload.

python -m tests.bench.savings --table

All recipes plan on the same days and are judged on those that follow, each at as many settings, so that each gives a
curve of hosts against the share of host-intervals in which a host lacked something. Splits are pooled by trace and
shape: hosts of all splits are added up, and so are host-intervals. The first table is the curves. The second lays them
side by side: the fewest hosts of each recipe that were lacking no more than so much, and what that saves.

percentiles    one amount for each workload: that percentile of its samples, of every resource
by hour        a quantile of each hour and a margin, memory at its highest; hosts over a joint risk are repaired
memory too     the same of memory as well (``memory_time_aligned``)
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from consolidate.backtest import Judged, judge_sizings
from consolidate.model.policy import SizingPolicy
from tests.bench.command import show_table
from tests.bench.histories import Judgement, judgements

PERCENTILES = (0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 0.999, 1.0)
BY_HOUR = (
    (0.75, 0, 0.03),
    (0.75, 0, 0.01),
    (0.9, 0, 0.01),
    (0.9, 0, 0.003),
    (0.9, 0, 0.001),
    (0.95, 0, 0.001),
    (0.95, 100, 0.001),
    (0.95, 200, 0.001),
    (0.95, 300, 0.001),
    (1.0, 200, 0.001),
)
"""(quantile, margin in permille, risk that is planned for); as many as the stock recipe has."""
LEVELS = (0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001, 0.0)
"""Shares of host-intervals at which the recipes are compared."""
STOCK = "percentiles"
CURVE = ("trace", "hosts of", "recipe", "setting", "hosts", "lacking %", "of CPU %", "of memory %", "repairs")
COMPARED = ("trace", "hosts of", "lacking at most %", "recipe", "hosts", "setting", "lacking %", "saved %")


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
            name=f"{quantile:g} + {margin / 10:g} %, risk {risk * 100:g} %",
            cpu_quantile=quantile,
            io_quantile=quantile,
            risk=risk,
            cpu_margin_permille=margin,
            io_margin_permille=margin,
        )
        for quantile, margin, risk in BY_HOUR
    ]
    by_hour = {STOCK: stock, "by hour": ours}
    if trace == "planetlab":
        return by_hour
    memory = [
        replace(
            one,
            memory_time_aligned=True,
            memory_quantile=one.cpu_quantile,
            memory_margin_permille=one.cpu_margin_permille,
        )
        for one in ours
    ]
    return by_hour | {"memory too": memory}


@dataclass(frozen=True)
class Point:
    """A recipe at a setting, over all splits of a trace on one shape."""

    recipe: str
    setting: str
    hosts: int
    lacking: float
    """Share of the host-intervals in which a host lacked something."""
    by_resource: Mapping[str, float]
    repairs: int
    """Rounds, of all splits together."""


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
    return Point(recipe, judged[0].name, int(hosts.sum()), lacking, by_resource, sum(one.repairs for one in judged))


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


def curve_rows(trace: str, shape: str, points: Sequence[Point]) -> Iterator[tuple[str, ...]]:
    """Every point."""
    for one in points:
        resources = (_percent(one.by_resource.get(name, 0.0)) for name in ("cpu_milli", "memory_bytes"))
        yield (
            trace,
            shape,
            one.recipe,
            one.setting,
            str(one.hosts),
            _percent(one.lacking),
            *resources,
            str(one.repairs),
        )


def compared_rows(trace: str, shape: str, points: Sequence[Point]) -> Iterator[tuple[str, ...]]:
    """The fewest hosts of each recipe at each level, where it reaches that at all."""
    names = list(dict.fromkeys(one.recipe for one in points))
    for level in LEVELS:
        best = {name: fewest([one for one in points if one.recipe == name], level) for name in names}
        stock = best[STOCK]
        for name, one in best.items():
            if one is not None:
                saved = "" if stock is None or one is stock else f"{(stock.hosts - one.hosts) / stock.hosts * 100:.0f}"
                yield (
                    trace,
                    shape,
                    f"{level:.2%}"[:-1],
                    name,
                    str(one.hosts),
                    one.setting,
                    _percent(one.lacking),
                    saved,
                )


def _percent(share: float) -> str:
    return f"{share * 100:.3f}"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", nargs="+", choices=["planetlab", "bitbrains"], default=["planetlab", "bitbrains"])
    parser.add_argument("--table", action="store_true", help="Markdown; otherwise one JSON object a line")
    given = parser.parse_args()
    curves: dict[tuple[str, str], list[Point]] = {}
    for trace in given.traces:
        by_shape: dict[str, list[Judgement]] = {}
        for case in judgements([trace]):
            by_shape.setdefault(str(case.shape), []).append(case)
        curves |= {(trace, shape): curve(trace, cases) for shape, cases in by_shape.items()}
    for headings, rows in ((CURVE, curve_rows), (COMPARED, compared_rows)):
        show_table(headings, [cells for name, points in curves.items() for cells in rows(*name, points)], given.table)


if __name__ == "__main__":
    main()
