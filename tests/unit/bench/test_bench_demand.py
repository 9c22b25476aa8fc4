"""The tables of promises and of savings: what they count, and that nothing is claimed at another risk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from consolidate.backtest import Judged
from consolidate.backtest.promise import Promise
from tests.bench import histories, promises
from tests.bench.savings import STOCK, Point, compared_rows, curve_rows, fewest, pooled


def judged(hosts: int | None, lacking: float, promise: Promise | None = None) -> Judged:
    by_resource = {"cpu_milli": lacking} if lacking else {}
    return Judged("p", hosts, hosts, promise, lacking, lacking / 2, lacking * 2, 0, 0, 0, "", 0, 0.9, by_resource)


def test_splits_are_pooled_by_hosts() -> None:
    point = pooled("mine", [judged(10, 0.01), judged(30, 0.0)])
    assert point is not None
    assert (point.hosts, point.lacking) == (40, pytest.approx(0.0025))
    assert point.by_resource == {"cpu_milli": pytest.approx(0.0025)}
    assert pooled("mine", [judged(10, 0.01), judged(None, 0.0)]) is None


def test_nothing_is_saved_at_a_higher_risk() -> None:
    stock = [Point(STOCK, "0.9", 20, 0.01, {}, 0), Point(STOCK, "1", 40, 0.0, {}, 0)]
    ours = [
        Point("by hour", "a", 15, 0.02, {}, 2),
        Point("by hour", "b", 18, 0.01, {}, 2),
        Point("by hour", "c", 19, 0.0, {}, 2),
    ]
    assert fewest(ours, 0.01) == ours[1]
    assert fewest(ours[:1], 0.01) is None
    table = [cells[2:] for cells in compared_rows("t", "s", [*stock, *ours])]
    assert ("1.00", STOCK, "20", "0.9", "1.000", "") in table
    assert ("1.00", "by hour", "18", "b", "1.000", "10") in table
    assert ("0.01", "by hour", "19", "c", "0.000", "52") in table
    assert [cells[1] for cells in compared_rows("t", "s", [*stock, ours[0]]) if cells[2] == "1.00"] == ["s"]
    assert len(list(curve_rows("t", "s", [*stock, *ours]))) == 5


def test_promises_are_counted_over_the_halves_that_made_one() -> None:
    promise = Promise(0.0, 0.0, 0.01, 39, 0.2, 1)
    halves = [judged(4, 0.0, promise), judged(6, 0.04, promise), judged(None, 0.0)]
    shape = histories.Shape(8, 64)
    case = histories.Judgement("t", shape, *([None] * 2), 2.0)  # type: ignore[arg-type]
    cells = dict(zip(promises.HEADINGS, promises.row(case, "balanced", halves), strict=True))
    assert (cells["hosts of"], cells["hosts"], cells["kept %"], cells["judged %"]) == (
        "8 cores, 64 GiB",
        "5.0",
        "50",
        "2",
    )
    assert (cells["promised % at most"], cells["highest %"], cells["told %"]) == ("3", "4", "95")


@pytest.mark.data
def test_a_machine_keeps_its_type_on_all_days_laid_end_to_end(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSOLIDATE_DATA", str(data))
    case = next(histories.judgements(["planetlab"]))
    [cpu] = [part.amounts["cpu_milli"] for part in case.history.only(first_only(case)).parts() if len(part.positions)]
    assert np.unique(np.diff(cpu.at_s)).tolist() == [300]
    assert len(cpu.at_s) == 3 * 288
    assert len(case.inputs.fleet.workloads) == 403


def first_only(case: histories.Judgement) -> np.ndarray:
    return np.arange(len(case.inputs.fleet.workloads)) == 0
