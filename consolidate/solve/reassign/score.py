"""The plain scorer of a reassignment: which rules a placement breaks and what it costs. Obvious on purpose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.reassign.problem import Reassignment


@dataclass(frozen=True)
class Score:
    """What a placement breaks, and each part of its cost."""

    violations: tuple[str, ...]
    parts: dict[str, int]

    @property
    def cost(self) -> int:
        """Sum of the parts."""
        return sum(self.parts.values())


def score(problem: Reassignment, host_of: NDArray[np.int64]) -> Score:
    """Score a placement (I,) of hosts from its definition, without any of the sums that the search keeps."""
    return Score(
        (*_capacity(problem, host_of), *_groups(problem, host_of)),
        {**_host_costs(problem, host_of), **_move_costs(problem, host_of)},
    )


def _rows(problem: Reassignment, hosts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Demand (I, D) of every item on the host named for it."""
    variant = problem.variant[np.arange(problem.items), problem.kind[hosts]]
    return problem.demand[variant]


def _load(problem: Reassignment, host_of: NDArray[np.int64]) -> NDArray[np.int64]:
    load = np.zeros_like(problem.capacity)
    np.add.at(load, host_of, _rows(problem, host_of))
    return load


def _capacity(problem: Reassignment, host_of: NDArray[np.int64]) -> Iterator[str]:
    barred = problem.variant[np.arange(problem.items), problem.kind[host_of]] < 0
    yield from (f"item {item} cannot run on host {host_of[item]}" for item in np.flatnonzero(barred))
    load = _load(problem, host_of)
    for host, cell in zip(*np.nonzero(load > problem.capacity), strict=True):
        yield f"host {host} is over its capacity in cell {cell} by {load[host, cell] - problem.capacity[host, cell]}"
    home = problem.home[:-1]
    left = np.flatnonzero((home >= 0) & (home != host_of))
    at_home = problem.demand[problem.variant[left, problem.kind[home[left]]]]
    np.add.at(load, home[left], at_home)
    over = (load > problem.capacity) & problem.transient
    for host, cell in zip(*np.nonzero(over), strict=True):
        yield f"host {host} is over its capacity in cell {cell} while items move"


def _groups(problem: Reassignment, host_of: NDArray[np.int64]) -> Iterator[str]:
    members: list[list[int]] = [[] for _ in problem.host_limit]
    for item in range(problem.items):
        for group in problem.groups.value[problem.groups.start[item] : problem.groups.start[item + 1]]:
            members[group].append(int(host_of[item]))
    on = [Counter(hosts) for hosts in members]
    found = [{int(problem.neighbourhood[host]) for host in hosts} for hosts in members]
    for group, hosts in enumerate(on):
        yield from _together(problem, group, on)
        if len({int(problem.location[host]) for host in hosts}) < problem.least_locations[group]:
            yield f"group {group} is in too few locations"
        for other in _of(problem.needs, group):
            if missing := found[group] - found[other]:
                yield f"group {group} misses group {other} in neighbourhood {min(missing)}"


def _together(problem: Reassignment, group: int, on: list[Counter[int]]) -> Iterator[str]:
    for host, count in on[group].items():
        if count > problem.host_limit[group]:
            yield f"host {host} has {count} of group {group}"
        for other, most in _of(problem.beside, group).reshape(-1, 2):
            if on[other][host] > most:
                yield f"host {host} has {on[other][host]} of group {other} beside group {group}"


def _of(rows: tuple[NDArray[np.int64], NDArray[np.int64]], owner: int) -> NDArray[np.int64]:
    start, value = rows
    return value[start[owner] : start[owner + 1]]


def _host_costs(problem: Reassignment, host_of: NDArray[np.int64]) -> dict[str, int]:
    load = _load(problem, host_of)
    used = np.bincount(host_of, minlength=problem.hosts) > 0
    soft = np.maximum(load - problem.soft_capacity, 0).sum(axis=0) @ problem.soft_weight
    free = problem.capacity - load
    balance = sum(
        int(weight) * int(np.maximum(target * free[:, a] - free[:, b], 0).sum())
        for a, b, target, weight in problem.balance
    )
    curve = 0
    for cell in range(problem.curve_cells):
        shift = problem.curve_shift[problem.kind]
        knot = np.minimum(load[:, cell] >> shift, problem.curve.shape[1] - 2)  # its last piece goes on
        low, high = problem.curve[problem.kind, knot], problem.curve[problem.kind, knot + 1]
        curve += int((low + (((high - low) * (load[:, cell] - (knot << shift))) >> shift)).sum())
    return {"opening": int(problem.opening[used].sum()), "soft": int(soft), "balance": balance, "curve": curve}


def _move_costs(problem: Reassignment, host_of: NDArray[np.int64]) -> dict[str, int]:
    home = problem.home[:-1]
    moved = np.flatnonzero((home >= 0) & (home != host_of))
    counts = Counter(
        int(group)
        for item in moved
        for group in problem.groups.value[problem.groups.start[item] : problem.groups.start[item + 1]]
    )
    routes = problem.route[home[moved], host_of[moved]] if len(problem.route) > 1 else np.zeros(1, dtype=np.int64)
    return {
        "moves": int(problem.move_cost[moved].sum()),
        "routes": int(routes.sum()),
        "group moves": problem.group_move_weight * max(counts.values(), default=0),
    }
