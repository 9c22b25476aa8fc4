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


class Predictor(enum.StrEnum):
    """How CPU, disk and network of a slot are told from its samples; the ways are in ``demand/predictors.py``."""

    QUANTILE = "quantile"
    """The policy's quantile of the slot's samples."""
    SIGMA = "n-sigma"
    """Mean of the slot's samples and so many standard deviations."""
    LIMIT_QUANTILE = "rc-like"
    """The policy's quantile of all samples, whatever their hour, but at most the workload's limit."""
    BODY_AND_TAIL = "body-and-tail"
    """The highest ever in hours in which the load was ever above its body, the body in all others."""


@dataclass(frozen=True)
class SizingPolicy:
    """How measurements become demand."""

    name: str = "balanced"
    cpu_quantile: float = 0.95
    """Of the samples in a slot; CPU is compressible."""
    io_quantile: float = 0.95
    memory_quantile: float = 1.0
    """Of all samples; memory is not compressible."""
    peak_permille: int = 500
    """Of what a peak within an interval is above the mean of that interval, so much is added to it, where a source has
    such peaks. Workloads on a host do not all peak in the same seconds, so a plan that adds up whole peaks is safe."""
    predictors: tuple[Predictor, ...] = (Predictor.QUANTILE,)
    """For all but memory; of several the one that asks for most."""
    sigmas: float = 3.0
    """Standard deviations above the mean, where ``n-sigma`` is asked."""
    half_life_days: float | None = None
    """Age at which a sample counts half; without it all count alike. The highest is the highest at any age."""
    cpu_margin_permille: int = 100
    memory_margin_permille: int = 100
    io_margin_permille: int = 100
    vcpus_per_core: float = 4.0
    """Virtual CPUs that share a core, where a virtual machine is sized by its configuration alone; four are typical of
    servers (VMware vSphere 6.7 Data Center Design Cookbook, "Determining the vCPU-to-core ratio")."""
    time_aligned: bool = True
    """By hour; otherwise one amount for all hours, so that a plan adds up peaks."""
    memory_time_aligned: bool = False
    """Memory by hour too: what a workload gives back in some hours, others take. Only where it is given back."""
    found_periods: bool = False
    """Slots only where the load was found to repeat by week or day, not wherever the history is long enough."""
    skip_quiet_days: bool = False
    """Leave out days that were far quieter than others of their weekday, such as holidays."""
    time_zone: str = "UTC"
    """Whose hours the slots are; its daylight saving is kept."""
    counted_permille: tuple[int, ...] = ()
    """What counts of all but memory in each hour of the week (0 = Monday 00:00, local); empty counts everything."""
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
            peak_permille=1000,
            vcpus_per_core=1.0,
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
            peak_permille=0,
            risk=0.03,
        ),
    )
}
"""What a planner may ask for by name; every part of it can be overridden."""


@dataclass(frozen=True)
class PartitionPolicy:
    """Whose limits are chosen otherwise than the rest's; workloads by name."""

    latency_critical: frozenset[str] = frozenset()
    """A share of the CPU and no quota, no swap: what must answer at once is never stopped by a clock."""
    exclusive: frozenset[str] = frozenset()
    """Whole cores of their own."""
    memory_high: frozenset[str] = frozenset()
    """Reclaimed before they reach their limit, where that is safe."""


@dataclass(frozen=True)
class Policy:
    """Sizing, objective and the prices that turn a plan into money."""

    sizing: SizingPolicy = field(default_factory=SizingPolicy)
    objective: Objective = Objective.HOSTS
    electricity_per_kwh: float = 0.25
    currency: str = "EUR"
    moves_per_host: int = 4
    """Moves that one host takes part in at a time."""
    partition: PartitionPolicy = PartitionPolicy()
