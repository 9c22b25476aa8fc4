"""A fleet without some of its workloads, and the rules for those that are left."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace

from consolidate.model.fleet import Fleet
from consolidate.model.rules import Rule, Spread


def fleet_without(fleet: Fleet, names: Container[str]) -> Fleet:
    """The fleet as it would be without some workloads."""
    workloads = tuple(workload for workload in fleet.workloads if workload.name not in names)
    return replace(fleet, workloads=workloads, rules=tuple(_rules_without(fleet.rules, names)))


def _rules_without(rules: Sequence[Rule], names: Container[str]) -> Iterator[Rule]:
    for rule in rules:
        left = tuple(name for name in rule.workloads if name not in names)
        if left and isinstance(rule, Spread):
            yield replace(rule, workloads=left, domains=min(rule.domains, len(left)))
        elif left:
            yield replace(rule, workloads=left)
