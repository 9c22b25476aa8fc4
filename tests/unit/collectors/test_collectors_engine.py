"""What engines say and what is made of it: documents, labels, control groups, interfaces; and a whole collector."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.docker import DockerCollector
from collectors.engine.collector import own_group, parse_traffic, socket_named
from collectors.engine.documents import Details, Listed, parse_details, parse_list
from collectors.engine.labels import group_of, owner_of, stable_name
from collectors.podman import PodmanCollector
from tests.support.rounds import collect
from tests.support.unixserver import answers, document, server

ID = "4f1c0a9be27d6358" * 4
OTHER = "b07d2e91c5f3a468" * 4


def row(name: str = "web", container: str = ID, **more: object) -> dict[str, object]:
    """One container in Docker's list, as far as it is used."""
    return {"Id": container, "Names": [f"/{name}"], "Labels": {}, "State": "running", **more}


def inspection(pid: int = 700, **settings: object) -> dict[str, object]:
    """One container's inspection by Docker, as far as it is used."""
    return {
        "State": {"Pid": pid, "StartedAt": "2026-11-25T02:40:12.632773398Z"},
        "RestartCount": 2,
        "HostConfig": {"NetworkMode": "default", "NanoCpus": 0, "CpuQuota": 0, "CpuPeriod": 0, "Memory": 0} | settings,
    }


def test_a_list_gives_names_labels_and_pods() -> None:
    rows = [
        row(Names=["/db/alias", "/web"], Labels={"owner": "sales"}),
        row(Names=["db"], Id=OTHER, Labels=None, PodName="shop", IsInfra=False),  # as Podman lists
    ]
    assert parse_list(rows) == [Listed(ID, "web", {"owner": "sales"}), Listed(OTHER, "db", {}, "shop")]


def test_a_pods_own_container_is_named_after_the_pod_and_not_its_id() -> None:
    [found] = parse_list([row("4dbc68f1e83a-infra", PodName="shop", IsInfra=True)])
    assert found.name == "shop-infra"


@pytest.mark.parametrize(
    ("settings", "limits"),
    [
        ({}, {}),
        ({"NanoCpus": 250_000_000, "Memory": 1 << 25}, {"cpu_milli": 250, "memory_bytes": 1 << 25}),
        ({"CpuQuota": 30_000, "CpuPeriod": 20_000}, {"cpu_milli": 1500}),
        ({"CpuQuota": 30_000}, {"cpu_milli": 300}),
        ({"CpuQuota": -1, "Memory": None}, {}),
    ],
)
def test_limits_of_zero_and_minus_one_are_none(settings: dict[str, object], limits: dict[str, int]) -> None:
    assert parse_details(inspection(**settings)).limits == limits


@pytest.mark.parametrize(("mode", "own"), [("default", True), ("shop_net", True), ("none", True), ("host", False)])
def test_a_network_is_the_containers_own_unless_it_is_someone_elses(mode: str, own: bool) -> None:
    assert parse_details(inspection(NetworkMode=mode)).own_network is own
    assert not parse_details(inspection(NetworkMode=f"container:{ID}")).own_network


NONSENSE: list[tuple[Callable[[object], object], object, str]] = [
    (parse_list, {"message": "x"}, "the list of containers is {'message': 'x'}, where an array belongs"),
    (parse_list, [7], "what holds Labels is 7, where an object belongs"),
    (parse_list, [row(Id="../secrets")], "Id is '../secrets', which is no container's"),
    (parse_list, [row(Names=[])], r"Names is [], and none of them is a container's"),
    (parse_list, [row(Names=["/a\nb"])], r"Names is ['a\nb'], and none of them is a container's"),
    (parse_list, [row(Names=[7])], "a name is 7, where a string belongs"),
    (parse_list, [row(Labels={"owner": 7})], "label owner is 7, where a string belongs"),
    (parse_details, {}, "State is missing"),
    (parse_details, inspection(pid=-4), "State.Pid is -4, where a count belongs"),
    (parse_details, inspection(pid=True), "Pid is True, where an integer belongs"),
    (parse_details, inspection(Memory=-7), "HostConfig.Memory is -7, where a count belongs"),
    (parse_details, inspection(Memory=1 << 70), f"HostConfig.Memory is {1 << 70}, where a count belongs"),
    (parse_details, inspection(NetworkMode=[]), "NetworkMode is [], where a string belongs"),
]


@pytest.mark.parametrize(("parse", "content", "sentence"), NONSENSE)
def test_nonsense_is_refused_with_its_place(parse: Callable[[object], object], content: object, sentence: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(content)
    assert str(refused.value) == sentence


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["State", "HostConfig", "Pid", "Id", "Names"]), inner)
    ),
)


@given(JSON)
def test_any_document_is_understood_or_refused(content: object) -> None:
    for parse in (parse_list, parse_details):
        try:
            parse(content)
        except ValueError as error:
            assert str(error)


@pytest.mark.parametrize(
    ("text", "unit", "group"),
    [
        (f"0::/system.slice/docker-{ID}.scope\n", "", f"system.slice/docker-{ID}.scope"),
        (f"0::/system.slice/docker-{ID}.scope/init.scope\n", "", f"system.slice/docker-{ID}.scope"),
        (f"4:memory:/docker/{ID}\n3:cpu,cpuacct:/docker/{ID}\n0::/\n", "", f"docker/{ID}"),
        (f"1:name=systemd:/\n4:memory:/docker/{ID}\n", "", f"docker/{ID}"),
        (f"0::/machine.slice/libpod-{ID}.scope/container\n", "", f"machine.slice/libpod-{ID}.scope"),
        (f"0::/system.slice/web.service/libpod-payload-{ID}\n", "web.service", "system.slice/web.service"),
        (f"0::/system.slice/web.service/libpod-payload-{ID}\n", "", f"system.slice/web.service/libpod-payload-{ID}"),
        ("0::/system.slice/web.service\n", "web.service", ""),  # shares its starter's group
        ("4:memory:/user.slice/session-3.scope\n0::/\n", "", ""),  # another machine's process number
        ("", "", ""),
    ],
)
def test_a_control_group_is_the_containers_if_it_carries_its_id(text: str, unit: str, group: str) -> None:
    assert own_group(text, ID, unit) == group


@pytest.mark.parametrize("text", ["nonsense\n", "0:\n"])
def test_nonsense_in_place_of_control_groups_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unpack"):
        own_group(text, ID)


HEAD = "Inter-|   Receive    |  Transmit\n face |bytes    packets errs |bytes    packets\n"
ZEROS = " 0" * 7


def test_traffic_is_that_of_all_interfaces_but_the_loopback() -> None:
    text = f"{HEAD}    lo: 99{ZEROS} 99{ZEROS}\n  eth0: 1200{ZEROS} 340{ZEROS}\nnet1:7{ZEROS} 1{ZEROS}\n"
    assert parse_traffic(text) == (1207, 341)


def test_a_network_without_interfaces_has_no_traffic_rather_than_none_measured() -> None:
    assert parse_traffic(f"{HEAD}    lo: 99{ZEROS} 99{ZEROS}\n") is None


@given(st.text(alphabet="eth0lo: 123-\n|"))
def test_any_text_in_place_of_interfaces_is_understood_or_refused(text: str) -> None:
    try:
        found = parse_traffic(HEAD + text)
    except ValueError:
        return
    assert found is None or min(found) >= 0


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("unix:///run/user/1000/docker.sock", Path("/run/user/1000/docker.sock")),
        ("tcp://10.0.0.7:2375", None),
        ("ssh://web-2", None),
        ("unix://", None),
        ("", None),
    ],
)
def test_only_sockets_of_this_machine_are_asked(value: str, path: Path | None) -> None:
    assert socket_named(value) == path


POD = {
    "io.kubernetes.pod.namespace": "prod",
    "io.kubernetes.pod.name": "web-7d4f-x2x",
    "io.kubernetes.container.name": "nginx",
}
TASK = {
    "com.docker.swarm.task.name": "shop_web.1.x9k2",
    "com.docker.swarm.task.id": "x9k2",
    "com.docker.swarm.service.name": "shop_web",
}


@pytest.mark.parametrize(
    ("labels", "pod", "name", "group"),
    [
        ({}, "", "engine's", ""),
        ({}, "shop", "engine's", "shop"),
        ({"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}, "", "engine's", "shop/web"),
        ({"io.podman.compose.project": "shop"}, "pod_shop", "engine's", "shop"),
        (POD, "", "prod/web-7d4f-x2x/nginx", "prod/web-7d4f-x2x"),
        (TASK, "", "shop_web.1", "shop_web"),
        ({**TASK, "com.docker.swarm.task.name": "other"}, "", "engine's", "shop_web"),
    ],
)
def test_labels_tell_a_lasting_name_and_a_group(labels: dict[str, str], pod: str, name: str, group: str) -> None:
    assert (stable_name("engine's", labels), group_of(labels, pod)) == (name, group)


def test_an_owner_is_whom_the_starter_named_and_not_the_images_maintainer() -> None:
    assert owner_of({"maintainer": "NGINX", "team": "sales"}) == "sales"
    assert owner_of({"maintainer": "NGINX"}) == ""


def tree(root: Path, pid: int = 700, container: str = ID, started: int = 900) -> None:
    """A process of a container below a root."""
    process = root / "proc" / str(pid)
    (process / "net").mkdir(parents=True, exist_ok=True)
    (process / "stat").write_text(f"{pid} (web) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 {started} 0 0\n")
    (process / "cgroup").write_text(f"0::/system.slice/docker-{container}.scope\n")
    (process / "net/dev").write_text(f"{HEAD}  eth0: 1200{ZEROS} 340{ZEROS}\n")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A host with Docker's socket in its usual place, and one container's process."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    (tmp_path / "run").mkdir()
    tree(tmp_path)
    yield tmp_path


def engine_of(*rows: dict[str, object], **inspections: dict[str, object]) -> dict[str, bytes]:
    details = {f"/containers/{key.removeprefix('_')}/json": document(one) for key, one in inspections.items()}
    return {"/containers/json": document(rows), **details}


def test_a_host_without_an_engine_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DOCKER_HOST", "CONTAINER_HOST"):
        monkeypatch.setenv(variable, "tcp://elsewhere:2375")
    found = collect(DockerCollector(), PodmanCollector(), root=tmp_path)
    assert found.complaints == []
    assert found.workloads == {}
    assert found.succeeded("docker")


def test_details_are_asked_for_once_in_the_life_of_a_process(root: Path) -> None:
    collector = DockerCollector()
    with server(root / "run/docker.sock", answers(engine_of(row(), **{f"_{ID}": inspection()}))) as asked:
        first, second = collect(collector, root=root), collect(collector, root=root)
        tree(root, started=950)
        third = collect(collector, root=root)
    inspected = f"/containers/{ID}/json"
    assert asked.targets == ["/containers/json", inspected, "/containers/json", "/containers/json", inspected]
    expected = {"net_rx_bytes_total": 1200, "net_tx_bytes_total": 340, "restarts_total": 2, "oom_restarts_total": 0}
    assert first.values("web") == second.values("web") == third.values("web") == expected


def test_a_container_whose_process_is_not_here_is_left_out(root: Path) -> None:
    rows = (row(), row("elsewhere", OTHER))
    answering = engine_of(*rows, **{f"_{ID}": inspection(), f"_{OTHER}": inspection(pid=701)})
    tree(root, pid=701, container="0" * 64)
    with server(root / "run/docker.sock", answers(answering)):
        found = collect(DockerCollector(), root=root)
    assert found.workloads.keys() == {"web"}
    assert found.complaints == []


def test_one_container_that_makes_no_sense_hides_no_other(root: Path) -> None:
    rows = (row(), row("odd", OTHER), row("odder", "c" * 64))
    answering = engine_of(*rows, **{f"_{ID}": inspection(), f"_{OTHER}": {}, f"_{'c' * 64}": {}})
    with server(root / "run/docker.sock", answers(answering)):
        found = collect(DockerCollector(), root=root)
    assert found.workloads.keys() == {"web"}
    assert found.complaints == [
        f"collector docker: {root}/run/docker.sock: GET /containers/{OTHER}/json answers what makes no sense "
        "(State is missing); find out what listens there (and 1 more)"
    ]
    assert not found.succeeded("docker")


def test_an_engine_that_stopped_answering_is_not_forgotten_with_its_containers(root: Path) -> None:
    collector = DockerCollector()
    with server(root / "run/docker.sock", answers(engine_of(row(), **{f"_{ID}": inspection()}))):
        before = collect(collector, root=root)
    os.unlink(root / "run/docker.sock")
    away = collect(collector, root=root)
    assert away.workloads == before.workloads
    assert ["docker.sock: GET /containers/json finds no socket" in one for one in away.complaints] == [True]
    (root / "proc/700/stat").unlink()
    gone = collect(collector, root=root)
    assert (gone.workloads, gone.complaints) == ({}, []), "nothing is left that it could be missed for"


def test_while_one_replaces_another_the_later_goes_by_the_engines_name(root: Path) -> None:
    later = inspection(pid=701)
    later["State"] = {"Pid": 701, "StartedAt": "2026-11-25T03:00:00Z"}
    tree(root, pid=701, container=OTHER)
    rows = (row("shop_web.1.new", OTHER, Labels=TASK), row("shop_web.1.x9k2", Labels=TASK))
    answering = engine_of(*rows, **{f"_{ID}": inspection(), f"_{OTHER}": later})
    with server(root / "run/docker.sock", answers(answering)):
        found = collect(DockerCollector(), root=root)
    assert {name: one.cgroup for name, one in found.workloads.items()} == {
        "shop_web.1": f"system.slice/docker-{ID}.scope",
        "shop_web.1.new": f"system.slice/docker-{OTHER}.scope",
    }


def test_something_else_in_podmans_place_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONTAINER_HOST", raising=False)
    (root / "run/podman").mkdir()
    with server(root / "run/podman/podman.sock", answers({"/_ping": document("OK")})):
        [complaint] = collect(PodmanCollector(), root=root).complaints
    assert complaint.endswith("GET /_ping answers Libpod-API-Version '', which is no Podman's; name its socket")


def test_parsed_details_hold_nothing_else() -> None:
    assert parse_details(inspection()) == Details(
        700, "2026-11-25T02:40:12.632773398Z", {}, True, 2, killed_before=False
    )
