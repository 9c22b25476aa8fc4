"""Partitions are written, checked and taken back; what would hurt is refused before anything is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from consolidate.apply import (
    Journal,
    LocalMachine,
    Outcome,
    Preparation,
    Records,
    apply_changes,
    prepare,
    rollback,
    status,
)
from consolidate.apply.backends.backend import Observation
from consolidate.apply.backends.cgroup import CgroupBackend
from consolidate.apply.keys import quota_us
from consolidate.apply.machine import Machine
from consolidate.apply.records import hosts_with_writes
from consolidate.apply.show import outcomes_text, preparation_text, status_text, to_json
from consolidate.errors import ApplyError, StalePlanError
from consolidate.plan.plan import Limits, Partition, Plan
from tests.support.hosts import UNLIMITED_V1, contents, make_host, partition, plan_of

MIB = 1024**2
PLAN = plan_of(partition("web", "front/web", 500, 64 * MIB), partition("db", "db", 1500, 128 * MIB, cpu_weight=150))
GROUPS: dict[str, dict[str, str]] = {"front/web": {}, "db": {}}


def clock() -> float:
    return 0.0


def applied(plan: Plan, root: Path, state: Path) -> list[str]:
    return [outcome.status for outcome in apply_here(plan, root, state)]


def apply_here(plan: Plan, root: Path, state: Path) -> list[Outcome]:
    machine, records = LocalMachine("here", root), Records(state, "here")
    return apply_changes(plan, machine, prepare(plan, machine, records), records, clock=clock)


def taken_back(root: Path, state: Path, **how: bool) -> list[Outcome]:
    return rollback(LocalMachine("here", root), Records(state, "here"), clock=clock, **how)


def test_v2_limits_are_written_and_taken_back_to_the_byte(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    before = contents(root)
    assert applied(PLAN, root, tmp_path) == ["done"] * 6
    web = root / "sys/fs/cgroup/front/web"
    assert (web / "cpu.max").read_text() == "50000 100000"
    assert (web / "cpu.weight").read_text() == "50"
    assert (web / "memory.max").read_text() == str(64 * MIB)
    assert applied(PLAN, root, tmp_path) == ["unchanged"] * 6
    assert status(PLAN, LocalMachine("here", root)).drifted == ()
    outcomes = taken_back(root, tmp_path)
    assert [outcome.status for outcome in outcomes] == ["undone"] * 6
    assert {path: text.rstrip(b"\n") for path, text in contents(root).items()} == {
        path: text.rstrip(b"\n") for path, text in before.items()
    }
    assert taken_back(root, tmp_path) == []


def test_v1_limits_use_the_period_in_force(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 1, {"front/web": {"cpu.cfs_period_us": "50000"}, "db": {}})
    assert applied(PLAN, root, tmp_path) == ["done"] * 6
    cpu, memory = root / "sys/fs/cgroup/cpu", root / "sys/fs/cgroup/memory"
    assert (cpu / "front/web/cpu.cfs_quota_us").read_text() == "25000"
    assert (cpu / "db/cpu.cfs_quota_us").read_text() == "150000"
    assert (cpu / "db/cpu.shares").read_text() == "1536"
    assert (memory / "db/memory.limit_in_bytes").read_text() == str(128 * MIB)
    taken_back(root, tmp_path)
    assert (cpu / "db/cpu.cfs_quota_us").read_text() == "-1"
    assert (memory / "db/memory.limit_in_bytes").read_text() == UNLIMITED_V1


def test_the_smallest_quota_is_what_the_kernel_takes() -> None:
    assert [quota_us(milli, 100_000) for milli in (1, 10, 15, 333)] == [1000, 1000, 1500, 33_300]
    assert quota_us(333, 50_001) == 16_651  # rounded up: never less than planned


def test_drift_is_found_and_named(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    applied(PLAN, root, tmp_path)
    (root / "sys/fs/cgroup/db/cpu.max").write_text("max 100000\n")
    found = status(PLAN, LocalMachine("here", root))
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
        prepare(plan, LocalMachine("here", root))
    assert contents(root) == before


def test_systemds_units_are_never_written_by_their_files(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, {"system.slice/web.service": {}})
    (root / "run/systemd/system").mkdir(parents=True)
    plan = plan_of(partition("web", "system.slice/web.service", 500, 64 * MIB))
    with pytest.raises(ApplyError, match=r"nothing here may write the limits of system\.slice/web\.service"):
        prepare(plan, LocalMachine("here", root), backends=(CgroupBackend(),))


def test_a_workload_that_is_not_there_yet_waits(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    plan = plan_of(*PLAN.partitions, partition("new", "", 100, MIB))
    preparation = prepare(plan, LocalMachine("here", root))
    assert preparation.waiting == ("new",)
    assert "1 workloads have no control group here" in preparation_text(preparation)


def test_a_group_that_vanished_is_refused_and_the_others_are_limited(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, {"db": {}})
    preparation = prepare(PLAN, LocalMachine("here", root))
    assert [one.workload for one in preparation.refused] == ["web"]
    assert "front/web has ended since the plan was made; collect and plan again" in preparation_text(preparation)
    assert applied(PLAN, root, tmp_path) == ["refused"] + ["done"] * 3


def test_a_rollback_leaves_alone_what_somebody_else_has_set_since(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    applied(PLAN, root, tmp_path)
    weight = root / "sys/fs/cgroup/db/cpu.weight"
    weight.write_text("77\n")
    outcomes = taken_back(root, tmp_path)
    assert sorted(outcome.status for outcome in outcomes) == ["refused"] + ["undone"] * 5
    assert "somebody else set it to '77' since" in outcomes_text(outcomes)
    assert weight.read_text() == "77\n"
    (forced,) = taken_back(root, tmp_path, force=True)
    assert (forced.status, weight.read_text()) == ("undone", "100")


def test_a_group_created_anew_is_not_touched_by_a_rollback(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    applied(PLAN, root, tmp_path)
    (root / "sys/fs/cgroup/db").rename(root / "sys/fs/cgroup/gone")
    (root / "sys/fs/cgroup/db").mkdir()
    (root / "sys/fs/cgroup/db/cpu.max").write_text("12345 100000\n")
    outcomes = taken_back(root, tmp_path)
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
    taken_back(root, tmp_path)
    assert quota.read_text() == "50000 100000"
    taken_back(root, tmp_path)
    assert quota.read_text() == "max 100000"
    applied(PLAN, root, tmp_path)
    applied(second, root, tmp_path)
    taken_back(root, tmp_path, everything=True)
    assert quota.read_text() == "max 100000"


def test_a_torn_last_line_is_a_write_that_never_happened(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    applied(PLAN, root, tmp_path)
    journal = tmp_path / "hosts/here.jsonl"
    journal.write_text(journal.read_text()[:-25])
    assert len(Journal(journal).open_entries()) == 5
    Journal(journal).undone(Journal(journal).open_entries()[0])
    assert len(Journal(journal).open_entries()) == 4


def test_a_damaged_journal_is_named_by_its_line(tmp_path: Path) -> None:
    journal = tmp_path / "here.jsonl"
    journal.write_text('{"event": "nonsense"}\n{"event": "undone", "id": "1"}\n')
    with pytest.raises(ApplyError, match=r"here\.jsonl:1: damaged"):
        Journal(journal).open_entries()


def test_a_journal_torn_inside_a_character_is_still_read(tmp_path: Path) -> None:
    journal = tmp_path / "here.jsonl"
    whole = b'{"event": "undone", "id": "1"}\n'
    journal.write_bytes(whole + '{"event": "undone", "id": "wë'.encode()[:-1])
    assert Journal(journal).open_entries() == []


def test_a_rollback_below_another_root_takes_nothing_back_and_forgets_nothing(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    other = make_host(tmp_path / "other", 2, {})
    applied(PLAN, root, tmp_path)
    journal = Journal(tmp_path / "hosts/here.jsonl")
    with pytest.raises(ApplyError, match=f"records writes at {root}, not at {other}"):
        taken_back(other, tmp_path)
    assert len(journal.open_entries()) == 6
    with pytest.raises(ApplyError, match="no proc directory below it"):
        LocalMachine("here", tmp_path / "nowhere")


def test_a_group_that_leads_elsewhere_is_not_written(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, {"db": {}})
    (root / "etc").mkdir()
    (root / "etc/cpu.weight").write_text("secret")
    (root / "sys/fs/cgroup/link").symlink_to(root / "etc")
    with pytest.raises(ApplyError, match="leads out of"):
        prepare(plan_of(partition("web", "link", 500, MIB)), LocalMachine("here", root))
    (root / "sys/fs/cgroup/db/cpu.weight").unlink()
    (root / "sys/fs/cgroup/db/cpu.weight").symlink_to(root / "etc/cpu.weight")
    assert "failed" in applied(plan_of(partition("web", "db", 500, MIB)), root, tmp_path)
    assert (root / "etc/cpu.weight").read_text() == "secret"


def test_a_second_applier_is_kept_out(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, {})
    with Journal(tmp_path / "hosts/here.jsonl").locked():
        with pytest.raises(ApplyError, match="another apply or rollback is at work"):
            taken_back(root, tmp_path)
        with pytest.raises(ApplyError, match="another apply or rollback is at work"):
            applied(PLAN, make_host(tmp_path / "other", 2, GROUPS), tmp_path)


def test_the_difference_reads_key_by_key(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, {"db": {}})
    preparation = prepare(plan_of(partition("db", "db", 1500, 128 * MIB)), LocalMachine("here", root))
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


def test_a_host_that_was_started_anew_since_the_plan_is_refused_with_both_times(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    (root / "proc/stat").write_text("cpu 1 2 3\nbtime 1700000000\n")
    assert prepare(replace(PLAN, as_of_s=1_700_000_000), LocalMachine("here", root)).changes
    with pytest.raises(
        StalePlanError, match=r"started anew at 2023-11-14 22:13:20 UTC, after .*22:13:19 UTC.*plan again"
    ):
        prepare(replace(PLAN, as_of_s=1_699_999_999), LocalMachine("here", root))


def test_a_group_of_the_same_number_after_a_boot_is_another_one(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    boot = root / "proc/sys/kernel/random/boot_id"
    boot.parent.mkdir(parents=True)
    boot.write_text("11111111-0000\n")
    applied(PLAN, root, tmp_path)
    boot.write_text("22222222-0000\n")
    assert {outcome.status for outcome in taken_back(root, tmp_path)} == {"gone"}


def test_what_changed_between_looking_and_writing_is_not_overwritten(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    machine, records = LocalMachine("here", root), Records(tmp_path, "here")
    preparation = prepare(PLAN, machine, records, canary="db")
    (root / "sys/fs/cgroup/db/cpu.weight").write_text("77\n")
    outcomes = apply_changes(PLAN, machine, preparation, records, clock=clock)
    assert [outcome.status for outcome in outcomes] == ["done", "done", "failed", "undone", "undone"] + ["skipped"] * 3
    assert "it holds '77' since it was looked at ('100'); apply again" in outcomes_text(outcomes)
    assert (root / "sys/fs/cgroup/db/cpu.weight").read_text() == "77\n"


def test_what_a_killed_applier_wrote_between_looking_and_writing_is_taken_for_written(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    before = contents(root)
    machine, records = LocalMachine("here", root), Records(tmp_path, "here")
    preparation = prepare(PLAN, machine, records)
    assert applied(PLAN, root, tmp_path) == ["done"] * 6
    outcomes = apply_changes(PLAN, machine, preparation, records, clock=clock)
    assert [outcome.status for outcome in outcomes] == ["unchanged"] * 6
    assert len(records.journal.open_entries()) == 6
    taken_back(root, tmp_path)
    assert contents(root).keys() == before.keys()
    assert all(contents(root)[path].rstrip(b"\n") == text.rstrip(b"\n") for path, text in before.items())


def test_what_another_takes_back_between_looking_and_writing_is_not_called_unchanged(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    machine, records = LocalMachine("here", root), Records(tmp_path, "here")
    applied(PLAN, root, tmp_path)
    preparation = prepare(PLAN, machine, records)
    taken_back(root, tmp_path)
    outcomes = apply_changes(PLAN, machine, preparation, records, clock=clock)
    assert [outcome.status for outcome in outcomes][:1] == ["failed"]
    assert "since it was looked at" in outcomes_text(outcomes)


def test_a_canary_that_is_not_in_the_plan_is_refused(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    assert prepare(PLAN, LocalMachine("here", root), canary="db").changes[0].workload == "db"
    with pytest.raises(ApplyError, match=r"canary 'nobody': the plan limits no such workload on here \(web, db\)"):
        prepare(PLAN, LocalMachine("here", root), canary="nobody")


def test_an_apply_that_was_killed_between_two_steps_at_one_key_goes_on(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, {"web": {}})
    cpus = root / "sys/fs/cgroup/web/cpuset.cpus"
    cpus.write_text("0-1\n")
    after = Limits(cpus="2-3")
    plan = plan_of(replace(partition("web", "web", None, None, before=Limits(cpus="0-1")), after=after))
    machine, records = LocalMachine("here", root), Records(tmp_path, "here")
    union, narrow = (one for one in prepare(plan, machine, records).changes if one.key == "cpuset.cpus")
    assert (union.wanted, narrow.now, narrow.wanted) == ("0-3", "0-3", "2-3")
    half = Preparation((union,), ())
    apply_changes(plan, machine, half, records, clock=clock)
    with pytest.raises(StalePlanError, match="neither what it was"):
        prepare(plan, machine)  # without the journal nobody knows who wrote it
    assert {one.status for one in apply_here(plan, root, tmp_path)} == {"done"}
    assert cpus.read_text() == "2-3"
    assert len(status(plan, machine).drifted) == 0
    taken_back(root, tmp_path)
    assert cpus.read_text() == "0-1"


def test_every_apply_and_rollback_is_in_the_audit_log_with_who_when_and_what(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    machine, records = LocalMachine("here", root), Records(tmp_path, "here", now=lambda: 1000.0)
    apply_changes(PLAN, machine, prepare(PLAN, machine, records), records, clock=clock)
    rollback(machine, records, clock=clock)
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["begins"] + ["done"] * 6 + ["undone"] * 6
    assert {(line["at_s"], line["host"], bool(line["who"])) for line in lines} == {(1000.0, "here", True)}
    assert {line["action"] for line in lines} == {"apply", "rollback"}


def test_hosts_whose_names_are_paths_have_journals_of_their_own(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    name = "../here/é"
    plan = plan_of(partition("db", "db", 500, 64 * MIB, host=name))
    plan = replace(plan, hosts=(replace(plan.hosts[0], name=name),))
    machine, records = LocalMachine(name, root), Records(tmp_path / "state", name)
    apply_changes(plan, machine, prepare(plan, machine, records), records, clock=clock)
    assert hosts_with_writes(tmp_path / "state") == [name]
    assert {path.parent.name for path in tmp_path.rglob("*.jsonl")} == {"state", "hosts"}


def test_a_key_that_a_delegated_unit_does_not_own_is_refused_only_where_systemd_runs(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, {"system.slice/app.service/worker": {}})
    plan = plan_of(partition("worker", "system.slice/app.service/worker", 500, 64 * MIB))
    machine = Delegating(root, "no")
    assert prepare(plan, machine).changes
    (root / "run/systemd/system").mkdir(parents=True)
    with pytest.raises(ApplyError, match=r"belongs to app\.service, which systemd has not delegated"):
        prepare(plan, machine, backends=(CgroupBackend(),))
    assert prepare(plan, Delegating(root, "yes"), backends=(CgroupBackend(),)).changes


class Delegating(LocalMachine):
    """A host whose systemd says whether a unit is delegated."""

    def __init__(self, root: Path, delegated: str) -> None:
        super().__init__("here", root)
        self.delegated = delegated

    def run(self, arguments: Sequence[str], stdin: str = "", timeout_s: float = 60.0) -> str:
        assert arguments[-1] == "app.service"
        return f"{self.delegated}\n"


def test_a_command_that_fails_is_told_in_a_sentence(tmp_path: Path) -> None:
    machine = LocalMachine("here")
    assert machine.run(["cat"], stdin="word") == "word"
    for command, says in (
        (["no-such-program"], "no-such-program: not installed on here"),
        (["ls", "/nowhere-at-all"], "ls /nowhere-at-all: ls: cannot access"),
        (["false"], "false: exit code 1"),
    ):
        with pytest.raises(ApplyError, match=says):
            machine.run(command)
    with pytest.raises(ApplyError, match=r"no answer within 0\.1 s"):
        machine.run(["sleep", "5"], timeout_s=0.1)


class Talkative(CgroupBackend):
    """Has something to say of every workload."""

    def observe(self, machine: Machine, partition: Partition) -> Observation | None:
        found = super().observe(machine, partition)
        return replace(found, note=f"{partition.workload} is made anew by somebody else") if found else None


def test_what_a_backend_has_to_say_is_shown_before_anything_is_written(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, GROUPS)
    found = prepare(PLAN, LocalMachine("here", root), backends=(Talkative(),))
    assert found.notes == ("web is made anew by somebody else", "db is made anew by somebody else")
    assert "! web is made anew by somebody else" in preparation_text(found)
