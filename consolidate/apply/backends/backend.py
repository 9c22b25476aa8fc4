"""What every backend can do. The halves that decide are pure; only `observe`, `read` and `execute` touch the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from consolidate.apply.machine import Machine
from consolidate.plan.plan import Partition


@dataclass(frozen=True)
class Observation:
    """A workload as a backend finds it on a host."""

    subject: str
    """What is written to: a control group's path, a unit, a container's or a domain's id."""
    life: str
    """Changes when the subject is created anew; what was written before then is gone with it."""
    values: Mapping[str, str]
    """What each key holds now, in the backend's words; a key that this host does not offer is absent."""
    in_use_bytes: int | None = None
    """Memory that cannot be dropped at once."""
    pids: int | None = None
    """Processes and threads now."""
    places: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Subject and life by key, where keys have different ones: cgroup v1 has a tree for each controller."""
    note: str = ""
    """A sentence for whoever applies, such as that another program will make the subject anew without these limits."""


@dataclass(frozen=True)
class Change:
    """One key of one workload: what it holds, and what it is to hold."""

    workload: str
    backend: str
    subject: str
    life: str
    key: str
    """In the backend's words: ``memory.max``, ``CPUQuotaPerSecUSec``, ``NanoCpus``, ``vcpu_quota``."""
    meaning: str
    """In the planner's words: memory limit, CPU limit, CPU share, …"""
    now: str
    wanted: str

    @property
    def where(self) -> str:
        """What is written to, for people: a file, or a key of a unit, container or machine."""
        return f"/{self.subject}/{self.key}" if "/" in self.subject else f"{self.subject} {self.key}"

    @property
    def needed(self) -> bool:
        """Whether there is anything to write."""
        return self.now != self.wanted


class Backend(Protocol):
    """One way of enforcing partitions."""

    name: str

    def supports(self, machine: Machine, partition: Partition) -> bool:
        """Whether this backend, and no other, may write this workload's limits on this machine (one writer each)."""
        ...

    def observe(self, machine: Machine, partition: Partition) -> Observation | None:
        """The workload now; None where it is not on this machine (yet)."""
        ...

    def writes(self, partition: Partition, observed: Observation) -> Sequence[Change]:
        """Every key that the partition sets and the host offers, in an order in which no bound is broken. Pure."""
        ...

    def limit(self, key: str, text: str, observed: Observation) -> tuple[str, int | str | None] | None:
        """(dimension, amount in the plan's unit, None for unlimited) that a key's text stands for; None if no limit.

        The dimension is the name of the field in Limits: ``cpu_milli``, ``memory_bytes``, ``cpus``, …
        """
        ...

    def execute(self, machine: Machine, change: Change, value: str) -> None:
        """Set one key to a value: what is wanted, or on the way back what was there."""
        ...

    def read(self, machine: Machine, change: Change) -> str | None:
        """What the key holds now; None where the subject is gone or another life of it."""
        ...
