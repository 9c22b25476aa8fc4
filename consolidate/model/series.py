"""Samples of one metric as columns: how measurements travel from the store to demand."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, order=True)
class SeriesKey:
    """What one series of a metric belongs to."""

    host: str
    workload: str
    """Empty where the host itself is meant."""
    incarnation: str
    measured_on: str = ""
    """Host that it ran on then, where it has moved since."""

    @property
    def name(self) -> str:
        """The workload's name in the fleet."""
        return workload_name(self.host, self.workload)


def workload_name(host: str, workload: str) -> str:
    """Name of a measured workload in the fleet; its host's name tells groups of the same path apart."""
    return f"{host}:{workload}" if host else workload


@dataclass(frozen=True, eq=False)
class Columns:
    """All samples of one metric, ordered by series and time."""

    keys: tuple[SeriesKey, ...]
    series: NDArray[np.int64]
    """Index into ``keys``, shape (samples,)."""
    at_s: NDArray[np.int64]
    value: NDArray[np.float64]

    @classmethod
    def empty(cls, metric: str = "", workloads: Container[str] | None = None) -> Columns:
        """No samples, of whatever metric."""
        return cls((), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
