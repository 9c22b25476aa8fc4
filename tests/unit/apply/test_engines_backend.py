"""What container engines are told, and what is made of what they say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consolidate.apply.backends.engine import parse_container, parse_group
from consolidate.apply.backends.engine_options import MAX_BYTES, options, resources, restorable, shares_of

ID = "7c61960fc2682015d9c086fa0a9e2cfc3df46611e8c979e308070c84581318db"
V1 = {"memory.limit_in_bytes": MAX_BYTES, "memory.memsw.limit_in_bytes": MAX_BYTES, "cpu.cfs_period_us": "100000"}


@pytest.mark.parametrize(
    ("key", "value", "values", "expected"),
    [
        ("cpu.cfs_quota_us", "20000", V1, ("--cpu-quota", "20000")),
        ("cpu.cfs_quota_us", "-1", V1, ("--cpu-quota", "-1")),
        ("cpu.cfs_quota_us", "1000", {"cpu.cfs_period_us": "5000"}, ("--cpu-quota", "1000", "--cpu-period", "5000")),
        ("cpu.max", "max 100000", {}, ("--cpu-quota", "-1")),
        ("cpu.max", "25000 50000", {}, ("--cpu-quota", "25000", "--cpu-period", "50000")),
        ("cpu.weight", "100", {}, ("--cpu-shares", "2598")),
        ("memory.limit_in_bytes", "64", V1, ("--memory", "64", "--memory-swap", MAX_BYTES)),
        ("memory.memsw.limit_in_bytes", "64", V1, ("--memory", MAX_BYTES, "--memory-swap", "64")),
        ("memory.max", "64", {"memory.swap.max": "32"}, ("--memory", "64", "--memory-swap", "96")),
        ("memory.max", "64", {"memory.swap.max": "max"}, ("--memory", "64", "--memory-swap", "-1")),
        ("memory.max", "max", {"memory.swap.max": "max"}, ("--memory", MAX_BYTES, "--memory-swap", "-1")),
        ("memory.swap.max", "0", {"memory.max": "64"}, ("--memory", "64", "--memory-swap", "64")),
        ("memory.low", "32", {}, ("--memory-reservation", "32")),
        ("pids.max", "max", {}, ("--pids-limit", "-1")),
        ("pids.max", "77", {}, ("--pids-limit", "77")),
        ("cpuset.cpus", "0-1", {}, ("--cpuset-cpus", "0-1")),
        ("io.bfq.weight", "300", {}, ("--blkio-weight", "300")),
    ],
)
def test_a_kernel_file_is_set_by_the_options_that_lead_to_it(key, value, values, expected) -> None:
    assert options(key, value, values) == expected


@given(st.integers(1, 64_000_00))
def test_a_container_created_with_cpus_is_told_cpus_that_come_to_the_same_quota(quota_us: int) -> None:
    [option, cpus] = options("cpu.cfs_quota_us", str(quota_us), V1, nano_cpus=1)
    assert option == "--cpus"
    nano_cpus = round(float(cpus) * 1e9)
    assert nano_cpus * 100_000 // 10**9 == quota_us, "as Docker makes a quota of billionths of a core"


@given(st.integers(1, 10_000))
def test_every_weight_has_shares_that_come_to_it_by_the_straight_conversion(weight: int) -> None:
    shares, _ = shares_of(weight)
    assert 2 <= shares <= 262_144
    assert 1 + (shares - 2) * 9_999 // 262_142 == weight


@pytest.mark.parametrize(("weight", "shares"), [(1, 2), (100, 1024), (10_000, 262_144)])
def test_the_points_that_the_curve_was_made_for_are_on_it(weight: int, shares: int) -> None:
    assert shares_of(weight)[1] == shares


@pytest.mark.parametrize(
    ("key", "value", "values", "expected"),
    [
        ("cpu.cfs_quota_us", "-1", V1, {"cpu": {"quota": -1, "period": 100_000}}),
        ("memory.limit_in_bytes", MAX_BYTES, V1, {"memory": {"limit": -1, "swap": -1}}),
        ("memory.max", "64", {"memory.swap.max": "32"}, {"memory": {"limit": 64, "swap": 96}}),
        ("pids.max", "max", {}, {"pids": {"limit": -1}}),
        ("cpuset.cpus", "0-1", {}, {"cpu": {"cpus": "0-1"}}),
        ("cpuset.mems", "0", {}, {"cpu": {"mems": "0"}}),
        ("cpu.shares", "512", {}, {"cpu": {"shares": 512}}),
        ("cpu.weight", "100", {}, {"cpu": {"shares": 2598}}),
        ("memory.low", "32", {}, {"memory": {"reservation": 32}}),
        ("blkio.bfq.weight", "300", {}, {"blockIO": {"weight": 300}}),
    ],
)
def test_a_runtime_is_told_the_same_in_its_own_words(key, value, values, expected) -> None:
    assert resources(key, value, values) == expected


def test_what_no_option_could_bring_back_is_not_offered() -> None:
    never_limited = {"memory.low": "0", "memory.swap.max": "max", "memory.max": "max", "pids.max": "max"}
    assert restorable(never_limited) == {"memory.max", "pids.max"}
    assert restorable({"memory.low": "33554432", "memory.swap.max": "0"}) == {"memory.low", "memory.swap.max"}


def inspection(**more: object) -> str:
    document = {
        "Id": ID,
        "Name": "/web",
        "State": {"Pid": 42},
        "HostConfig": {"NanoCpus": 250_000_000},
        "Config": {"Labels": {"io.kubernetes.pod.name": "web-0"}},
    }
    return json.dumps([document | more])


def test_an_inspection_says_whose_container_it_is_and_in_which_form_its_quota_was_given() -> None:
    found = parse_container(inspection())
    assert (found.id, found.name, found.pid, found.nano_cpus, found.runtime) == (ID, "web", 42, 250_000_000, "")
    assert found.note.startswith("web is made by Kubernetes, which makes it anew")
    assert parse_container(inspection(Config={"Labels": None})).note == ""
    assert parse_container(inspection(OCIRuntime="runc")).runtime == "runc"


@pytest.mark.parametrize("text", ["", "{}", "[]", "[{}]", "[1]", '[{"Id": "x", "Name": "y", "State": 3}]'])
def test_what_is_no_inspection_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_container(text)


@pytest.mark.parametrize(
    ("text", "group"),
    [
        (f"9:memory:/shop/{ID}\n0::/shop/{ID}", f"shop/{ID}"),
        (f"0::/system.slice/docker-{ID}.scope/init.scope", f"system.slice/docker-{ID}.scope"),
        (f"0::/machine.slice/libpod-{ID}.scope/container", f"machine.slice/libpod-{ID}.scope"),
        ("0::/system.slice/docker.service", ""),
        ("", ""),
    ],
)
def test_a_containers_group_is_the_one_of_its_id_and_not_what_was_made_inside(text: str, group: str) -> None:
    assert parse_group(text, ID) == group
