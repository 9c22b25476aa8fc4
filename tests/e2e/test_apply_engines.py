"""Real Docker and real Podman: limits of running containers change live, bite in the kernel, and go back exactly."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from consolidate.apply import apply_changes, prepare, rollback, status
from consolidate.apply.backends.docker import DockerBackend
from consolidate.apply.backends.engine import EngineBackend
from consolidate.apply.backends.podman import PodmanBackend
from consolidate.apply.local import LocalMachine
from consolidate.apply.records import Outcome, Records
from consolidate.errors import ApplyError
from consolidate.plan.plan import Limits, Partition, Plan
from tests.support.backends.engine import BURN, HOLD, HOLD_BYTES, IDLE, Engine, until
from tests.support.containers import container_group, container_limits
from tests.support.hosts import plan_of

pytestmark = pytest.mark.kernel

MIB = 1 << 20
NONE = (None, "", 0, -1, 1024, 9223372036854771712, "0-1", "0")
"""How Docker spells that there is no limit: before anybody set one, and after it was taken back."""
WIDE = {"cpus": "0.25", "memory": "48m", "pids_limit": "77", "cpu_shares": "300", "cpuset_cpus": "0"}


@dataclass
class Bench:
    """An engine, what limits its containers, and what was there before."""

    engine: Engine
    backend: EngineBackend
    records: Records
    machine: LocalMachine

    def partition(self, name: str, container_id: str, after: Limits, cpu_weight: int = 50) -> Partition:
        limits = self.engine.inspect(name)["HostConfig"]
        quota = limits["NanoCpus"] // 1_000_000 or None
        before = Limits(quota, limits["Memory"] or None)
        path = container_group(self.engine, container_id)
        return Partition(f"here:{name}", "here", "container", path, before, after, cpu_weight, "a test")

    def apply(self, plan: Plan) -> list[Outcome]:
        ready = prepare(plan, self.machine, self.records, backends=[self.backend])
        return apply_changes(plan, self.machine, ready, self.records, backends=[self.backend])

    def take_back(self) -> list[Outcome]:
        return rollback(self.machine, self.records, backends=[self.backend])

    def drifted(self, plan: Plan) -> list[str]:
        return [change.key for change in status(plan, self.machine, backends=[self.backend]).drifted]

    def kernel(self, container_id: str) -> dict[str, bytes]:
        return container_limits(self.engine, container_id)

    def number(self, controller: str, container_id: str, file: str, key: str = "") -> int:
        text = (self.engine.group(controller, container_id) / file).read_text()
        return int(dict(line.split() for line in text.splitlines())[key] if key else text)


@pytest.fixture(params=["docker", "podman"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    engine: Engine = request.getfixturevalue(request.param)
    backend = {"docker": DockerBackend, "podman": PodmanBackend}[request.param](engine.client)
    yield Bench(engine, backend, Records(tmp_path / "state", "here"), LocalMachine("here"))
    engine.remove_all()


def statuses(outcomes: Sequence[Outcome]) -> set[str]:
    return {outcome.status for outcome in outcomes}


def all_limits(**more: object) -> Limits:
    fields: dict[str, object] = {"cpu_milli": 200, "memory_bytes": 64 * MIB, "swap_bytes": 0, "pids": 512}
    return Limits(**(fields | {"cpus": "1", "memory_nodes": "0", "io_weight": 300} | more))  # type: ignore[arg-type]


@pytest.mark.parametrize("created", [{}, WIDE], ids=["without limits", "with limits"])
def test_limits_change_live_are_as_planned_and_go_back_to_the_byte(bench: Bench, created: dict[str, str]) -> None:
    web = bench.engine.run("web", *IDLE, **created)
    kernel, told = bench.kernel(web), bench.engine.inspect("web")["HostConfig"]
    plan = plan_of(bench.partition("web", web, all_limits()))

    assert statuses(bench.apply(plan)) <= {"done", "unchanged"}
    assert bench.drifted(plan) == []
    now = {name: text.decode().strip() for name, text in bench.kernel(web).items()}
    if "cpu.cfs_quota_us" in now:
        assert (now["cpu.cfs_quota_us"], now["cpu.cfs_period_us"], now["cpu.shares"]) == ("20000", "100000", "512")
        assert now["memory.limit_in_bytes"] == now["memory.memsw.limit_in_bytes"] == str(64 * MIB)
    assert (now["cpuset.cpus"], now["cpuset.mems"], now["pids.max"]) == ("1", "0", "512")
    assert statuses(bench.apply(plan)) == {"unchanged"}, "applied twice: no changes"

    assert statuses(bench.take_back()) == {"undone"}
    assert bench.kernel(web) == kernel
    back = bench.engine.inspect("web")["HostConfig"]
    changed = {key: (told[key], back[key]) for key in told if told[key] != back[key]}
    assert all(value in NONE for values in changed.values() for value in values), changed
    if bench.backend.name == "podman":
        assert changed == {}
    assert bench.records.journal.open_entries() == []


def test_a_quota_bites_while_the_container_runs(bench: Bench) -> None:
    burner = bench.engine.run("burner", *BURN)
    until(lambda: bench.engine.cpu_s(burner) > 0.05, "CPU time")
    assert statuses(bench.apply(plan_of(bench.partition("burner", burner, Limits(cpu_milli=200))))) == {"done"}
    throttled = bench.number("cpu", burner, "cpu.stat", "nr_throttled")
    began, used = time.monotonic(), bench.engine.cpu_s(burner)
    until(lambda: bench.number("cpu", burner, "cpu.stat", "nr_throttled") >= throttled + 10, "the quota to bite")
    elapsed, used = time.monotonic() - began, bench.engine.cpu_s(burner) - used
    # Only an upper bound: on a busy machine it may get less. A period's quota may be pending at either end.
    assert used <= 0.2 * (elapsed + 0.2)


def test_what_wants_more_than_its_memory_is_killed_at_the_limit(bench: Bench) -> None:
    web = bench.engine.run("web", *IDLE)
    plan = plan_of(bench.partition("web", web, Limits(memory_bytes=16 * MIB, swap_bytes=0)))
    assert statuses(bench.apply(plan)) <= {"done"}
    file = "memory.oom_control" if (bench.engine.group("memory", web) / "memory.oom_control").exists() else ""
    kills = bench.number("memory", web, file or "memory.events", "oom_kill")
    greedy = [*bench.engine.client, "exec", "web", "sh", "-c", HOLD[2].replace("count=24", "count=64")]
    done = subprocess.run(greedy, capture_output=True, check=False, timeout=60)
    assert done.returncode != 0
    assert bench.number("memory", web, file or "memory.events", "oom_kill") > kills


def test_memory_below_what_is_in_use_is_refused_before_anything_is_written(bench: Bench) -> None:
    holder = bench.engine.run("holder", *HOLD)
    until(lambda: "held" in bench.engine.call("logs", "holder"), "memory to be held")
    kernel = bench.kernel(holder)
    plan = plan_of(bench.partition("holder", holder, Limits(100, HOLD_BYTES // 2)))
    with pytest.raises(ApplyError, match=r"its memory limit of 12.0 MiB is below the .* in use"):
        bench.apply(plan)
    assert bench.kernel(holder) == kernel


def test_a_container_made_anew_is_another_life_that_has_nothing_to_take_back(bench: Bench) -> None:
    first = bench.engine.run("web", *IDLE)
    plan = plan_of(bench.partition("web", first, Limits(300)))
    assert statuses(bench.apply(plan)) == {"done"}
    bench.engine.remove("web")
    second = bench.engine.run("web", *IDLE)
    kernel = bench.kernel(second)
    assert bench.drifted(plan), "the plan's container is found by its name, and is not as planned"
    assert statuses(bench.take_back()) == {"gone"}
    assert bench.kernel(second) == kernel


def test_docker_keeps_limits_over_a_restart_and_podmans_loss_is_drift(bench: Bench) -> None:
    web = bench.engine.run("web", *IDLE)
    kernel = bench.kernel(web)
    plan = plan_of(bench.partition("web", web, Limits(300, 64 * MIB)))
    bench.apply(plan)
    bench.engine.call("restart", "--time=0", "web")
    kept = bench.backend.name == "docker"
    assert (bench.drifted(plan) == []) is kept
    assert statuses(bench.take_back()) == {"undone"}
    assert bench.kernel(web) == kernel


def test_a_foreign_update_is_drift_and_not_overwritten_by_a_rollback(bench: Bench) -> None:
    web = bench.engine.run("web", *IDLE)
    plan = plan_of(bench.partition("web", web, Limits(pids=512), cpu_weight=100))
    bench.apply(plan)
    bench.engine.update("web", cpu_shares="333")
    assert len(bench.drifted(plan)) == 1
    assert statuses(bench.take_back()) <= {"undone"}
    bench.apply(plan_of(bench.partition("web", web, Limits(), cpu_weight=200)))
    bench.engine.update("web", cpu_shares="444")
    [refused] = bench.take_back()
    assert (refused.status, "somebody else set it to '444'" in refused.error) == ("refused", True)


class EngineDies(LocalMachine):
    """Takes the engine away just before one of the updates it is told."""

    def __init__(self, engine: Engine, at: int) -> None:
        super().__init__("here")
        self.engine, self.left = engine, at

    def run(self, arguments: Sequence[str], stdin: str = "", timeout_s: float = 60.0) -> str:
        if "update" in arguments:
            self.left -= 1
            if self.left == 0:
                self.engine.kill()
        return super().run(arguments, stdin, timeout_s)


def test_an_engine_that_dies_half_way_is_a_failure_that_can_be_taken_back_later(bench: Bench) -> None:
    web = bench.engine.run("web", *IDLE)
    kernel = bench.kernel(web)
    plan = plan_of(bench.partition("web", web, Limits(300, 64 * MIB, pids=512)))
    ready = prepare(plan, bench.machine, bench.records, backends=[bench.backend])
    dying = EngineDies(bench.engine, at=3)
    try:
        outcomes = apply_changes(plan, dying, ready, bench.records, backends=[bench.backend])
    finally:
        with contextlib.suppress(AssertionError):
            bench.engine.start()
    failures = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert failures, "the write that met no engine, and those that could not be taken back without one"
    assert all(bench.engine.client[0] in outcome.error for outcome in failures)
    assert len(bench.records.journal.open_entries()) == 3, "what was written, and what may have been"
    assert bench.kernel(web) != kernel
    assert statuses(bench.take_back()) == {"undone"}
    assert bench.kernel(web) == kernel
    assert bench.records.journal.open_entries() == []


def test_a_moved_container_is_found_by_its_name_and_no_other_ones(bench: Bench) -> None:
    web = bench.engine.run("web", *IDLE)
    moved = Partition("here:web", "here", "container", "", Limits(), Limits(300), 50, "a test")
    assert bench.backend.supports(bench.machine, moved)
    found = bench.backend.observe(bench.machine, moved)
    assert found is not None
    assert found.subject == web
    for workload in (
        f"here:{web[:12]}",
        "here:we",
        f"other/{'docker' if bench.backend.name == 'podman' else 'podman'}/web",
    ):
        other = Partition(workload, "here", "container", "", Limits(), Limits(300), 50, "a test")
        assert not bench.backend.supports(bench.machine, other), workload


def test_who_limits_a_container_of_compose_is_told_that_compose_forgets_it(bench: Bench) -> None:
    web = bench.engine.run("web", *IDLE, label="com.docker.compose.project=shop")
    found = bench.backend.observe(bench.machine, bench.partition("web", web, Limits(300)))
    assert found is not None
    assert found.note == (
        "web is made by Compose, which makes it anew without these limits one day; write them into its file as well "
        "(`consolidate export`)"
    )
