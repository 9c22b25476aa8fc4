"""From an instance to a packing and a bound that meet, or come as near as the effort allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from consolidate.solve.certificate import DualCertificate
from consolidate.solve.columns.choose import choose
from consolidate.solve.columns.close import close
from consolidate.solve.columns.construct import packings
from consolidate.solve.columns.dive import dive
from consolidate.solve.columns.generate import Generator
from consolidate.solve.columns.instance import (
    Instance,
    Packing,
    Pattern,
    ShouldStop,
    cost_of,
    merge_identical,
    uniform_bins,
)
from consolidate.solve.columns.squeeze import squeeze


@dataclass(frozen=True)
class Effort:
    """How much to do, in searches and nodes, so that a budget means the same everywhere."""

    starts: int = 30
    """Constructed packings, each a source of patterns."""
    squeeze_steps: int = 0
    """Steps of annealing from the best of them: for hundreds of items. A fleet's few are packed as well without, and
    then with fewer moves."""
    first_nodes: int = 100
    """Nodes of pricing below each item at first,"""
    most_nodes: int = 25_600
    """and at most."""
    choice_nodes: int = 20
    """Nodes of the integer program over the patterns found."""
    dives: int = 8
    close_nodes: int = 25_600
    """Nodes below each item when all patterns of a gap are enumerated; the gap stays open where they are more."""
    close_patterns: int = 20_000
    """Patterns to choose from then, at most; a node takes the longer the more there are."""
    close_choice_nodes: int = 2_000


@dataclass(frozen=True)
class Packed:
    """A packing of the original items, and what is proved."""

    packing: Packing
    cost: int
    bound: int
    """No packing costs less."""
    certificate: DualCertificate | None
    """Checkable proof of the bound or of one a little lower, in terms of `merge_identical`'s items."""
    kind: str
    """What proves the bound: "continuous" or "columns" (a certificate), or "enumeration" (an integer program over all
    patterns that matter)."""
    patterns: tuple[Pattern, ...]
    """All patterns seen; of equal items the first stands for all of them."""


Report = Callable[[Packed], None]
"""Told of every better packing or bound."""


def _silent(packed: Packed) -> None:
    """Report nothing."""


def pack(
    instance: Instance,
    seed: int = 0,
    effort: Effort | None = None,
    should_stop: ShouldStop = lambda: False,
    report: Report = _silent,
    start: Sequence[Packing] = (),
) -> Packed | None:
    """Pack everything at the least cost; None where no packing was found.

    ``start`` are packings of the original items that are known already. The same seed and effort give the same
    packing, unless ``should_stop`` says otherwise.
    """
    return _Run(instance, seed, effort or Effort(), should_stop, report).run(start)


def compile_kernels() -> None:
    """Compile the kernels where no cache has them, so that processes that are forked now do not each compile their own.

    No linear program is solved: its threads would not survive the fork.
    """
    instance = uniform_bins(np.array([[2], [1]]), np.array([2]))
    for packing in packings(instance, 0, 0):
        squeeze(instance, packing, 1, 1, 0, lambda: False)
    Generator(instance, 0).price(
        np.ones(2, dtype=np.int64), np.zeros(1, dtype=np.int64), instance.copies, None, 1, False
    )


class _Run:
    """The state of one call."""

    def __init__(self, original: Instance, seed: int, effort: Effort, should_stop: ShouldStop, report: Report) -> None:
        self.original = original
        self.instance, self.members = merge_identical(original)
        self.seed, self.effort, self.report = seed, effort, report
        self.generator = Generator(self.instance, seed)
        self.random = np.random.default_rng(seed)
        self.best: Packing | None = None
        self.bound, self.kind = 0, "none"
        self.certificate: DualCertificate | None = None
        self._asked = should_stop

    def run(self, start: Sequence[Packing]) -> Packed | None:
        """All steps, each only as long as there is a gap."""
        self._prove_by_volume()
        label = self._labels()
        for packing in start:
            self._offer(tuple(Pattern(p.kind, tuple(sorted(label[list(p.items)].tolist()))) for p in packing))
        self.generator.add(self._singles())
        for packing in packings(self.instance, self.seed, self.effort.starts):
            self._offer(packing)
            if self._done():
                break
        self._squeeze()
        self._converge(self.effort.first_nodes, hasty=True)
        if not self._done():
            self._dive(1.0)
        self._converge(self.effort.most_nodes)
        for number in range(self.effort.dives):
            if self._done():
                break
            self._dive(1.0 if number == 0 else 0.5)
            if number == 0:
                self._close()
            if number == 1:
                self._choose()
        return self._packed()

    def _labels(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        label = np.zeros(len(self.original.copies), dtype=np.int64)
        for index, members in enumerate(self.members):
            label[members] = index
        return label

    def _singles(self) -> list[Pattern]:
        kinds, items = np.nonzero(self.instance.allowed)
        singles = [Pattern(int(kind), (int(item),)) for kind, item in zip(kinds, items, strict=True)]
        return [single for single in singles if self.instance.fits(single)]

    def _converge(self, most_nodes: int, hasty: bool = False) -> None:
        relaxation = self.generator.converge(self.bound, self.effort.first_nodes, most_nodes, self._done, hasty)
        self._prove(relaxation.bound, "columns", relaxation.certificate)

    def _prove_by_volume(self) -> None:
        """In each cell alone, the items have a volume that only so many bins hold."""
        instance = self.instance
        anywhere = np.where(instance.allowed[..., None], instance.demand, np.iinfo(np.int64).max).min(axis=0)
        for cell in np.flatnonzero((anywhere >= 0).all(axis=0) & instance.allowed.any(axis=0).all()).tolist():
            values, ceilings = anywhere[:, cell].tolist(), instance.capacity[:, cell].tolist()
            volume = DualCertificate(tuple(values), (0,) * len(ceilings), tuple(ceilings))
            self._prove(volume.bound(instance), "continuous", volume)

    def _squeeze(self) -> None:
        if self.best is not None and not self._done():
            steps = self.effort.squeeze_steps
            self._offer(squeeze(self.instance, self.best, self.bound, steps, self.seed, self._asked))

    def _choose(self) -> None:
        if self._done():
            return
        chosen = choose(
            self.instance,
            self.generator.master.patterns,
            self.instance.copies,
            self.instance.available,
            (self.bound, self._limit()),
            self.effort.choice_nodes,
            self._asked,
        )
        self._offer(chosen.packing)

    def _dive(self, greed: float) -> None:
        self._offer(dive(self.generator, self._limit(), self.random, greed, self._asked))

    def _close(self) -> None:
        while not self._done() and self.best is not None:
            upper = cost_of(self.instance, self.best)
            effort = self.effort
            chosen = close(
                self.generator,
                self.bound,
                upper,
                effort.close_nodes,
                effort.close_patterns,
                effort.close_choice_nodes,
                self._asked,
            )
            self._offer(chosen.packing)
            if chosen.packing is None:
                if chosen.exhausted:
                    self._prove(upper, "enumeration", self.certificate)
                return

    def _limit(self) -> int:
        """What a packing may cost to be better than the best."""
        if self.best is None:
            return int(self.instance.cost @ self.instance.available)
        return cost_of(self.instance, self.best) - self.instance.grain

    def _done(self) -> bool:
        met = self.best is not None and cost_of(self.instance, self.best) <= self.bound
        return met or self._asked()

    def _offer(self, packing: Packing | None) -> None:
        if packing is None:
            return
        self.generator.add(packing)
        if self.best is None or cost_of(self.instance, packing) < cost_of(self.instance, self.best):
            self.best = packing
            self._tell()

    def _prove(self, bound: int, kind: str, certificate: DualCertificate | None) -> None:
        if bound > self.bound:
            self.bound, self.kind, self.certificate = bound, kind, certificate
            self._tell()

    def _tell(self) -> None:
        packed = self._packed()
        if packed is not None:
            self.report(packed)

    def _packed(self) -> Packed | None:
        if self.best is None:
            return None
        waiting = [iter(members.tolist()) for members in self.members]
        packing = tuple(
            Pattern(pattern.kind, tuple(sorted(next(waiting[item]) for item in pattern.items))) for pattern in self.best
        )
        cost = cost_of(self.original, packing)
        first = [int(members[0]) for members in self.members]
        patterns = tuple(
            Pattern(one.kind, tuple(first[item] for item in one.items)) for one in self.generator.master.patterns
        )
        return Packed(packing, cost, self.bound, self.certificate, self.kind, patterns)
