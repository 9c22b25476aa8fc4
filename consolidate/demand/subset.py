"""A fleet without some of its workloads, and the rules for those that are left."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from consolidate.model.fleet import Fleet
from consolidate.model.rules import rules_without


def fleet_without(fleet: Fleet, names: Container[str]) -> Fleet:
    """The fleet as it would be without some workloads."""
    workloads = tuple(workload for workload in fleet.workloads if workload.name not in names)
    return replace(fleet, workloads=workloads, rules=tuple(rules_without(fleet.rules, names)))
