"""Whatever was measured: a policy that asks for more never reserves less, and no margin goes above a limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from consolidate.demand import estimate, in_memory
from consolidate.demand.history import SOURCES
from consolidate.demand.rates import Amounts
from consolidate.model.demand import Demand
from consolidate.model.fleet import Fleet
from consolidate.model.policy import Predictor, SizingPolicy
from consolidate.model.resources import Resources
from tests.support.fleets import fleet, host, workload

MONDAY_S = 1_780_272_000
CASE = fleet([host("h")], [workload("w", "h")])
POLICIES = st.builds(
    SizingPolicy,
    cpu_quantile=st.floats(0.01, 1.0),
    cpu_margin_permille=st.integers(0, 500),
    predictors=st.lists(st.sampled_from(list(Predictor)), min_size=1, unique=True).map(tuple),
    sigmas=st.floats(0, 4),
    half_life_days=st.none() | st.floats(0.1, 100),
    time_aligned=st.booleans(),
    found_periods=st.booleans(),
    skip_quiet_days=st.booleans(),
    time_zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    counted_permille=st.just(()) | st.lists(st.integers(0, 1000), min_size=168, max_size=168).map(tuple),
)


@st.composite
def loads(draw: st.DrawFn) -> np.ndarray:
    """Hours of up to four weeks, with a week's pattern and noise."""
    hours = draw(st.integers(2, 28 * 24))
    week = np.array(draw(st.lists(st.integers(0, 2000), min_size=168, max_size=168)), dtype=float)
    noise = np.random.default_rng(draw(st.integers(0, 9))).uniform(0.5, 1.5, hours)
    return np.resize(week, hours) * noise


def cpu(load: np.ndarray, policy: SizingPolicy, case: Fleet = CASE) -> np.ndarray:
    """What is reserved of CPU in each hour of the week."""
    owner, at_s = np.zeros(len(load), np.int64), MONDAY_S + 3600 * np.arange(len(load))
    nothing = Amounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    measured = {"cpu_milli": Amounts(owner, at_s, load), "memory_bytes": Amounts(owner, at_s, load)}
    demand = estimate(in_memory(dict.fromkeys(SOURCES, nothing) | measured, 1), case, policy, {})["w"]
    assert isinstance(demand, Demand)
    return demand.at_slots("cpu_milli", 168)


@settings(max_examples=60)
@given(loads(), POLICIES, st.integers(1, 500), st.floats(0.01, 1.0), st.sampled_from(list(Predictor)))
def test_more_is_never_less(load, policy, margin, quantile, predictor) -> None:
    asked = cpu(load, policy)
    assert (cpu(load, replace(policy, cpu_margin_permille=policy.cpu_margin_permille + margin)) >= asked).all()
    assert (cpu(load, replace(policy, cpu_quantile=max(quantile, policy.cpu_quantile))) >= asked).all()
    assert (cpu(load, replace(policy, predictors=(*policy.predictors, predictor))) >= asked).all()
    assert (cpu(load, replace(policy, counted_permille=())) >= asked).all()


@settings(max_examples=60)
@given(loads(), POLICIES)
def test_all_counting_alike_is_no_weight(load, policy) -> None:
    highest = replace(policy, predictors=(Predictor.QUANTILE,), cpu_quantile=1.0)
    assert (cpu(load, highest) == cpu(load, replace(highest, half_life_days=None))).all()


@settings(max_examples=60)
@given(loads(), POLICIES, st.integers(1, 3000), st.integers(0, 500))
def test_a_margin_ends_at_the_limit_and_what_was_measured_stays(load, policy, limit, margin) -> None:
    limited = fleet([host("h")], [workload("w", "h", limits=Resources({"cpu_milli": limit}))])
    measured = cpu(load, replace(policy, cpu_margin_permille=0), limited)
    asked = cpu(load, replace(policy, cpu_margin_permille=margin), limited)
    assert (asked >= measured).all()
    assert (asked <= np.maximum(measured, limit)).all()
    assert (asked <= np.ceil(measured * (1000 + margin) / 1000)).all()
    assert (cpu(load, replace(policy, cpu_margin_permille=margin + 1), limited) >= asked).all()
