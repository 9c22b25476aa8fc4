"""One rule, a handful of facts, one number."""

from __future__ import annotations

import pytest

from consolidate.model.fleet import Fleet, Hypervisor, Isolation
from consolidate.model.placement import Assignment, Placement
from consolidate.model.policy import Objective
from consolidate.model.rules import Affinity, AntiAffinity, Ban, FailureReserve, Licence, Pin, Spread
from consolidate.solve import evaluate
from tests.support.fleets import GIB, demands, fleet, host, workload


def at(**hosts: str) -> Placement:
    return Placement({name: Assignment(on, Isolation.CONTAINER) for name, on in hosts.items()})


THREE = [workload("a", "h1"), workload("b", "h2"), workload("c", "h3")]
HOSTS = [host("h1"), host("h2"), host("h3", domain="other")]
LIGHT = demands(a=(100, 100), b=(100, 100), c=(100, 100))


def broken(case: Fleet, placement: Placement, sizes=LIGHT) -> list[tuple[str, str, int]]:
    return [(v.rule, v.subject, v.amount) for v in evaluate(case, sizes, placement).violations]


def test_nothing_broken_costs_hosts_and_moves() -> None:
    score = evaluate(fleet(HOSTS, THREE), LIGHT, at(a="h1", b="h1", c="h3"))
    assert (score.feasible, score.cost, score.moves) == (True, 2, 1)


def test_capacity_is_the_peak_of_the_sum_and_not_the_sum_of_peaks() -> None:
    day = [900] * 12 + [0] * 12
    case = fleet([host("h1")], [workload("a", "h1"), workload("b", "h1")])
    assert broken(case, at(a="h1", b="h1"), demands(a=(day, 1), b=(day[::-1], 1))) == []
    assert broken(case, at(a="h1", b="h1"), demands(a=(day, 1), b=(day, 1))) == [("capacity", "h1", 800)]


def test_capacity_names_the_worst_slot() -> None:
    day = [0] * 14 + [1100] + [0] * 9
    (violation,) = evaluate(fleet([host("h1")], [workload("a", "h1")]), demands(a=(day, 1)), at(a="h1")).violations
    assert (violation.unit, violation.slot, violation.amount) == ("cpu_milli", 14, 100)


def test_headroom_and_reserve_are_no_room() -> None:
    tight = host("h1", headroom_permille=100)
    assert broken(fleet([tight], [workload("a", "h1")]), at(a="h1"), demands(a=(901, 1))) == [("capacity", "h1", 1)]


@pytest.mark.parametrize(
    ("rule", "placement", "expected"),
    [
        (Affinity("r", ("a", "b")), at(a="h1", b="h2", c="h3"), [("r", "h1, h2", 1)]),
        (Affinity("r", ("a", "b")), at(a="h1", b="h1", c="h3"), []),
        (AntiAffinity("r", ("a", "b", "c"), 1), at(a="h1", b="h1", c="h1"), [("r", "h1", 2)]),
        (AntiAffinity("r", ("a", "b", "c"), 2), at(a="h1", b="h1", c="h3"), []),
        (Spread("r", ("a", "b"), 2), at(a="h1", b="h2", c="h3"), [("r", "r", 1)]),
        (Spread("r", ("a", "b"), 2), at(a="h1", b="h3", c="h3"), []),
        (Licence("r", ("a", "b", "c"), 2), at(a="h1", b="h2", c="h3"), [("r", "r", 1)]),
        (Pin("r", ("a",), ("h2",)), at(a="h1", b="h2", c="h3"), [("r", "a", 1)]),
        (Ban("r", ("a",), ("h1",)), at(a="h1", b="h2", c="h3"), [("r", "a", 1)]),
        (FailureReserve("r", ("a",)), at(a="h1", b="h2", c="h2"), []),
    ],
)
def test_rules(rule, placement, expected) -> None:
    assert broken(fleet(HOSTS, THREE, rule), placement) == expected


def test_failure_reserve_needs_room_for_what_ran_on_the_lost_host() -> None:
    sizes = demands(a=(600, 1), b=(600, 1))
    case = fleet(HOSTS, THREE[:2], FailureReserve("r", ("a", "b")))
    assert broken(case, at(a="h1", b="h2"), sizes) == [("r", "a if h1 fails", 1), ("r", "b if h2 fails", 1)]
    spare = Placement(at(a="h1", b="h2").assignments, standby=frozenset({"h3"}))
    assert broken(case, spare, sizes) == []
    assert evaluate(case, sizes, spare).cost == 3


def test_a_workload_without_a_place_is_a_violation() -> None:
    assert broken(fleet(HOSTS, THREE), at(a="h1", b="h1")) == [("placed", "c", 1)]


def test_immovable_and_unknown_workloads_stay() -> None:
    fixed = [workload("a", "h1", movable=False), workload("b", "h2")]
    assert broken(fleet(HOSTS, fixed), at(a="h2", b="h2"), demands(a=(1, 1), b=(1, 1))) == [("movable", "a", 1)]
    unknown = demands(a=None, b=(1, 1))
    assert broken(fleet(HOSTS, THREE[:2]), at(a="h1", b="h1"), unknown) == [("unknown-demand", "b", 1)]
    assert broken(fleet(HOSTS, THREE[:2]), at(a="h2", b="h2"), unknown) == [
        ("unknown-demand", "a", 1),
    ]


def test_an_isolation_that_the_host_does_not_offer_is_a_violation() -> None:
    windows = [workload("a", "h1", os="windows-7", isolation=Isolation.NATIVE)]
    roomy = 4 * GIB
    hosts = [
        host("h1", memory=roomy, os="windows-7"),
        host("h2", memory=roomy, hypervisor=Hypervisor.NONE),
        host("h3", memory=roomy),
    ]
    on = lambda name, kind: Placement({"a": Assignment(name, kind)})  # noqa: E731
    sizes = demands(a=(1, 1))
    assert broken(fleet(hosts, windows), on("h2", Isolation.VM), sizes) == [("compatibility", "a", 1)]
    assert broken(fleet(hosts, windows), on("h3", Isolation.CONTAINER), sizes) == [("compatibility", "a", 1)]
    assert broken(fleet(hosts, windows), on("h3", Isolation.VM), sizes) == []


def test_the_objective_prices_hosts() -> None:
    hosts = [host("h1", cost_per_month=12.5), host("h2")]
    case = fleet(hosts, [workload("a", "h1")])
    sizes = demands(a=(1, 1))
    assert evaluate(case, sizes, at(a="h1"), Objective.COST).cost == 1250
    assert evaluate(case, sizes, at(a="h1"), Objective.WATTS).cost == 100_000
