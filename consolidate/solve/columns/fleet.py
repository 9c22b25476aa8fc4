"""Column generation for a fleet: workloads that few hosts can take, packed and bounded by themselves.

Such *captives* (macOS on Apple hardware, what is pinned to a rack) need hosts of their own however freely everything
else moves, and there the fluid bound is weakest: a host has room for few of them, and an item at home takes less than
it does anywhere else. Each host with captives at home is a kind of bin of its own; the others of a kind are alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.certificate import DualCertificate
from consolidate.solve.columns.engine import Effort, Packed, pack
from consolidate.solve.columns.generate import DEAREST
from consolidate.solve.columns.instance import Instance, Packing, Pattern
from consolidate.solve.kernels import State, empty_state, fits, place, rules_allow
from consolidate.solve.problem import MAX_PER_HOST, Problem

_MOST_HOSTS = 400
_MOST_ITEMS = 400
_MOST_PER_HOST = 6
"""Where more than this share a host on average, a liquid bounds them well and patterns are too many."""
_MOST_WORK = 5_000
"""Items times kinds of bin, of all sets together: hosts of as many sizes as there are hosts would take minutes."""
_START_SLOTS = 4
"""Slots of each dimension that are looked at first, the busiest ones."""
_ROUNDS = 4
"""Times that slots which a packing overfills are added."""
EFFORT = Effort(starts=0, most_nodes=6_400, dives=3, close_patterns=2_000)


@dataclass(frozen=True, eq=False)
class Captives:
    """What workloads that run only on some of the hosts need there, whatever else these hosts carry."""

    items: NDArray[np.int64]
    """Rows of the problem."""
    hosts: NDArray[np.int64]
    """The only hosts that any of them can run on."""
    cost: int
    """No placement opens hosts among these for less in total."""
    certificate: DualCertificate | None
    host_of: NDArray[np.int64] | None
    """(items,): a placement of them alone that keeps capacity and group bounds; None where none was found."""


def find_captives(problem: Problem, seed: int = 0, effort: Effort = EFFORT) -> tuple[Captives, ...]:
    """Every set of workloads that is confined to few hosts, with its bound and a placement; all of a small problem."""
    found, work = [], 0
    cost = problem.arrays.cost
    if len(cost) and cost.min() > 0 and cost.max() <= DEAREST:
        for items, hosts in sorted(_confined(problem), key=lambda one: len(one[1])):
            part = _Part(problem, items, _bins(problem, items, hosts))
            work += len(items) * len(part.bins)
            if work > _MOST_WORK:
                break
            one = _solve(part, hosts, seed, effort)
            if one is not None:
                found.append(one)
    return tuple(found)


def place_captives(problem: Problem, found: Iterable[Captives]) -> State:
    """A start in which the captives are where their packing has them, and all else is still to be placed."""
    state = empty_state(problem.arrays)
    for captives in found:
        if captives.host_of is None:
            continue
        for item, host in zip(captives.items.tolist(), captives.host_of.tolist(), strict=True):
            unplaced = state.host_of[item] < 0
            if unplaced and fits(problem.arrays, state, item, host) and rules_allow(problem.arrays, state, item, host):
                place(problem.arrays, state, item, host)
    return state


def _confined(problem: Problem) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(items, hosts) of each set of hosts that some items cannot leave, where that is few."""
    able = problem.arrays.variant >= 0
    packed = np.unique(np.packbits(able, axis=1), axis=0)  # an eighth to sort, in the same order
    for mask in np.unpackbits(packed, axis=1, count=able.shape[1]).astype(np.bool_):
        items = np.flatnonzero(~(able & ~mask).any(axis=1))
        hosts = np.flatnonzero(mask)
        few = 1 < len(hosts) <= _MOST_HOSTS and 1 < len(items) <= _MOST_ITEMS
        if few and len(items) <= _MOST_PER_HOST * _liquid(problem, items, hosts):
            yield items, hosts


def _liquid(problem: Problem, items: NDArray[np.int64], hosts: NDArray[np.int64]) -> int:
    """Hosts that the items would fill if they could be poured together."""
    arrays = problem.arrays
    usual = arrays.variant[np.ix_(items, hosts)].max(axis=1)
    room = np.maximum(arrays.capacity[hosts].max(axis=0), 1)
    return int(np.ceil((arrays.demand[usual].sum(axis=0) / room[:, None]).max()))


@dataclass(frozen=True, eq=False)
class _Part:
    """The instance of some items and hosts, with only some cells."""

    problem: Problem
    items: NDArray[np.int64]
    bins: tuple[NDArray[np.int64], ...]
    """Hosts of each kind of bin."""

    def instance(self, cells: NDArray[np.int64]) -> Instance:
        """With the cells (dimension, slot), shape (D, 2)."""
        arrays = self.problem.arrays
        first = np.array([hosts[0] for hosts in self.bins])
        variant = arrays.variant[np.ix_(self.items, first)].T
        groups = np.flatnonzero(arrays.group_kind == MAX_PER_HOST)
        return Instance(
            demand=arrays.demand[np.maximum(variant, 0)][:, :, cells[:, 0], cells[:, 1]],
            allowed=np.ascontiguousarray(variant >= 0),
            copies=np.ones(len(self.items), dtype=np.int64),
            capacity=arrays.capacity[np.ix_(first, cells[:, 0])],
            cost=arrays.cost[first],
            available=np.array([len(hosts) for hosts in self.bins], dtype=np.int64),
            group=self._members(groups),
            group_bound=arrays.group_bound[groups],
        )

    def _members(self, groups: NDArray[np.int64]) -> NDArray[np.int64]:
        arrays = self.problem.arrays
        members = np.zeros((len(arrays.variant), len(arrays.group_kind)), dtype=np.int64)
        item = np.repeat(np.arange(len(arrays.variant)), np.diff(arrays.group_start))
        members[item, arrays.group_of] = arrays.members_of
        return members[np.ix_(self.items, groups)]

    def load(self, pattern: Pattern) -> NDArray[np.int64]:
        """(R, T): everything that a pattern's items need together."""
        arrays = self.problem.arrays
        variant = arrays.variant[self.items[list(pattern.items)], self.bins[pattern.kind][0]]
        total: NDArray[np.int64] = arrays.demand[variant].sum(axis=0)
        return total

    def overfull(self, patterns: Iterable[Pattern]) -> set[tuple[int, int]]:
        """For each pattern the worst cell of each dimension in which it needs more than its bin has."""
        worst: set[tuple[int, int]] = set()
        for pattern in patterns:
            excess = self.load(pattern) - self.problem.arrays.capacity[self.bins[pattern.kind][0]][:, None]
            for row in np.flatnonzero(excess.max(axis=1) > 0).tolist():
                worst.add((row, int(excess[row].argmax())))
        return worst

    def host_of(self, packing: Packing) -> NDArray[np.int64]:
        """(items,): a host of the bin's kind for every item, each host once."""
        free = [iter(hosts.tolist()) for hosts in self.bins]
        placed = np.full(len(self.items), -1, dtype=np.int64)
        for pattern in packing:
            placed[list(pattern.items)] = next(free[pattern.kind])
        return placed


def _solve(part: _Part, hosts: NDArray[np.int64], seed: int, effort: Effort) -> Captives | None:
    """Pack with a few cells, add those that its patterns overfill, and again; any bound on the way holds."""
    cells = _busiest(part.problem, part.items)
    bound, certificate, host_of = 0, None, None
    for _ in range(_ROUNDS):
        packed: Packed | None = pack(part.instance(np.array(sorted(cells))), seed, effort)
        if packed is None:
            break
        if packed.bound > bound:
            bound, certificate = packed.bound, packed.certificate
        if not part.overfull(packed.packing):
            host_of = part.host_of(packed.packing)
            break
        cells |= part.overfull((*packed.packing, *packed.patterns))
    return Captives(part.items, hosts, bound, certificate, host_of) if bound else None


def _bins(problem: Problem, items: NDArray[np.int64], hosts: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Hosts by what tells them apart for these items: their kind, and what each item is on them."""
    alike: dict[tuple[int, bytes], list[int]] = {}
    for host in hosts.tolist():
        key = (int(problem.kind[host]), problem.arrays.variant[items, host].tobytes())
        alike.setdefault(key, []).append(host)
    return tuple(np.array(one, dtype=np.int64) for one in alike.values())


def _busiest(problem: Problem, items: NDArray[np.int64]) -> set[tuple[int, int]]:
    """Cells in which the items need most together, some for each dimension."""
    arrays = problem.arrays
    usual = np.maximum(arrays.variant[items].max(axis=1), 0)
    slots = np.argsort(-arrays.demand[usual].sum(axis=0), axis=1, kind="stable")[:, :_START_SLOTS]
    return {(row, int(slot)) for row in range(len(slots)) for slot in slots[row]}
