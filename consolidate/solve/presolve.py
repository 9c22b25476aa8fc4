"""Before the search: hosts that an item can never use, parts that share no host, and what is alike.

Nothing here loses a feasible placement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from consolidate.model.placement import Placement
from consolidate.solve.problem import MAX_HOSTS, MAX_PER_HOST, Arrays, Problem, measures


@dataclass(frozen=True, eq=False)
class Component:
    """Items and hosts that no room and no group rule ties to the rest of a problem; both ascending."""

    items: NDArray[np.int64]
    hosts: NDArray[np.int64]


def tighten(problem: Problem) -> Problem:
    """Take away the hosts on which an item fits in no placement.

    An item with one host left is as good as placed: its load, and its place in its groups, bar others from hosts in
    turn, until nothing changes. An item that loses its last host proves that there is no placement.
    """
    arrays = problem.arrays
    variant = arrays.variant.copy()
    for host, capacity in enumerate(arrays.capacity):
        variant[(arrays.peak[variant[:, host]] > capacity).any(axis=1), host] = -1
    settled = np.zeros(len(variant), dtype=np.bool_)
    while True:
        fixed = (variant >= 0).sum(axis=1) == 1
        if (fixed == settled).all():
            break
        settled = fixed
        _bar_by_room(arrays, variant, fixed)
        _bar_by_groups(arrays, variant, fixed)
    if (variant == arrays.variant).all():
        return problem
    forced = arrays.forced.copy()
    forced[variant[fixed].argmax(axis=1)] = True
    weight, size, shape = measures(variant, arrays.demand, arrays.capacity)
    return replace(
        problem, arrays=arrays._replace(variant=variant, forced=forced, weight=weight, size=size, shape=shape)
    )


def _bar_by_room(arrays: Arrays, variant: NDArray[np.int32], fixed: NDArray[np.bool_]) -> None:
    """Others stay off a host whose fixed items leave them too little."""
    at = variant[fixed].argmax(axis=1)
    for host in np.unique(at).tolist():
        here = variant[np.flatnonzero(fixed)[at == host], host]
        left = arrays.capacity[host][:, None] - arrays.demand[here].sum(axis=0)
        able = np.flatnonzero(~fixed & (variant[:, host] >= 0))
        variant[able[(arrays.demand[variant[able, host]] > left).any(axis=(1, 2))], host] = -1


def _bar_by_groups(arrays: Arrays, variant: NDArray[np.int32], fixed: NDArray[np.bool_]) -> None:
    """Others stay off a host that holds as many of their group as it may, or off all where no licence is left."""
    for group, kind in enumerate(arrays.group_kind):
        if kind not in (MAX_PER_HOST, MAX_HOSTS):
            continue
        items, members = members_of(arrays, group)
        on_host = arrays.group_fixed[group].copy()
        here = fixed[items]
        np.add.at(on_host, variant[items[here]].argmax(axis=1), members[here])
        others, bound = items[~here], arrays.group_bound[group]
        if kind == MAX_PER_HOST:
            full = on_host[None, :] + members[~here, None] > bound
        else:
            full = np.broadcast_to((on_host == 0) & ((on_host > 0).sum() >= bound), (len(others), len(on_host)))
        variant[others] = np.where(full, -1, variant[others])


def members_of(arrays: Arrays, group: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Items of a group, and how many of its workloads each of them holds."""
    entries = np.flatnonzero(arrays.group_of == group)
    return np.searchsorted(arrays.group_start, entries, side="right") - 1, arrays.members_of[entries]


def components(problem: Problem) -> list[Component]:
    """The connected components of items, the hosts they may use and the groups they are in.

    What one component does leaves every other as it is, so they are solved one by one, and their bounds add up. Hosts
    that no item may use are in none.
    """
    arrays = problem.arrays
    items, hosts = arrays.variant.shape
    if not items:
        return []
    # Items that may use the same hosts are many, sets of hosts are few: the edges go through the sets.
    packed, set_of = np.unique(np.packbits(arrays.variant >= 0, axis=1), axis=0, return_inverse=True)
    able = np.unpackbits(packed, axis=1, count=hosts).astype(np.bool_)
    first_set, first_host = items, items + len(able)
    first_group = first_host + hosts
    member = np.repeat(np.arange(items), np.diff(arrays.group_start))
    at_set, at_host = np.nonzero(able)
    group, fixed_host = np.nonzero(arrays.group_fixed)
    rows = np.concatenate([np.arange(items), first_set + at_set, member, first_group + group])
    columns = np.concatenate(
        [first_set + set_of.ravel(), first_host + at_host, first_group + arrays.group_of, first_host + fixed_host]
    )
    nodes = first_group + len(arrays.group_kind)
    edges = sparse.coo_array((np.ones(len(rows), dtype=np.bool_), (rows, columns)), (nodes, nodes))
    _, label = connected_components(edges, directed=False)
    labels, first = np.unique(label[:items], return_index=True)
    return [
        Component(np.flatnonzero(label[:items] == one), np.flatnonzero(label[first_host:first_group] == one))
        for one in labels[np.argsort(first)]
    ]


def restrict(problem: Problem, component: Component) -> Problem:
    """The problem of one component alone; its items and hosts are numbered anew, in order."""
    arrays = problem.arrays
    if len(component.items) == len(problem.items) and len(component.hosts) == len(problem.hosts):
        return problem
    variant = arrays.variant[np.ix_(component.items, component.hosts)]
    capacity = arrays.capacity[component.hosts]
    used, position = np.unique(variant[variant >= 0], return_inverse=True)
    variant[variant >= 0] = position
    used = used if len(used) else np.zeros(1, dtype=np.int64)  # so that an index into the demand is always valid
    demand = arrays.demand[used]
    weight, size, shape = measures(variant, demand, capacity)
    host_of = np.full(len(problem.hosts) + 1, -1, dtype=np.int64)  # the last one is the home of what has none
    host_of[component.hosts] = np.arange(len(component.hosts))
    entries = [np.arange(arrays.group_start[item], arrays.group_start[item + 1]) for item in component.items]
    entry = np.concatenate(entries) if entries else np.zeros(0, dtype=np.int64)
    groups, group_of = np.unique(arrays.group_of[entry], return_inverse=True)
    alone = arrays._replace(
        demand=demand,
        peak=arrays.peak[used],
        peak_slot=arrays.peak_slot[used],
        shape=shape,
        size=size,
        variant=variant,
        capacity=capacity,
        weight=weight,
        cost=arrays.cost[component.hosts],
        forced=arrays.forced[component.hosts],
        home=host_of[arrays.home[component.items]],
        bulk=arrays.bulk[component.items],
        domain=arrays.domain[component.hosts],
        group_start=np.concatenate([[0], np.cumsum([len(one) for one in entries], dtype=np.int64)]),
        group_of=group_of.astype(np.int64),
        members_of=arrays.members_of[entry],
        group_kind=arrays.group_kind[groups],
        group_bound=arrays.group_bound[groups],
        group_domains=arrays.group_domains[groups],
        group_fixed=arrays.group_fixed[np.ix_(groups, component.hosts)],
    )
    return Problem(
        alone,
        tuple(problem.hosts[host] for host in component.hosts),
        np.unique(problem.kind[component.hosts], return_inverse=True)[1].astype(np.int64),
        problem.family[component.hosts],
        tuple(problem.items[item] for item in component.items),
        tuple(problem.isolations[row] for row in used) if problem.isolations else (),
        problem.dimensions,
        Placement({}),
    )


def join(problem: Problem, found: Sequence[tuple[Component, NDArray[np.int64]]]) -> NDArray[np.int64]:
    """Host of every item of the whole problem, from the components' own answers; -1 where a component has none."""
    host_of = np.full(len(problem.items), -1, dtype=np.int64)
    for component, hosts in found:
        host_of[component.items] = np.where(hosts >= 0, component.hosts[hosts], -1)
    return host_of


def alike_hosts(arrays: Arrays) -> NDArray[np.int64]:
    """Class of each host, shape (H,): two of a class may swap all that is on them without breaking a rule."""
    columns = np.concatenate(
        [arrays.capacity, contents(arrays).T, arrays.domain[:, None], arrays.group_fixed.T], axis=1, dtype=np.int64
    )
    return _classes(columns)


def alike_items(arrays: Arrays) -> NDArray[np.int64]:
    """Class of each item, shape (I,): two of a class may swap hosts without breaking a rule."""
    membership = np.zeros((len(arrays.size), len(arrays.group_kind)), dtype=np.int64)
    member = np.repeat(np.arange(len(arrays.size)), np.diff(arrays.group_start))
    membership[member, arrays.group_of] = arrays.members_of
    return _classes(np.concatenate([contents(arrays), membership], axis=1, dtype=np.int64))


def contents(arrays: Arrays) -> NDArray[np.int64]:
    """What each item would take on each host, shape (I, H), as the number of an amount; -1 where it cannot run."""
    seen: dict[bytes, int] = {}
    amount = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in arrays.demand], dtype=np.int64)
    return np.where(arrays.variant >= 0, amount[arrays.variant], -1)


def _classes(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of each row among the different rows, in order of appearance."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(row.tobytes(), len(seen)) for row in np.ascontiguousarray(rows)], dtype=np.int64)
