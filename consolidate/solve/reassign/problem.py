"""The reassignment problem as integer arrays.

I items, V rows of demand, K kinds of host, H hosts, D cells (a cell is one resource in one slot of time), G groups of
items, L locations, N neighbourhoods. Two partitions of the hosts may differ: a group is *spread* over locations, and
*depends* on another group inside a neighbourhood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

UNBOUNDED = 2**15 - 1
"""As many members as a group may have, being counted by host in 16 bits: as a limit on a host it forbids nothing."""


class Lists(NamedTuple):
    """One list of numbers for each of n owners, in compressed rows."""

    start: NDArray[np.int64]
    """(n + 1,)"""
    value: NDArray[np.int64]
    """The list of owner i is ``value[start[i]:start[i + 1]]``."""


def lists(rows: Sequence[Sequence[int]]) -> Lists:
    """Compress rows."""
    start = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=start[1:])
    return Lists(start, np.array([value for row in rows for value in row], dtype=np.int64))


class Reassignment(NamedTuple):
    """What the kernels see. Costs are integers in one unit that whoever fills this chooses."""

    demand: NDArray[np.int64]
    """(V + 1, D): demand of each variant; the last row is all zero and stands for no item."""
    variant: NDArray[np.int32]
    """(I + 1, K): row of demand of an item on a kind of host, -1 where it cannot run; the last row is no item."""
    kind: NDArray[np.int64]
    """(H,)"""
    capacity: NDArray[np.int64]
    """(H, D): never exceeded."""
    transient: NDArray[np.bool_]
    """(D,): what has moved is charged at both ends."""
    home: NDArray[np.int64]
    """(I + 1,): where each item runs now, or -1."""
    transient_cell: NDArray[np.int64]
    """Where `transient` is true."""
    inbound: NDArray[np.int64]
    """(H, transient cells): room for what comes from elsewhere, which is the same whatever leaves."""

    groups: Lists
    """Groups of each item (the last, no item, has none)."""
    host_limit: NDArray[np.int64]
    """(G,): at most so many members on one host."""
    beside: Lists
    """Per group a: pairs (b, k) laid flat; where a is present, at most k of b."""
    beside_of: Lists
    """Per group b: pairs (a, k) laid flat; where a is present, at most k of b."""
    location: NDArray[np.int64]
    """(H,)"""
    least_locations: NDArray[np.int64]
    """(G,): members are found in at least so many locations."""
    neighbourhood: NDArray[np.int64]
    """(H,)"""
    needs: Lists
    """Per group: the groups that must be present in every neighbourhood where it is."""
    needed_by: Lists

    opening: NDArray[np.int64]
    """(H,): cost of a host that runs anything."""
    soft_weight: NDArray[np.int64]
    """(D,): cost of one unit of load over the soft capacity."""
    soft_capacity: NDArray[np.int64]
    """(H, D)"""
    plain: bool
    """Whether no load over a soft capacity costs and nothing is transient."""
    balance: NDArray[np.int64]
    """(B, 4): cells a and b, target, weight: weight · max(0, target · free[a] - free[b]) on every host."""
    curve_cells: int
    """The first so many cells have a convex penalty."""
    curve: NDArray[np.int64]
    """(K, J + 1): penalty of one such cell at loads of 0, s, 2s, … with s = 2 ** curve_shift; linear in between."""
    curve_shift: NDArray[np.int64]
    """(K,)"""
    move_cost: NDArray[np.int64]
    """(I + 1,): cost of an item that is not at home (the last, no item, costs nothing)."""
    route: NDArray[np.int64]
    """(H, H): cost of moving anything from one host to another; (1, 1) where it costs nothing."""
    group_move_weight: int
    """Cost of each member that the most moved group has moved."""
    reach: NDArray[np.float64]
    """(I + 1,): no step of an item gains more than this, overload apart."""

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.home) - 1

    @property
    def hosts(self) -> int:
        """Number of hosts."""
        return len(self.kind)


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which items belong together, and what that asks of their places."""

    of_item: Sequence[Sequence[int]]
    """Groups of each item."""
    host_limit: Sequence[int] = ()
    """One for each group."""
    beside: Sequence[tuple[int, int, int]] = ()
    """(a, b, k): where group a is present, at most k of group b."""
    least_locations: Sequence[int] = ()
    """One for each group; none means that no group is spread."""
    needs: Sequence[Sequence[int]] = ()
    """One list for each group; none means that no group depends on another."""


@dataclass(frozen=True, eq=False)
class Costs:
    """What a placement costs. Everything left out costs nothing."""

    opening: NDArray[np.int64] | None = None
    soft_weight: NDArray[np.int64] | None = None
    soft_capacity: NDArray[np.int64] | None = None
    balance: Sequence[tuple[int, int, int, int]] = ()
    curve_cells: int = 0
    curve: NDArray[np.int64] | None = None
    curve_shift: Sequence[int] = ()
    move_cost: NDArray[np.int64] | None = None
    route: NDArray[np.int64] | None = None
    group_move_weight: int = 0


@dataclass(frozen=True, eq=False)
class Hosts:
    """The hosts, as arrays over them."""

    capacity: NDArray[np.int64]
    """(H, D)"""
    kind: NDArray[np.int64] | None = None
    location: NDArray[np.int64] | None = None
    neighbourhood: NDArray[np.int64] | None = None


@dataclass(frozen=True, eq=False)
class Items:
    """The items, as arrays over them."""

    demand: NDArray[np.int64]
    """(V, D)"""
    home: NDArray[np.int64]
    """(I,)"""
    variant: NDArray[np.int64] | None = None
    """(I, K); left out, item i has row i of the demand everywhere."""
    transient: Sequence[int] = ()
    """Cells that a moved item takes at both ends."""
    grouping: Grouping = field(default_factory=lambda: Grouping(()))


def reassignment(hosts: Hosts, items: Items, costs: Costs) -> Reassignment:
    """Lay the problem out for the kernels, with everything left out filled in as harmless.

    Raises:
        ValueError: where an item can run nowhere, belongs to a group without limits, a group has more members than can
            be counted on a host, or a curve is not convex.

    """
    count, cells = len(items.home), hosts.capacity.shape[1]
    host_count = len(hosts.capacity)
    zero = np.zeros(host_count, dtype=np.int64)
    kind = zero if hosts.kind is None else hosts.kind
    kinds = int(kind.max(initial=0)) + 1
    variant = np.repeat(np.arange(count)[:, None], kinds, axis=1) if items.variant is None else items.variant
    grouping = items.grouping
    groups = len(grouping.host_limit)
    of_item = grouping.of_item or [()] * count
    transient = np.zeros(cells, dtype=np.bool_)
    transient[list(items.transient)] = True
    soft_weight = np.zeros(cells, dtype=np.int64) if costs.soft_weight is None else costs.soft_weight
    if (variant[:, np.unique(kind)] < 0).all(axis=1).any():
        raise ValueError(f"item {int((variant[:, np.unique(kind)] < 0).all(axis=1).argmax())} can run on no host")
    if max((max(row, default=-1) for row in of_item), default=-1) >= groups:
        raise ValueError(f"an item belongs to a group beyond the {groups} that have limits")
    members = np.bincount(np.array([group for row in of_item for group in row], dtype=np.int64), minlength=1)
    if members.max() > UNBOUNDED:
        raise ValueError(f"group {members.argmax()} has {members.max()} members, of which {UNBOUNDED} can be counted")
    if costs.curve is not None and (np.diff(costs.curve, 2, axis=1) < 0).any():
        raise ValueError("a curve bends down: only convex penalties have bounds")
    problem = Reassignment(
        demand=np.concatenate([items.demand, np.zeros((1, cells), dtype=np.int64)]).astype(np.int64),
        variant=np.concatenate([variant, np.full((1, kinds), len(items.demand))]).astype(np.int32),
        kind=kind.astype(np.int64),
        capacity=hosts.capacity.astype(np.int64),
        transient=transient,
        home=np.append(items.home, -1).astype(np.int64),
        transient_cell=np.flatnonzero(transient),
        inbound=np.zeros((host_count, 0), dtype=np.int64),
        groups=lists([*of_item, ()]),
        host_limit=np.array(grouping.host_limit, dtype=np.int64),
        beside=_pairs(groups, [(a, b, k) for a, b, k in grouping.beside]),
        beside_of=_pairs(groups, [(b, a, k) for a, b, k in grouping.beside]),
        location=zero if hosts.location is None else hosts.location.astype(np.int64),
        least_locations=np.array(grouping.least_locations or [0] * groups, dtype=np.int64),
        neighbourhood=zero if hosts.neighbourhood is None else hosts.neighbourhood.astype(np.int64),
        needs=lists(grouping.needs or [()] * groups),
        needed_by=_reversed(grouping.needs or [()] * groups),
        opening=zero if costs.opening is None else costs.opening.astype(np.int64),
        soft_weight=soft_weight.astype(np.int64),
        plain=not (soft_weight.any() or transient.any()),
        soft_capacity=(hosts.capacity if costs.soft_capacity is None else costs.soft_capacity).astype(np.int64),
        balance=np.array(costs.balance, dtype=np.int64).reshape(-1, 4),
        curve_cells=costs.curve_cells,
        curve=np.zeros((kinds, 2), dtype=np.int64) if costs.curve is None else costs.curve.astype(np.int64),
        curve_shift=np.array(costs.curve_shift or [62] * kinds, dtype=np.int64),
        move_cost=np.append(np.zeros(count) if costs.move_cost is None else costs.move_cost, 0).astype(np.int64),
        route=np.zeros((1, 1), dtype=np.int64) if costs.route is None else costs.route.astype(np.int64),
        group_move_weight=costs.group_move_weight,
        reach=np.zeros(count + 1),
    )
    problem = problem._replace(reach=_reach(problem), inbound=_inbound(problem))
    # One memory layout, or the kernels are compiled once more for each other one.
    fields = (np.ascontiguousarray(one) if isinstance(one, np.ndarray) else one for one in problem)
    return Reassignment(*fields)  # type: ignore[arg-type]


def restrict(problem: Reassignment, items: NDArray[np.int64], hosts: NDArray[np.int64]) -> Reassignment:
    """The problem of some items on some hosts, as if the rest were not there.

    Raises:
        ValueError: where items have homes, or groups are spread or need others: then parts are not independent.

    """
    if (problem.home >= 0).any() or problem.least_locations.any() or len(problem.needs.value):
        raise ValueError("parts of a problem are independent only where nothing but capacity and host limits ties them")
    rows = np.append(items, len(problem.home) - 1)
    groups = [problem.groups.value[problem.groups.start[row] : problem.groups.start[row + 1]].tolist() for row in rows]
    return problem._replace(
        variant=problem.variant[rows],
        kind=problem.kind[hosts],
        capacity=problem.capacity[hosts],
        home=problem.home[rows],
        inbound=problem.inbound[hosts],
        groups=lists(groups),
        location=problem.location[hosts],
        neighbourhood=problem.neighbourhood[hosts],
        opening=problem.opening[hosts],
        soft_capacity=problem.soft_capacity[hosts],
        move_cost=problem.move_cost[rows],
        reach=problem.reach[rows],
    )


def _inbound(problem: Reassignment) -> NDArray[np.int64]:
    at_home = np.flatnonzero(problem.home >= 0)
    stays = np.zeros_like(problem.capacity)
    homes = problem.home[at_home]
    np.add.at(stays, homes, problem.demand[problem.variant[at_home, problem.kind[homes]]])
    return (problem.capacity - stays)[:, problem.transient]


def _reach(problem: Reassignment) -> NDArray[np.float64]:
    demand = problem.demand.astype(np.float64)
    gain = demand @ problem.soft_weight
    for a, b, target, weight in problem.balance:
        gain += float(weight) * (float(target) * demand[:, a] + demand[:, b])
    steepest = (np.diff(problem.curve, axis=1).max(axis=1) / 2.0**problem.curve_shift).max()
    gain += demand[:, : problem.curve_cells].sum(axis=1) * steepest + problem.opening.max()
    most = np.where(problem.variant >= 0, gain[problem.variant], 0).max(axis=1)
    reach: NDArray[np.float64] = most + problem.move_cost + problem.route.max()
    return reach


def overload_units(problem: Reassignment) -> NDArray[np.float64]:
    """What a unit over a capacity is worth at least, by cell: as much as one over its soft capacity.

    In cells without one, all of them together are worth as much to a mean item as all that it can gain.
    """
    able = problem.variant[:-1][problem.variant[:-1] >= 0]
    demand = np.bincount(able, minlength=len(problem.demand)) @ problem.demand / max(len(able), 1)
    fair = problem.reach[:-1].mean() / np.maximum(demand, 1e-9) / len(demand)
    used = np.where(demand > 0, fair, 1.0)
    units: NDArray[np.float64] = np.maximum(np.where(problem.soft_weight > 0, problem.soft_weight, used), 1e-9)
    return units


def _pairs(groups: int, triples: Sequence[tuple[int, int, int]]) -> Lists:
    rows: list[list[int]] = [[] for _ in range(groups)]
    for owner, other, most in triples:
        rows[owner] += [other, most]
    return lists(rows)


def _reversed(rows: Sequence[Sequence[int]]) -> Lists:
    reverse: list[list[int]] = [[] for _ in rows]
    for owner, values in enumerate(rows):
        for value in values:
            reverse[value].append(owner)
    return lists(reverse)
