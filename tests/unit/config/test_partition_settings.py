"""Whose limits are chosen otherwise: named as rules name workloads, and refused where nobody is meant."""

from __future__ import annotations

import pytest

from collectors.records import HostRecord, WorkloadRecord
from consolidate.config import read_inputs
from consolidate.errors import InputError
from consolidate.model.policy import PartitionPolicy

HOST = HostRecord(
    "h",
    "debian",
    capacity={"cpu_milli": 4000, "memory_bytes": 1 << 33},
    topology="node 0 cpus 0-3 memory 8589934592 distances 10; cores 0,2 1,3",
)
WORKLOADS = {
    "h:web": WorkloadRecord("web", "service", "h", "linux", group="shop", cpus="0-1"),
    "h:db": WorkloadRecord("db", "service", "h", "linux", group="shop"),
}


def test_workloads_are_named_as_in_rules() -> None:
    text = "policy: {latency_critical: ['group:shop'], exclusive: ['*:db'], memory_high: ['h:web']}"
    inputs = read_inputs(text, "fleet.yaml", [HOST], WORKLOADS)
    assert inputs.policy.partition == PartitionPolicy(
        frozenset({"h:web", "h:db"}), frozenset({"h:db"}), frozenset({"h:web"})
    )


def test_without_a_word_nobody_is_special() -> None:
    assert read_inputs("", "fleet.yaml", [HOST], WORKLOADS).policy.partition == PartitionPolicy()


def test_a_pattern_that_means_nobody_is_refused_with_its_line() -> None:
    text = "policy:\n  exclusive: ['h:bd']\n"
    with pytest.raises(InputError, match=r"fleet.yaml:2: policy.exclusive\[0\]: no workload matches 'h:bd'; did you"):
        read_inputs(text, "fleet.yaml", [HOST], WORKLOADS)


def test_cores_and_processors_of_today_come_along_also_through_a_refinement() -> None:
    text = "hosts: [{match: h, headroom: 5%}]\nworkloads: [{match: '*:web', owner: me}]"
    fleet = read_inputs(text, "fleet.yaml", [HOST], WORKLOADS).fleet
    assert fleet.hosts[0].topology.cores == ((0, 2), (1, 3))
    assert {workload.name: workload.cpus for workload in fleet.workloads} == {"h:web": "0-1", "h:db": ""}


def test_a_topology_that_is_none_is_a_sentence() -> None:
    damaged = HostRecord("h", "debian", capacity=HOST.capacity, topology="node 0")
    with pytest.raises(InputError, match=r"host 'h': its topology cannot be read .*; collect from it again"):
        read_inputs("", "fleet.yaml", [damaged], {})


def test_processors_that_are_none_are_a_sentence() -> None:
    damaged = {"h:web": WorkloadRecord("web", "service", "h", "linux", cpus="3-1")}
    with pytest.raises(InputError, match=r"workload 'h:web': its processors cannot be read .*; collect from it again"):
        read_inputs("", "fleet.yaml", [HOST], damaged)
