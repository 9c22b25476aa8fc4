"""Conflicts name few constraints, also in fleets with many."""

from __future__ import annotations

from dataclasses import replace

from consolidate.model.rules import AntiAffinity, Licence, Pin, Spread
from consolidate.solve.conflict import find_conflict
from consolidate.solve.exhaust import Verdict
from consolidate.solve.feasibility import Constraint, Feasibility, Kind
from tests.support.fleets import demands, fleet, host, workload

MANY = [workload(f"w{index}") for index in range(40)]
HOSTS = [host(f"h{index}", cpu=1000 + index) for index in range(12)]
AMOUNTS = demands(**{f"w{index}": (10 + index, 1) for index in range(40)})


def test_two_of_many_workloads_and_two_of_many_rules() -> None:
    rules = [Spread(f"s{index}", (f"w{index}", f"w{index + 1}"), 1) for index in range(20)]
    rules += [Pin("to-h3", ("w7", "w9"), ("h3",)), AntiAffinity("apart", ("w5", "w7", "w9"))]
    conflict = find_conflict(fleet(HOSTS, MANY, *rules), AMOUNTS)
    assert conflict is not None
    assert (conflict.rules, conflict.workloads, conflict.dimensions) == (("apart", "to-h3"), ("w7", "w9"), ())
    assert conflict.minimal


def test_a_group_that_its_licence_has_too_few_hosts_for() -> None:
    names = tuple(workload.name for workload in MANY)
    rules = (AntiAffinity("apart", names, 5), Licence("l", names, 6))
    conflict = find_conflict(fleet(HOSTS, MANY, *rules), AMOUNTS)
    assert conflict is not None
    assert conflict.rules == ("apart", "l")
    assert len(conflict.workloads) == 31
    assert conflict.minimal


def test_a_licence_for_fewer_hosts_than_its_workloads_fill() -> None:
    names = tuple(workload.name for workload in MANY[:8])
    amounts = {**AMOUNTS, **demands(**dict.fromkeys(names, (400, 1)))}
    conflict = find_conflict(fleet(HOSTS, MANY, Licence("l", names, 3)), amounts)
    assert conflict is not None
    assert (conflict.rules, conflict.dimensions) == (("l",), ("cpu_milli",))
    assert len(conflict.workloads) == 7, "two on each of three hosts, and one more"


def test_all_hosts_together_have_too_little() -> None:
    amounts = demands(**{f"w{index}": (301, 1) for index in range(40)})
    conflict = find_conflict(fleet(HOSTS, MANY), amounts)
    assert conflict is not None
    assert (conflict.rules, conflict.dimensions) == ((), ("cpu_milli",))
    assert len(conflict.workloads) == 37, "three on each of twelve hosts, and one more"


def test_a_fleet_with_a_placement_has_no_conflict() -> None:
    assert find_conflict(fleet(HOSTS, MANY), AMOUNTS) is None


def test_what_is_left_out_takes_nothing_and_is_in_no_way() -> None:
    rule = Spread("s", ("w0", "w1", "w2"), 2)
    hosts = [replace(one, domain="a" if one.name < "h5" else "b") for one in HOSTS]
    feasibility = Feasibility(fleet(hosts, MANY[:3], rule, Pin("p", ("w0", "w1", "w2"), ("h1",))), AMOUNTS)
    every = feasibility.constraints
    assert feasibility.judge(every) is Verdict.IMPOSSIBLE
    for name in ("w0", "w1", "w2"):
        assert feasibility.judge(every - {Constraint(Kind.WORKLOAD, name)}) is Verdict.POSSIBLE


def test_hosts_so_large_that_their_sum_is_not_a_whole_number_of_64_bits_hold_what_fits() -> None:
    vast = 1 << 52
    hosts = [host(f"h{index}", memory=vast) for index in range(2)]
    amounts = demands(w0=(1, vast - vast // 4), w1=(1, vast - vast // 4), w2=(1, vast - vast // 4))
    for count, more, verdict in (
        (2, [], Verdict.POSSIBLE),
        (3, [], Verdict.IMPOSSIBLE),
        (3, [host("h2", memory=vast)], Verdict.POSSIBLE),
        (2, [host(f"tiny{index}", memory=1) for index in range(2_000)], Verdict.POSSIBLE),
        (2, [host(f"endless{index}", memory=(1 << 60) - 1) for index in range(20)], Verdict.POSSIBLE),
    ):
        feasibility = Feasibility(fleet([*hosts, *more], MANY[:count]), {w.name: amounts[w.name] for w in MANY[:count]})
        assert feasibility.judge(feasibility.constraints) is verdict
