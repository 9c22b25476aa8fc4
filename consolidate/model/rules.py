"""The rules a plan must keep. One kind, one class, one sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Affinity:
    """The workloads stay together on one host."""

    name: str
    workloads: tuple[str, ...]


@dataclass(frozen=True)
class AntiAffinity:
    """At most ``max_per_host`` of the workloads share a host."""

    name: str
    workloads: tuple[str, ...]
    max_per_host: int = 1


@dataclass(frozen=True)
class Spread:
    """The workloads occupy at least ``domains`` failure domains."""

    name: str
    workloads: tuple[str, ...]
    domains: int = 2


@dataclass(frozen=True)
class Licence:
    """The workloads run on at most ``max_hosts`` hosts, which are licensed for them."""

    name: str
    workloads: tuple[str, ...]
    max_hosts: int


@dataclass(frozen=True)
class Pin:
    """The workloads run on these hosts only."""

    name: str
    workloads: tuple[str, ...]
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Ban:
    """The workloads never run on these hosts."""

    name: str
    workloads: tuple[str, ...]
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class FailureReserve:
    """Any one host may fail: those of the workloads that ran on it then fit on the hosts still powered on."""

    name: str
    workloads: tuple[str, ...]


Rule = Affinity | AntiAffinity | Spread | Licence | Pin | Ban | FailureReserve
GroupRule = AntiAffinity | Spread | Licence
"""Rules that count the members of a group per host or per failure domain."""
