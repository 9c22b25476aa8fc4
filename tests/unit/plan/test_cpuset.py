"""Whole cores for workloads that share none: as good as the best of all layouts, and never at another's cost."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.topology import Node, Topology, parse_topology
from consolidate.plan.cpuset import MEMORY_PERMILLE, Claim, Layout, lay_out, spanned

GIB = 1 << 30


def machine(nodes: int, cores: int, smt: int = 1, cache_cores: int | None = None) -> Topology:
    """A host numbered as Linux numbers servers: first a thread of every core, then their siblings."""
    total = nodes * cores
    siblings = [tuple(core + total * thread for thread in range(smt)) for core in range(total)]

    def cpus(first: int, count: int) -> tuple[int, ...]:
        return tuple(sorted(cpu for core in siblings[first : first + count] for cpu in core))

    wide = cache_cores or cores
    return Topology(
        tuple(
            Node(
                node, cpus(node * cores, cores), 16 * GIB, tuple(10 if node == other else 21 for other in range(nodes))
            )
            for node in range(nodes)
        ),
        tuple(siblings),
        tuple(cpus(first, wide) for first in range(0, total, wide)),
    )


def test_two_threads_of_a_core_go_to_the_same_workload() -> None:
    # (c:0 0,8) (c:1 1,9) (c:2 2,10) … of which the first is the system's
    layout = lay_out(machine(1, 8, smt=2), [Claim("db", 3, GIB)], 4)
    assert layout.reserved == (0, 8)
    assert layout.cpus["db"] == (1, 2, 9, 10)  # three processors need two cores
    assert layout.shared == (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    assert layout.nodes["db"] == (0,)


def test_a_workload_stays_on_one_node_and_in_one_cache_where_it_can() -> None:
    layout = lay_out(machine(2, 8, cache_cores=4), [Claim("db", 4, GIB), Claim("web", 3, GIB)], 2)
    # Each node keeps a core for its interrupts, so only the second cache of each has four cores left.
    assert layout.reserved == (0, 8)
    assert layout.cpus["db"] in {(4, 5, 6, 7), (12, 13, 14, 15)}
    assert layout.nodes["db"] != layout.nodes["web"], "nodes are alike in load"


def test_memory_that_no_node_has_spans_two() -> None:
    layout = lay_out(machine(2, 4), [Claim("db", 1, 20 * GIB)], 2)
    assert layout.nodes["db"] == (0, 1)
    assert len(layout.cpus["db"]) == 1


def test_processors_stay_in_one_cache_where_only_memory_needs_a_second_node() -> None:
    layout = lay_out(machine(2, 3), [Claim("a", 1, GIB), Claim("db", 2, 16 * GIB)], 0)
    assert layout.nodes["db"] == (0, 1)
    assert layout.cpus["db"] in {(1, 2), (3, 4), (4, 5), (3, 5)}


def test_near_nodes_are_taken_together() -> None:
    far = "distances 10,16,32,32; distances 16,10,32,32; distances 32,32,10,16; distances 32,32,16,10"
    rows = [part.removeprefix("distances ") for part in far.split("; ")]
    sections = [f"node {n} cpus {2 * n}-{2 * n + 1} memory {4 * GIB} distances {row}" for n, row in enumerate(rows)]
    layout = lay_out(parse_topology("; ".join(sections)), [Claim("db", 4, GIB)], 2)
    assert layout.nodes["db"] == (2, 3)  # 0 has the system's core, and 1 is far from both


def test_what_has_its_cores_today_keeps_them() -> None:
    now = frozenset({5, 13})
    layout = lay_out(machine(1, 8, smt=2), [Claim("a", 2, GIB), Claim("db", 2, GIB, now)], 4)
    assert set(layout.cpus["db"]) == now
    again = [Claim(name, 2, GIB, frozenset(cpus)) for name, cpus in layout.cpus.items()]
    assert lay_out(machine(1, 8, smt=2), again, 4) == layout


def test_the_shared_pool_keeps_two_cores_and_the_peak_of_its_workloads() -> None:
    layout = lay_out(machine(1, 8), [Claim("a", 2, GIB), Claim("b", 3, GIB)], 4)
    assert len(layout.shared) >= 4
    assert layout.cpus.keys() == {"a"}, "the largest is left out, so that most have theirs"
    assert layout.refused["b"].startswith("3 processors as whole cores")
    assert len(lay_out(machine(1, 4), [Claim("a", 1, GIB)], 1).shared) == 2


def test_nothing_is_promised_of_a_host_whose_cores_are_not_known() -> None:
    layout = lay_out(Topology(), [Claim("a", 1, GIB)], 1)
    assert (dict(layout.cpus), layout.shared) == ({}, ())
    assert layout.refused == {"a": "the cores of its host are not known"}


def test_a_host_without_claims_is_left_as_it_is() -> None:
    assert lay_out(machine(2, 4), [], 3) == Layout()


@pytest.mark.parametrize(("cpus", "memory", "nodes"), [(8, GIB, 1), (9, GIB, 2), (1, 17 * GIB, 2), (17, GIB, 3)])
def test_a_machine_spans_as_few_nodes_as_hold_it(cpus: int, memory: int, nodes: int) -> None:
    assert spanned(machine(4, 4, smt=2), cpus, memory) == nodes


@st.composite
def hosts(draw: st.DrawFn) -> tuple[Topology, list[Claim], int]:
    """Two nodes, up to six cores, two claims with memory and a past."""
    smt, cores = draw(st.integers(1, 2)), draw(st.integers(2, 3))
    topology = machine(2, cores, smt, draw(st.integers(1, cores)))
    everything = [cpu for core in topology.cores for cpu in core]
    claims = [
        Claim(
            name,
            draw(st.integers(1, 4)),
            draw(st.integers(1, 20)) * GIB,
            frozenset(draw(st.lists(st.sampled_from(everything), max_size=4))),
        )
        for name in ("a", "b")
    ]
    return topology, claims, draw(st.integers(0, 3))


@given(hosts())
@settings(max_examples=60)
def test_no_layout_of_a_small_host_is_better(case: tuple[Topology, list[Claim], int]) -> None:
    topology, claims, shared = case
    layout = lay_out(topology, claims, shared)
    best = min(scores(topology, claims, topology.cores[1:], shared), default=None)  # the first is the system's
    if layout.refused:
        assert best is None
        return
    found = [frozenset(layout.cpus[claim.name]) for claim in claims]
    places = [frozenset(layout.nodes[claim.name]) for claim in claims]
    assert score(topology, claims, found, places) == best
    assert sorted([*found[0], *found[1], *layout.shared, *layout.reserved]) == sorted(
        c for k in topology.cores for c in k
    )


def scores(
    topology: Topology, claims: Sequence[Claim], free: Sequence[tuple[int, ...]], shared: int
) -> Iterator[tuple[int, ...]]:
    """Score of every layout there is."""
    subsets = [one for size in range(1, len(free) + 1) for one in itertools.combinations(range(len(free)), size)]
    pool_cores = 2 if shared else 0
    for one, other in itertools.product(subsets, repeat=2):
        left = [core for at, core in enumerate(free) if at not in one and at not in other]
        if set(one) & set(other) or len(left) < pool_cores or sum(map(len, left)) < shared:
            continue
        cpus = [frozenset(cpu for at in own for cpu in free[at]) for own in (one, other)]
        if any(len(own) < claim.cpus for own, claim in zip(cpus, claims, strict=True)):
            continue
        for places in itertools.product([frozenset({0}), frozenset({1}), frozenset({0, 1})], repeat=2):
            if memory_fits(topology, claims, places) and all(
                {node.number for node in topology.nodes if own & set(node.cpus)} <= place
                for own, place in zip(cpus, places, strict=True)
            ):
                yield score(topology, claims, cpus, list(places))


def memory_fits(topology: Topology, claims: Sequence[Claim], places: Sequence[frozenset[int]]) -> bool:
    room = [node.memory_bytes * MEMORY_PERMILLE // 1000 for node in topology.nodes]
    bound = [sum(c.memory_bytes for c, p in zip(claims, places, strict=True) if p == {node}) for node in (0, 1)]
    return bound[0] <= room[0] and bound[1] <= room[1] and sum(c.memory_bytes for c in claims) <= sum(room)


def score(
    topology: Topology, claims: Sequence[Claim], cpus: Sequence[frozenset[int]], places: Sequence[frozenset[int]]
) -> tuple[int, ...]:
    """Processors, nodes, caches, the fullest node, and processors not kept."""
    caches = sum(bool(own & set(cache)) for own in cpus for cache in topology.caches)
    fullest = max(sum(len(own & set(node.cpus)) for own in cpus) for node in topology.nodes)
    kept = sum(
        len(core)
        for claim, own in zip(claims, cpus, strict=True)
        for core in topology.cores
        if own.issuperset(core) and claim.now.issuperset(core)
    )
    return sum(map(len, cpus)), sum(map(len, places)), caches, fullest, -kept
