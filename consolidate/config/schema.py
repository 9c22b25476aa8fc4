"""The fleet file's grammar: which keys there are, in which units, with which defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from consolidate.config.hours import parse_hours, parse_zone
from consolidate.errors import InputError
from consolidate.model.fleet import Hypervisor, Isolation
from consolidate.model.policy import SIZING_POLICIES, Objective, Policy, Predictor
from consolidate.model.resources import Resources
from consolidate.units import parse_bytes, parse_bytes_per_s, parse_cpu_milli, parse_duration_s, parse_permille


def _amount(parse: Callable[[str | int | float], int]) -> BeforeValidator:
    def read(text: object) -> int:
        try:
            return parse(text if isinstance(text, (str, int, float)) else repr(text))
        except InputError as error:
            raise ValueError(str(error)) from None

    return BeforeValidator(read)


def _words(parse: Callable[[str], object]) -> BeforeValidator:
    def read(text: object) -> object:
        try:
            return parse(str(text))
        except InputError as error:
            raise ValueError(str(error)) from None

    return BeforeValidator(read)


Cpu = Annotated[int, _amount(parse_cpu_milli)]
Bytes = Annotated[int, _amount(parse_bytes)]
Rate = Annotated[int, _amount(parse_bytes_per_s)]
Permille = Annotated[int, _amount(parse_permille)]
Seconds = Annotated[int, Field(gt=0), _amount(parse_duration_s)]
Operations = Annotated[int, Field(ge=0, le=1 << 50)]
Watts = Annotated[float, Field(ge=0, le=1e6)]
CpuRating = Annotated[float, Field(ge=0.01, le=100)]
Hours = Annotated[frozenset[int], _words(parse_hours)]
Zone = Annotated[str, _words(parse_zone)]
Patterns = Annotated[list[str], Field(min_length=1)]


class Section(BaseModel):
    """Base of all sections: an unknown key is an error, not a surprise."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AmountsSection(Section):
    """Amounts by dimension, each with its unit."""

    cpu: Cpu | None = None
    memory: Bytes | None = None
    disk_read: Rate | None = None
    disk_write: Rate | None = None
    disk_iops: int | None = Field(default=None, ge=0, le=1 << 50)
    net_rx: Rate | None = None
    net_tx: Rate | None = None

    def resources(self) -> Resources:
        """The amounts that are given, under the core's names."""
        given = {dimension: getattr(self, word) for word, dimension in DIMENSION_OF.items()}
        return Resources({dimension: amount for dimension, amount in given.items() if amount is not None})


DIMENSION_OF = {
    "cpu": "cpu_milli",
    "memory": "memory_bytes",
    "disk_read": "disk_read_bytes_per_s",
    "disk_write": "disk_write_bytes_per_s",
    "disk_iops": "disk_iops",
    "net_rx": "net_rx_bytes_per_s",
    "net_tx": "net_tx_bytes_per_s",
}


class HostModelSection(AmountsSection):
    """What hosts of one model have in common."""

    os: str | None = None
    hypervisor: Hypervisor | None = None
    cpu_rating: CpuRating | None = None
    vendor: str | None = None
    domain: str | None = None
    watts: list[Watts] | None = Field(default=None, min_length=1)
    cost_per_month: float | None = Field(default=None, ge=0, le=1e9)
    headroom: Permille | None = None
    powered: bool | None = None
    reserved: AmountsSection | None = None


class HostSection(HostModelSection):
    """One host, many alike, or a refinement of measured ones."""

    name: str = ""
    """Literal; ``{n}`` counts where ``count`` is given."""
    match: str = ""
    """Pattern over hosts that were measured, instead of a name."""
    model: str | None = None
    count: int = Field(default=1, ge=1)


class DemandSection(Section):
    """A stated demand: an amount, or a list of 24 or 168 hourly amounts, by dimension."""

    cpu: Cpu | list[Cpu] | None = None
    memory: Bytes | list[Bytes] | None = None
    disk_read: Rate | list[Rate] | None = None
    disk_write: Rate | list[Rate] | None = None
    disk_iops: Operations | list[Operations] | None = None
    net_rx: Rate | list[Rate] | None = None
    net_tx: Rate | list[Rate] | None = None


class WorkloadSection(Section):
    """One workload, or a refinement of measured ones."""

    name: str = ""
    match: str = ""
    """Pattern over workloads that were measured, instead of a name."""
    os: str | None = None
    host: str | None = None
    isolation: Isolation | None = None
    allowed: list[Isolation] | None = None
    group: str | None = None
    owner: str | None = None
    movable: bool | None = None
    powered: bool | None = None
    """What is off is not placed."""
    copy_size: Bytes | None = Field(default=None, alias="copy")
    limits: AmountsSection | None = None
    cgroup: str | None = None
    demand: DemandSection | None = None


class RuleSection(Section):
    """What every rule has."""

    name: str
    workloads: Patterns


class AffinitySection(RuleSection):
    """The workloads stay together on one host."""

    kind: Literal["affinity"]


class AntiAffinitySection(RuleSection):
    """At most so many of the workloads share a host."""

    kind: Literal["anti-affinity"]
    max_per_host: int = Field(default=1, ge=1)


class SpreadSection(RuleSection):
    """The workloads occupy at least so many failure domains."""

    kind: Literal["spread"]
    domains: int = Field(default=2, ge=1)


class LicenceSection(RuleSection):
    """The workloads run on at most so many hosts."""

    kind: Literal["licence"]
    max_hosts: int = Field(ge=1)


class PinSection(RuleSection):
    """The workloads run on these hosts only."""

    kind: Literal["pin"]
    hosts: Patterns


class BanSection(RuleSection):
    """The workloads never run on these hosts."""

    kind: Literal["ban"]
    hosts: Patterns


class FailureReserveSection(RuleSection):
    """Any one host may fail and the workloads still fit."""

    kind: Literal["failure-reserve"]
    workloads: Patterns = Field(default_factory=lambda: ["*"])


Rules = AffinitySection | AntiAffinitySection | SpreadSection | LicenceSection | PinSection | BanSection
RuleEntry = Annotated[Rules | FailureReserveSection, Field(discriminator="kind")]


class PolicySection(Section):
    """Objective, margins and prices."""

    objective: Objective = Objective.HOSTS
    headroom: Permille = 100
    across_clusters: bool = False
    """Whether workloads may leave the cluster that their manager moves them within."""
    sizing: Literal["conservative", "balanced", "aggressive"] = "balanced"
    """Sets everything from here to ``risk`` that is not given."""
    cpu_quantile: float | None = Field(default=None, gt=0, le=1)
    io_quantile: float | None = Field(default=None, gt=0, le=1)
    memory_quantile: float | None = Field(default=None, gt=0, le=1)
    cpu_margin: Permille | None = None
    memory_margin: Permille | None = None
    vcpus_per_core: float | None = Field(default=None, ge=1, le=100)
    io_margin: Permille | None = None
    peak_share: Permille | None = None
    predictors: Annotated[list[Predictor], Field(min_length=1)] | None = None
    sigmas: float | None = Field(default=None, ge=0, le=100)
    half_life: Seconds | None = None
    time_aligned: bool | None = None
    memory_time_aligned: bool | None = None
    found_periods: bool | None = None
    skip_quiet_days: bool | None = None
    time_zone: Zone | None = None
    busy_hours: Hours | None = None
    """The rest of the week counts as ``off_hours`` says."""
    off_hours: Permille = 0
    risk: float | None = Field(default=None, ge=0, lt=1)
    min_hours: float | None = Field(default=None, ge=0)
    min_coverage: float | None = Field(default=None, ge=0, le=1)
    electricity_per_kwh: float = Field(default=Policy.electricity_per_kwh, ge=0)
    currency: str = Policy.currency
    latency_critical: list[str] = Field(default_factory=list)
    """Workloads, as rules name them, that get a share of the CPU and no quota."""
    exclusive: list[str] = Field(default_factory=list)
    """Workloads that get whole cores of their own."""
    memory_high: list[str] = Field(default_factory=list)
    """Workloads that may be reclaimed before they reach their limit, where that is safe."""
    moves_per_host: int = Field(default=Policy.moves_per_host, ge=1)

    def policy(self) -> Policy:
        """As the core takes it."""
        given = {
            "cpu_quantile": self.cpu_quantile,
            "io_quantile": self.io_quantile,
            "memory_quantile": self.memory_quantile,
            "cpu_margin_permille": self.cpu_margin,
            "memory_margin_permille": self.memory_margin,
            "io_margin_permille": self.io_margin,
            "vcpus_per_core": self.vcpus_per_core,
            "peak_permille": self.peak_share,
            "predictors": None if self.predictors is None else tuple(dict.fromkeys(self.predictors)),
            "sigmas": self.sigmas,
            "half_life_days": None if self.half_life is None else self.half_life / 86400,
            "time_aligned": self.time_aligned,
            "memory_time_aligned": self.memory_time_aligned,
            "found_periods": self.found_periods,
            "skip_quiet_days": self.skip_quiet_days,
            "time_zone": self.time_zone,
            "counted_permille": self._counted(),
            "risk": self.risk,
            "min_hours": self.min_hours,
            "min_coverage": self.min_coverage,
        }
        own: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        sizing = replace(SIZING_POLICIES[self.sizing], **own)
        return Policy(sizing, self.objective, self.electricity_per_kwh, self.currency, self.moves_per_host)

    def _counted(self) -> tuple[int, ...] | None:
        """What counts of each hour of the week, in permille."""
        if self.busy_hours is None:
            return None
        return tuple(1000 if hour in self.busy_hours else self.off_hours for hour in range(168))


class OperatingSystemSection(Section):
    """An operating system of your own, or another view of a known one."""

    family: str
    guest_memory: Bytes
    containers: bool = False
    hardware: str | None = None
    max_vms_per_host: int | None = Field(default=None, ge=0)


class OverheadSection(Section):
    """What an isolation costs on top of a workload."""

    cpu: Permille = 0
    memory: Permille = 0
    memory_fixed: Bytes = 0
    io: Permille = 0


class FleetFile(Section):
    """The document as written."""

    models: dict[str, HostModelSection] = Field(default_factory=dict)
    hosts: list[HostSection] = Field(default_factory=list)
    workloads: list[WorkloadSection] = Field(default_factory=list)
    rules: list[RuleEntry] = Field(default_factory=list)
    policy: PolicySection = Field(default_factory=PolicySection)
    operating_systems: dict[str, OperatingSystemSection] = Field(default_factory=dict)
    overheads: dict[Isolation, OverheadSection] = Field(default_factory=dict)
    cpu_ratings: dict[str, CpuRating] = Field(default_factory=dict)
    """Ratings by pattern of CPU models, before those of the shipped table."""
