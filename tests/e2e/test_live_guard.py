"""This machine, live: what hurts a real workload is taken back within two intervals; what nobody can tell blocks."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.prometheus.access import Access
from collectors.prometheus.client import Client, Patience
from collectors.prometheus.limit import Limiter
from consolidate.apply import LocalMachine, Records
from consolidate.apply.condition import Answer, Condition, PromqlCondition
from consolidate.apply.guard import Guard, Guarded, Senses, Thresholds
from consolidate.plan.plan import Limits, Partition, dump_plan
from tests.support.backends.prometheus import prometheus
from tests.support.cgroups import BURN, HOG, IDLE, Groups, real_groups
from tests.support.cli import consolidate
from tests.support.hosts import plan_of

pytestmark = pytest.mark.kernel

MIB = 1024**2
INTERVALS = 4


@pytest.fixture
def groups() -> Iterator[Groups]:
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes control groups of its own on this machine")
    with real_groups("canary", "web") as made:
        yield made


class Watch:
    """Real time, with the intervals counted."""

    def __init__(self) -> None:
        self.intervals = 0

    def sleep(self, seconds: float) -> None:
        self.intervals += 1
        time.sleep(seconds)


def partition(groups: Groups, name: str, weight: int, after: Limits) -> Partition:
    return Partition(name, "here", "container", groups.cgroup(name), Limits(), after, weight, "a test")


def guarded(
    groups: Groups, tmp_path: Path, watch: Watch, condition: Condition | None = None, **after: Limits
) -> Guarded:
    thresholds = Thresholds(observe_s=INTERVALS * 1.0, interval_s=1.0, grace_s=0.0, stalled_permille={})
    plan = plan_of(*(partition(groups, name, 10 + 90 * (name == "web"), limits) for name, limits in after.items()))
    guard = Guard(LocalMachine("here"), Records(tmp_path, "here"), thresholds, condition, Senses(sleep=watch.sleep))
    return guard.apply(plan)


def test_a_workload_pushed_into_oom_is_taken_back_within_two_intervals(groups: Groups, tmp_path: Path) -> None:
    before, watch = groups.limits(), Watch()
    file = "memory.limit_in_bytes" if groups.version == 1 else "memory.max"
    path = str(groups.path("memory", "web") / file)
    unlimited = (groups.path("memory", "web") / file).read_text()
    groups.run("web", f"import time\nwhile open({path!r}).read() == {unlimited!r}: time.sleep(.05)\n{HOG}")
    found = guarded(groups, tmp_path, watch, web=Limits(memory_bytes=96 * MIB))
    (hurt,) = found.hurts
    assert (hurt.workload, "killed for want of memory" in hurt.reason) == ("web", True)
    assert groups.limits() == before
    assert found.blocked == "web was hurt and taken back"
    assert watch.intervals <= 1 + 2, "one before anything is written, and at most two after"
    again = guarded(groups, tmp_path, watch, web=Limits(memory_bytes=96 * MIB))
    assert "held back until" in again.outcomes[0].error
    assert groups.limits() == before


def test_a_workload_pushed_into_throttling_is_taken_back_within_two_intervals(groups: Groups, tmp_path: Path) -> None:
    before, watch = groups.limits(), Watch()
    groups.run("web", BURN)
    groups.run("canary", IDLE)
    found = guarded(groups, tmp_path, watch, canary=Limits(cpu_milli=500), web=Limits(cpu_milli=100))
    (hurt,) = found.hurts
    assert (hurt.workload, "it was throttled in" in hurt.reason) == ("web", True)
    # One interval to see how the canary fares before, and four after; then one before the rest, and at most two.
    assert watch.intervals <= 1 + INTERVALS + 1 + 2
    left = {path for path, text in groups.limits().items() if text != before[path]}
    assert left
    assert all(f"{groups.parent}/canary/" in path for path in left), "only what hurt was taken back"


def test_a_query_that_gives_no_answer_reverts_nothing_and_blocks_further_steps(groups: Groups, tmp_path: Path) -> None:
    groups.run("web", IDLE)
    both = {"canary": Limits(cpu_milli=500), "web": Limits(cpu_milli=700)}
    before = groups.limits()
    with prometheus(tmp_path / "prometheus", {}) as url:
        client = Client(Access(url), Limiter(1, 1e6), Patience(attempts=1))
        for query, says in (("absent_metric > bool 0", "no data"), ("1 +", "parse error"), ("vector(0)", "is 0")):
            found = guarded(groups, tmp_path, Watch(), PromqlCondition(client, query), **both)
            assert found.blocked.startswith("nothing was written: the condition does not hold"), found.blocked
            assert says in found.blocked
            assert groups.limits() == before
        works = PromqlCondition(client, "vector(1) == bool 1")
        assert works().holds
    asked = itertools.count()

    def answers_once() -> Answer:
        """The server that answered before the canary was written has ended since."""
        return works() if next(asked) else Answer(True, "")

    found = guarded(groups, tmp_path, Watch(), answers_once, **both)
    assert (found.hurts, "the condition has no answer" in found.blocked) == ((), True)
    changed = {path for path, text in groups.limits().items() if text != before[path]}
    assert changed
    assert all(f"{groups.parent}/canary/" in path for path in changed), "the canary keeps its limits, the rest waits"


def test_a_guarded_apply_on_the_command_line_watches_and_leaves_what_does_well(groups: Groups, tmp_path: Path) -> None:
    groups.run("web", IDLE)
    plan = tmp_path / "plan.json"
    plan.write_text(dump_plan(plan_of(partition(groups, "web", 100, Limits(cpu_milli=700)))))
    here = ("--host", "here", "--state", tmp_path / "state")
    wrong = consolidate("apply", plan, *here, "--yes", "--guard", "--condition", "up")
    assert (wrong.code, "--condition and --prometheus belong together" in wrong.err) == (1, True)
    before = groups.limits()
    done = consolidate("apply", plan, *here, "--yes", "--guard", "--observe", "2s", "--grace", "0s")
    assert (done.code, done.out.splitlines()[-1]) == (0, "Watched: nothing was hurt."), done.out + done.err
    assert groups.limits() != before
    back = consolidate("rollback", "--state", tmp_path / "state")
    assert (back.code, groups.limits()) == (0, before), back.err
