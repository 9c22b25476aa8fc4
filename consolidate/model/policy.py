"""What the planner is asked for: every default stands here and nowhere else."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from consolidate.model.resources import Resources


class Objective(enum.StrEnum):
    """What a plan makes as small as it can."""

    HOSTS = "hosts"
    COST = "cost"
    WATTS = "watts"


@dataclass(frozen=True)
class SizingPolicy:
    """How measurements become demand."""

    name: str = "balanced"
    cpu_quantile: float = 0.95
    """Of the samples in a slot; CPU is compressible."""
    io_quantile: float = 0.95
    memory_quantile: float = 1.0
    """Of all samples; memory is not compressible."""
    cpu_margin_permille: int = 100
    memory_margin_permille: int = 100
    io_margin_permille: int = 100
    time_aligned: bool = True
    """By hour; otherwise one amount for all hours, so that a plan adds up peaks."""
    risk: float = 0.01
    """Share of the intervals of the history in which a host may lack something; hosts above it are repaired."""
    floor: Resources = field(default_factory=lambda: Resources({"cpu_milli": 10, "memory_bytes": 16 * 1024**2}))
    """Nothing is sized below this."""
    min_hours: float = 1.0
    """Below this much history a workload is sized by its limit, or unknown."""
    min_coverage: float = 0.5


SIZING_POLICIES: Mapping[str, SizingPolicy] = {
    policy.name: policy
    for policy in (
        SizingPolicy(
            "conservative",
            cpu_quantile=1.0,
            io_quantile=1.0,
            cpu_margin_permille=150,
            memory_margin_permille=150,
            io_margin_permille=150,
            risk=0.001,
        ),
        SizingPolicy(),
        SizingPolicy(
            "aggressive",
            cpu_quantile=0.9,
            io_quantile=0.9,
            cpu_margin_permille=0,
            memory_margin_permille=50,
            io_margin_permille=0,
            risk=0.03,
        ),
    )
}
"""What a planner may ask for by name; every part of it can be overridden."""


@dataclass(frozen=True)
class Policy:
    """Sizing, objective and the prices that turn a plan into money."""

    sizing: SizingPolicy = field(default_factory=SizingPolicy)
    objective: Objective = Objective.HOSTS
    electricity_per_kwh: float = 0.25
    currency: str = "EUR"
    moves_per_host: int = 4
    """Moves that one host takes part in at a time."""
