"""Partitions are written, checked and taken back; what would hurt is refused before anything is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from consolidate.apply import Files, Journal, apply_changes, prepare, rollback, status
from consolidate.apply.keys import quota_us
from consolidate.apply.show import outcomes_text, preparation_text, status_text, to_json
from consolidate.errors import ApplyError, StalePlanError
from consolidate.plan.plan import Limits, Plan
from tests.support.hosts import UNLIMITED_V1, contents, make_host, partition, plan_of

MIB = 1024**2
PLAN = plan_of(partition("web", "front/web", 500, 64 * MIB), partition("db", "db", 1500, 128 * MIB, cpu_weight=150))
GROUPS: dict[str, dict[str, str]] = {"front/web": {}, "db": {}}


def clock() -> float:
    return 0.0


def applied(plan: Plan, root: Path, state: Path) -> list[str]:
    files = Files(root)
    outcomes = apply_changes(plan, "here", prepare(plan, "here", files), files, Journal(state / "j.jsonl"), clock)
    return [outcome.status for outcome in outcomes]


def test_v2_limits_are_written_and_taken_back_to_the_byte(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    before = contents(root)
    assert applied(PLAN, root, tmp_path) == ["done"] * 6
    web = root / "sys/fs/cgroup/front/web"
    assert (web / "cpu.max").read_text() == "50000 100000"
    assert (web / "cpu.weight").read_text() == "50"
    assert (web / "memory.max").read_text() == str(64 * MIB)
    assert applied(PLAN, root, tmp_path) == ["unchanged"] * 6
    assert status(PLAN, "here", Files(root)).drifted == ()
    outcomes = rollback(Journal(tmp_path / "j.jsonl"), Files(root), clock)
    assert [outcome.status for outcome in outcomes] == ["undone"] * 6
    assert {path: text.rstrip(b"\n") for path, text in contents(root).items()} == {
        path: text.rstrip(b"\n") for path, text in before.items()
    }
    assert rollback(Journal(tmp_path / "j.jsonl"), Files(root), clock) == []


def test_v1_limits_use_the_period_in_force(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 1, {"front/web": {"cpu.cfs_period_us": "50000"}, "db": {}})
    assert applied(PLAN, root, tmp_path) == ["done"] * 6
    cpu, memory = root / "sys/fs/cgroup/cpu", root / "sys/fs/cgroup/memory"
    assert (cpu / "front/web/cpu.cfs_quota_us").read_text() == "25000"
    assert (cpu / "db/cpu.cfs_quota_us").read_text() == "150000"
    assert (cpu / "db/cpu.shares").read_text() == "1536"
    assert (memory / "db/memory.limit_in_bytes").read_text() == str(128 * MIB)
    rollback(Journal(tmp_path / "j.jsonl"), Files(root), clock)
    assert (cpu / "db/cpu.cfs_quota_us").read_text() == "-1"
    assert (memory / "db/memory.limit_in_bytes").read_text() == UNLIMITED_V1


def test_the_smallest_quota_is_what_the_kernel_takes() -> None:
    assert [quota_us(milli, 100_000) for milli in (1, 10, 15, 333)] == [1000, 1000, 1500, 33_300]
    assert quota_us(333, 50_001) == 16_651  # rounded up: never less than planned


def test_drift_is_found_and_named(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    applied(PLAN, root, tmp_path)
    (root / "sys/fs/cgroup/db/cpu.max").write_text("max 100000\n")
    found = status(PLAN, "here", Files(root))
    assert [(change.workload, change.meaning, change.now) for change in found.drifted] == [
        ("db", "CPU limit", "max 100000")
    ]
    assert "Drift: 1 of 6 keys" in status_text(found)
    assert "max 100000 → 150000 100000" in status_text(found)


@pytest.mark.parametrize(
    ("plan", "error", "says"),
    [
        (replace(plan_of(), hosts=()), StalePlanError, r"no partition for host 'here' \(it has none\)"),
        (
            replace(plan_of(partition("web", "db", 500, MIB, host="other")), hosts=()),
            StalePlanError,
            "it partitions other",
        ),
        (plan_of(partition("web", "../../etc", 500, MIB)), ApplyError, "is no control group's path"),
        (plan_of(partition("web", "/etc", 500, MIB)), ApplyError, "is no control group's path"),
        (plan_of(partition("web", "nginx.service/", 500, MIB)), ApplyError, "is no control group's path"),
        (plan_of(partition("a", "db", 1, MIB), partition("b", "db", 2, MIB)), ApplyError, "a and b share the control"),
        (plan_of(partition("web", "front/web", 500, 8 * MIB)), ApplyError, "below the 9.0 MiB in use"),
        (
            plan_of(partition("web", "front/web", 500, 64 * MIB, before=Limits(250, None))),
            StalePlanError,
            "neither what it was when the plan was made nor what the plan wants",
        ),
    ],
)
def test_what_would_hurt_is_refused_before_anything_is_written(tmp_path: Path, plan, error, says) -> None:
    use = {"memory.current": str(12 * MIB), "memory.stat": ""}
    root = make_host(tmp_path / "root", 2, {"front/web": use, "db": {}})
    (root / "sys/fs/cgroup/front/web/memory.stat").write_text(f"anon {9 * MIB}\ninactive_file {3 * MIB}\n")
    before = contents(root)
    with pytest.raises(error, match=says):
        prepare(plan, "here", Files(root))
    assert contents(root) == before


def test_systemds_units_are_left_to_systemd_with_the_command_to_run(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, {"system.slice/web.service": {}})
    (root / "run/systemd/system").mkdir(parents=True)
    plan = plan_of(partition("web", "system.slice/web.service", 500, 64 * MIB))
    with pytest.raises(ApplyError, match=r"set-property --runtime web\.service CPUQuota=50% MemoryMax=67108864"):
        prepare(plan, "here", Files(root))


def test_a_workload_that_is_not_there_yet_waits(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, {"db": {}})
    plan = plan_of(*PLAN.partitions, partition("new", "", 100, MIB))
    preparation = prepare(plan, "here", Files(root))
    assert preparation.waiting == ("web", "new")
    assert "2 workloads have no control group here" in preparation_text(preparation)


def test_a_rollback_leaves_alone_what_somebody_else_has_set_since(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    applied(PLAN, root, tmp_path)
    weight = root / "sys/fs/cgroup/db/cpu.weight"
    weight.write_text("77\n")
    outcomes = rollback(Journal(tmp_path / "j.jsonl"), Files(root), clock)
    assert sorted(outcome.status for outcome in outcomes) == ["refused"] + ["undone"] * 5
    assert "somebody else set it to '77' since" in outcomes_text(outcomes)
    assert weight.read_text() == "77\n"
    (forced,) = rollback(Journal(tmp_path / "j.jsonl"), Files(root), clock, force=True)
    assert (forced.status, weight.read_text()) == ("undone", "100")


def test_a_group_created_anew_is_not_touched_by_a_rollback(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    applied(PLAN, root, tmp_path)
    (root / "sys/fs/cgroup/db").rename(root / "sys/fs/cgroup/gone")
    (root / "sys/fs/cgroup/db").mkdir()
    (root / "sys/fs/cgroup/db/cpu.max").write_text("12345 100000\n")
    outcomes = rollback(Journal(tmp_path / "j.jsonl"), Files(root), clock)
    assert {outcome.status for outcome in outcomes} == {"undone", "gone"}
    assert (root / "sys/fs/cgroup/db/cpu.max").read_text() == "12345 100000\n"


def test_two_plans_are_taken_back_one_by_one(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    applied(PLAN, root, tmp_path)
    before = Limits(500, 64 * MIB)
    second = plan_of(partition("web", "front/web", 250, 32 * MIB, before=before))
    applied(second, root, tmp_path)
    quota = root / "sys/fs/cgroup/front/web/cpu.max"
    assert quota.read_text() == "25000 100000"
    rollback(Journal(tmp_path / "j.jsonl"), Files(root), clock)
    assert quota.read_text() == "50000 100000"
    rollback(Journal(tmp_path / "j.jsonl"), Files(root), clock)
    assert quota.read_text() == "max 100000"
    applied(PLAN, root, tmp_path)
    applied(second, root, tmp_path)
    rollback(Journal(tmp_path / "j.jsonl"), Files(root), clock, everything=True)
    assert quota.read_text() == "max 100000"


def test_a_torn_last_line_is_a_write_that_never_happened(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    applied(PLAN, root, tmp_path)
    journal = tmp_path / "j.jsonl"
    journal.write_text(journal.read_text()[:-25])
    assert len(Journal(journal).open_entries()) == 5
    Journal(journal).undone(Journal(journal).open_entries()[0])
    assert len(Journal(journal).open_entries()) == 4


def test_a_damaged_journal_is_named_by_its_line(tmp_path: Path) -> None:
    journal = tmp_path / "j.jsonl"
    journal.write_text('{"event": "nonsense"}\n{"event": "undone", "id": "1"}\n')
    with pytest.raises(ApplyError, match=r"j\.jsonl:1: damaged"):
        Journal(journal).open_entries()


def test_a_journal_torn_inside_a_character_is_still_read(tmp_path: Path) -> None:
    journal = tmp_path / "j.jsonl"
    whole = b'{"event": "undone", "id": "1"}\n'
    journal.write_bytes(whole + '{"event": "undone", "id": "wë'.encode()[:-1])
    assert Journal(journal).open_entries() == []


def test_a_rollback_below_another_root_takes_nothing_back_and_forgets_nothing(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    other = make_host(tmp_path / "other", 2, {})
    applied(PLAN, root, tmp_path)
    journal = Journal(tmp_path / "j.jsonl")
    with pytest.raises(ApplyError, match=f"give --root {root}"):
        rollback(journal, Files(other), clock)
    assert len(journal.open_entries()) == 6
    with pytest.raises(ApplyError, match="no proc directory below it"):
        Files(tmp_path / "nowhere")


def test_a_group_that_leads_elsewhere_is_not_written(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, {"db": {}})
    (root / "etc").mkdir()
    (root / "etc/cpu.weight").write_text("secret")
    (root / "sys/fs/cgroup/link").symlink_to(root / "etc")
    with pytest.raises(ApplyError, match="leads out of"):
        prepare(plan_of(partition("web", "link", 500, MIB)), "here", Files(root))
    (root / "sys/fs/cgroup/db/cpu.weight").unlink()
    (root / "sys/fs/cgroup/db/cpu.weight").symlink_to(root / "etc/cpu.weight")
    assert "failed" in applied(plan_of(partition("web", "db", 500, MIB)), root, tmp_path)
    assert (root / "etc/cpu.weight").read_text() == "secret"


def test_a_second_applier_is_kept_out(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, {})
    with (
        Journal(tmp_path / "j.jsonl").locked(),
        pytest.raises(ApplyError, match="another apply or rollback is at work"),
    ):
        rollback(Journal(tmp_path / "j.jsonl"), Files(root), clock)


def test_the_difference_reads_key_by_key(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, {"db": {}})
    preparation = prepare(plan_of(partition("db", "db", 1500, 128 * MIB)), "here", Files(root))
    assert preparation_text(preparation) == (
        "~ db\n"
        "    memory limit  max → 134217728\n"
        "      /sys/fs/cgroup/db/memory.max\n"
        "    CPU limit     max 100000 → 150000 100000\n"
        "      /sys/fs/cgroup/db/cpu.max\n"
        "    CPU share     100 → 50\n"
        "      /sys/fs/cgroup/db/cpu.weight\n"
        "3 keys to write; nothing was written. Add --yes to apply.\n"
    )
    assert json.loads(to_json(preparation))["changes"][0]["wanted"] == "134217728"
