"""The plan is a document: the same every time, and nobody changes it unnoticed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from consolidate.errors import InfeasibleError, InputError, StalePlanError
from consolidate.model.demand import Unknown
from consolidate.model.fleet import Isolation
from consolidate.model.policy import Policy
from consolidate.model.resources import Resources
from consolidate.plan.build import build_plan
from consolidate.plan.plan import Plan, dump_plan, parse_plan
from consolidate.solve import Effort, solve
from tests.support.fleets import GIB, demand, demands, fleet, fleets, host, workload


def planned(case, sizes, **options) -> Plan:
    result = solve(case, sizes, seed=0, effort=Effort(1, 1, 10))
    return build_plan(case, sizes, Policy(**options), result, "test", 1_780_272_000)


THREE = fleet(
    [host("h1", cost_per_month=100), host("h2", cost_per_month=100), host("h3", cost_per_month=100)],
    [workload("a", "h1", copy_bytes=5), workload("b", "h2"), workload("c", "h3")],
)


def test_three_become_one() -> None:
    plan = planned(THREE, demands(a=(300, 300), b=(300, 300), c=(300, 300)))
    assert (plan.before.hosts, plan.after.hosts, plan.proof.gap) == (3, 1, 0)
    assert len(plan.moves) == 2
    assert sorted(host.action for host in plan.hosts) == ["free", "free", "keep"]
    assert plan.before.cost_per_month - plan.after.cost_per_month > 200
    assert all(move.reason.startswith(f"empties {move.source}; container, since ") for move in plan.moves)


def test_what_keeps_a_host_is_told_with_its_amount() -> None:
    plan = planned(THREE, demands(a=(600, 1), b=(600, 1), c=(300, 1)))
    kept = {host.name: host.reason for host in plan.hosts if host.action == "keep"}
    assert len(kept) == 2
    assert any("needs 0.20 cores more than" in reason or "needs 0.50 cores" in reason for reason in kept.values())


def test_unknown_and_immovable_workloads_are_refusals() -> None:
    case = fleet(THREE.hosts, [*THREE.workloads[:2], workload("c", "h3", movable=False)])
    plan = planned(case, {**demands(a=(1, 1), c=(1, 1)), "b": Unknown("b", "no cpu was measured")})
    assert [(refusal.subject, refusal.reason) for refusal in plan.refusals] == [
        ("b", "left alone: its demand is unknown (no cpu was measured)"),
        ("c", "left alone: declared immovable"),
    ]
    assert {host.name: host.reason for host in plan.hosts if host.action == "keep"} == {
        "h2": "b stays: its demand is unknown (no cpu was measured)",
        "h3": "c is declared immovable",
    }


def test_partitions_are_in_the_hosts_own_cores_and_whole_pages() -> None:
    case = fleet(
        [host("h1", cpu=4000, memory=GIB, cpu_rating=1.5)],
        [workload("a", "h1", cgroup="web.slice/a", enforced=Resources({"cpu_milli": 3000}))],
    )
    (partition,) = planned(case, {"a": demand("a", 1000, 5000)}).partitions
    assert (partition.before.cpu_milli, partition.before.memory_bytes) == (3000, None)
    assert (partition.after.cpu_milli, partition.after.memory_bytes) == (667, 65_536)
    assert (partition.cgroup, partition.cpu_weight) == ("web.slice/a", 67)


def test_a_dimension_nobody_measured_is_listed() -> None:
    hosts = [host("h1")]
    capacity = Resources({**hosts[0].capacity.amounts, "disk_iops": 100})
    case = fleet([host("h1").__class__(**{**vars(hosts[0]), "capacity": capacity})], [workload("a", "h1")])
    assert planned(case, demands(a=(1, 1))).unmeasured == ("disk_iops",)


def test_the_document_survives_the_file() -> None:
    plan = planned(THREE, demands(a=(300, 300), b=(300, 300), c=(300, 300)))
    assert parse_plan(dump_plan(plan), "plan.json") == plan


@pytest.mark.parametrize(
    ("old", "new", "error", "says"),
    [
        ('"target": "h', '"target": "x', StalePlanError, "altered since it was written"),
        ('"version": 1', '"version": 2', StalePlanError, "a plan of version 2, this tool reads 1"),
        ('"digest"', '"digits"', InputError, "not a plan"),
        ("{", "[", InputError, "not a plan"),
        ('"tool": "', '"tool": "\\ud800', StalePlanError, "altered since it was written"),
    ],
)
def test_an_altered_plan_is_refused(old, new, error, says) -> None:
    text = dump_plan(planned(THREE, demands(a=(300, 300), b=(300, 300), c=(300, 300))))
    assert old in text
    with pytest.raises(error, match=f"plan.json: {says}"):
        parse_plan(text.replace(old, new, 1), "plan.json")


def test_every_single_number_is_covered_by_the_digest() -> None:
    document = json.loads(dump_plan(planned(THREE, demands(a=(300, 300), b=(300, 300), c=(300, 300)))))
    document["partitions"][0]["after"]["cpu_milli"] += 1
    with pytest.raises(StalePlanError):
        parse_plan(json.dumps(document), "plan.json")


@given(fleets())
@settings(max_examples=60, deadline=None)
def test_any_plan_is_the_same_twice_and_survives_the_file(case) -> None:
    fleet_, sizes = case
    try:
        plan = planned(fleet_, sizes)
    except InfeasibleError:
        return
    assert dump_plan(planned(fleet_, sizes)) == dump_plan(plan)
    assert parse_plan(dump_plan(plan), "plan.json") == plan
    assert {partition.isolation for partition in plan.partitions} <= {kind.value for kind in Isolation}
    assert sum(host.after.on for host in plan.hosts) == plan.after.hosts
