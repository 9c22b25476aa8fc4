from dataclasses import replace

import numpy as np

from consolidate.model.demand import Demand
from consolidate.model.fleet import Fleet
from consolidate.model.policy import Policy, Predictor, SizingPolicy
from consolidate.plan.basis import basis
from tests.support.fleets import host


def _lines(sizing: SizingPolicy) -> str:
    demand = Demand("a", {"cpu_milli": np.ones(1, dtype=np.int64)}, 1.0, 7.0, 1, 1.0, source="measured")
    return "\n".join(basis(Fleet((host("h"),), ()), {"a": demand}, replace(Policy(), sizing=sizing)))


def test_what_is_unusual_about_the_sizing_is_named() -> None:
    sizing = SizingPolicy(
        predictors=(Predictor.QUANTILE, Predictor.SIGMA),
        half_life_days=14,
        skip_quiet_days=True,
        time_zone="Europe/Vienna",
        counted_permille=(1000,) * 100 + (250,) * 68,
    )
    lines = _lines(sizing)
    assert "predicted by quantile, n-sigma, of which the largest counts" in lines
    assert "half after 14 days" in lines
    assert "far quieter" in lines
    assert "Hours are those of Europe/Vienna." in lines
    assert "68 of the week's 168 hours" in lines
    assert "25 %" in lines


def test_the_default_sizing_has_one_line() -> None:
    assert "predicted by" not in _lines(SizingPolicy())
    assert "off-hours" not in _lines(SizingPolicy())
