"""Identities do not depend on the order of what was seen, are settled once, and never join what was told apart."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from consolidate.store.identity import identify
from consolidate.store.names import bare_id, first_label, form, plain
from consolidate.store.sightings import Sighting, completed, together

SYSTEM = ("", "", "0f" * 16, "1e" * 16, "0f" * 15 + "aa")
FIRMWARE = (
    "12345678-1234-1234-1234-123456789abc",
    "78563412-3412-3412-1234-123456789ABC",
    "abcdef01-2345-6789-abcd-ef",
)
NAMES = ("web", "WEB", "web:9100", "web.corp", "web.lab", "db", "db.corp", "localhost", "10.0.0.1", "10.0.0.2:9100")


@st.composite
def sightings(draw: st.DrawFn) -> list[Sighting]:
    count = draw(st.integers(1, 12))
    return [
        Sighting(
            draw(st.integers(0, 5)),
            draw(st.sampled_from(("agent", "prometheus", "rvtools", ""))),
            draw(st.sampled_from(NAMES)),
            draw(st.sampled_from(SYSTEM + FIRMWARE)),
            draw(st.none() | st.integers(0, 4).map(lambda hour: (hour * 3600, hour * 3600 + 4000))),
        )
        for _ in range(count)
    ]


def named(seen: list[Sighting]) -> list[str]:
    names = identify(seen).names
    return [names[one.source, one.name, one.machine_id] for one in seen]


@settings(max_examples=150)
@given(sightings(), st.randoms(use_true_random=False))
def test_the_order_of_sightings_does_not_matter(seen: list[Sighting], random: object) -> None:
    shuffled = list(seen)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert identify(shuffled) == identify(seen)


@settings(max_examples=150)
@given(sightings())
def test_asking_again_under_the_names_that_were_given_changes_nothing(seen: list[Sighting]) -> None:
    """Unless a machine gave a name up, which leaves it to others."""
    labels: dict[str, set[str]] = {}
    for one in seen:
        labels.setdefault(bare_id(one.machine_id), set()).add(first_label(plain(one.name)))
    assume(all(len(own) == 1 for machine_id, own in labels.items() if machine_id))
    names = named(seen)
    again = [replace(one, name=name) for one, name in zip(seen, names, strict=True)]
    assert named(again) == names


@settings(max_examples=150)
@given(sightings())
def test_what_has_the_same_name_here_may_be_the_same(seen: list[Sighting]) -> None:
    """Two machines of one source that were there at the same time under one name stay two."""
    names = named(seen)
    for index, one in enumerate(seen):
        for position, other in enumerate(seen[:index]):
            told_apart = (
                one.source == other.source
                and plain(one.name) == plain(other.name)
                and bare_id(one.machine_id) != bare_id(other.machine_id)
                and form(one.machine_id) == form(other.machine_id)
                and bare_id(one.machine_id)
                and bare_id(other.machine_id)
                and together([one, other], "machine_id")
            )
            cloned = (
                len(
                    {
                        plain(it.name)
                        for it in seen
                        if bare_id(it.machine_id) in {bare_id(one.machine_id), bare_id(other.machine_id)}
                    }
                )
                > 1
            )
            if told_apart and not cloned:
                assert names[index] != names[position]


@given(sightings())
def test_an_identifier_is_carried_to_sightings_without(seen: list[Sighting]) -> None:
    known = {(one.source, one.name) for one in seen if one.machine_id}
    for one in completed(seen):
        assert bool(one.machine_id) == ((one.source, one.name) in known)
