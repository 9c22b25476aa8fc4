from dataclasses import replace

import numpy as np

from consolidate.model.demand import Demand
from consolidate.model.fleet import Fleet, Host
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
        memory_time_aligned=True,
        skip_quiet_days=True,
        time_zone="Europe/Vienna",
        counted_permille=(1000,) * 100 + (250,) * 68,
    )
    lines = _lines(sizing)
    assert "predicted by quantile, n-sigma, of which the largest counts" in lines
    assert "half after 14 days" in lines
    assert "memory at the highest ever in each hour and 10 % more" in lines
    assert "far quieter" in lines
    assert "Hours are those of Europe/Vienna." in lines
    assert "68 of the week's 168 hours" in lines
    assert "25 %" in lines


def test_the_default_sizing_has_one_line() -> None:
    assert "predicted by" not in _lines(SizingPolicy())
    assert "memory at the highest ever seen and" in _lines(SizingPolicy())
    assert "off-hours" not in _lines(SizingPolicy())


def ratings_line(*hosts: Host) -> str:
    return next(line for line in basis(Fleet(hosts, ()), {}, Policy()) if "core" in line)


def test_the_origin_of_cpu_ratings_is_named() -> None:
    spec = replace(host("a", cpu_rating=0.7), rated_by="SPECpower_ssj2008, 17 results, 2011–2012")
    stated = replace(host("b", cpu_rating=1.5), rated_by="the fleet file")
    assert ratings_line(spec, stated) == (
        "CPU is compared in reference cores, by ratings of 0.7 to 1.5 (1 host by SPECpower_ssj2008, 1 host by the "
        "fleet file)."
    )
    assert "by ratings of 0.7 (2 hosts by SPECpower_ssj2008)." in ratings_line(spec, replace(spec, name="c"))


def test_models_that_nobody_rated_are_named() -> None:
    spec = replace(host("a", cpu_rating=0.7), rated_by="SPECpower_ssj2008, 17 results, 2011–2012")
    unknown = [replace(host(f"u{number}"), cpu_model=f"Z8{number}") for number in range(5)]
    assert ratings_line(spec, *unknown).endswith("; 5 hosts not rated (Z80, Z81, Z82 and more), taken as 1.")
    assert ratings_line(host("x")) == (
        "All hosts' cores are taken to be equally fast: no CPU ratings are stated in the fleet file."
    )
    assert ratings_line(unknown[0]).endswith("in the fleet file (Z80).")
