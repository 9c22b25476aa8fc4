"""The order of moves: no host is overfull at any moment on the way.

A wave's moves may run at once, so a target is charged from the wave's beginning and a source until its end.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.model.demand import Unknown
from consolidate.model.fleet import Isolation, Workload
from consolidate.model.isolation import choose_isolation
from consolidate.model.placement import Placement, current_placement
from consolidate.model.rules import AntiAffinity, Ban, Pin
from consolidate.solve.loads import Needs


@dataclass(frozen=True)
class Step:
    """One move of a wave."""

    wave: int
    workload: str
    source: str | None
    target: str
    isolation: Isolation
    parking: bool = False


@dataclass(frozen=True)
class Schedule:
    """The steps in order, and the workloads for which no order was found."""

    steps: tuple[Step, ...]
    stuck: tuple[str, ...]


class _Yard:
    """Where everything is while the moves go on."""

    def __init__(self, needs: Needs, placement: Placement) -> None:
        fleet = needs.fleet
        self.needs, self.fleet = needs, fleet
        self.placement = placement
        self.at = {workload.name: workload.host for workload in fleet.workloads}
        self.isolation = {workload.name: workload.isolation for workload in fleet.workloads}
        self.free = needs.free(current_placement(fleet))
        self.index = {host.name: index for index, host in enumerate(fleet.hosts)}
        self.apart = [rule for rule in fleet.rules if isinstance(rule, AntiAffinity)]
        self.places = [rule for rule in fleet.rules if isinstance(rule, Pin | Ban)]
        self.leaving: list[tuple[str, Workload, Isolation]] = []
        self.busy: Counter[str] = Counter()
        self.closed = {w.host for w in fleet.workloads if isinstance(needs.demands[w.name], Unknown)}

    def begin_wave(self) -> None:
        """Sources of the last wave have let go."""
        for source, workload, isolation in self.leaving:
            self.free[self.index[source]] += self._need(workload, isolation)
        self.leaving.clear()
        self.busy.clear()

    def start(self, workload: Workload, target: str, limit: int) -> Isolation | None:
        """Start a move if it is safe now; both ends stay charged until the wave ends."""
        source = self.at[workload.name]
        isolation = choose_isolation(self.fleet, workload, self.fleet.hosts[self.index[target]])
        hosts = [target] if source is None else [source, target]
        if isolation is None or target in self.closed or any(self.busy[host] >= limit for host in hosts):
            return None
        need = self._need(workload, isolation)
        if not (need <= self.free[self.index[target]]).all() or not self._may_enter(workload, target):
            return None
        self.free[self.index[target]] -= need
        if source is not None:
            self.leaving.append((source, workload, self.isolation[workload.name]))
        self.busy.update(hosts)
        self.at[workload.name], self.isolation[workload.name] = target, isolation
        return isolation

    def _need(self, workload: Workload, isolation: Isolation) -> NDArray[np.int64]:
        need = self.needs.of(workload, isolation)
        assert need is not None  # the unknown are never moved
        return need

    def _may_enter(self, workload: Workload, host: str) -> bool:
        """Pins and bans hold, and anti-affinity with everybody on the host, on the way to it, or not yet gone."""
        for place in self.places:
            if workload.name in place.workloads and (host in place.hosts) is isinstance(place, Ban):
                return False
        going = {gone.name: source for source, gone, _ in self.leaving}
        for rule in self.apart:
            if workload.name in rule.workloads:
                others = [name for name in rule.workloads if name != workload.name]
                beside = sum(host in (self.at[name], going.get(name)) for name in others)
                if beside + 1 > rule.max_per_host:
                    return False
        return True


def schedule_moves(needs: Needs, placement: Placement, moves_per_host: int) -> Schedule:
    """Order the moves from the current placement to another in waves.

    Greedy: every move that is safe now goes in this wave, those that empty a host first. Where none is safe, one
    workload is parked on a host that has room for it. Finding an order is NP-hard in general, so a deadlock that
    parking does not break is reported rather than searched for ever.
    """
    yard = _Yard(needs, placement)
    pending = [
        workload
        for workload in needs.fleet.workloads
        if workload.name in placement.assignments and placement.assignments[workload.name].host != workload.host
    ]
    # Hosts that are to be switched off go first: what leaves them is worth most.
    pending.sort(key=lambda workload: (workload.host in placement.powered, workload.host or "", workload.name))
    parked: set[str] = set()
    steps: list[Step] = []
    for wave in itertools.count(1):
        if not pending:
            return Schedule(tuple(steps), ())
        yard.begin_wave()
        started = _start_safe(yard, pending, wave, moves_per_host) or _park(yard, pending, wave, parked)
        if not started:
            return Schedule(tuple(steps), tuple(workload.name for workload in pending))
        steps += started
        arrived = {step.workload for step in started if not step.parking}
        pending = [workload for workload in pending if workload.name not in arrived]
    raise AssertionError("the count never ends")


def _start_safe(yard: _Yard, pending: list[Workload], wave: int, limit: int) -> list[Step]:
    started = []
    for workload in pending:
        source, target = yard.at[workload.name], yard.placement.assignments[workload.name].host
        isolation = yard.start(workload, target, limit)
        if isolation is not None:
            started.append(Step(wave, workload.name, source, target, isolation))
    return started


def _park(yard: _Yard, pending: list[Workload], wave: int, parked: set[str]) -> list[Step]:
    """Move one blocked workload out of the others' way; each is parked once at most, so this ends."""
    for workload in sorted(pending, key=lambda one: one.copy_bytes):
        source = yard.at[workload.name]
        if source is None or workload.name in parked:
            continue
        for host in yard.fleet.hosts:
            if host.name != source and (isolation := yard.start(workload, host.name, 1)) is not None:
                parked.add(workload.name)
                return [Step(wave, workload.name, source, host.name, isolation, parking=True)]
    return []
