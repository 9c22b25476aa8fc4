"""What a fleet without a placement is told: sentences with names and amounts, and the same for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from consolidate.errors import InfeasibleError
from consolidate.model.fleet import Hypervisor, Isolation
from consolidate.model.rules import Affinity, AntiAffinity, Ban, FailureReserve, Licence, Pin, Rule, Spread
from consolidate.solve import solve
from consolidate.solve.evaluate import Score, Violation
from consolidate.solve.shortage import ConflictError, explain_broken, infeasible_json
from tests.support.cli import consolidate
from tests.support.fleets import demands, fleet, host, workload

HOSTS = (host("a1"), host("b1"))
WORKLOADS = (workload("x", "a1"), workload("y", "b1"), workload("z"))
SMALL = demands(x=(100, 10), y=(100, 10), z=(1, 1))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (
            (Pin("p", ("x",), ("a1",)), Ban("b", ("y",), ("a1",)), Affinity("t", ("x", "y"))),
            "'p' pins x to a1, 'b' bans y from a1, 't' keeps them together; relax one of the rules, or add a host",
        ),
        (
            (AntiAffinity("apart", ("x", "y", "z")),),
            "x, y and z cannot all be placed: 'apart' lets 1 of them share one of 2 hosts; "
            "relax the rule, or add a host",
        ),
        (
            (Licence("l", ("x", "y"), 1), Spread("s", ("x", "y"), 2)),
            "'l' licenses them for 1 host, 's' spreads them over 2 failure domains",
        ),
        (
            (Spread("s", ("x", "y", "z"), 3),),
            "rule 's' wants 3 failure domains, the hosts have 2; lower what it wants, or add hosts in another",
        ),
        (
            (Spread("s", ("x",), 2),),
            "rule 's' wants 2 failure domains, but only 1 workload to be in them; lower what it wants",
        ),
        ((Ban("b", ("z",), ("a1", "b1")),), "z can be placed nowhere: 'b' bans z from a1 and b1; relax the rule"),
    ],
)
def test_rules_that_cannot_hold_together_are_named(rules: tuple[Rule, ...], expected: str) -> None:
    with pytest.raises(ConflictError) as caught:
        solve(fleet(HOSTS, WORKLOADS, *rules), SMALL)
    assert expected in str(caught.value)


def test_a_spread_counts_only_who_runs_somewhere_or_can_be_placed() -> None:
    hosts = (*HOSTS, host("c1"))
    unknown = demands(x=(100, 10), y=None, z=None)
    with pytest.raises(ConflictError) as caught:
        solve(fleet(hosts, WORKLOADS, Spread("s", ("x", "y", "z"), 3)), unknown)
    assert str(caught.value) == (
        "rule 's' wants 3 failure domains, but only 2 workloads to be in them, since z runs nowhere and is of unknown "
        "demand; lower what it wants, or measure what is unknown"
    )


@pytest.mark.parametrize("rules", [(), (AntiAffinity("apart", ("x", "y")), Spread("s", ("x", "y"), 2))])
def test_a_fleet_without_hosts_is_told_so(rules: tuple[Rule, ...]) -> None:
    with pytest.raises(ConflictError, match=r"^there is no host to place .* on; add hosts$"):
        solve(fleet((), [workload("x"), workload("y")], *rules), demands(x=(1, 1), y=(1, 1)))


def test_a_reserve_that_is_too_much_is_named_with_what_is_needed() -> None:
    rule = FailureReserve("n+1", ("x", "y", "z"))
    with pytest.raises(ConflictError) as caught:
        solve(fleet(HOSTS, WORKLOADS, rule), demands(x=(600, 10), y=(600, 10), z=(1, 1)))
    assert caught.value.conflict.workloads == ("x", "y")
    assert "'n+1' wants room for them where any host fails, CPU of 1.20 cores is needed" in str(caught.value)


def test_who_stays_is_named_with_the_reason() -> None:
    hosts = (host("a1", hypervisor=Hypervisor.NONE), host("b1"))
    workloads = (workload("x", "a1"), workload("y", "b1", movable=False), workload("z"))
    apart = AntiAffinity("apart", ("y", "z"))
    with pytest.raises(ConflictError) as caught:
        solve(fleet(hosts, workloads, apart), demands(x=None, y=(100, 10), z=(100, 10)))
    assert str(caught.value) == (
        "x, y and z cannot all be placed: 'apart' lets 1 of y and z share one of 2 hosts, x keeps a1 to itself since "
        "its demand is unknown, y may not leave b1; relax the rule, measure what is unknown, let what stays move, "
        "or add a host"
    )


def test_a_kernel_that_no_host_has_is_named() -> None:
    guest = workload("w", os="windows-7", isolation=Isolation.NATIVE)
    with pytest.raises(ConflictError) as caught:
        solve(fleet((host("a1", hypervisor=Hypervisor.NONE),), (guest,)), demands(w=(1, 1)))
    assert str(caught.value) == (
        "w can be placed nowhere: no host shares the kernel of w or offers a virtual machine that may run it; "
        "allow another isolation, or add such a host"
    )


def test_amounts_are_those_of_the_worst_slot() -> None:
    day, night = [0] * 12 + [700] * 12, [0] * 6 + [400] * 18
    with pytest.raises(ConflictError) as caught:
        solve(fleet((host("a1"),), (workload("x"), workload("y"))), demands(x=(day, 1), y=(night, 1)))
    assert "CPU of 1.10 cores is needed (12:00) where the only host they may use has 1.00 cores" in str(caught.value)


def test_one_is_not_written_as_many() -> None:
    broken = Score((Violation("apart", "h1", 1, "workloads"),), 1, 0, 0)
    assert "by 1 workload;" in explain_broken(broken)
    broken = Score((Violation("apart", "h1", 2, "workloads"),), 1, 0, 0)
    assert "by 2 workloads;" in explain_broken(broken)


def test_what_is_not_proved_says_so_to_programs() -> None:
    assert infeasible_json(InfeasibleError("no placement was found")) == {
        "infeasible": "no placement was found",
        "proved": False,
    }


def test_the_command_line_exits_with_3_and_prints_the_conflict(tmp_path: Path) -> None:
    place = tmp_path / "fleet.yaml"
    place.write_text(
        "hosts: [{name: h1, os: debian, cpu: 4, memory: 8GiB}]\n"
        "workloads:\n"
        "  - {name: a, demand: {cpu: 1, memory: 1GiB}}\n"
        "  - {name: b, demand: {cpu: 1, memory: 1GiB}}\n"
        "rules: [{kind: anti-affinity, name: apart, workloads: [a, b]}]\n"
    )
    done = consolidate("plan", "--fleet", place, "--json")
    assert done.code == 3
    found = json.loads(done.out)
    assert found["proved"] and found["minimal"]
    assert (found["rules"], found["workloads"], found["dimensions"]) == (["apart"], ["a", "b"], [])
    assert found["infeasible"] in done.err
