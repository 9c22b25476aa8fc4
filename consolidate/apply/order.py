"""The order of writes: a canary first, and no parent ever below its child on the way. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter

from collectors.topology import parse_cpu_list
from consolidate.apply.backends.backend import Change
from consolidate.apply.keys import Amount
from consolidate.plan.plan import Partition

Limit = Callable[[Change, str], tuple[str, Amount] | None]
"""Dimension and amount that a change's text stands for."""

_BOUND = ("cpu_milli", "cpus", "memory_nodes")
"""cgroup v1 refuses a child's quota, CPUs or memory nodes beyond its parent's, and a parent's below its child's."""


def least_important(partitions: Sequence[Partition]) -> str | None:
    """Workload with the smallest share: what goes wrong with it first goes wrong with the others."""
    return min(partitions, key=lambda one: (one.cpu_weight, one.workload)).workload if partitions else None


def in_order(
    changes: Sequence[Change], groups: Mapping[str, str], canary: str | None, limit: Limit
) -> tuple[Change, ...]:
    """Sort changes: the canary's first, where bounds allow it, and otherwise as they come.

    A parent that is widened goes before its children, and one that is narrowed after them. ``groups`` has the
    workloads' control groups.
    """
    earlier: dict[int, set[int]] = {index: set() for index in range(len(changes))}
    for first, second in _precedences(changes, groups, limit):
        earlier[second].add(first)
    urgent = _with_all_before(earlier, [index for index, change in enumerate(changes) if change.workload == canary])
    sorter = TopologicalSorter(earlier)
    sorter.prepare()
    ready: list[tuple[bool, int]] = []
    ordered = []
    while sorter.is_active():
        for index in sorter.get_ready():
            heapq.heappush(ready, (index not in urgent, index))
        _, index = heapq.heappop(ready)
        ordered.append(changes[index])
        sorter.done(index)
    return tuple(ordered)


def _with_all_before(earlier: Mapping[int, set[int]], some: list[int]) -> set[int]:
    """Some changes and everything that must come before them."""
    found: set[int] = set()
    while some:
        index = some.pop()
        if index not in found:
            found.add(index)
            some.extend(earlier[index])
    return found


def _precedences(changes: Sequence[Change], groups: Mapping[str, str], limit: Limit) -> Iterator[tuple[int, int]]:
    """Pairs of changes of which the first must be written before the second."""
    last: dict[str, int] = {}
    at: dict[tuple[str, str], list[int]] = {}
    for index, change in enumerate(changes):
        if change.workload in last:
            yield last[change.workload], index  # the backend's own order
        last[change.workload] = index
        at.setdefault((groups.get(change.workload, ""), change.meaning), []).append(index)
    for child, change in enumerate(changes):
        above = groups.get(change.workload, "")
        while above := above.rpartition("/")[0]:
            for parent in at.get((above, change.meaning), ()):
                way = _way(changes[parent], limit)
                if way:
                    yield (parent, child) if way == "wider" else (child, parent)


def _way(change: Change, limit: Limit) -> str | None:
    """Whether a change makes a bound of its children ``wider`` or ``narrower``; None where it is none."""
    now, wanted = limit(change, change.now), limit(change, change.wanted)
    if now is None or wanted is None or now[0] not in _BOUND or now[1] == wanted[1]:
        return None
    return "wider" if _is_more(wanted[1], now[1]) else "narrower"


def _is_more(one: Amount, other: Amount) -> bool:
    if one is None or other is None:
        return one is None
    if isinstance(one, str) or isinstance(other, str):
        return set(parse_cpu_list(str(one))) >= set(parse_cpu_list(str(other)))
    return one > other
