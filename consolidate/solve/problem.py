"""The problem as integer arrays: what the kernels see.

An *item* is one workload, or all that an affinity rule keeps together. A *variant* is an item in the isolations it
takes on some kind of host; its demand includes their overhead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from consolidate.model.demand import Demand, Demands, Unknown
from consolidate.model.fleet import Fleet, Host, Isolation, Workload
from consolidate.model.isolation import choose_isolation
from consolidate.model.placement import Assignment, Placement
from consolidate.model.policy import Objective
from consolidate.model.rules import Affinity, AntiAffinity, Ban, GroupRule, Licence, Pin, Spread
from consolidate.solve.evaluate import opening_cost
from consolidate.solve.loads import UNLIMITED, Needs

BLOCKS = 24
"""Time is folded to this many blocks where candidates are only ranked, never where they are checked."""

MAX_PER_HOST, MIN_DOMAINS, MAX_HOSTS = range(3)
"""Kinds of group rules."""


class Arrays(NamedTuple):
    """I items, V variants, H hosts, R dimensions, T slots, B blocks, G group rules."""

    demand: NDArray[np.int64]
    """(V, R, T)"""
    peak: NDArray[np.int64]
    """(V, R): highest demand."""
    peak_slot: NDArray[np.int64]
    """(V, R): where it is."""
    shape: NDArray[np.float64]
    """(V, R, B): mean demand of a block of slots as a share of the mean host's capacity."""
    size: NDArray[np.float64]
    """(I,): peak of the item's cheapest variant, weighted by how scarce each dimension is."""
    variant: NDArray[np.int32]
    """(I, H): row of the item's variant on a host, or -1 where it cannot run."""
    capacity: NDArray[np.int64]
    """(H, R)"""
    weight: NDArray[np.float64]
    """(R,): total demand over total capacity: how scarce a dimension is."""
    cost: NDArray[np.int64]
    """(H,): opening cost."""
    forced: NDArray[np.bool_]
    """(H,): stays on whatever happens, because of something that cannot move."""
    home: NDArray[np.int64]
    """(I,): host the item runs on now, or -1."""
    bulk: NDArray[np.int64]
    """(I, 2): workloads and bytes that a move of the item moves."""
    domain: NDArray[np.int64]
    """(H,): failure domain."""
    group_start: NDArray[np.int64]
    """(I + 1,): the item's groups are ``group_of[start:end]`` with ``members_of`` members each."""
    group_of: NDArray[np.int64]
    members_of: NDArray[np.int64]
    group_kind: NDArray[np.int64]
    """(G,)"""
    group_bound: NDArray[np.int64]
    """(G,)"""
    group_domains: NDArray[np.int64]
    """(G,): failure domains that a spread among the members of a licence asks for; 0 where none does."""
    group_fixed: NDArray[np.int64]
    """(G, H): members that stay where they are, being of unknown demand."""


@dataclass(frozen=True, eq=False)
class Problem:
    """The arrays, and what their rows mean."""

    arrays: Arrays
    hosts: tuple[str, ...]
    kind: NDArray[np.int64]
    """(H,): hosts of one kind are alike, pins and bans aside, to everything that does not run on them now."""
    family: NDArray[np.int64]
    """(H,): hosts of one family are of one kind but for the room they have and what they cost."""
    items: tuple[tuple[str, ...], ...]
    """Workloads of each item."""
    isolations: tuple[tuple[Isolation, ...], ...]
    """Isolation of each of the item's workloads, by variant."""
    dimensions: tuple[str, ...]
    """None of them where nothing that a host limits is used; the arrays then have one row of no demand."""
    fixed: Placement
    """Workloads of unknown demand, which stay where they are."""

    def placement(self, host_of: NDArray[np.int64]) -> Placement:
        """The placement that an assignment of items to hosts stands for; -1 leaves an item out."""
        assignments = dict(self.fixed.assignments)
        for item, host in enumerate(host_of):
            if host < 0:
                continue
            kinds = self.isolations[self.arrays.variant[item, host]]
            for name, isolation in zip(self.items[item], kinds, strict=True):
                assignments[name] = Assignment(self.hosts[host], isolation)
        return Placement(assignments)


def compile_problem(needs: Needs, objective: Objective = Objective.HOSTS) -> Problem:
    """Lower a fleet and its demand to arrays."""
    fleet, demands = needs.fleet, needs.demands
    unknown = [w for w in fleet.workloads if isinstance(demands[w.name], Unknown)]
    frozen = {workload.host for workload in unknown if workload.host is not None}
    items = _items(fleet, demands)
    position = {host.name: index for index, host in enumerate(fleet.hosts)}
    variant, isolations, demand = _variants(needs, items)
    home = np.array([_home(members, position) for members in items], dtype=np.int64)
    _restrict(fleet, items, variant, home, position, frozen)
    capacity = needs.limits
    if not needs.dimensions:  # nothing can be too much: a row of no demand says so to all that looks for the worst one
        demand = np.zeros((len(demand), 1, needs.slots), dtype=np.int64)
        capacity = np.full((len(fleet.hosts), 1), UNLIMITED)
    weight, size, shape = measures(variant, demand, capacity)
    forced = np.array([host.name in frozen for host in fleet.hosts], dtype=np.bool_)
    bound = (variant >= 0).sum(axis=1) == 1
    if bound.any():
        forced[variant[bound].argmax(axis=1)] = True
    groups = [rule for rule in fleet.rules if isinstance(rule, GroupRule)]
    group_start, group_of, members_of = _memberships(items, groups)
    domains = {name: index for index, name in enumerate(sorted({host.domain for host in fleet.hosts}))}
    arrays = Arrays(
        demand=demand,
        peak=demand.max(axis=2, initial=0),
        peak_slot=demand.argmax(axis=2).astype(np.int64),
        shape=shape,
        size=size,
        variant=variant,
        capacity=capacity,
        weight=weight,
        cost=np.array([opening_cost(host, objective) for host in fleet.hosts], dtype=np.int64),
        forced=forced,
        home=home,
        bulk=np.array([(len(m), sum(w.copy_bytes for w in m)) for m in items], dtype=np.int64).reshape(len(items), 2),
        domain=np.array([domains[host.domain] for host in fleet.hosts], dtype=np.int64),
        group_start=group_start,
        group_of=group_of,
        members_of=members_of,
        group_kind=np.array([_KIND[type(rule)] for rule in groups], dtype=np.int64),
        group_bound=np.array([_bound(rule) for rule in groups], dtype=np.int64),
        group_domains=_domains_within(groups),
        group_fixed=_fixed_members(groups, unknown, position),
    )
    stays = {w.name: Assignment(w.host, w.isolation) for w in unknown if w.host is not None}
    return Problem(
        arrays,
        tuple(host.name for host in fleet.hosts),
        *_kinds(fleet, capacity, arrays.cost, frozen),
        tuple(tuple(workload.name for workload in members) for members in items),
        isolations,
        needs.dimensions,
        Placement(stays),
    )


def measures(
    variant: NDArray[np.int32], demand: NDArray[np.int64], capacity: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The `weight`, `size` and `shape` of `Arrays`: how scarce dimensions are, and how large items are by that."""
    cheapest = _cheapest(variant, demand)
    weight = _weights(demand[cheapest], capacity)
    scale = np.maximum(capacity.astype(np.float64).sum(axis=0) / max(len(capacity), 1), 1.0)
    size = (demand[cheapest].max(axis=2, initial=0) / scale * weight).sum(axis=1)
    return weight, size, _fold(demand) / scale[None, :, None]


def least_demand(arrays: Arrays) -> NDArray[np.int64]:
    """What each item takes in each dimension and slot wherever it is, shape (I, R, T); 0 where it can run nowhere."""
    least = np.zeros((len(arrays.variant), *arrays.demand.shape[1:]), dtype=np.int64)
    for item, variants in enumerate(arrays.variant):
        able = np.unique(variants[variants >= 0])
        if len(able):
            least[item] = arrays.demand[able].min(axis=0)
    return least


_KIND = {AntiAffinity: MAX_PER_HOST, Spread: MIN_DOMAINS, Licence: MAX_HOSTS}


def _bound(rule: GroupRule) -> int:
    match rule:
        case AntiAffinity():
            return rule.max_per_host
        case Spread():
            return rule.domains
        case Licence():
            return rule.max_hosts


def _domains_within(groups: Sequence[GroupRule]) -> NDArray[np.int64]:
    """For each licence the most domains that a spread wants of members of that licence alone, shape (G,)."""
    wanted = np.zeros(len(groups), dtype=np.int64)
    for index, licence in enumerate(groups):
        if isinstance(licence, Licence):
            members = set(licence.workloads)
            spreads = (one for one in groups if isinstance(one, Spread) and members.issuperset(one.workloads))
            wanted[index] = max((one.domains for one in spreads), default=0)
    return wanted


def _items(fleet: Fleet, demands: Demands) -> list[tuple[Workload, ...]]:
    """Workloads of known demand, those of one affinity together (rules that overlap are joined).

    A licence for a single host is an affinity by another name.
    """
    root = {w.name: w.name for w in fleet.workloads if isinstance(demands[w.name], Demand)}

    def find(name: str) -> str:
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    for rule in fleet.rules:
        if isinstance(rule, Affinity) or (isinstance(rule, Licence) and rule.max_hosts == 1):
            known = [name for name in rule.workloads if name in root]
            for name in known[1:]:
                root[find(name)] = find(known[0])
    together: dict[str, list[Workload]] = {}
    for workload in fleet.workloads:
        if workload.name in root:
            together.setdefault(find(workload.name), []).append(workload)
    return [tuple(members) for members in together.values()]


def _home(members: Sequence[Workload], position: dict[str, int]) -> int:
    hosts = {workload.host for workload in members}
    only = hosts.pop() if len(hosts) == 1 else None
    return position[only] if only is not None else -1


def _variants(
    needs: Needs, items: Sequence[tuple[Workload, ...]]
) -> tuple[NDArray[np.int32], tuple[tuple[Isolation, ...], ...], NDArray[np.int64]]:
    """Variant of every item on every host, the isolations of each variant, and its demand."""
    fleet = needs.fleet
    kinds: dict[tuple[object, ...], list[int]] = {}
    for index, host in enumerate(fleet.hosts):
        kinds.setdefault((host.os, host.vendor, host.hypervisor), []).append(index)
    members_at = [np.array(indices) for indices in kinds.values()]
    variant = np.full((len(items), len(fleet.hosts)), -1, dtype=np.int32)
    position = {host.name: index for index, host in enumerate(fleet.hosts)}
    isolations: list[tuple[Isolation, ...]] = []
    rows: list[NDArray[np.int64]] = []

    def row(members: tuple[Workload, ...], host: Host, seen: dict[tuple[Isolation, ...], int]) -> int:
        chosen = tuple(choose_isolation(fleet, workload, host) for workload in members)
        if any(isolation is None for isolation in chosen):
            return -1
        key = tuple(isolation for isolation in chosen if isolation is not None)
        if key not in seen:
            seen[key] = len(isolations)
            isolations.append(key)
            parts = [needs.of(workload, isolation) for workload, isolation in zip(members, key, strict=True)]
            total = np.zeros((len(needs.dimensions), needs.slots), dtype=np.int64)
            for part in parts:
                assert part is not None  # _items leaves the unknown out
                total += part
            rows.append(total)
        return seen[key]

    for index, members in enumerate(items):
        seen: dict[tuple[Isolation, ...], int] = {}
        homes = {position[workload.host] for workload in members if workload.host is not None}
        for at in members_at:
            stranger = next((int(host) for host in at if int(host) not in homes), None)
            if stranger is not None:
                variant[index, at] = row(members, fleet.hosts[stranger], seen)
        for at_home in sorted(homes):  # where nothing changes
            variant[index, at_home] = row(members, fleet.hosts[at_home], seen)
    # One row of nothing where nothing can run anywhere, so that an index into it is always valid.
    demand = np.stack(rows) if rows else np.zeros((1, len(needs.dimensions), needs.slots), dtype=np.int64)
    return variant, tuple(isolations), demand


def _restrict(
    fleet: Fleet,
    items: Sequence[tuple[Workload, ...]],
    variant: NDArray[np.int32],
    home: NDArray[np.int64],
    position: dict[str, int],
    frozen: set[str],
) -> None:
    """Take away hosts that rules, immovable workloads or unknown neighbours forbid."""
    item_of = {workload.name: index for index, members in enumerate(items) for workload in members}
    everywhere = np.arange(len(fleet.hosts))
    home_of = {workload.name: workload.host for workload in fleet.workloads}
    for rule in fleet.rules:
        if isinstance(rule, Affinity):  # who is kept together with a workload that stays, stays with it
            stays = {home_of[name] for name in rule.workloads if name not in item_of} - {None}
            touched = [item_of[name] for name in rule.workloads if name in item_of]
            for host in stays:
                others = everywhere[everywhere != position[str(host)]]
                variant[np.ix_(np.array(touched, dtype=np.int64), others)] = -1
        if isinstance(rule, Pin | Ban):
            named = np.array([position[host] for host in rule.hosts])
            forbidden = np.setdiff1d(everywhere, named) if isinstance(rule, Pin) else named
            touched = [item_of[name] for name in rule.workloads if name in item_of]
            variant[np.ix_(np.array(touched, dtype=np.int64), forbidden)] = -1
    for index, members in enumerate(items):
        for workload in members:
            if not workload.movable and workload.host is not None:
                variant[index, everywhere != position[workload.host]] = -1
    closed = np.zeros(len(fleet.hosts), dtype=np.bool_)
    closed[[position[host] for host in frozen]] = True
    variant[closed[None, :] & (everywhere[None, :] != home[:, None])] = -1


def _kinds(
    fleet: Fleet, capacity: NDArray[np.int64], cost: NDArray[np.int64], frozen: set[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The kind and the family of each host."""
    kinds: dict[tuple[object, ...], int] = {}
    families: dict[tuple[object, ...], int] = {}
    of_host = []
    for index, host in enumerate(fleet.hosts):
        system = fleet.systems[host.os]
        offers = (system.family, system.containers, host.vendor, host.hypervisor, host.name in frozen)
        kind = (*offers, capacity[index].tobytes(), int(cost[index]))
        of_host.append((kinds.setdefault(kind, len(kinds)), families.setdefault(offers, len(families))))
    kind_of, family_of = np.array(of_host, dtype=np.int64).reshape(-1, 2).T
    return kind_of, family_of


def _cheapest(variant: NDArray[np.int32], demand: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each item the variant with the smallest total demand; row 0 where it can run nowhere."""
    if not variant.shape[1]:
        return np.zeros(len(variant), dtype=np.int64)
    total = demand.astype(np.float64)
    scale = np.maximum(total.max(axis=(0, 2), initial=1.0), 1.0)
    weight = (total.max(axis=2, initial=0.0) / scale).sum(axis=1)
    cost = np.where(variant >= 0, np.concatenate([weight, [np.inf]])[variant], np.inf)
    best: NDArray[np.int64] = variant[np.arange(len(variant)), cost.argmin(axis=1)].astype(np.int64)
    return np.maximum(best, 0)


def _weights(demand: NDArray[np.int64], capacity: NDArray[np.int64]) -> NDArray[np.float64]:
    """Busiest slot's total demand over total capacity, by dimension."""
    busiest = demand.sum(axis=0).max(axis=1, initial=0).astype(np.float64)
    weights: NDArray[np.float64] = busiest / np.maximum(capacity.sum(axis=0, dtype=np.float64), 1.0)
    return weights


def _fold(demand: NDArray[np.int64]) -> NDArray[np.float64]:
    variants, rows, slots = demand.shape
    blocks = min(BLOCKS, slots)
    folded: NDArray[np.float64] = demand.reshape(variants, rows, blocks, slots // blocks).mean(axis=3)
    return folded


def _fixed_members(
    groups: Sequence[GroupRule], unknown: Sequence[Workload], position: dict[str, int]
) -> NDArray[np.int64]:
    fixed = np.zeros((len(groups), len(position)), dtype=np.int64)
    for group, rule in enumerate(groups):
        members = set(rule.workloads)
        for workload in unknown:
            if workload.name in members and workload.host is not None:
                fixed[group, position[workload.host]] += 1
    return fixed


def _memberships(
    items: Sequence[tuple[Workload, ...]], groups: Sequence[GroupRule]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Groups of each item in compressed rows, and how many of its workloads are in each."""
    groups_of: dict[str, list[int]] = {}
    for index, rule in enumerate(groups):
        for name in dict.fromkeys(rule.workloads):
            groups_of.setdefault(name, []).append(index)
    start, group_of, members_of = [0], [], []
    for members in items:
        counts: dict[int, int] = {}
        for workload in members:
            for group in groups_of.get(workload.name, ()):
                counts[group] = counts.get(group, 0) + 1
        group_of += list(counts)
        members_of += list(counts.values())
        start.append(len(group_of))
    return (
        np.array(start, dtype=np.int64),
        np.array(group_of, dtype=np.int64),
        np.array(members_of, dtype=np.int64),
    )
