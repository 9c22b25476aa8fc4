"""What whoever reads a plan should know of its inputs: what is left out of it, kept together, or not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from consolidate.model.fleet import OPERATING_SYSTEMS, Workload
from consolidate.model.rules import Pin
from consolidate.units import count, format_bytes

SHOWN = 3
"""Of names that a sentence is about, so many are written out."""


def listed(names: Iterable[str]) -> str:
    """A few names, and how many more there are."""
    found = sorted(names)
    more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more


def of_powered_off(workloads: Sequence[Workload]) -> Iterator[str]:
    """Workloads that are off take no room, and would if somebody started them."""
    if workloads:
        cores = sum(one.limits.get("cpu_milli") for one in workloads) / 1000
        memory = sum(one.limits.get("memory_bytes") for one in workloads)
        verb = "is" if len(workloads) == 1 else "are"
        yield (
            f"{count(len(workloads), 'workload')} {verb} powered off and {verb} not placed "
            f"({listed(one.name for one in workloads)}): room is needed only once they are started, and then up to "
            f"{cores:g} cores and {format_bytes(memory)}; 'powered: true' in the fleet file plans for them."
        )


def of_maintenance(hosts: Sequence[str]) -> Iterator[str]:
    """Hosts that take no workloads."""
    if hosts:
        verb = "is" if len(hosts) == 1 else "are"
        yield (
            f"{count(len(hosts), 'host')} in maintenance {verb} left out ({listed(hosts)}); "
            "'powered: true' in the fleet file plans with them."
        )


def of_clusters(pins: Sequence[Pin]) -> Iterator[str]:
    """Workloads that stay where their manager moves them."""
    if pins:
        names = listed(pin.name.removeprefix("cluster ") for pin in pins)
        yield f"Workloads stay in their clusters ({names}), unless the fleet file says 'across_clusters: true'."


def of_systems(workloads: Mapping[str, Workload], stated: Iterable[str]) -> Iterator[str]:
    """Systems that nobody described."""
    known = {*OPERATING_SYSTEMS, *stated, "unknown"}
    names = {workload.os for workload in workloads.values()} - known
    if names:
        yield (
            f"Operating systems that are not known, each kept apart from all others: {listed(names)}; "
            "describe them under 'operating_systems' in the fleet file."
        )
