"""The checker accepts what is right and rejects what is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from consolidate.solve.certificate import DualCertificate, best_value, broken_packing, proves
from consolidate.solve.columns import uniform_bins

INSTANCE = uniform_bins(np.array([[6, 1], [6, 1], [5, 1], [4, 1], [4, 1]]), np.array([10, 3]))
CERTIFICATE = DualCertificate(values=(3, 3, 2, 2, 2), penalties=(0,), ceilings=(5,))
"""6 + 4 is worth 5 and so is nothing else above it: 12 in all, so 3 bins."""


def test_a_right_certificate_proves_its_bound_and_no_more() -> None:
    assert proves(INSTANCE, CERTIFICATE, 3)
    assert not proves(INSTANCE, CERTIFICATE, 4)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(CERTIFICATE, ceilings=(4,)),
        replace(CERTIFICATE, ceilings=()),
        replace(CERTIFICATE, ceilings=(-1,)),
        replace(CERTIFICATE, values=(9, 9, 2, 2, 2)),
        replace(CERTIFICATE, values=(3, 3, 2, 2)),
        replace(CERTIFICATE, values=(3, 3, 2, 2, -2)),
        replace(CERTIFICATE, penalties=(-1,)),
        replace(CERTIFICATE, penalties=()),
    ],
)
def test_a_wrong_certificate_proves_nothing(wrong: DualCertificate) -> None:
    assert not proves(INSTANCE, wrong, 3)


def test_what_takes_too_long_to_check_is_neither_proved_nor_refuted() -> None:
    halves, alone = uniform_bins(np.full((3, 1), 6), np.array([10])), DualCertificate((2, 2, 2), (0,), (2,))
    assert proves(halves, alone, 3, most_nodes=2) is None
    assert proves(halves, alone, 3, most_nodes=100) is True
    assert proves(halves, replace(alone, ceilings=(0,)), 0, most_nodes=100) is False


def test_a_volume_is_proved_without_a_search() -> None:
    volume = DualCertificate(values=(6, 6, 5, 4, 4), penalties=(0,), ceilings=(10,))
    assert proves(INSTANCE, volume, 3, most_nodes=0) is True
    assert proves(INSTANCE, replace(volume, ceilings=(9,)), 3, most_nodes=0) is None
    assert proves(INSTANCE, replace(volume, ceilings=(9,)), 3) is False


def test_few_bins_of_a_kind_have_a_price() -> None:
    few = replace(INSTANCE, available=np.array([2]))
    assert DualCertificate((3, 3, 2, 2, 2), (1,), (5,)).bound(few) == 3


def test_the_best_value_counts_copies_groups_and_items_that_bring_room() -> None:
    copies = uniform_bins(np.array([[3], [4]]), np.array([10]), np.array([2, 5]))
    apart = replace(copies, group=np.array([[1], [0]]), group_bound=np.array([1]))
    room = uniform_bins(np.array([[9], [3], [-2]]), np.array([10]))
    for instance, values, best in ((copies, (3, 4), 10), (apart, (3, 4), 8), (room, (9, 3, 0), 12)):
        assert best_value(instance, 0, values, best - 1) == best
        assert best_value(instance, 0, values, best) == best


@pytest.mark.parametrize(
    ("bins", "wrong"),
    [
        ([(0, (0, 3)), (0, (1, 4)), (0, (2,))], None),
        ([(0, (0, 1)), (0, (2, 3)), (0, (4,))], "bin 0 holds 12 in cell 0, where it has room for 10"),
        ([(0, (0, 3)), (0, (1, 4))], "item 2 is packed too seldom, by 1"),
        ([(0, (0, 3)), (0, (1, 4)), (0, (2, 3))], "item 3 is packed too often, by 1"),
    ],
)
def test_what_is_wrong_with_a_packing_is_said(bins: list[tuple[int, tuple[int, ...]]], wrong: str | None) -> None:
    assert broken_packing(INSTANCE, bins) == wrong


def test_more_bins_than_there_are_is_wrong() -> None:
    few = replace(INSTANCE, available=np.array([2]))
    assert broken_packing(few, [(0, (0, 3)), (0, (1, 4)), (0, (2,))]) == "1 more bins of kind 0 are used than there are"


def test_members_of_a_group_are_counted() -> None:
    apart = replace(INSTANCE, group=np.ones((5, 1), dtype=np.int64), group_bound=np.array([1]))
    wrong = broken_packing(apart, [(0, (0, 3)), (0, (1, 4)), (0, (2,))])
    assert wrong == "bin 0 holds 2 members of group 0, of which 1 may share a bin"
    barred = replace(INSTANCE, allowed=np.array([[False, True, True, True, True]]))
    assert broken_packing(barred, [(0, (0,))]) == "bin 0 is of kind 0, which may not hold item 0"
