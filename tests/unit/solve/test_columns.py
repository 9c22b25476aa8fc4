"""Column generation on instances small enough to see through, and on a few public ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from consolidate.solve.certificate import broken_packing, proves
from consolidate.solve.columns import Effort, Instance, Packed, Pattern, pack, uniform_bins
from consolidate.solve.columns import choose as choosing
from consolidate.solve.columns.choose import choose
from consolidate.solve.columns.instance import merge_identical
from consolidate.solve.columns.pricing import knapsack, price
from consolidate.solve.columns.squeeze import squeeze
from tests.bench.vbp import instances, parse

EMPTY = np.zeros((0,), dtype=np.int64)


def bins_of(packed: Packed | None) -> int:
    assert packed is not None
    return len(packed.packing)


def two_kinds(available: list[int]) -> Instance:
    """Six items of 4 into bins of 8 (cost 3) and of 12 (cost 4)."""
    return Instance(
        demand=np.full((2, 6, 1), 4),
        allowed=np.ones((2, 6), dtype=np.bool_),
        copies=np.ones(6, dtype=np.int64),
        capacity=np.array([[8], [12]]),
        cost=np.array([3, 4]),
        available=np.array(available),
        group=np.zeros((6, 0), dtype=np.int64),
        group_bound=EMPTY,
    )


def test_a_triplet_that_no_rule_of_thumb_packs() -> None:
    sizes = np.array([[49], [26], [25], [47], [29], [24], [40], [34], [26]])
    packed = pack(uniform_bins(sizes, np.array([100])))
    assert packed is not None
    assert (packed.cost, packed.bound) == (3, 3)


@pytest.mark.parametrize(("available", "cost"), [([6, 6], 8), ([2, 1], 10), ([3, 0], 9)])
def test_the_cheapest_mix_of_kinds_that_there_is(available: list[int], cost: int) -> None:
    packed = pack(two_kinds(available))
    assert packed is not None
    assert (packed.cost, packed.bound) == (cost, cost)


def test_a_group_bound_keeps_members_apart() -> None:
    plain = uniform_bins(np.full((6, 1), 1), np.array([10]))
    apart = Instance(
        plain.demand,
        plain.allowed,
        plain.copies,
        plain.capacity,
        plain.cost,
        plain.available,
        group=np.ones((6, 1), dtype=np.int64),
        group_bound=np.array([2]),
    )
    assert bins_of(pack(plain)) == 1
    packed = pack(apart)
    assert packed is not None
    assert (packed.cost, packed.bound) == (3, 3)


def test_an_item_of_negative_demand_makes_room() -> None:
    packed = pack(uniform_bins(np.array([[60, 1], [45, 1], [-5, 1]]), np.array([100, 9])))
    assert packed is not None
    assert packed.packing == (Pattern(0, (0, 1, 2)),)


def test_bytes_are_no_larger_than_whole_numbers_can_be() -> None:
    tebi = 1 << 40
    packed = pack(uniform_bins(np.array([[30], [20], [25], [25], [1]]) * 4 * tebi, np.array([50]) * 4 * tebi))
    assert packed is not None
    assert (packed.cost, packed.bound) == (3, 3)


def test_identical_items_are_merged_and_come_back_one_by_one() -> None:
    instance = uniform_bins(np.array([[3], [5], [3]]), np.array([9]), np.array([2, 1, 1]))
    merged, members = merge_identical(instance)
    assert merged.copies.tolist() == [3, 1]
    assert [one.tolist() for one in members] == [[0, 0, 2], [1]]
    packed = pack(instance)
    assert packed is not None
    assert broken_packing(instance, [(one.kind, one.items) for one in packed.packing]) is None


def test_nothing_to_pack_for_what_fits_nowhere() -> None:
    assert pack(uniform_bins(np.array([[11]]), np.array([10]))) is None


def test_pricing_finds_the_best_pattern_and_all_maximal_ones() -> None:
    random = np.random.default_rng(3)
    demand, capacity = random.integers(10, 60, size=(12, 3)), np.array([100, 100, 100])
    values = random.integers(1, 1000, size=12)
    instance = uniform_bins(demand, capacity)
    patterns = [
        chosen
        for size in range(1, 12)
        for chosen in combinations(range(12), size)
        if (demand[list(chosen)].sum(axis=0) <= capacity).all()
    ]
    best = max(int(values[list(chosen)].sum()) for chosen in patterns)
    sack, even = knapsack(instance, 0), np.ones((1, 3))
    priced = price(sack, values, instance.copies, even, 0, 10_000)
    assert priced.complete
    assert priced.best == priced.upper == best
    every = price(sack, values, instance.copies, even, 0, 10_000, every=1_000)
    maximal = {one for one in patterns if not any(set(one) < set(other) for other in patterns)}
    assert {one.items for one in every.patterns} == maximal
    few = price(sack, values, instance.copies, even, 0, 2)
    assert few.upper >= best


def test_what_is_chosen_among_patterns_is_the_best_of_them_or_known_to_be_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instance = uniform_bins(np.array([[6], [5], [4], [3]]), np.array([10]))
    patterns = [Pattern(0, items) for items in ((0, 2), (1, 3), (0, 3), (1,), (2,))]

    def chosen(limit: int) -> tuple[int | None, bool]:
        found = choose(instance, patterns, instance.copies, instance.available, (0, limit), 100, lambda: False)
        return None if found.packing is None else len(found.packing), found.exhausted

    assert chosen(4) == (2, True)
    assert chosen(1) == (None, True)
    monkeypatch.setattr(choosing, "trimmed", lambda *_: None)  # as if rounding had made something else of a solution
    assert chosen(4) == (None, False)


def test_the_same_seed_and_effort_give_the_same_packing() -> None:
    instance = uniform_bins(np.random.default_rng(5).integers(5, 70, size=(40, 3)), np.array([100, 100, 100]))
    effort = Effort(starts=5, dives=2)
    assert pack(instance, 7, effort) == pack(instance, 7, effort)


def test_squeezing_closes_a_bin_that_no_rule_of_thumb_closes() -> None:
    instance = uniform_bins(np.array([[49], [26], [25], [47], [29], [24], [40], [34], [26]]), np.array([100]))
    greedy = tuple(Pattern(0, items) for items in ((0, 3), (6, 7, 1), (8, 2, 4), (5,)))
    squeezed = squeeze(instance, greedy, 3, 1_000_000, 1, lambda: False)
    assert len(squeezed) == 3
    assert broken_packing(instance, [(one.kind, one.items) for one in squeezed]) is None
    assert squeeze(instance, greedy, 3, 1_000_000, 1, lambda: True) == greedy


@pytest.mark.parametrize(
    ("mate", "bins"),
    [("a group of two", 3), ("not allowed", 3), ("free", 1)],
)
def test_squeezing_heeds_groups_and_what_is_not_allowed(mate: str, bins: int) -> None:
    instance = replace(
        uniform_bins(np.full((6, 1), 1), np.array([10])),
        group=np.ones((6, 1), dtype=np.int64),
        group_bound=np.array([2 if mate == "a group of two" else 6]),
        allowed=np.full((1, 6), mate != "not allowed"),
    )
    start = tuple(Pattern(0, (item, item + 1)) for item in (0, 2, 4))
    assert len(squeeze(instance, start, 1, 100_000, 1, lambda: False)) == bins


@pytest.mark.data
def test_public_instances_are_solved_to_the_published_optimum(data: Path) -> None:
    for name, text, published in instances(40, data):
        instance = parse(text)
        if len(instance.copies) > 60:
            continue
        packed = pack(instance, 1, Effort(dives=3, most_nodes=1_600, close_nodes=1_600))
        assert packed is not None
        assert packed.cost <= int(published["best_overall"]), name
        if int(published["OPT"]) >= 0:
            assert packed.bound <= int(published["OPT"]) == packed.cost, name


def test_a_bound_by_columns_is_proved_by_its_certificate() -> None:
    instance = uniform_bins(np.random.default_rng(9).integers(20, 70, size=(30, 3)), np.array([100, 100, 100]))
    packed = pack(instance)
    assert packed is not None
    merged, _ = merge_identical(instance)
    assert packed.certificate is not None
    assert proves(merged, packed.certificate, packed.certificate.bound(merged))
