"""Load shapes of real servers, as factors around 1 over three weeks in steps of fifteen minutes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

STEP_S = 900
DAYS = 21
MONDAY_S = 1_780_272_000
"""2026-06-01 00:00 UTC, a Monday."""
TIMES_S = MONDAY_S + STEP_S * np.arange(DAYS * 86400 // STEP_S, dtype=np.int64)

_HOUR = (TIMES_S % 86400) / 3600
_DAY = (TIMES_S // 86400 + 3) % 7
_WEEKDAY = _DAY < 5

Shape = NDArray[np.float64]
Random = np.random.Generator


def _noise(random: Random, spread: float) -> Shape:
    return random.lognormal(-spread * spread / 2, spread, len(TIMES_S))


def _daytime(random: Random) -> Shape:
    """Follows the sun, a little less at weekends."""
    peak = random.normal(14, 1.5)
    wave = 1 + 0.7 * np.cos((_HOUR - peak) / 24 * 2 * np.pi)
    return wave * np.where(_WEEKDAY, 1.0, 0.75) * _noise(random, 0.15)


def _office_hours(random: Random) -> Shape:
    """Monday to Friday, nine to five."""
    start = random.normal(8.5, 0.5)
    at_work = _WEEKDAY & (start < _HOUR) & (start + 9 > _HOUR)
    return np.where(at_work, 2.6, 0.15) * _noise(random, 0.2)


def _night_batch(random: Random) -> Shape:
    """Hard work for a few hours each night."""
    start, length = random.uniform(0, 4), random.uniform(1.5, 4)
    running = (_HOUR - start) % 24 < length
    return np.where(running, 12 / length, 0.2) * _noise(random, 0.1)


def _steady(random: Random) -> Shape:
    return _noise(random, 0.08)


def _bursts(random: Random) -> Shape:
    """Quiet, with heavy-tailed bursts at random times."""
    load = np.full(len(TIMES_S), 0.3)
    for start in random.integers(0, len(TIMES_S) - 40, 60):
        load[start : start + random.integers(2, 16)] += min(random.pareto(1.8) + 1, 5)
    return load * _noise(random, 0.1)


def _idle(random: Random) -> Shape:
    """A machine everybody forgot."""
    return 0.08 * _noise(random, 0.4)


def _month_end(random: Random) -> Shape:
    """Little, until reporting days."""
    busy = np.isin(TIMES_S // 86400 - MONDAY_S // 86400, (0, 1, 14, 15)) & (_HOUR > 6) & (_HOUR < 22)
    return np.where(busy, 4.0, 0.4) * _noise(random, 0.15)


def _database(random: Random) -> Shape:
    """The daytime's rhythm on a steady floor, and a nightly backup."""
    backup = np.where((_HOUR > 2) & (_HOUR < 3), 0.8, 0.0)
    return 0.5 + 0.5 * _daytime(random) + backup


def _cache(random: Random) -> Shape:
    return 0.3 + 0.2 * _daytime(random)


SHAPES: Mapping[str, Callable[[Random], Shape]] = {
    "daytime": _daytime,
    "office-hours": _office_hours,
    "night-batch": _night_batch,
    "steady": _steady,
    "bursts": _bursts,
    "idle": _idle,
    "month-end": _month_end,
    "database": _database,
    "cache": _cache,
}


def memory(random: Random, shape: str, size_bytes: float) -> Shape:
    """Memory does not follow CPU: databases fill up and stay full, builds come and go, others leak a little."""
    if shape in ("database", "cache"):
        level = np.minimum(1.0, 0.7 + np.arange(len(TIMES_S)) / len(TIMES_S))
    elif shape in ("bursts", "night-batch"):
        level = 0.5 + 0.5 * (SHAPES[shape](random) > 1)
    else:
        level = 0.9 + 0.1 * (np.arange(len(TIMES_S)) % 672) / 672
    return np.round(level * size_bytes * _noise(random, 0.02))
