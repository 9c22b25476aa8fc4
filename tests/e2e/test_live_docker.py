"""A real Docker Engine: its containers under load, as the collectors see them and as Docker and the kernel do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from collectors.cgroup import CgroupCollector
from collectors.docker import DockerCollector
from collectors.engine.documents import Listed
from collectors.engine.service import Service
from tests.support.backends.engine import BURN, HOLD, HOLD_BYTES, IDLE, Engine, until
from tests.support.backends.namespace import GATEWAY
from tests.support.rounds import Round, collect

MIB = 1 << 20
Sampler = Callable[[], Round]


@pytest.fixture
def engine(docker: Engine) -> Iterator[Engine]:
    yield docker
    docker.remove_all()


@pytest.fixture
def sample(engine: Engine) -> Sampler:
    collectors = DockerCollector(engine.socket), CgroupCollector()
    return lambda: collect(*collectors)


def network_bytes(found: Round, name: str) -> float:
    return found.values(name)["net_rx_bytes_total"] + found.values(name)["net_tx_bytes_total"]


def test_cpu_time_lies_between_what_docker_and_the_kernel_say_before_and_after(engine: Engine, sample: Sampler) -> None:
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


def test_memory_is_what_docker_says(engine: Engine, sample: Sampler) -> None:
    engine.run("holder", *HOLD, memory="64m")
    until(lambda: "held" in engine.call("logs", "holder"), "memory to be held")
    found, stats = sample(), engine.stats("holder")
    sampled = found.values("holder")
    assert sampled["memory_anon_bytes"] >= HOLD_BYTES
    assert sampled["memory_current_bytes"] == pytest.approx(stats.memory_bytes, abs=MIB)
    assert found.workloads["holder"].limits["memory_bytes"] == stats.memory_limit_bytes == 64 * MIB


def test_network_bytes_lie_between_what_docker_says_before_and_after(engine: Engine, sample: Sampler) -> None:
    engine.run("talker", "ping", "-s", "1000", "-i", "1", GATEWAY)
    engine.run("silent", *IDLE, network="none")
    engine.run("shares-the-hosts", *IDLE, network="host")
    engine.run("shares-the-talkers", *IDLE, network="container:talker")
    until(lambda: engine.stats("talker").network_bytes > 6000, "answers to be received")
    before = engine.stats("talker").network_bytes
    found = sample()
    after = engine.stats("talker").network_bytes
    assert before <= network_bytes(found, "talker") <= after
    others = found.workloads.keys() - {"talker"}
    assert {"silent", "shares-the-hosts", "shares-the-talkers"} <= others
    assert [name for name in others if "net_rx_bytes_total" in found.values(name)] == [], "each byte is counted once"


def test_a_container_is_one_workload_with_its_names_limits_and_groups(engine: Engine, sample: Sampler) -> None:
    labels = ("com.docker.compose.project=shop", "com.docker.compose.service=web", "owner=sales")
    web = engine.run("web", *IDLE, cpus="0.5", memory="32m", label=labels)
    workload = sample().workloads["web"]
    assert (workload.kind, workload.os, workload.group, workload.owner) == ("container", "linux", "shop/web", "sales")
    assert workload.cgroup == f"{engine.parent}/{web}"
    assert workload.limits == {"cpu_milli": 500, "memory_bytes": 32 * MIB}
    engine.update("web", cpus="0.2")
    found = sample()
    assert found.workloads["web"].limits == {"cpu_milli": 200, "memory_bytes": 32 * MIB}
    assert [one.name for one in found.workloads.values() if web in one.name] == []


def test_a_container_created_anew_is_the_same_workload_and_another_incarnation(engine: Engine, sample: Sampler) -> None:
    engine.run("web", *IDLE)
    first = sample()
    engine.remove("web")
    engine.run("web", *IDLE)
    second = sample()
    for metric in ("cpu_seconds_total", "net_rx_bytes_total", "restarts_total"):
        assert first.incarnation("web", metric) != second.incarnation("web", metric)


def test_restarts_are_counted_within_one_life_of_the_container(engine: Engine, sample: Sampler) -> None:
    engine.run("crasher", *IDLE, restart="always")
    first = sample()
    engine.crash("crasher")
    until(lambda: sample().values("crasher").get("restarts_total"), "a restart")
    second = sample()
    assert (first.values("crasher")["restarts_total"], second.values("crasher")["restarts_total"]) == (0, 1)
    assert first.incarnation("crasher", "restarts_total") == second.incarnation("crasher", "restarts_total")
    assert first.incarnation("crasher", "net_rx_bytes_total") != second.incarnation("crasher", "net_rx_bytes_total")


def test_a_process_killed_for_want_of_memory_is_counted_under_the_containers_name(
    engine: Engine, sample: Sampler
) -> None:
    engine.run(
        "greedy", "sh", "-c", "while :; do dd if=/dev/zero of=/dev/null bs=64M count=1; sleep 1; done", memory="16m"
    )
    until(lambda: sample().values("greedy")["oom_kills_total"], "the kernel to kill")
    assert sample().values("greedy")["oom_kills_total"] >= 1


def test_a_container_that_ends_for_want_of_memory_and_is_restarted_is_counted(engine: Engine, sample: Sampler) -> None:
    too_much = HOLD[2].replace("count=24", "count=64")
    engine.run("greedy", "sh", "-c", f"sleep 1; {too_much}", memory="16m", restart="always")
    assert sample().values("greedy")["oom_restarts_total"] == 0
    until(lambda: sample().values("greedy").get("oom_restarts_total"), "Docker to start it again")


def test_a_container_that_ends_between_list_and_read_is_left_out_quietly(engine: Engine) -> None:
    class Meanwhile(DockerCollector):
        def listed(self, service: Service) -> list[Listed]:
            found = super().listed(service)
            engine.remove("short")
            return found

    engine.run("short", *IDLE)
    engine.run("long", *IDLE)
    found = collect(Meanwhile(engine.socket), CgroupCollector())
    assert found.complaints == []
    assert {"short", "long"} & found.workloads.keys() == {"long"}


def test_a_container_that_ends_after_it_was_found_is_left_out_quietly(engine: Engine, sample: Sampler) -> None:
    engine.run("short", *IDLE)
    engine.run("long", *IDLE)
    sample()
    engine.remove("short")
    found = sample()
    assert found.complaints == []
    assert {"short", "long"} & found.workloads.keys() == {"long"}


def test_a_renamed_container_goes_by_its_new_name(engine: Engine, sample: Sampler) -> None:
    engine.run("before", *IDLE)
    sample()
    engine.call("rename", "before", "after")
    assert {"before", "after"} & sample().workloads.keys() == {"after"}


def test_containers_keep_their_names_while_a_killed_engine_is_away(engine: Engine, sample: Sampler) -> None:
    engine.run("steady", *IDLE)
    engine.run("ending", *IDLE)
    before = sample()
    pid = engine.pid("ending")
    engine.kill()
    os.kill(pid, signal.SIGKILL)
    try:
        until(lambda: "ending" not in sample().workloads, "the other one to end")
        away = sample()
    finally:
        engine.start()
    assert away.complaints == [
        f"collector docker: {engine.socket}: GET /containers/json is refused, since nothing listens there; "
        "start the service, or remove the socket"
    ]
    assert not away.succeeded("docker")
    assert away.succeeded("cgroup")
    assert away.workloads["steady"] == before.workloads["steady"]
    assert away.incarnation("steady", "net_rx_bytes_total") == before.incarnation("steady", "net_rx_bytes_total")
    back = sample()
    assert back.complaints == []
    assert back.workloads["steady"] == before.workloads["steady"]
