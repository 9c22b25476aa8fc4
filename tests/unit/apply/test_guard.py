"""The guard, without waiting: time passes when it sleeps, and workloads fare as a script says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from consolidate.apply import LocalMachine, Machine, Records
from consolidate.apply.condition import Answer, Condition
from consolidate.apply.guard import Guard, Guarded, Senses, Thresholds, complaint
from consolidate.apply.show import guarded_text
from consolidate.apply.vitals import Rates, Vitals, rates, read_vitals
from consolidate.errors import ApplyError
from tests.support.hosts import contents, make_host, partition, plan_of

MIB = 1024**2
PLAN = plan_of(partition("batch", "batch", 500, 64 * MIB, cpu_weight=10), partition("db", "db", 1500, 128 * MIB))
WELL = Vitals("1")


class World:
    """A host whose clock and workloads the test moves."""

    def __init__(self, tmp_path: Path, fares: Callable[[str, float], Vitals | None]) -> None:
        self.root = make_host(tmp_path / "root", 2, {"batch": {}, "db": {}})
        self.machine = LocalMachine("here", self.root)
        self.at_s, self.fares = 1000.0, fares
        self.records = Records(tmp_path / "state", "here", now=lambda: self.at_s)

    def apply(self, condition: Condition | None = None) -> Guarded:
        return Guard(
            self.machine,
            self.records,
            Thresholds(observe_s=60, interval_s=15, grace_s=30),
            condition,
            Senses(lambda: self.at_s, self.sleep, self.read),
        ).apply(PLAN)

    def sleep(self, seconds: float) -> None:
        self.at_s += seconds

    def read(self, _machine: Machine, group: str) -> Vitals | None:
        return self.fares(group, self.at_s)

    def limited(self) -> set[str]:
        return {
            path.split("/")[3]
            for path, text in contents(self.root).items()
            if path.endswith("memory.max") and text.strip() != b"max"
        }


def test_the_least_important_is_watched_first_and_then_the_rest(tmp_path: Path) -> None:
    seen: list[tuple[float, set[str]]] = []
    world = World(tmp_path, lambda _group, at_s: (seen.append((at_s, world.limited())), WELL)[1])
    found = world.apply()
    assert (found.blocked, found.hurts, world.limited()) == ("", (), {"batch", "db"})
    assert [status for _, status in seen if status == {"batch"}], "the canary alone at first"
    assert world.at_s == 1000 + 2 * (15 + 60), "an interval before, and an observation after, each of two steps"
    again = world.apply()
    assert {outcome.status for outcome in again.outcomes} == {"unchanged"}
    assert world.at_s == 1150, "nothing to write is nothing to watch"


def test_a_canary_that_is_hurt_is_taken_back_and_the_rest_is_never_limited(tmp_path: Path) -> None:
    world = World(tmp_path, lambda group, at_s: Vitals("1", oom_kills=int(group == "batch" and at_s > 1020)))
    found = world.apply()
    assert [(hurt.workload, hurt.reason) for hurt in found.hurts] == [
        ("batch", "1 of its processes was killed for want of memory")
    ]
    assert (found.blocked, world.limited()) == ("batch was hurt and taken back", set())
    assert "taken back: 1 of its processes was killed" in guarded_text(found)
    assert (tmp_path / "state/audit.jsonl").read_text().count('"revert: 1 of its processes') == 3


def test_each_revert_doubles_the_time_until_the_next_try_up_to_sixteen_times(tmp_path: Path) -> None:
    world = World(tmp_path, lambda _, at_s: Vitals(str(at_s)))  # it starts anew all the time
    waits = []
    for _ in range(7):
        (hurt,) = world.apply().hurts
        assert hurt.reason == "it ended or started anew 2 times"
        waits.append(round(hurt.until_s - world.at_s))
        held = world.apply()
        assert "held back until" in next(one.error for one in held.outcomes if one.workload == "batch")
        world.at_s = hurt.until_s
        world.records.release(["db"])
    assert waits == [60, 120, 240, 480, 960, 960, 960]


def test_one_that_held_for_a_whole_observation_is_forgiven(tmp_path: Path) -> None:
    world = World(tmp_path, lambda *_: WELL)
    world.records.hold("batch", "a test", 10)
    world.at_s += 11
    assert world.apply().blocked == ""
    assert world.records.holds() == {}


@pytest.mark.parametrize(
    ("answers", "blocked", "limited"),
    [
        ([None], "nothing was written: the condition does not hold: silence", set()),
        ([False], "nothing was written: the condition does not hold: silence", set()),
        ([True, True, None, True, True], "the condition has no answer: silence", {"batch"}),
        ([True, False], "batch was hurt and taken back", set()),
    ],
)
def test_no_answer_reverts_nothing_and_blocks_and_a_broken_condition_reverts(
    tmp_path: Path, answers: list[bool | None], blocked: str, limited: set[str]
) -> None:
    world = World(tmp_path, lambda *_: WELL)
    found = world.apply(lambda: Answer(answers.pop(0), "silence"))
    assert (found.blocked, world.limited()) == (blocked, limited)


def test_a_host_that_cannot_be_read_reverts_nothing_and_blocks(tmp_path: Path) -> None:
    def fares(_group: str, at_s: float) -> Vitals:
        if at_s > 1020:
            raise ApplyError("no answer")
        return WELL

    world = World(tmp_path, fares)
    found = world.apply()
    assert (found.blocked, world.limited()) == ("nobody can tell how batch fares: no answer", {"batch"})


def test_a_workload_that_ends_once_is_left_alone(tmp_path: Path) -> None:
    world = World(tmp_path, lambda group, at_s: None if group == "batch" and at_s > 1020 else WELL)
    assert world.apply().hurts == ()


@pytest.mark.parametrize(
    ("found", "usual", "says"),
    [
        (Rates(501, 0, {}), Rates(0, 0, {}), "throttled in 50.1 % of its periods"),
        (Rates(500, 0, {}), Rates(0, 0, {}), None),
        (Rates(900, 0, {}), Rates(950, 0, {}), None),  # it was worse before
        (Rates(None, 0, {"memory full": 51}), Rates(None, 0, {"memory full": 0}), "waited for memory 5.1 %"),
        (Rates(None, 0, {"cpu some": 800}), Rates(None, 0, {"cpu some": 500}), None),
        (Rates(None, 0, {"cpu some": 950}), Rates(None, 0, {"cpu some": 500}), "waited for cpu 95 % of the time, and"),
    ],
)
def test_what_hurts_is_what_was_not_there_before(found: Rates, usual: Rates, says: str | None) -> None:
    said = complaint(found, usual, Thresholds(), settled=True)
    assert says is None if said is None else says is not None and says in said
    assert complaint(found, usual, Thresholds(), settled=False) is None, "not judged in the grace time"


def test_vitals_come_from_v1_and_v2_files_alike(tmp_path: Path) -> None:
    v2 = make_host(tmp_path / "v2", 2, {"web": {}})
    group = v2 / "sys/fs/cgroup/web"
    (group / "cpu.stat").write_text("usage_usec 5\nnr_periods 40\nnr_throttled 10\n")
    (group / "memory.events").write_text("oom 3\noom_kill 2\n")
    (group / "cpu.pressure").write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=3000000\n")
    first = read_vitals(LocalMachine("here", v2), "web")
    assert first is not None
    assert replace(first, life="") == Vitals("", 40, 10, 2, {"cpu some": 3.0})
    later = replace(first, periods=50, throttled=18, stalled_s={"cpu some": 4.0})
    assert rates(first, later, 10.0) == Rates(800, 0, {"cpu some": 100})
    v1 = make_host(tmp_path / "v1", 1, {"web": {}})
    (v1 / "sys/fs/cgroup/cpu/web/cpu.stat").write_text("nr_periods 4\nnr_throttled 1\nthrottled_time 7\n")
    (v1 / "sys/fs/cgroup/memory/web/memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n")
    second = read_vitals(LocalMachine("here", v1), "web")
    assert second is not None
    assert replace(second, life="") == Vitals("", 4, 1, 5, {})
    assert read_vitals(LocalMachine("here", v1), "gone") is None
