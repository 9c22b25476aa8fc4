"""A real Podman with its service: its containers and pods, as we, Podman and the kernel see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collectors.cgroup import CgroupCollector
from collectors.docker import DockerCollector
from collectors.engine.documents import Listed
from collectors.engine.service import Service
from collectors.podman import PodmanCollector
from tests.support.backends.engine import BURN, HOLD, HOLD_BYTES, IDLE, Engine, until
from tests.support.rounds import Round, collect

MIB = 1 << 20
Sampler = Callable[[], Round]


@pytest.fixture
def engine(podman: Engine) -> Iterator[Engine]:
    yield podman
    podman.call("pod", "rm", "--all", "--force", "--time=0")
    podman.remove_all()


@pytest.fixture
def sample(engine: Engine) -> Sampler:
    collectors = PodmanCollector(engine.socket), CgroupCollector()
    return lambda: collect(*collectors)


def test_cpu_time_lies_between_what_podman_and_the_kernel_say_before_and_after(engine: Engine, sample: Sampler) -> None:
    burner = engine.run("burner", *BURN, cpus="0.1")
    until(lambda: engine.cpu_s(burner) > 0.05, "CPU time")
    before, kernel_before = engine.stats("burner").cpu_s, engine.cpu_s(burner)
    found = sample()
    kernel_after, after = engine.cpu_s(burner), engine.stats("burner").cpu_s
    sampled = found.values("burner")
    assert before <= kernel_before <= sampled["cpu_seconds_total"] <= kernel_after <= after
    until(lambda: engine.cpu_s(burner) > kernel_after, "more CPU time")
    assert sample().values("burner")["cpu_seconds_total"] > sampled["cpu_seconds_total"]
    until(lambda: sample().values("burner")["cpu_throttled_periods_total"], "the quota to bite")
    assert found.complaints == []


def test_memory_is_what_podman_says(engine: Engine, sample: Sampler) -> None:
    engine.run("holder", *HOLD, memory="64m")
    until(lambda: "held" in engine.call("logs", "holder"), "memory to be held")
    found, stats = sample(), engine.stats("holder")
    sampled = found.values("holder")
    assert sampled["memory_anon_bytes"] >= HOLD_BYTES
    assert sampled["memory_current_bytes"] == pytest.approx(stats.memory_bytes, abs=MIB)
    assert found.workloads["holder"].limits["memory_bytes"] == stats.memory_limit_bytes == 64 * MIB


def test_network_bytes_lie_between_what_podman_says_before_and_after(engine: Engine, sample: Sampler) -> None:
    engine.run("talker", "sh", "-c", "ping -s 1000 $(ip route | grep default | cut -d' ' -f3)")
    engine.run("shares-the-hosts", *IDLE, network="host")
    until(lambda: engine.stats("talker").network_bytes > 6000, "answers to be received")
    before = engine.stats("talker").network_bytes
    found = sample()
    after = engine.stats("talker").network_bytes
    talker = found.values("talker")
    assert before <= talker["net_rx_bytes_total"] + talker["net_tx_bytes_total"] <= after
    assert "net_rx_bytes_total" not in found.values("shares-the-hosts")


def test_a_pod_is_a_group_whose_network_is_counted_once(engine: Engine, sample: Sampler) -> None:
    engine.call("pod", "create", "--name=shop", f"--cgroup-parent=/{engine.parent}", "--share-parent=false")
    engine.run("db", *IDLE, pod="shop")
    engine.run("web", *IDLE, pod="shop")
    found = sample()
    assert {name: found.workloads[name].group for name in ("db", "web", "shop-infra")} == dict.fromkeys(
        ("db", "web", "shop-infra"), "shop"
    )
    networks = [name for name in found.workloads if "net_rx_bytes_total" in found.values(name)]
    assert networks == ["shop-infra"]


def test_limits_are_those_in_force_although_podman_forgets_updates(engine: Engine, sample: Sampler) -> None:
    web = engine.run("web", *IDLE, cpus="0.5", memory="32m")
    assert sample().workloads["web"].limits == {"cpu_milli": 500, "memory_bytes": 32 * MIB}
    engine.update("web", cpus="0.2")
    assert engine.inspect("web")["HostConfig"]["NanoCpus"] == 500_000_000, "Podman still has the old one"
    workload = sample().workloads["web"]
    assert workload.limits["cpu_milli"] == 200
    assert workload.cgroup == f"{engine.parent}/libpod-{web}"


def test_restarts_are_counted_within_one_life_of_the_container(engine: Engine, sample: Sampler) -> None:
    engine.run("crasher", *IDLE, restart="always")
    first = sample()
    engine.crash("crasher")
    until(lambda: "crasher" in (now := sample()).workloads and now.values("crasher")["restarts_total"], "a restart")
    second = sample()
    assert (first.values("crasher")["restarts_total"], second.values("crasher")["restarts_total"]) == (0, 1)
    assert first.incarnation("crasher", "restarts_total") == second.incarnation("crasher", "restarts_total")
    assert first.incarnation("crasher", "cpu_seconds_total") != second.incarnation("crasher", "cpu_seconds_total")


def test_a_container_that_ends_between_list_and_read_is_left_out_quietly(engine: Engine) -> None:
    class Meanwhile(PodmanCollector):
        def listed(self, service: Service) -> list[Listed]:
            found = super().listed(service)
            engine.remove("short")
            return found

    engine.run("short", *IDLE)
    engine.run("long", *IDLE)
    found = collect(Meanwhile(engine.socket), CgroupCollector())
    assert found.complaints == []
    assert {"short", "long"} & found.workloads.keys() == {"long"}


def test_containers_keep_their_names_while_a_killed_service_is_away(engine: Engine, sample: Sampler) -> None:
    engine.run("steady", *IDLE)
    before = sample()
    engine.kill()
    try:
        away = sample()
    finally:
        engine.start()
    [complaint] = away.complaints
    assert complaint.startswith(f"collector podman: {engine.socket}: GET /_ping is refused")
    assert not away.succeeded("podman")
    assert away.workloads["steady"] == before.workloads["steady"]
    assert away.incarnation("steady", "net_rx_bytes_total") == before.incarnation("steady", "net_rx_bytes_total")
    back = sample()
    assert back.complaints == []
    assert back.workloads["steady"] == before.workloads["steady"]


def test_containers_of_one_name_on_two_engines_stay_two(docker: Engine, engine: Engine) -> None:
    ids = [one.run("web", *IDLE) for one in (docker, engine)]
    try:
        found = collect(DockerCollector(docker.socket), PodmanCollector(engine.socket), CgroupCollector())
    finally:
        docker.remove("web")
    assert [found.workloads[name].cgroup.endswith(one) for name, one in zip(("web", "podman/web"), ids, strict=True)]
    of_both = found.values("web").keys() & found.values("podman/web").keys()
    assert of_both >= {"cpu_seconds_total", "restarts_total"}


def test_podmans_socket_in_dockers_place_names_nothing_twice(engine: Engine) -> None:
    engine.run("web", *IDLE)
    found = collect(DockerCollector(engine.socket), PodmanCollector(engine.socket), CgroupCollector())
    assert found.complaints == []
    assert [name for name in found.workloads if "web" in name] == ["web"]
    assert "cpu_seconds_total" in found.values("web")


def test_the_socket_is_where_the_environment_says(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.run("web", *IDLE)
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{engine.socket}")
    assert "web" in collect(PodmanCollector()).workloads
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{engine.socket.parent / 'nowhere.sock'}")
    [complaint] = collect(PodmanCollector()).complaints
    assert "nowhere.sock: GET /_ping finds no socket; start the service, or correct the path" in complaint


def test_the_usual_socket_is_below_the_root(engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CONTAINER_HOST", raising=False)
    engine.run("web", *IDLE)
    (tmp_path / "run/podman").mkdir(parents=True)
    (tmp_path / "run/podman/podman.sock").symlink_to(engine.socket)
    (tmp_path / "proc").symlink_to("/proc")
    assert "web" in collect(PodmanCollector(), root=tmp_path).workloads
