"""Column generation: from a few patterns to the linear relaxation's optimum, with a proved bound on the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.certificate import DualCertificate
from consolidate.solve.columns.instance import Instance, Pattern, ShouldStop
from consolidate.solve.columns.master import Master, Relaxed
from consolidate.solve.columns.pricing import Priced, adapted_multipliers, knapsack, price

_VALUE_BITS = 24
"""Values are whole parts of the dearest bin's cost over two to this."""
DEAREST = 1 << _VALUE_BITS
"""What a bin may cost, so that its cost in such parts, times a surrogate weight, is still a whole number of 64 bits."""
_EPSILON = 1e-6
"""What the relaxation's cost may be too high by, being a floating-point number; only a target depends on it."""
_PERTURBED = 3
"""Searches in another order before a search gets more nodes."""
_SLOW = 5
"""Rounds that together should gain"""
_LITTLE = 1.0
"""more than this part of a bin, or little is gained."""
_MORE = 4
"""Times as many nodes then."""


@dataclass(frozen=True)
class Relaxation:
    """The relaxation's optimum over the patterns found, and what is proved about all patterns."""

    relaxed: Relaxed
    bound: int
    """No packing costs less."""
    certificate: DualCertificate | None
    """Why; None where the bound is that of the start."""
    converged: bool
    """Whether no pattern could lift the bound further."""


class Generator:
    """Finds patterns for a master problem; remembers multipliers and how hard pricing is."""

    def __init__(self, instance: Instance, seed: int) -> None:
        self.instance = instance
        self.master = Master(instance)
        self._sacks = [knapsack(instance, kind) for kind in range(len(instance.cost))]
        cells = instance.capacity.shape[1]
        self._even = np.full(cells, 1.0 / cells)
        self._multipliers = [self._even for _ in self._sacks]
        self._random = np.random.default_rng(seed)
        self.scale = (1 << _VALUE_BITS) // int(instance.cost.max())

    def converge(
        self, bound: int, nodes: int, most_nodes: int, should_stop: ShouldStop, hasty: bool = False
    ) -> Relaxation:
        """Add patterns until the bound is the relaxation's optimum rounded up, or pricing is too hard.

        Pricing starts with ``nodes`` below each item and may use up to ``most_nodes``; ``hasty`` ends as soon as
        little is gained.
        """
        certificate: DualCertificate | None = None
        tries, costs = 0, list[float]()
        while True:
            relaxed = self.master.solve()
            target = self.instance.round_up(*Fraction(max(relaxed.cost - _EPSILON, 0.0)).as_integer_ratio())
            if target <= bound:
                return Relaxation(relaxed, bound, certificate, True)
            costs.append(relaxed.cost)
            slow = len(costs) > _SLOW and costs[-_SLOW] - costs[-1] < _LITTLE * self.instance.grain
            if should_stop() or (hasty and slow):
                return Relaxation(relaxed, bound, certificate, False)
            values, penalties = self.integers(relaxed)
            priced = self.price(values, penalties, self.instance.copies, target, nodes, perturb=tries > 0)
            proof = self._certificate(values, penalties, priced)
            if proof.bound(self.instance) > bound:
                bound, certificate = proof.bound(self.instance), proof
            added = self.master.add(pattern for one in priced for pattern in one.patterns)
            complete = all(one.complete for one in priced)
            if added:
                tries = 0
            elif complete or (tries >= _PERTURBED and nodes >= most_nodes):
                return Relaxation(relaxed, bound, certificate, complete)
            elif tries >= _PERTURBED:
                nodes, tries = nodes * _MORE, 0
            else:
                tries += 1

    def enrich(self, copies: NDArray[np.int64], rounds: int, nodes: int) -> Relaxed:
        """A few rounds of patterns for what is left of the items, as the master problem has been told."""
        relaxed = self.master.solve()
        for _ in range(rounds):
            values, penalties = self.integers(relaxed)
            priced = self.price(values, penalties, copies, None, nodes, perturb=False)
            if not self.master.add(pattern for one in priced for pattern in one.patterns):
                break
            relaxed = self.master.solve()
        return relaxed

    def integers(self, relaxed: Relaxed) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Prices in whole parts of ``1 / scale``."""
        values = np.floor(relaxed.value * self.scale).astype(np.int64)
        return values, np.ceil(relaxed.penalty * self.scale).astype(np.int64)

    def price(
        self,
        values: NDArray[np.int64],
        penalties: NDArray[np.int64],
        copies: NDArray[np.int64],
        target: int | None,
        nodes: int,
        perturb: bool,
    ) -> list[Priced]:
        """Search every kind for patterns worth more than they cost, or that the target allows them to."""
        found = []
        for kind, sack in enumerate(self._sacks):
            cost = int(self.instance.cost[kind])
            threshold = cost * self.scale + int(penalties[kind])
            threshold += threshold >> (_VALUE_BITS - 8)  # less than what the solver of the master tells apart
            if target is not None and target > self.instance.grain:
                total = int(values @ copies - penalties @ self.instance.available)
                threshold = max(threshold, int(penalties[kind]) + (total * cost - 1) // (target - self.instance.grain))
            adapted = adapted_multipliers(sack, values, copies, self._multipliers[kind])
            self._multipliers[kind] = adapted
            leading = adapted * self._random.uniform(0.5, 2.0, len(adapted)) if perturb else adapted
            multipliers = np.stack([leading, self._even])
            found.append(price(sack, values, copies, multipliers, threshold, nodes))
        return found

    def enumerate(self, kind: int, values: NDArray[np.int64], surplus: int, nodes: int, most: int) -> Priced:
        """All maximal patterns of a kind that are worth at least their cost plus a surplus, up to so many."""
        threshold = int(self.instance.cost[kind]) * self.scale + surplus - 1
        multipliers = np.stack([self._multipliers[kind], self._even])
        copies = self.instance.copies
        return price(self._sacks[kind], values, copies, multipliers, threshold, nodes, most)

    def _certificate(
        self, values: NDArray[np.int64], penalties: NDArray[np.int64], priced: Sequence[Priced]
    ) -> DualCertificate:
        ceilings = tuple(one.upper for one in priced)
        return DualCertificate(tuple(values.tolist()), tuple(penalties.tolist()), ceilings)

    def add(self, patterns: Iterable[Pattern]) -> None:
        """Take in patterns from elsewhere."""
        self.master.add(patterns)
