"""The rules a plan must keep. One kind, one class, one sentence."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace


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


def rules_without(rules: Iterable[Rule], names: Container[str]) -> Iterator[Rule]:
    """The rules for what is left when some workloads are not there; those that are left without any are gone."""
    for rule in rules:
        left = tuple(name for name in rule.workloads if name not in names)
        if left and isinstance(rule, Spread):
            yield replace(rule, workloads=left, domains=min(rule.domains, len(left)))
        elif left:
            yield replace(rule, workloads=left)
