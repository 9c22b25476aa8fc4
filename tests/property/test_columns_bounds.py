"""Column generation against enumeration, on small random instances of every shape."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from consolidate.solve.certificate import DualCertificate, broken_packing, proves
from consolidate.solve.columns import Effort, Instance, Pattern, pack
from consolidate.solve.columns.instance import cost_of, merge_identical
from consolidate.solve.columns.squeeze import squeeze

QUICK = Effort(starts=2, dives=2)


@st.composite
def small(draw: st.DrawFn) -> Instance:
    """Up to two kinds of bins, two cells, seven items, a group; some demands negative. Most can be packed."""
    kinds, items, cells = draw(st.integers(1, 2)), draw(st.integers(1, 7)), draw(st.integers(1, 2))
    least = draw(st.sampled_from([0, 0, -2]))

    def numbers(low: int, high: int, *shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        count = int(np.prod(shape))
        drawn = draw(st.lists(st.integers(low, high), min_size=count, max_size=count))
        return np.array(drawn, dtype=np.int64).reshape(shape)

    groups = draw(st.integers(0, 1))
    return Instance(
        demand=numbers(least, 9, kinds, items, cells),
        allowed=numbers(0, 19, kinds, items) < 19,
        copies=np.ones(items, dtype=np.int64),
        capacity=numbers(8, 15, kinds, cells),
        cost=numbers(1, 4, kinds),
        available=numbers(0, 7, kinds) if draw(st.integers(0, 3)) == 3 else np.full(kinds, items),
        group=numbers(0, 1, items, groups),
        group_bound=numbers(1, 2, groups),
    )


def cheapest(instance: Instance) -> int | None:
    """Least cost of all packings, by subsets."""
    items = len(instance.copies)
    patterns = []
    for kind in range(len(instance.cost)):
        for subset in range(1, 1 << items):
            chosen = [item for item in range(items) if subset >> item & 1]
            load = instance.demand[kind, chosen].sum(axis=0)
            members = instance.group[chosen].sum(axis=0)
            if (
                instance.allowed[kind, chosen].all()
                and (load <= instance.capacity[kind]).all()
                and (members <= instance.group_bound).all()
            ):
                patterns.append((kind, subset))

    @cache
    def best(left: int, available: tuple[int, ...]) -> int | None:
        if not left:
            return 0
        first = left & -left
        costs = []
        for kind, subset in patterns:
            if subset & first and subset & ~left == 0 and available[kind]:
                after = tuple(n - (k == kind) for k, n in enumerate(available))
                rest = best(left & ~subset, after)
                if rest is not None:
                    costs.append(rest + int(instance.cost[kind]))
        return min(costs, default=None)

    return best((1 << items) - 1, tuple(instance.available.tolist()))


@given(small(), st.integers(0, 3))
@settings(max_examples=120)
def test_packings_are_right_and_bounds_hold(instance: Instance, seed: int) -> None:
    optimum = cheapest(instance)
    packed = pack(instance, seed, QUICK)
    if instance.monotone:
        assert (packed is None) == (optimum is None)
    if packed is None:
        return
    assert optimum is not None
    assert broken_packing(instance, [(one.kind, one.items) for one in packed.packing]) is None
    assert packed.bound <= optimum <= packed.cost
    merged, _ = merge_identical(instance)
    if packed.certificate is not None:
        assert proves(merged, packed.certificate, packed.certificate.bound(merged))
    if instance.monotone:
        assert packed.cost == optimum


@given(small(), st.integers(0, 1), st.lists(st.integers(-1, 1), min_size=9, max_size=9))
@settings(max_examples=300, deadline=None)
def test_a_certificate_is_right_exactly_where_no_pattern_is_worth_more_than_it_says(
    instance: Instance, kind: int, more: list[int]
) -> None:
    items, kinds = len(instance.copies), len(instance.cost)
    values = np.maximum(instance.demand[min(kind, kinds - 1), :, 0] + more[:items], 0)
    ceilings = np.maximum(instance.capacity[:, 0] + more[items : items + kinds], 0)
    subsets = [[item for item in range(items) if subset >> item & 1] for subset in range(1 << items)]
    right = all(
        values[subset].sum() <= ceilings[one]
        for one in range(kinds)
        for subset in subsets
        if instance.fits(Pattern(one, tuple(subset)))
    )
    certificate = DualCertificate(tuple(values.tolist()), (0,) * kinds, tuple(ceilings.tolist()))
    assert proves(instance, certificate, 0) is right
    assert proves(instance, certificate, 0, most_nodes=0) in (None, right)


@given(small(), st.integers(0, 1_000))
@settings(max_examples=200, deadline=None)
def test_squeezing_keeps_every_rule_and_never_costs_more(instance: Instance, seed: int) -> None:
    merged, _ = merge_identical(instance)
    packed = pack(merged, seed, replace(QUICK, squeeze_steps=0, dives=0, choice_nodes=0))
    if packed is None:
        return
    squeezed = squeeze(merged, packed.packing, 0, 20_000, seed, lambda: False)
    assert broken_packing(merged, [(one.kind, one.items) for one in squeezed]) is None
    assert cost_of(merged, squeezed) <= packed.cost
    assert squeezed == squeeze(merged, packed.packing, 0, 20_000, seed, lambda: False)
