"""Stars: what sizes rest on, and what hangs on the least known ones."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from consolidate.insight import Confidence, confidence
from consolidate.insight.confidence import stars
from consolidate.insight.show import confidence_json, confidence_text
from consolidate.model.demand import Demand, Demands, Unknown
from consolidate.model.fleet import Fleet
from consolidate.model.rules import AntiAffinity, Pin, Spread
from consolidate.solve import Effort, solve
from tests.support.fleets import demand, fleet, host, workload

EFFORT = Effort(perturbed_starts=1, patience=20)


def measured(name: str, days: float, coverage: float = 1.0, cpu: int = 400, memory: int = 100) -> Demand:
    return replace(demand(name, cpu, memory), days=days, coverage=coverage, source="measured")


@pytest.mark.parametrize(
    ("days", "coverage", "expected"),
    [
        (30, 1.0, 5),
        (28, 0.95, 5),
        (28, 0.949, 4),
        (27.9, 1.0, 4),
        (14, 0.9, 4),
        (13.9, 1.0, 3),
        (60, 0.8, 3),
        (7, 0.79, 2),
        (1, 0.5, 2),
        (0.9, 1.0, 1),
        (60, 0.49, 1),
        (0.0, 0.0, 1),
    ],
)
def test_stars_of_what_was_measured(days: float, coverage: float, expected: int) -> None:
    assert stars(measured("a", days, coverage)) == expected


def test_stars_of_what_was_not() -> None:
    assert stars(demand("a", 1, 1)) == 2
    assert stars(replace(demand("a", 1, 1), source="limit")) == 1
    assert stars(Unknown("a", "?")) == 0


def rate(case: Fleet, sizes: Demands) -> Confidence:
    return confidence(case, sizes, solve(case, sizes, effort=EFFORT), EFFORT)


HOSTS = [host(f"h{index}") for index in range(4)]
CASE = fleet(HOSTS, [workload(name, f"h{index}") for index, name in enumerate("abcd")])


def test_the_hosts_that_hang_on_the_weak_ones() -> None:
    sizes = {"a": measured("a", 30), "b": measured("b", 30), "c": measured("c", 3), "d": measured("d", 6.9)}
    found = rate(CASE, sizes)
    assert found.stars_by_workload == {"a": 5, "b": 5, "c": 2, "d": 2}
    assert (found.hosts, found.weak, found.hosts_without_weak) == (2, ("c", "d"), 1)
    assert (found.plan_stars, found.weakest) == (2, ("c", "d"))


def test_a_little_that_is_not_known_does_not_take_the_plans_stars() -> None:
    sizes = {name: measured(name, 30, cpu=490, memory=490) for name in "abc"} | {"d": measured("d", 1, cpu=20)}
    assert rate(CASE, sizes).plan_stars == 2  # memory: a hundred of 1570 is more than a twentieth
    assert rate(CASE, sizes | {"d": measured("d", 1, cpu=20, memory=20)}).plan_stars == 5
    assert rate(CASE, sizes | {"d": measured("d", 1, cpu=490, memory=20)}).plan_stars == 2


def test_the_weakest_are_in_order_of_what_they_reserve() -> None:
    sizes = {name: measured(name, 15, cpu=cpu) for name, cpu in zip("abcd", (100, 300, 200, 300), strict=True)}
    found = rate(CASE, sizes)
    assert (found.plan_stars, found.weakest) == (4, ("b", "d", "c", "a"))
    assert (found.weak, found.hosts_without_weak) == ((), found.hosts)


def test_all_stars_leave_no_weakest() -> None:
    found = rate(CASE, {name: measured(name, 30) for name in "abcd"})
    assert (found.plan_stars, found.weakest, found.weak) == (5, (), ())


def test_stated_is_not_weak_but_limits_and_unknown_are() -> None:
    sizes: Demands = {
        "a": demand("a", 100, 100),
        "b": replace(demand("b", 100, 100), source="limit"),
        "c": Unknown("c", "no cpu was measured"),
        "d": measured("d", 30, cpu=100),
    }
    found = rate(CASE, sizes)
    assert found.weak == ("b", "c")
    assert found.weakest == ("c",)
    assert (found.hosts, found.hosts_without_weak) == (2, 1)


def test_rules_hold_for_those_that_are_left() -> None:
    two_domains = [host("h0", domain="x"), host("h1", domain="y"), host("h2", domain="x")]
    workloads = [workload(name, f"h{index}") for index, name in enumerate("abc")]
    rules = (
        Spread("spread", ("a", "b"), 2),
        AntiAffinity("apart", ("a", "c")),
        Pin("gone", ("b",), ("h1",)),
        AntiAffinity("stays", ("a", "b", "c"), 2),
    )
    sizes = {"a": measured("a", 30), "b": measured("b", 1), "c": measured("c", 30)}
    found = rate(fleet(two_domains, workloads, *rules), sizes)
    assert (found.weak, found.hosts, found.hosts_without_weak) == (("b",), 2, 2)


def test_where_the_rest_fits_nowhere_there_is_no_figure() -> None:
    """The result was for more room than there is now."""
    sizes = {"a": measured("a", 30, cpu=900), "b": measured("b", 30, cpu=900), "c": measured("c", 1, cpu=1)}
    roomy = fleet([host("h0"), host("h1")], [workload("a", "h0"), workload("b", "h1"), workload("c", "h1")])
    result = solve(roomy, sizes, effort=EFFORT)
    smaller = replace(roomy, hosts=(host("h0", cpu=500), host("h1", cpu=500)))
    assert confidence(smaller, sizes, result, EFFORT).hosts_without_weak is None


def test_nobody_left_needs_no_host() -> None:
    found = rate(CASE, {name: measured(name, 1) for name in "abcd"})
    assert (found.weak, found.hosts_without_weak) == (("a", "b", "c", "d"), 0)


def test_it_is_shown() -> None:
    found = rate(CASE, {"a": measured("a", 30), "b": measured("b", 30), "c": measured("c", 3), "d": measured("d", 6)})
    text = confidence_text(found, 80)
    assert text.startswith("Plan ★★☆☆☆")
    assert "It rests least surely on (★★☆☆☆): c, d" in text
    assert "Without the 2 workloads with under a week of data it needs 1 host, not 2." in text
    assert max(map(len, text.splitlines())) <= 80
    assert "it still needs 2 hosts." in confidence_text(replace(found, hosts_without_weak=2), 80)
    assert "no plan was found" in confidence_text(replace(found, hosts_without_weak=None), 80)
    assert "Without the workload with" in confidence_text(replace(found, weak=("c",)), 80)
    document = json.loads(confidence_json(found))
    assert document["stars_by_workload"]["c"] == 2
    assert document["hosts_without_weak"] == 1
