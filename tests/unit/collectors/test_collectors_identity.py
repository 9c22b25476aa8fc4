"""Several collectors that found the same thing: one record, one name, and each value once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.identity import join
from collectors.reading import Reading
from collectors.records import HostRecord, Record, Sample, WorkloadRecord

SCOPE = "system.slice/docker-4f1c.scope"
NGINX = "system.slice/nginx.service"


def record(name: str, kind: str, cgroup: str = "", **more: object) -> WorkloadRecord:
    return WorkloadRecord(name, kind, "h1", cgroup=cgroup, **{"os": "linux"} | more)  # type: ignore[arg-type]


def kernel(path: str, kind: str = "group", **more: object) -> WorkloadRecord:
    return record(path, kind, path, **more)


def sample(workload: str | None, metric: str = "pids", value: float = 1, incarnation: str = "i") -> Sample:
    return Sample(7, "h1", workload, incarnation, metric, value)


def names(joined: list[Record]) -> list[str]:
    return [one.name for one in joined if isinstance(one, WorkloadRecord)]


def test_a_containers_group_goes_by_the_containers_name_and_samples_keep_their_incarnations() -> None:
    docker = record("web", "container", SCOPE, group="shop", limits={"cpu_milli": 500})
    joined = join(
        [
            ("docker", [docker, sample("web", "net_rx_bytes_total", 9, "4f1c@start")]),
            ("systemd", [record("docker-4f1c.scope", "scope", SCOPE, owner="ops")]),
            ("cgroup", [kernel(SCOPE, "container", limits={"cpu_milli": 200}), sample(SCOPE, "pids", 3, "inode")]),
        ]
    )
    assert joined == [
        replace(docker, owner="ops", limits={"cpu_milli": 200}),
        sample("web", "net_rx_bytes_total", 9, "4f1c@start"),
        sample("web", "pids", 3, "inode"),
    ]


def test_limits_in_force_are_the_kernels_even_where_it_has_none() -> None:
    docker = record("web", "container", SCOPE, limits={"cpu_milli": 500})
    [joined] = join([("docker", [docker]), ("cgroup", [kernel(SCOPE)])])
    assert joined == replace(docker, limits={})


def test_without_the_kernels_view_limits_are_the_engines() -> None:
    docker = record("web", "container", SCOPE, limits={"cpu_milli": 500})
    assert join([("docker", [docker]), ("systemd", [record("docker-4f1c.scope", "scope", SCOPE)])]) == [docker]


def test_a_machine_has_the_least_of_its_limits_and_no_system_from_outside() -> None:
    path = r"machine.slice/machine-qemu\x2d1\x2ddb.scope"
    guest = record("db", "vm", path, os="", limits={"cpu_milli": 4000, "memory_bytes": 8}, machine_id="u-1")
    outside = kernel(path, "vm", limits={"cpu_milli": 1500, "memory_bytes": 9})
    [joined] = join([("libvirt", [guest]), ("cgroup", [outside])])
    assert joined == replace(guest, limits={"cpu_milli": 1500, "memory_bytes": 8})


def test_a_value_that_two_measured_is_that_of_the_first() -> None:
    joined = join(
        [
            ("libvirt", [record("db", "vm", "m/db"), sample("db", "memory_working_set_bytes", 5, "guest")]),
            (
                "cgroup",
                [kernel("m/db", "vm"), sample("m/db", "memory_working_set_bytes", 8), sample("m/db", "pids", 2)],
            ),
        ]
    )
    assert joined[1:] == [sample("db", "memory_working_set_bytes", 5, "guest"), sample("db", "pids", 2)]


def test_an_agents_reading_is_treated_as_the_samples_that_it_stands_for() -> None:
    joined = join(
        [
            ("docker", [record("web", "container", SCOPE), sample("web", "restarts_total", 2)]),
            ("cgroup", [kernel(SCOPE), Reading(SCOPE, "inode", {"pids": 3, "restarts_total": 0})]),
        ]
    )
    assert joined[1:] == [sample("web", "restarts_total", 2), Reading("web", "inode", {"pids": 3})]


def test_two_of_one_name_stay_two() -> None:
    rounds = [
        ("docker", [record("web", "container", "docker/1"), sample("web", value=1)]),
        ("podman", [record("web", "container", "libpod/2"), sample("web", value=2)]),
        ("libvirt", [record("web", "vm"), sample("web", value=3)]),
        ("cgroup", [kernel("docker/1"), kernel("libpod/2"), sample("docker/1", "x", 1), sample("libpod/2", "x", 2)]),
    ]
    joined = join(rounds)
    assert names(joined) == ["web", "podman/web", "libvirt/web"]
    values = {(one.workload, one.metric): one.value for one in joined if isinstance(one, Sample)}
    assert values == {
        ("web", "pids"): 1,
        ("podman/web", "pids"): 2,
        ("libvirt/web", "pids"): 3,
        ("web", "x"): 1,
        ("podman/web", "x"): 2,
    }


def test_a_containers_name_does_not_take_that_of_a_group() -> None:
    joined = join(
        [("docker", [record("web", "container", "docker/1")]), ("cgroup", [kernel("docker/1"), kernel("web")])]
    )
    assert names(joined) == ["docker/web", "web"]


def test_what_lies_inside_another_workload_is_counted_there() -> None:
    manager = "user.slice/user@1000.service"
    inner = f"{manager}/user.slice/libpod-9e.scope"
    joined = join(
        [
            ("podman", [record("web", "container", inner), sample("web", "net_rx_bytes_total")]),
            ("cgroup", [kernel("user.slice", "slice"), kernel(manager, "service"), sample(manager)]),
        ]
    )
    assert joined == [kernel("user.slice", "slice"), kernel(manager, "service"), sample(manager)]


def test_what_lies_in_a_slice_is_a_workload_even_if_its_group_was_not_found() -> None:
    joined = join(
        [("docker", [record("web", "container", SCOPE)]), ("cgroup", [kernel("system.slice", "slice"), kernel(NGINX)])]
    )
    assert names(joined) == ["web", "system.slice", NGINX]


def test_a_host_that_two_describe_is_one() -> None:
    first = HostRecord("h1", "debian", capacity={"cpu_milli": 4000})
    second = HostRecord("h1", "ignored", vendor="Dell", capacity={"cpu_milli": 1, "memory_bytes": 2})
    joined = join([("host", [first, sample(None)]), ("numa", [second, HostRecord("h2")])])
    assert joined == [
        replace(first, vendor="Dell", capacity={"cpu_milli": 4000, "memory_bytes": 2}),
        sample(None),
        HostRecord("h2"),
    ]


def test_what_nobody_else_knows_goes_through_untouched() -> None:
    records = [kernel("a", "slice"), kernel("a/b"), sample("a/b"), record("process/x", "process"), sample("process/x")]
    joined = join([("cgroup", records)])
    assert joined == records
    assert all(after is before for after, before in zip(joined[:3], records[:3], strict=True))


PATHS = ("a", "a/b", "a/b/c", "d")
MANAGED = st.builds(record, st.sampled_from("xyz"), st.sampled_from(["container", "vm"]), st.sampled_from(("", *PATHS)))
ROUNDS = st.lists(
    st.tuples(
        st.sampled_from(["docker", "podman", "systemd"]),
        # No manager has two things of one name, or names a group twice.
        st.lists(MANAGED, unique_by=(lambda it: it.name, lambda it: it.cgroup or it.name)),
    ),
    unique_by=lambda it: it[0],
)


def _is_around(path: str, leaves: tuple[str, ...]) -> bool:
    return any(f"{leaf}/".startswith(f"{path}/") for leaf in leaves)


LEAVES = st.sampled_from([(), ("a",), ("a/b",), ("a/b/c", "d"), ("d",)])


@given(ROUNDS, LEAVES)
def test_every_workload_is_there_once_and_every_value_at_most_once(
    rounds: list[tuple[str, list[WorkloadRecord]]], leaves: tuple[str, ...]
) -> None:
    found: list[tuple[str, list[Record]]] = [
        (source, [*records, *(sample(one.name, "restarts_total") for one in records)]) for source, records in rounds
    ]
    groups = [kernel(path, "group" if path in leaves else "slice") for path in PATHS if _is_around(path, leaves)]
    found.append(("cgroup", [*groups, *(sample(one.name) for one in groups)]))
    joined = join(found)
    workloads = [one for one in joined if isinstance(one, WorkloadRecord)]
    samples = [(one.workload, one.metric) for one in joined if isinstance(one, Sample)]
    assert max(Counter(names(joined)).values(), default=1) == 1
    assert max(Counter(one.cgroup for one in workloads if one.cgroup).values(), default=1) == 1
    assert max(Counter(samples).values(), default=1) == 1
    assert {name for name, _ in samples} <= set(names(joined)), "nothing is measured of what is not recorded"
    assert {one.cgroup for one in groups} <= {one.cgroup for one in workloads}, "the kernel's view loses nothing"
    assert join([("all", joined)]) == joined, "joined once is joined"


@pytest.mark.parametrize("kind", ["container", "service"])
def test_a_workload_keeps_its_name_when_it_is_created_anew(kind: str) -> None:
    lives = [
        join([("manager", [record("web", kind, path)]), ("cgroup", [kernel(path), sample(path, incarnation=path)])])
        for path in ("g/1", "g/2")
    ]
    assert [names(one) for one in lives] == [["web"], ["web"]]
    assert [one[1] for one in lives] == [sample("web", incarnation="g/1"), sample("web", incarnation="g/2")]
