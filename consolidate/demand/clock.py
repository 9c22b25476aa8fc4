"""What people's clocks showed, for hours of the week that keep office hours through daylight saving."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from consolidate.model.policy import SizingPolicy
from consolidate.units import slot_of_week

_STEP_S = 900
"""Zones differ from UTC, and change to daylight saving, at whole quarters of an hour."""


def local_times(at_s: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """Unix times, each with its zone's offset then, so that hours and days are those that clocks showed."""
    if zone == "UTC" or not len(at_s):
        return at_s
    steps = at_s // _STEP_S
    first = int(steps.min())
    offsets = np.array([_offset_s(step * _STEP_S, zone) for step in range(first, int(steps.max()) + 1)], np.int64)
    return np.asarray(at_s + offsets[steps - first], dtype=np.int64)


def counted(at_s: NDArray[np.int64], policy: SizingPolicy) -> NDArray[np.float64]:
    """Share of the load at each time that counts, 0 to 1, shape (times,): less off-hours, where the policy says so."""
    if not policy.counted_permille:
        return np.ones(len(at_s))
    shares = np.array(policy.counted_permille) / 1000
    return np.asarray(shares[slot_of_week(local_times(at_s, policy.time_zone))], dtype=np.float64)


@functools.cache
def _offset_s(at_s: int, zone: str) -> int:
    offset = datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None  # a time with a zone has one
    return int(offset.total_seconds())
