"""What limits are chosen from besides demand is read from all incarnations of a workload, and from nobody else."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from consolidate.demand.seen import with_seen
from consolidate.model.demand import Demand, Seen, Unknown
from consolidate.model.series import Columns, SeriesKey
from tests.support.fleets import demand


def columns(*series: tuple[str, str, list[float]]) -> Columns:
    """Series of workloads of host h, each with its incarnation."""
    keys = tuple(SeriesKey("h", workload, incarnation) for workload, incarnation, _ in series)
    index = np.repeat(np.arange(len(series)), [len(values) for *_, values in series])
    values = np.array([value for *_, values in series for value in values])
    return Columns(keys, index, np.arange(len(values), dtype=np.int64), values)


SAMPLES = {
    "memory_working_set_bytes": columns(("a", "1", [10.0, 30.0]), ("a", "2", [20.0]), ("b", "1", [7.0])),
    "memory_cache_bytes": columns(("a", "1", [4.0, 5.0, 6.0])),
    "pids": columns(("", "1", [900.0]), ("a", "1", [3.0]), ("a", "2", [9.0])),
}


def read(metric: str, workloads: Container[str] | None) -> Columns:
    return SAMPLES[metric]


def test_typical_memory_page_cache_and_most_tasks_are_found() -> None:
    demands = {name: demand(name, 1, 1) for name in ("h:a", "h:b", "h:c")}
    seen = {name: found.seen for name, found in with_seen(demands, read).items() if isinstance(found, Demand)}
    assert seen == {"h:a": Seen(20, 5, 9), "h:b": Seen(7, None, None), "h:c": Seen()}


def test_what_is_unknown_stays_unknown() -> None:
    unknown = {"h:a": Unknown("h:a", "no cpu was measured")}
    assert with_seen(unknown, read) == unknown
