"""Names that stay apart: each thing has one of its own, and the order in which a source lists them changes none."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from collectors.inventory.estate import apart, listed

WORDS = st.sampled_from(["", "a", "b", "a (1)", "a (x)", "x", "y"])
THINGS = st.lists(st.tuples(st.sampled_from(["", "here"]), WORDS, st.tuples(WORDS, WORDS)), max_size=8)


@given(THINGS)
def test_no_two_things_of_a_place_have_one_name(things: list[tuple[str, str, tuple[str, str]]]) -> None:
    names = apart(things)
    assert len({(place, name) for (place, _, _), name in zip(things, names, strict=True)}) == len(things)


def test_what_nobody_shares_keeps_its_name_and_what_some_share_gets_a_mark() -> None:
    things = [("p", "web", ("vm-1", "")), ("p", "web", ("vm-2", "")), ("q", "web", ("vm-1", "")), ("p", "db", ("", ""))]
    assert apart(things) == ["web (vm-1)", "web (vm-2)", "web", "db"]


def test_marks_that_not_all_have_or_that_repeat_do_not_tell_apart() -> None:
    assert apart([("", "a", ("x", "u")), ("", "a", ("x", "v"))]) == ["a (u)", "a (v)"]
    assert apart([("", "a", ("x", "u")), ("", "a", ("", "u"))]) == ["a (1)", "a (2)"]


@given(st.permutations(range(6)))
def test_the_order_of_the_source_changes_no_name(order: list[int]) -> None:
    things = [("", "web", (f"vm-{number}",)) for number in range(6)]
    shuffled = [things[index] for index in order]
    assert dict(zip(order, apart(shuffled), strict=True)) == dict(enumerate(apart(things)))


def test_of_many_names_a_few_are_shown_in_order() -> None:
    names = list("edcba")
    random.Random(1).shuffle(names)
    assert listed(names) == "a, b, c and 2 more"
