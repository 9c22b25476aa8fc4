"""Whole cores for workloads that share none: which, on which nodes, and what is left for the rest. Pure.

The objective is lexicographic: as few processors as are needed, as few nodes as can be, those near to each other, as
few shared caches as can be, nodes alike in load, and as many of today's cores as can be kept. It is solved exactly.
Cores that nothing tells apart (same node, cache, size and present owners) are counted rather than named, which leaves
a small program also for a large host.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from collectors.topology import Node, Topology
from consolidate.plan.cpuset_program import Kind, Program

LEAST_POOL_CORES = 2
"""A single core would stop for everybody whenever one of the sharers does not yield it."""
NODE_WITH_RESERVE_CORES = 8
"""A node this large keeps a core for its own interrupts."""
RESERVE_PERMILLE = 20
MEMORY_PERMILLE = 950
"""Of a node's memory; the kernel keeps the rest for itself and for what is shared."""


@dataclass(frozen=True)
class Claim:
    """A workload that wants cores of its own."""

    name: str
    cpus: int
    """Processors it needs; it gets whole cores."""
    memory_bytes: int
    now: frozenset[int] = frozenset()
    """Processors it is kept to today; empty where it is not."""


@dataclass(frozen=True)
class Layout:
    """Who runs where on one host."""

    cpus: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    nodes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Nodes that each one's memory comes from."""
    shared: tuple[int, ...] = ()
    """Processors of all others."""
    reserved: tuple[int, ...] = ()
    """Processors of the system and its interrupts alone."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why a workload has no cores of its own."""


@dataclass(frozen=True)
class _Core:
    cpus: tuple[int, ...]
    node: int
    """Index into the nodes."""
    cache: int
    """Number of its last cache; below zero, one to each node, where that is not known."""


def lay_out(topology: Topology, claims: Sequence[Claim], shared_cpus: int, reserved_cpus: int = 0) -> Layout:
    """Give claims whole cores; what does not fit is refused, the largest first, so that most fit.

    Args:
        topology: Of the host; where it has no nodes, everything is refused.
        claims: In any order; the result does not depend on it.
        shared_cpus: What all others need at once, 0 where there are none.
        reserved_cpus: What the host keeps for itself.

    """
    nodes = [node for node in topology.nodes if node.cpus]
    if not claims:
        return Layout()
    if not nodes:
        return Layout(refused={claim.name: "the cores of its host are not known" for claim in claims})
    cores = _cores(topology, nodes)
    reserved = _reserve(cores, reserved_cpus)
    free = [core for core in cores if core not in reserved]
    pool = _pool(free, shared_cpus)
    refused: dict[str, str] = {}
    wanted = sorted(claims, key=lambda claim: (claim.cpus, claim.memory_bytes, claim.name))
    while wanted:
        layout = _solve(topology, nodes, free, wanted, pool)
        if layout is not None:
            taken = {cpu for cpus in layout.cpus.values() for cpu in cpus}
            return Layout(
                layout.cpus,
                layout.nodes,
                shared=tuple(sorted(cpu for core in free for cpu in core.cpus if cpu not in taken)),
                reserved=tuple(sorted(cpu for core in reserved for cpu in core.cpus)),
                refused=refused,
            )
        largest = wanted.pop()
        refused[largest.name] = (
            f"{largest.cpus} processors as whole cores and its memory are not there besides "
            f"{len(reserved)} for the system, {pool[0]} for what is shared, and others' own"
        )
    return Layout(refused=refused)


def spanned(topology: Topology, cpus: int, memory_bytes: int) -> int:
    """Least number of nodes that hold so many processors and so much memory; 1 where nodes are not known."""
    nodes = [node for node in topology.nodes if node.cpus]
    if not nodes:
        return 1
    by_cpus = _least(cpus, (len(node.cpus) for node in nodes))
    return max(by_cpus, _least(memory_bytes, (node.memory_bytes for node in nodes)))


def _least(need: int, sizes: Iterable[int]) -> int:
    count = 0
    for size in sorted(sizes, reverse=True):
        if need <= 0:
            break
        need, count = need - size, count + 1
    return max(count, 1)


def _cores(topology: Topology, nodes: Sequence[Node]) -> list[_Core]:
    """Every core on a node, in ascending order; where cores are not known, each processor is one."""
    node_of = {cpu: index for index, node in enumerate(nodes) for cpu in node.cpus}
    cache_of = {cpu: index for index, cpus in enumerate(topology.caches) for cpu in cpus}
    sets = topology.cores or tuple((cpu,) for cpu in sorted(node_of))
    return [
        _Core(cpus, node_of[cpus[0]], cache_of.get(cpus[0], -1 - node_of[cpus[0]]))
        for cpus in sorted(tuple(sorted(one)) for one in sets)
        if cpus[0] in node_of
    ]


def _reserve(cores: Sequence[_Core], reserved_cpus: int) -> list[_Core]:
    """A core of every large node, at least one, at least 2 %, and at least what the host keeps; the first ones."""
    nodes: dict[int, list[_Core]] = {}
    for core in cores:
        nodes.setdefault(core.node, []).append(core)
    first = [own[0] for own in nodes.values() if len(own) >= NODE_WITH_RESERVE_CORES]
    least = max(1, len(first), -(-len(cores) * RESERVE_PERMILLE // 1000))
    chosen: list[_Core] = []
    for core in dict.fromkeys([*first, *cores]):
        if len(chosen) >= least and sum(len(one.cpus) for one in chosen) >= reserved_cpus:
            break
        chosen.append(core)
    return chosen


def _pool(free: Sequence[_Core], shared_cpus: int) -> tuple[int, int]:
    """Cores and processors that must stay shared."""
    return (LEAST_POOL_CORES, shared_cpus) if shared_cpus else (0, 0)


def _solve(
    topology: Topology, nodes: Sequence[Node], free: Sequence[_Core], claims: Sequence[Claim], pool: tuple[int, int]
) -> Layout | None:
    """The best layout of all claims; None where they do not all fit."""
    everywhere = frozenset(cpu for node in nodes for cpu in node.cpus)
    kept = [claim.now if claim.now < everywhere else frozenset() for claim in claims]
    kinds: dict[Kind, list[_Core]] = {}
    for core in free:
        owners = frozenset(index for index, now in enumerate(kept) if now.issuperset(core.cpus))
        kinds.setdefault(Kind(core.node, core.cache, len(core.cpus), owners), []).append(core)
    program = Program(
        tuple(kinds),
        tuple(len(cores) for cores in kinds.values()),
        tuple(claim.cpus for claim in claims),
        tuple(claim.memory_bytes for claim in claims),
        tuple(node.memory_bytes * MEMORY_PERMILLE // 1000 for node in nodes),
        _distances(topology, nodes),
        pool,
    )
    solution = program.solve()
    if solution is None:
        return None
    left = {kind: list(cores) for kind, cores in kinds.items()}
    cpus, memory = {}, {}
    for claim, counts, used in zip(claims, solution.cores, solution.nodes, strict=True):
        own = [left[kind].pop(0) for kind, count in zip(kinds, counts, strict=True) for _ in range(count)]
        cpus[claim.name] = tuple(sorted(cpu for core in own for cpu in core.cpus))
        memory[claim.name] = tuple(nodes[index].number for index in used)
    return Layout(cpus, memory)


def _distances(topology: Topology, nodes: Sequence[Node]) -> tuple[tuple[int, ...], ...]:
    """Distance between any two of the nodes; all alike where the firmware does not tell."""
    column = {node.number: at for at, node in enumerate(topology.nodes)}
    if any(len(node.distances) != len(topology.nodes) for node in nodes):
        return tuple(tuple(10 if one is other else 20 for other in nodes) for one in nodes)
    return tuple(tuple(one.distances[column[other.number]] for other in nodes) for one in nodes)
