"""The integer program of whole cores: counts of each kind of core for each claim, best level by level."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

MIB = 1024**2
MOST_NODES = 1_000
"""Of the search for each level, so that a large host takes no longer than it is worth; not a time, so that plans are
the same everywhere."""
_INFEASIBLE = 2
"""``milp``'s status."""


@dataclass(frozen=True)
class Kind:
    """Cores that nothing tells apart."""

    node: int
    cache: int
    cpus: int
    """Processors of each core."""
    owners: frozenset[int]
    """Claims whose today's processors these are."""


@dataclass(frozen=True)
class Solution:
    """What each claim gets."""

    cores: tuple[tuple[int, ...], ...]
    """By claim: how many of each kind."""
    nodes: tuple[tuple[int, ...], ...]
    """By claim: nodes of its processors and memory."""


@dataclass(frozen=True)
class Program:
    """Claims, and what there is."""

    kinds: tuple[Kind, ...]
    copies: tuple[int, ...]
    cpus: tuple[int, ...]
    """Processors that each claim needs."""
    memory_bytes: tuple[int, ...]
    """Memory that each claim needs."""
    node_bytes: tuple[int, ...]
    distances: tuple[tuple[int, ...], ...]
    pool: tuple[int, int] = (0, 0)
    """Cores and processors that nobody gets."""

    def solve(self) -> Solution | None:
        """The best solution; None where there is none, or none was found."""
        model = _Model(self)
        best: NDArray[np.float64] | None = None
        for level in model.levels():
            found = model.least(level)
            if found is None:
                break
            best = found
            model.keep(level, float(level @ best))
        if best is None:
            return None
        counts = np.rint(best[model.taken]).astype(int)
        used = np.rint(best[model.on_node]).astype(bool)
        return Solution(
            tuple(map(tuple, counts.tolist())),
            tuple(tuple(np.flatnonzero(row).tolist()) for row in used),
        )


@dataclass
class _Rows:
    """Linear constraints as they are written down: amounts by variable, and bounds."""

    entries: list[Mapping[int, float]] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)

    def add(self, amounts: Mapping[int, float], lower: float, upper: float) -> None:
        self.entries.append(amounts)
        self.lower.append(lower)
        self.upper.append(upper)

    def constraint(self, variables: int) -> LinearConstraint:
        row = [index for index, amounts in enumerate(self.entries) for _ in amounts]
        column = [variable for amounts in self.entries for variable in amounts]
        value = [amount for amounts in self.entries for amount in amounts.values()]
        matrix = sparse.csr_matrix((value, (row, column)), shape=(len(self.entries), variables))
        return LinearConstraint(matrix, self.lower, self.upper)


class _Model:
    """The program's variables, as index arrays, and its constraints.

    ``taken[j, k]`` counts the cores of a kind that a claim gets, ``on_node[j, n]`` and ``in_cache[j, c]`` are 1 where
    it is anywhere there, ``memory[j, n]`` is in MiB, ``both[j, p]`` is 1 where it is on both nodes of a pair, and
    ``fullest`` is the number of processors taken of the node of which most are.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        claims, nodes = len(program.cpus), len(program.node_bytes)
        self.caches = sorted({kind.cache for kind in program.kinds})
        self.pairs = list(itertools.combinations(range(nodes), 2))
        numbers = itertools.count()

        def variables(width: int) -> NDArray[np.int64]:
            count = claims * width
            return np.fromiter(numbers, dtype=np.int64, count=count).reshape(claims, width)

        self.taken = variables(len(program.kinds))
        self.on_node, self.in_cache = variables(nodes), variables(len(self.caches))
        self.memory, self.both = variables(nodes), variables(len(self.pairs))
        self.fullest = next(numbers)
        self.size = self.fullest + 1
        self.rows = _Rows()
        self.upper = self._upper()
        self.whole = np.ones(self.size, dtype=np.int64)
        self.whole[self.memory.ravel()] = self.whole[self.both.ravel()] = 0
        self._needs()
        self._places()
        self._room()

    def levels(self) -> Iterator[NDArray[np.float64]]:
        """What is made small, the most important first; a level that cannot differ is left out."""
        program = self.program
        cores = self._zeros()
        cores[self.taken] = [kind.cpus for kind in program.kinds]
        yield cores
        if self.pairs:
            nodes, far = self._zeros(), self._zeros()
            nodes[self.on_node] = 1
            yield nodes
            far[self.both] = [program.distances[one][other] for one, other in self.pairs]
            if len(self.pairs) > 1:
                yield far
        if len(self.caches) > 1:  # even where each node has one: a node may be there for its memory alone
            caches = self._zeros()
            caches[self.in_cache] = 1
            yield caches
        if self.pairs:
            fullest = self._zeros()
            fullest[self.fullest] = 1
            yield fullest
        kept = self._zeros()
        for at, kind in enumerate(program.kinds):
            kept[[self.taken[claim, at] for claim in kind.owners]] = -kind.cpus
        if kept.any():
            yield kept

    def least(self, level: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """A solution that is least in a level."""
        result = milp(
            level,
            integrality=self.whole,
            bounds=Bounds(np.zeros(self.size), self.upper),
            constraints=self.rows.constraint(self.size),
            options={"node_limit": MOST_NODES, "mip_rel_gap": 0.0},
        )
        found: NDArray[np.float64] | None = result.x
        return None if result.status == _INFEASIBLE else found

    def keep(self, level: NDArray[np.float64], value: float) -> None:
        """Ask of the levels to come that this one gets no worse; all are whole numbers."""
        self.rows.add({int(at): float(level[at]) for at in np.flatnonzero(level)}, -np.inf, round(value) + 0.5)

    def _zeros(self) -> NDArray[np.float64]:
        return np.zeros(self.size)

    def _upper(self) -> NDArray[np.float64]:
        upper = np.ones(self.size)
        upper[self.taken] = self.program.copies
        upper[self.memory] = np.inf
        upper[self.fullest] = np.inf
        return upper

    def _needs(self) -> None:
        """Every claim gets its processors and its memory."""
        program = self.program
        sizes = [kind.cpus for kind in program.kinds]
        for claim, cpus in enumerate(program.cpus):
            self.rows.add(_sum(self.taken[claim], sizes), cpus, np.inf)
            mib = program.memory_bytes[claim] / MIB
            self.rows.add(_sum(self.memory[claim]), mib, mib)

    def _places(self) -> None:
        """Whoever has anything in a node or a cache is there."""
        program = self.program
        for claim in range(len(program.cpus)):
            for at, kind in enumerate(program.kinds):
                there = int(self.on_node[claim, kind.node])
                cache = int(self.in_cache[claim, self.caches.index(kind.cache)])
                most = float(min(program.copies[at], -(-program.cpus[claim] // kind.cpus)))
                own = int(self.taken[claim, at])
                self.rows.add({own: 1.0, there: -most}, -np.inf, 0.0)
                self.rows.add({own: 1.0, cache: -most}, -np.inf, 0.0)
            for node, there in enumerate(self.on_node[claim].tolist()):
                mib = program.memory_bytes[claim] / MIB
                self.rows.add({int(self.memory[claim, node]): 1.0, there: -mib}, -np.inf, 0.0)
            for at, (one, other) in enumerate(self.pairs):
                ends = {int(self.on_node[claim, one]): 1.0, int(self.on_node[claim, other]): 1.0}
                self.rows.add(ends | {int(self.both[claim, at]): -1.0}, -np.inf, 1.0)

    def _room(self) -> None:
        """Nothing is given twice, and the pool stays."""
        program = self.program
        for at, copies in enumerate(program.copies):
            self.rows.add(_sum(self.taken[:, at]), -np.inf, copies)
        for node, there in enumerate(program.node_bytes):
            self.rows.add(_sum(self.memory[:, node]), -np.inf, there / MIB)
            own = [at for at, kind in enumerate(program.kinds) if kind.node == node]
            if own:
                cpus = _sum(self.taken[:, own].ravel(), [program.kinds[at].cpus for at in own] * len(program.cpus))
                self.rows.add(cpus | {self.fullest: -1.0}, -np.inf, 0.0)
        sizes = np.array([kind.cpus for kind in program.kinds])
        pool_cores, pool_cpus = program.pool
        most_cpus = int(sizes @ np.array(program.copies)) - pool_cpus if len(sizes) else 0
        everybody = _sum(self.taken.ravel(), list(np.tile(sizes, len(program.cpus))))
        self.rows.add(everybody, -np.inf, most_cpus)
        self.rows.add(_sum(self.taken.ravel()), -np.inf, sum(program.copies) - pool_cores)


def _sum(variables: NDArray[np.int64], amounts: Sequence[float] | None = None) -> dict[int, float]:
    values = [1.0] * len(variables) if amounts is None else [float(one) for one in amounts]
    return dict(zip(variables.tolist(), values, strict=True))
