"""What a plan cannot know: what was not measured, what is off, and CPUs that nobody rated. Never filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from consolidate.model.dimensions import SOURCES
from consolidate.model.finding import Finding
from consolidate.model.fleet import Fleet
from consolidate.model.series import workload_name

Measured = Mapping[str, frozenset[str]]
"""By name in the fleet, which dimensions were measured; a host's own under its name and a colon."""


def missing(fleet: Fleet, measured: Measured) -> Iterator[Finding]:
    """Everything that is not there, of workloads and hosts."""
    for workload in fleet.workloads:
        if absent := _absent(measured.get(workload.name, frozenset())):
            yield Finding(workload.name, "", "missing", absent)
    for host in fleet.hosts:
        if absent := _absent(measured.get(workload_name(host.name, ""), frozenset())):
            yield Finding(host.name, "", "missing", f"{absent} of the host itself")
        if not host.on:
            yield Finding(host.name, "", "off", "is off today: nothing is measured of it, and it can be started")
        if not host.rated_by and host.cpu_rating == 1.0:
            model = host.cpu_model or "a CPU of which nobody told the model"
            yield Finding(host.name, "cpu_milli", "not rated", f"{model}: its rating is taken to be 1")


def _absent(measured: frozenset[str]) -> str:
    """Which dimensions are not there; empty where all are."""
    absent = [dimension for dimension in SOURCES if dimension not in measured]
    if len(absent) == len(SOURCES):
        return "nothing was measured"
    return f"not measured: {', '.join(absent)}" if absent else ""
