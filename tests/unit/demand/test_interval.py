"""The interval of a violation rate, on loads whose rate in the long run is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from consolidate.demand.replay import Replay

PER_DAY = 48
HOSTS, DAYS, TIMES = 7, 14, 200
THRESHOLD = 2.9
WAVE = np.sin(2 * np.pi * np.arange(PER_DAY) / PER_DAY)
RATE = float(np.mean([0.5 * math.erfc((THRESHOLD - wave) / math.sqrt(2)) for wave in WAVE]))
"""In the long run: a daily wave, and a deviation of one about it."""


def autoregressive(random: np.random.Generator, series: int, hours: float) -> np.ndarray:
    """Deviations of one whose correlation falls to 1/e in so many hours, shape (series, intervals)."""
    kept = math.exp(-24 / PER_DAY / hours)
    steps = random.standard_normal((DAYS * PER_DAY, series))
    steps[1:] *= math.sqrt(1 - kept * kept)
    for at in range(1, len(steps)):
        steps[at] += kept * steps[at - 1]
    return steps.T


def covered(common: float, hours: float) -> float:
    """Share of the intervals that hold the rate, where hosts have a share of their variance in common."""
    random, held = np.random.default_rng(3), 0
    for _ in range(TIMES):
        own, shared = autoregressive(random, HOSTS, hours), autoregressive(random, 1, hours)
        load = np.sqrt(1 - common) * own + np.sqrt(common) * shared + np.tile(WAVE, DAYS)
        share = (load / THRESHOLD)[:, None, :]
        low, high = Replay(tuple("abcdefg"), ("cpu_milli",), 0, 86400 // PER_DAY, share).interval(0)
        held += low <= RATE <= high
    return held / TIMES


@pytest.mark.parametrize(("common", "hours"), [(0.0, 1), (0.0, 6), (0.3, 1), (0.3, 6), (0.6, 1)])
def test_the_interval_holds_the_rate_of_the_long_run(common: float, hours: float) -> None:
    assert 0.9 <= covered(common, hours) <= 1.0
