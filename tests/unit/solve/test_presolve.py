"""Presolve on small cases that can be checked by eye."""

from __future__ import annotations

from consolidate.model.rules import AntiAffinity, Licence, Pin
from consolidate.solve.exhaust import Budget, Placements, Verdict
from consolidate.solve.loads import Needs
from consolidate.solve.presolve import alike_hosts, alike_items, components, restrict, tighten
from consolidate.solve.problem import Problem, compile_problem
from tests.support.fleets import demands, fleet, host, workload


def compiled(hosts, workloads, rules=(), **amounts) -> Problem:
    return compile_problem(Needs(fleet(hosts, workloads, *rules), demands(**amounts)))


def able(problem: Problem) -> list[list[str]]:
    """Hosts that each item may use."""
    return [[problem.hosts[h] for h, v in enumerate(row) if v >= 0] for row in problem.arrays.variant]


def test_a_fixed_item_keeps_others_from_a_host_in_a_chain() -> None:
    hosts = [host("a"), host("b"), host("c")]
    pinned = Pin("p", ("x",), ("a",)), Pin("q", ("y",), ("a", "b"))
    problem = compiled(hosts, [workload("x"), workload("y"), workload("z")], pinned, x=(600, 1), y=(600, 1), z=(600, 1))
    assert able(tighten(problem)) == [["a"], ["b"], ["c"]]
    assert tighten(problem).arrays.forced.all()


def test_a_full_group_and_a_used_licence_bar_hosts() -> None:
    hosts = [host("a"), host("b"), host("c")]
    rules = (Pin("p", ("x",), ("a",)), AntiAffinity("apart", ("x", "y")), Licence("l", ("x", "z", "w"), 2))
    everyone = [workload(name) for name in "xyzw"]
    small = {name: (1, 1) for name in "xyzw"}
    assert able(tighten(compiled(hosts, everyone, rules, **small))) == [
        ["a"],
        ["b", "c"],
        ["a", "b", "c"],
        ["a", "b", "c"],
    ]
    rules = (*rules, Pin("q", ("w",), ("b",)))
    assert able(tighten(compiled(hosts, everyone, rules, **small))) == [["a"], ["b", "c"], ["a", "b"], ["b"]]


def test_a_problem_that_cannot_be_tightened_stays_what_it_is() -> None:
    problem = compiled([host("a"), host("b")], [workload("x")], x=(1, 1))
    assert tighten(problem) is problem


def test_hosts_that_share_no_item_are_components_until_a_group_joins_them() -> None:
    hosts = [host("a"), host("b"), host("c"), host("spare")]
    workloads = [workload("x"), workload("y")]
    pins = (Pin("p", ("x",), ("a", "b")), Pin("q", ("y",), ("c",)))
    separate = components(compiled(hosts, workloads, pins, x=(1, 1), y=(1, 1)))
    assert [(one.items.tolist(), one.hosts.tolist()) for one in separate] == [([0], [0, 1]), ([1], [2])]
    joined = components(compiled(hosts, workloads, (*pins, AntiAffinity("g", ("x", "y"))), x=(1, 1), y=(1, 1)))
    assert [(one.items.tolist(), one.hosts.tolist()) for one in joined] == [([0, 1], [0, 1, 2])]


def test_a_component_keeps_names_homes_and_groups() -> None:
    hosts = [host("a"), host("b"), host("c")]
    rules = (Pin("p", ("x",), ("a",)), Pin("q", ("y", "z"), ("b", "c")), AntiAffinity("g", ("y", "z")))
    workloads = [workload("x", "a"), workload("y", "c"), workload("z", "a")]
    problem = compiled(hosts, workloads, rules, x=(1, 1), y=(2, 2), z=(3, 3))
    alone = restrict(problem, components(problem)[1])
    assert (alone.items, alone.hosts) == ((("y",), ("z",)), ("b", "c"))
    assert alone.arrays.home.tolist() == [1, -1]
    assert alone.arrays.group_start.tolist() == [0, 1, 2]
    assert alone.arrays.demand[alone.arrays.variant[0, 1]].tolist() == [[2], [2]]


def test_equal_items_and_hosts_are_told_by_what_they_take_and_give() -> None:
    hosts = [host("a1"), host("a2"), host("b1"), host("a3", cpu=500)]
    workloads = [workload("x"), workload("y"), workload("z")]
    arrays = compiled(hosts, workloads, x=(5, 5), y=(5, 5), z=(5, 6)).arrays
    assert alike_hosts(arrays).tolist() == [0, 0, 1, 2], "another domain, another size"
    assert alike_items(arrays).tolist() == [0, 0, 1]


def test_equals_make_a_complete_search_short() -> None:
    hosts = [host(f"h{index}") for index in range(11)]
    workloads = [workload(f"w{index}") for index in range(12)]
    arrays = compiled(hosts, workloads, **{f"w{index}": (501 + index, 1) for index in range(12)}).arrays
    budget = Budget(100)
    assert Placements(arrays, budget).next() is Verdict.IMPOSSIBLE
    assert Placements(arrays, Budget(1000), symmetric=False).next() is Verdict.UNKNOWN


def test_a_budget_that_is_spent_proves_nothing() -> None:
    arrays = compiled([host("a")], [workload("x"), workload("y")], x=(1, 1), y=(1, 1)).arrays
    assert Placements(arrays, Budget(1)).next() is Verdict.UNKNOWN
    assert Placements(arrays, Budget(0)).next() is Verdict.UNKNOWN
