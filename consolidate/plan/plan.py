"""The plan document: what travels from the planner to reports, appliers and people.

Versioned JSON in canonical order; its digest covers all the rest. Apply obeys nothing but this document.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property

from pydantic import TypeAdapter, ValidationError

from consolidate.errors import InputError, StalePlanError

VERSION = 1


@dataclass(frozen=True)
class Move:
    """One workload changes hosts (or is placed for the first time, where there is no source)."""

    wave: int
    """Moves of one wave may run at the same time; the next waits for them."""
    workload: str
    source: str | None
    target: str
    isolation: str
    copy_bytes: int
    parking: bool
    """The workload only waits here until its final host has room."""
    reason: str


@dataclass(frozen=True)
class Limits:
    """What a partition may take and is protected in. Absent means unlimited, unprotected or unrestricted."""

    cpu_milli: int | None = None
    """In cores of the host it is enforced on."""
    memory_bytes: int | None = None
    cpu_burst_milli: int | None = None
    """Quota that was not used and may be carried over (``cpu.max.burst``)."""
    memory_low_bytes: int | None = None
    """Kept from being reclaimed while others can give."""
    memory_high_bytes: int | None = None
    """Throttled and reclaimed above this."""
    swap_bytes: int | None = None
    disk_read_bytes_per_s: int | None = None
    disk_write_bytes_per_s: int | None = None
    io_weight: int | None = None
    """Share of the disks under contention, 1 to 10000."""
    pids: int | None = None
    cpus: str | None = None
    """CPUs it runs on, as the kernel lists them: ``0-3,8``."""
    memory_nodes: str | None = None
    """NUMA nodes its memory comes from, in the same form."""


@dataclass(frozen=True)
class Partition:
    """A workload's share of its host, to be enforced."""

    workload: str
    host: str
    isolation: str
    cgroup: str
    """Path below the hierarchy's root; empty where the workload has none yet."""
    before: Limits
    after: Limits
    cpu_weight: int
    """Share under contention, 1 to 10000; 100 stands for one core."""
    reason: str


@dataclass(frozen=True)
class HostState:
    """How full a host is, before or after."""

    on: bool
    workloads: int
    cpu_permille: tuple[int, ...]
    """Reserved share of the allocatable CPU by hour of the day, the busiest day counting."""
    memory_permille: tuple[int, ...]
    watts: float


@dataclass(frozen=True)
class HostPlan:
    """What becomes of a host, and why."""

    name: str
    os: str
    before: HostState
    after: HostState
    action: str
    """``keep``, ``free``, ``start``, ``standby`` or ``off`` (as it was)."""
    reason: str


@dataclass(frozen=True)
class Refusal:
    """Something left alone, with the reason."""

    subject: str
    reason: str


@dataclass(frozen=True)
class Totals:
    """Sums over the hosts that are on."""

    hosts: int
    watts: float
    cost_per_month: float
    """Hosts and their electricity."""
    cpu_permille: int
    """Average CPU use of the hosts that are on."""


@dataclass(frozen=True)
class Proof:
    """How far from the best possible the plan can be."""

    objective: str
    cost: int
    lower_bound: int
    kind: str
    because: str

    @property
    def gap(self) -> int:
        """Cost above the bound; 0 is proven optimal."""
        return self.cost - self.lower_bound


@dataclass(frozen=True)
class Plan:
    """The document."""

    version: int
    tool: str
    fleet_digest: str
    """Of the fleet and demand that were planned for."""
    seed: int
    as_of_s: int | None
    """Time of the newest measurement."""
    currency: str
    before: Totals
    after: Totals
    proof: Proof
    placed: dict[str, dict[str, int]]
    """Workloads by isolation and reason."""
    moves: tuple[Move, ...]
    partitions: tuple[Partition, ...]
    hosts: tuple[HostPlan, ...]
    refusals: tuple[Refusal, ...]
    basis: tuple[str, ...]
    """What the plan rests on: sizing, history, ratings, headroom, prices."""
    unmeasured: tuple[str, ...]
    """Dimensions that hosts limit and nobody measured: not checked."""

    @cached_property
    def _digest(self) -> str:
        """Taken once: many hosts ask for it, and a plan for a thousand of them takes a while to write down."""
        return digest(asdict(self))

    @property
    def waves(self) -> int:
        """Number of waves."""
        return max((move.wave for move in self.moves), default=0)

    @property
    def changes(self) -> bool:
        """Whether anything is to be moved, started, switched off or limited anew."""
        limited = any(partition.cgroup and partition.before != partition.after for partition in self.partitions)
        switched = any(host.before.on != host.after.on for host in self.hosts)
        return bool(self.moves) or limited or switched


def is_group_path(path: str) -> bool:
    """Whether a text is the plain path of a control group below its hierarchy's root."""
    return all(part not in ("", ".", "..") for part in path.split("/")) and "\0" not in path


_ADAPTER = TypeAdapter(Plan)


def canonical(document: object) -> bytes:
    """The one JSON text of a document that digests are taken of."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(document: object) -> str:
    """SHA-256 of the canonical text."""
    return "sha256:" + hashlib.sha256(canonical(document)).hexdigest()


def plan_digest(plan: Plan) -> str:
    """Digest that names a plan."""
    return plan._digest


def dump_plan(plan: Plan) -> str:
    """The plan as a text that is easy to compare line by line, with its digest."""
    document = asdict(plan) | {"digest": plan_digest(plan)}
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def parse_plan(text: str, name: str) -> Plan:
    """Read a plan and check that nobody changed it.

    Raises:
        InputError: where it is no plan.
        StalePlanError: where its digest does not match, or another version wrote it.

    """
    try:
        document = json.loads(text)
        claimed = document.pop("digest")
        version = document["version"]
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise InputError(f"{name}: not a plan; give a file that `consolidate plan --out` wrote") from None
    if version != VERSION:
        raise StalePlanError(f"{name}: a plan of version {version}, this tool reads {VERSION}; plan again")
    try:
        matches = claimed == digest(document)
    except UnicodeEncodeError:  # half a surrogate pair, which no text we write holds
        matches = False
    if not matches:
        raise StalePlanError(f"{name}: altered since it was written (its digest does not match); plan again")
    try:
        return _ADAPTER.validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise InputError(f"{name}: {place}: {first['msg']}; plan again") from None
