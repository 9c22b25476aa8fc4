"""Every placement of a small fleet, judged by the oracle: slow, and beyond doubt."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from consolidate.model.demand import Demands, Unknown
from consolidate.model.fleet import Fleet
from consolidate.model.isolation import choose_isolation
from consolidate.model.placement import Assignment, Placement
from consolidate.model.rules import FailureReserve
from consolidate.solve import evaluate


def placements(fleet: Fleet, demands: Demands) -> Iterator[Placement]:
    """Every way to run the workloads on hosts that can run them; what is of unknown demand stays."""
    choices = []
    for workload in fleet.workloads:
        unknown = isinstance(demands[workload.name], Unknown)
        if unknown and workload.host is None:
            continue
        able = []
        for host in fleet.hosts:
            isolation = choose_isolation(fleet, workload, host)
            if isolation is not None and (not unknown or host.name == workload.host):
                able.append((workload.name, Assignment(host.name, isolation)))
        choices.append(able)
    for chosen in itertools.product(*choices):
        yield Placement(dict(chosen))


def is_possible(fleet: Fleet, demands: Demands) -> bool:
    """Whether any placement keeps every rule, with any empty hosts on that a failure reserve may want."""
    spare = [host.name for host in fleet.hosts] if any(isinstance(r, FailureReserve) for r in fleet.rules) else []
    standby = [frozenset(some) for size in range(len(spare) + 1) for some in itertools.combinations(spare, size)]
    return any(
        evaluate(fleet, demands, Placement(placement.assignments, some)).feasible
        for placement in placements(fleet, demands)
        for some in standby
    )
