"""What happens when a host fails: which workloads would find no place on the hosts that are still on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from consolidate.model.fleet import Fleet, Isolation, Workload
from consolidate.model.isolation import choose_isolation
from consolidate.model.placement import Placement
from consolidate.model.rules import FailureReserve
from consolidate.solve.loads import Needs


def unrecovered(rule: FailureReserve, needs: Needs, placement: Placement) -> Iterator[tuple[str, str]]:
    """Lose each host in turn and yield (workload, lost host) where no room is found.

    The rule's workloads are restarted largest first, each where it leaves the most room; so silence proves that
    every loss is survived. In an emergency the other rules are suspended, except what a kernel, a licence on
    hardware or the capacity makes impossible. Nothing restarts beside what is of unknown demand. What could run on no
    other host of the fleet at all is left out.
    """
    fleet, powered = needs.fleet, placement.powered
    free = needs.free(placement)
    limits = np.maximum(needs.limits, 1).astype(np.float64)
    names = np.array([host.name for host in fleet.hosts])
    on = np.isin(names, list(powered)) & ~needs.closed
    offers: dict[tuple[object, ...], Mapping[Isolation, NDArray[np.bool_]]] = {}
    for lost, workloads in sorted(_by_host(rule, needs, placement).items()):
        others = names != lost
        left = free.copy()
        for workload in workloads:
            # It restarts as what it is by then: a virtual machine is no container any more.
            running = replace(workload, host=None, isolation=placement.assignments[workload.name].isolation)
            alike = (running.os, running.isolation, running.allowed)
            if alike not in offers:
                offers[alike] = _offers(fleet, running)
            if not any((able & others).any() for able in offers[alike].values()):
                continue
            target = _roomiest(left, limits, on & others, offers[alike], workload, needs)
            if target is None:
                yield workload.name, lost
            else:
                left[target[0]] -= target[1]


def _offers(fleet: Fleet, workload: Workload) -> dict[Isolation, NDArray[np.bool_]]:
    """For each isolation the hosts that take in a stranger so, shape (H,)."""
    kinds = [choose_isolation(fleet, workload, host) for host in fleet.hosts]
    return {
        kind: np.array([one is kind for one in kinds]) for kind in sorted({one for one in kinds if one is not None})
    }


def _by_host(rule: FailureReserve, needs: Needs, placement: Placement) -> dict[str, list[Workload]]:
    """The rule's workloads of known demand by host, those with the largest memory first."""
    members = frozenset(rule.workloads)
    found: dict[str, list[tuple[int, str, Workload]]] = {}
    for workload in needs.fleet.workloads:
        assignment = placement.assignments.get(workload.name)
        if workload.name in members and assignment is not None:
            need = needs.of(workload, assignment.isolation)
            if need is not None:
                peaks = dict(zip(needs.dimensions, need.max(axis=1).tolist(), strict=True))
                largest_first = -int(peaks.get("memory_bytes", 0))
                found.setdefault(assignment.host, []).append((largest_first, workload.name, workload))
    return {host: [workload for _, _, workload in sorted(one, key=lambda w: w[:2])] for host, one in found.items()}


def _roomiest(
    left: NDArray[np.int64],
    limits: NDArray[np.float64],
    alive: NDArray[np.bool_],
    offered: Mapping[Isolation, NDArray[np.bool_]],
    workload: Workload,
    needs: Needs,
) -> tuple[int, NDArray[np.int64]] | None:
    """Host whose scarcest dimension would keep the largest share free, and what is taken there; None if none."""
    best, best_share = None, -1.0
    for kind, takes in offered.items():
        able = np.flatnonzero(alive & takes)
        need = needs.of(workload, kind)
        if need is None or not len(able):
            continue
        share = ((left[able] - need).min(axis=2) / limits[able]).min(axis=1, initial=1.0)
        if share.max() >= 0 and share.max() > best_share:
            best, best_share = (int(able[share.argmax()]), need), float(share.max())
    return best
