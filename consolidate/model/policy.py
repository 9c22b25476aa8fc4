"""What the planner is asked for: every default stands here and nowhere else."""

from __future__ import annotations

import enum
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

    cpu_quantile: float = 0.95
    """Of the samples in a slot; CPU is compressible."""
    io_quantile: float = 0.95
    cpu_margin_permille: int = 100
    memory_margin_permille: int = 100
    """On top of the highest memory ever seen: memory is not compressible."""
    io_margin_permille: int = 100
    floor: Resources = field(default_factory=lambda: Resources({"cpu_milli": 10, "memory_bytes": 16 * 1024**2}))
    """Nothing is sized below this."""
    min_hours: float = 1.0
    """Below this much history a workload is sized by its limit, or unknown."""
    min_coverage: float = 0.5


@dataclass(frozen=True)
class Policy:
    """Sizing, objective and the prices that turn a plan into money."""

    sizing: SizingPolicy = field(default_factory=SizingPolicy)
    objective: Objective = Objective.HOSTS
    electricity_per_kwh: float = 0.25
    currency: str = "EUR"
    moves_per_host: int = 4
    """Moves that one host takes part in at a time."""
