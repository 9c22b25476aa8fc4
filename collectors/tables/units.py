"""Units that tables come in, and the factors to ours.

A share of CPU says nothing without what it is a share of, so a bare percentage is not a unit of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from collectors.records import METRICS


@dataclass(frozen=True)
class Unit:
    """A factor to our unit; and what a value is multiplied with or divided by, where that differs by row."""

    factor: float
    times: str = ""
    """Key of the mapping that says of how much this is a share."""
    over: str = ""
    """Key of the mapping that says how much makes one."""


_PREFIXES = {"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_AMOUNTS = {f"{prefix}B": Unit(factor) for prefix, factor in (_PREFIXES | _BINARY).items()}
BYTES: Mapping[str, Unit] = {**_AMOUNTS, "bytes": Unit(1), "percent-of-memory": Unit(0.01, times="memory")}
RATES: Mapping[str, Unit] = {
    **{f"{name}/s": unit for name, unit in _AMOUNTS.items()},
    **{f"{prefix}bit/s": Unit(factor / 8) for prefix, factor in (_PREFIXES | _BINARY).items()},
}
CPU: Mapping[str, Unit] = {
    "cores": Unit(1),
    "millicores": Unit(1e-3),
    "percent-of-one-core": Unit(1e-2),
    "percent-of-cores": Unit(1e-2, times="cores"),
    "ratio-of-cores": Unit(1, times="cores"),
    "MHz": Unit(1, over="mhz_per_core"),
    "GHz": Unit(1e3, over="mhz_per_core"),
}
SECONDS: Mapping[str, Unit] = {"s": Unit(1), "ms": Unit(1e-3), "us": Unit(1e-6), "ns": Unit(1e-9)}
SHARES: Mapping[str, Unit] = {"ratio": Unit(1), "percent": Unit(1e-2)}
COUNTS: Mapping[str, Unit] = {"1": Unit(1), "1/s": Unit(1), "1000": Unit(1e3)}
SIZES: Mapping[str, Mapping[str, Unit]] = {
    "cpu_milli": {"cores": Unit(1e3), "millicores": Unit(1), "MHz": Unit(1e3, over="mhz_per_core")},
    "memory_bytes": BYTES,
}
"""What may be said of a host's or workload's size."""


def units_of(metric: str) -> Mapping[str, Unit]:
    """Units that a metric of ours, which names its own, can be given in.

    Raises:
        KeyError: where there is no such metric.

    """
    METRICS[metric]
    if metric.startswith("cpu_cores"):
        return CPU
    for ending, units in (
        ("_bytes_per_s", RATES),
        ("_bytes", BYTES),
        ("_bytes_total", _AMOUNTS),
        ("seconds_total", SECONDS),
        ("_ratio", SHARES),
    ):
        if metric.endswith(ending):
            return units
    return COUNTS
