"""Certificates of lower bounds and packings, and an independent checker of both.

The checker calls nothing of the searches that it checks. That a packing holds every item once and no bin too much, and
that no pattern is worth more than a certificate says, it derives anew from the instance. Two things it has in common
with what finds bounds: the instance itself, with its merging of identical items and rounding of costs, and the
arithmetic from a certificate to its bound (`DualCertificate.bound`), which the search asks as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from consolidate.solve.columns.instance import Instance

_SHARE = 1 << 40
"""A bin's room in one cell, where rooms are added up."""


@dataclass(frozen=True)
class DualCertificate:
    """Weak duality: every copy of an item is worth so much, and no bin can hold more than its ceiling.

    A bin of kind k that holds at most ``ceilings[k]`` in value pays for at least (value - penalty) * cost / (ceiling -
    penalty); summed over the bins, of which there are at most so many of a kind, the total is a bound on cost.
    """

    values: tuple[int, ...]
    """Of one copy of each item."""
    penalties: tuple[int, ...]
    """Of using a bin, by kind; lowers what a bin counts for where bins of a kind are few."""
    ceilings: tuple[int, ...]
    """No pattern of a kind is worth more."""

    def bound(self, instance: Instance) -> int:
        """The least total cost that the values leave possible, if the ceilings hold."""
        total: int = sum(value * copies for value, copies in zip(self.values, instance.copies.tolist(), strict=True))
        total -= sum(p * n for p, n in zip(self.penalties, instance.available.tolist(), strict=True))
        rates = [
            Fraction(cost, ceiling - penalty)
            for cost, ceiling, penalty in zip(instance.cost.tolist(), self.ceilings, self.penalties, strict=True)
            if ceiling > penalty
        ]
        if total <= 0 or not rates:
            return 0
        least = min(rates) * total
        return instance.round_up(least.numerator, least.denominator)


def broken_packing(instance: Instance, bins: Sequence[tuple[int, Sequence[int]]]) -> str | None:
    """What is wrong with a packing of (kind, items) bins, in a sentence; None where it is right."""
    left, unused = instance.copies.tolist(), instance.available.tolist()
    for number, (kind, items) in enumerate(bins):
        unused[kind] -= 1
        for item in items:
            left[item] -= 1
        broken = _broken_bin(instance, kind, items)
        if broken is not None:
            return f"bin {number} {broken}"
    for item, copies in enumerate(left):
        if copies:
            return f"item {item} is packed {'too seldom' if copies > 0 else 'too often'}, by {abs(copies)}"
    for kind, bins_left in enumerate(unused):
        if bins_left < 0:
            return f"{-bins_left} more bins of kind {kind} are used than there are"
    return None


def _broken_bin(instance: Instance, kind: int, items: Sequence[int]) -> str | None:
    load, members = [0] * instance.capacity.shape[1], [0] * len(instance.group_bound)
    for item in items:
        if not instance.allowed[kind, item]:
            return f"is of kind {kind}, which may not hold item {item}"
        load = [have + more for have, more in zip(load, instance.demand[kind, item].tolist(), strict=True)]
        members = [have + more for have, more in zip(members, instance.group[item].tolist(), strict=True)]
    for cell, (have, most) in enumerate(zip(load, instance.capacity[kind].tolist(), strict=True)):
        if have > most:
            return f"holds {have} in cell {cell}, where it has room for {most}"
    for group, (have, most) in enumerate(zip(members, instance.group_bound.tolist(), strict=True)):
        if have > most:
            return f"holds {have} members of group {group}, of which {most} may share a bin"
    return None


def proves(instance: Instance, certificate: DualCertificate, bound: int, most_nodes: int | None = None) -> bool | None:
    """Whether a certificate proves a bound: what it claims of patterns is searched through anew.

    None where that would take more nodes for a kind of bin than allowed, and nothing was found to be wrong by then.
    """
    if len(certificate.values) != len(instance.copies) or min(certificate.values, default=0) < 0:
        return False
    if len(certificate.penalties) != len(instance.cost) or min(certificate.penalties) < 0:
        return False
    if len(certificate.ceilings) != len(instance.cost) or certificate.bound(instance) < bound:
        return False
    known = True
    for kind, ceiling in enumerate(certificate.ceilings):
        if _holds_by_volume(instance, kind, certificate.values, ceiling):
            continue
        best = best_value(instance, kind, certificate.values, ceiling, most_nodes)
        if best is not None and best > ceiling:
            return False
        known = known and best is not None
    return True if known else None


def _holds_by_volume(instance: Instance, kind: int, values: Sequence[int], ceiling: int) -> bool:
    """Whether in some cell no item is worth more, for the room it takes, than the ceiling is for the whole bin.

    Then no pattern is worth more than the ceiling, and none has to be looked at.
    """
    worth = np.array(values, dtype=object)[instance.allowed[kind]]
    for cell, most in enumerate(instance.capacity[kind].tolist()):
        need = instance.demand[kind, instance.allowed[kind], cell].astype(object)
        if most > 0 and ceiling >= 0 and bool((worth * most <= ceiling * need).all()):
            return True
    return False


def best_value(
    instance: Instance, kind: int, values: Sequence[int], enough: int, most_nodes: int | None = None
) -> int | None:
    """Value of the best pattern of a kind, or of one above ``enough`` as soon as one is met; ``enough`` if none is.

    None where that is not known after ``most_nodes``.

    Plain depth-first search over items by falling value for the room they take, all cells added up; what is left of
    the bin is filled with a fraction of the next item to bound what more can be had. Room that items of negative
    demand could bring is granted beforehand, and checked at the end.
    """
    demand = instance.demand[kind].astype(object)
    worth, copies = np.array(values, dtype=object), instance.copies.tolist()
    scale = [_SHARE // max(most, 1) for most in instance.capacity[kind].tolist()]
    size = (demand * np.array(scale, dtype=object)).sum(axis=1)
    granted = np.maximum(-instance.demand[kind], 0).T @ instance.copies
    granted_size = sum(max(-need, 0) * times for need, times in zip(size, copies, strict=True))
    some = np.flatnonzero(instance.allowed[kind] & (instance.copies > 0))
    ratio = [worth[item] / size[item] if size[item] > 0 else float("inf") for item in some]
    order = some[np.argsort(-np.array(ratio, dtype=np.float64), kind="stable")]

    def beyond(first: int, room: int) -> int:
        """More than what items of the order from one on can add in value to a bin with so much room."""
        total = 0
        for item in order[first:]:
            take = copies[item]
            if size[item] * take > room:
                return total + worth[item] * max(room, 0) // size[item] if size[item] > 0 else total
            total, room = total + worth[item] * take, room - size[item] * take
        return total

    best, nodes = enough, 0
    room = sum(scale[cell] * most for cell, most in enumerate(instance.capacity[kind].tolist())) + granted_size
    stack = [(0, 0, instance.capacity[kind].copy(), instance.group_bound.copy(), room, 0)]
    while stack and best == enough:
        if nodes == most_nodes:
            return None
        nodes += 1
        first, value, left, members, room, used = stack.pop()
        if first == len(order) or value + beyond(first, room) <= best:
            continue
        item = int(order[first])
        stack.append((first + 1, value, left, members, room, 0))
        left, members = left - instance.demand[kind, item], members - instance.group[item]
        if used == copies[item] or (left + granted < 0).any() or (members < 0).any():
            continue
        value += int(worth[item])
        if value > best and (left >= 0).all():
            best = value
        stack.append((first, value, left, members, room - size[item], used + 1))
    return int(best)
