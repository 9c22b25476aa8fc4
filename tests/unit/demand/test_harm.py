"""What limits already hurt is larger than what was measured of it."""

from __future__ import annotations

import numpy as np

from consolidate.demand.harm import Harm, find_harm, raise_harmed, told_harm
from consolidate.model.demand import Demand, Unknown
from consolidate.model.series import Columns, SeriesKey
from tests.support.fleets import demand, fleet, host, workload

FLEET = fleet([host("h")], [workload(name, "h") for name in ("a", "b", "c")])


def counter(*series: tuple[str, str, list[float]]) -> Columns:
    """(workload, incarnation, values)"""
    return Columns(
        tuple(SeriesKey("", name, incarnation) for name, incarnation, _ in series),
        np.repeat(np.arange(len(series)), [len(values) for _, _, values in series]),
        np.concatenate([np.arange(len(values)) * 10 for _, _, values in series]),
        np.concatenate([np.array(values, dtype=float) for _, _, values in series]),
    )


METRICS = {
    "oom_kills_total": counter(("a", "1", [3, 3, 3]), ("b", "1", [0, 1]), ("b", "2", [7, 8])),
    "cpu_throttled_periods_total": counter(("a", "1", [0, 5, 0, 5]), ("c", "1", [0, 1])),
    "cpu_periods_total": counter(("a", "1", [0, 50, 60, 100]), ("c", "1", [0, 1000])),
}


def test_a_rise_counts_within_an_incarnation_and_never_across_one() -> None:
    harm = find_harm(lambda metric, workloads: METRICS.get(metric, Columns.empty()), FLEET)
    assert harm == {"a": Harm(0.1, 0), "b": Harm(0.0, 2)}
    assert "1 workloads were throttled in over 1% of their time and 1 were killed" in told_harm(harm)
    assert told_harm({}) == ""


def test_a_fifth_more_is_reserved_of_what_was_lacking() -> None:
    measured = {name: Demand(**{**vars(demand(name, 100, 1001)), "source": "measured"}) for name in ("a", "b")}
    raised = raise_harmed({**measured, "c": Unknown("c", "why")}, {"a": Harm(0.5, 0), "b": Harm(0, 1), "c": Harm(1, 1)})
    a, b = raised["a"], raised["b"]
    assert isinstance(a, Demand)
    assert isinstance(b, Demand)
    assert (a.peak.get("cpu_milli"), a.peak.get("memory_bytes")) == (120, 1001)
    assert (b.peak.get("cpu_milli"), b.peak.get("memory_bytes")) == (100, 1202)
    assert raised["c"] == Unknown("c", "why")


def test_a_stated_demand_is_left_as_stated() -> None:
    stated = {"a": demand("a", 100, 100)}
    assert raise_harmed(stated, {"a": Harm(0.5, 3)}) == stated
