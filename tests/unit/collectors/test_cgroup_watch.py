"""Control groups that are watched: read again cheaply, and never taken for others that came after them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import cgroup
from collectors.cgroup import CgroupCollector, CgroupWatch
from collectors.held import Budget, HeldFile, open_directory
from collectors.reading import Reading, gather
from collectors.records import Sample, WorkloadRecord

HOSTS = Path(__file__).parents[2] / "fixtures/hosts"
GROUP = "system.slice/nginx.service"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(HOSTS / "v2", tmp_path / "host")
    return tmp_path / "host"


def watching(root: Path, keep_open: int = 1000) -> closing[CgroupWatch]:
    return closing(CgroupCollector().watch(root, "h1", keep_open))


def readings(watch: CgroupWatch) -> dict[str | None, Reading]:
    return {one.workload: one for one in watch.read() if isinstance(one, Reading)}


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("tree", ["v1", "v2", "hybrid", "plain"])
@pytest.mark.parametrize("keep_open", [0, 3, 1000])
def test_every_round_of_a_watch_says_what_collecting_anew_does(tree: str, keep_open: int) -> None:
    before = open_files()
    anew = list(CgroupCollector().collect(HOSTS / tree, "h1", 7))
    with watching(HOSTS / tree, keep_open) as watch:
        for _ in range(cgroup._RENEW_ROUNDS + 2):
            found = watch.read()
            expanded = [it for one in found for it in (one.samples("h1", 7) if isinstance(one, Reading) else [one])]
            assert expanded == anew
    assert open_files() == before


def test_what_has_not_changed_is_the_same_object(root: Path) -> None:
    with watching(root) as watch:
        before = watch.read()
        (root / "sys/fs/cgroup" / GROUP / "pids.current").write_text("77\n")
        after = watch.read()
    others = [(one, other) for one, other in zip(before, after, strict=True) if one is not other]
    assert [one.workload for _, one in others if isinstance(one, Reading)] == [GROUP]
    assert [one.values["pids"] for _, one in others if isinstance(one, Reading)] == [77]


def test_a_group_that_ends_while_it_is_read_is_left_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_groups = cgroup.find_groups
    with watching(root) as watch:
        before = readings(watch)

        def end_one(hierarchies: cgroup.Hierarchies) -> Iterator[cgroup.Group]:
            shutil.rmtree(root / "sys/fs/cgroup" / GROUP)  # after it was read, before groups are listed
            return find_groups(hierarchies)

        monkeypatch.setattr(cgroup, "find_groups", end_one)
        assert before.keys() - readings(watch).keys() == {GROUP}


def test_a_group_created_anew_is_read_anew_from_its_own_files(root: Path, tmp_path: Path) -> None:
    group = root / "sys/fs/cgroup" / GROUP
    with watching(root) as watch:
        before = readings(watch)[GROUP]
        group.rename(tmp_path / "ended")
        shutil.copytree(tmp_path / "ended", group)
        (group / "cpu.stat").write_text("usage_usec 5\n")
        after = readings(watch)[GROUP]
    assert after.incarnation != before.incarnation
    assert after.values["cpu_seconds_total"] == 5e-6, "not from the descriptor of the one that ended"


def test_a_group_that_appears_is_in_the_next_round(root: Path) -> None:
    with watching(root) as watch:
        before = readings(watch)
        shutil.copytree(root / "sys/fs/cgroup" / GROUP, root / "sys/fs/cgroup/system.slice/new.service")
        assert readings(watch).keys() - before.keys() == {"system.slice/new.service"}


def test_changed_limits_and_files_that_appear_are_seen_in_time(root: Path) -> None:
    group = root / "sys/fs/cgroup" / GROUP
    (group / "io.stat").rename(group / "hidden")
    with watching(root) as watch:
        watch.read()
        (group / "cpu.max").write_text("50000 100000\n")
        (group / "hidden").rename(group / "io.stat")
        for _ in range(cgroup._RENEW_ROUNDS):
            found = watch.read()
        (record,) = [one for one in found if isinstance(one, WorkloadRecord) and one.name == GROUP]
        assert record.limits["cpu_milli"] == 500
        assert readings(watch)[GROUP].values["disk_reads_total"] == 321


def test_what_only_tasks_change_is_read_once_they_have_run(root: Path) -> None:
    group = root / "sys/fs/cgroup" / GROUP
    with watching(root) as watch:
        before = readings(watch)[GROUP].values
        (group / "memory.events").write_text("oom_kill 7\n")
        (group / "pids.current").write_text("9\n")
        asleep = readings(watch)[GROUP].values
        (group / "cpu.stat").write_text("usage_usec 123456790\n")
        awake = readings(watch)[GROUP].values
    assert (asleep["oom_kills_total"], asleep["pids"]) == (before["oom_kills_total"], 9)
    assert awake["oom_kills_total"] == 7


def test_a_file_that_makes_no_sense_for_a_while_is_absent_for_that_while(root: Path) -> None:
    path = root / "sys/fs/cgroup" / GROUP / "cpu.stat"
    sound = path.read_text()
    with watching(root) as watch:
        before = readings(watch)[GROUP].values
        path.write_text("usage_usec -5\n")
        between = readings(watch)[GROUP].values
        path.write_text(sound)
        after = readings(watch)[GROUP].values
    assert "cpu_seconds_total" in before
    assert "cpu_seconds_total" not in between
    assert after == before


def test_counters_that_go_backwards_are_passed_on_as_they_are(root: Path) -> None:
    path = root / "sys/fs/cgroup" / GROUP / "cpu.stat"
    with watching(root) as watch:
        watch.read()
        path.write_text("usage_usec 1000000\n")
        assert readings(watch)[GROUP].values["cpu_seconds_total"] == 1.0


def test_no_more_files_are_kept_open_than_allowed(root: Path) -> None:
    before = open_files()
    for keep_open in (0, 5):
        with watching(root, keep_open) as watch:
            watch.read()
            watch.read()
            assert open_files() - before == keep_open + 1, "and one for the hierarchy's root"
        assert open_files() == before


def test_hierarchies_that_are_mounted_later_are_found(root: Path) -> None:
    mounts = root / "proc/mounts"
    later = mounts.read_text()
    mounts.write_text("")
    with watching(root) as watch:
        assert watch.read() == []
        mounts.write_text(later)
        for _ in range(cgroup._RENEW_ROUNDS):
            found = watch.read()
        assert found


@given(st.binary(max_size=40_000))
def test_files_of_any_length_are_read_whole(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "file").write_bytes(content)
        directory = open_directory(folder)
        try:
            file = HeldFile(directory, "file", Budget(1))
            assert file.read() == file.read() == content
            file.close()
        finally:
            os.close(directory)


def test_samples_of_a_round_are_gathered_by_workload_and_incarnation() -> None:
    samples = [
        Sample(7, "h1", "web", "1", "pids", 3.0),
        Sample(7, "h1", None, "b", "pids", 9.0),
        Sample(7, "h1", "web", "1", "cpu_seconds_total", 4.0),
        Sample(7, "h1", "web", "2", "pids", 5.0),
    ]
    found = gather(samples)
    assert [(one.workload, one.incarnation, dict(one.values)) for one in found] == [
        ("web", "1", {"pids": 3.0, "cpu_seconds_total": 4.0}),
        (None, "b", {"pids": 9.0}),
        ("web", "2", {"pids": 5.0}),
    ]
    assert sorted(map(str, samples)) == sorted(str(it) for one in found for it in one.samples("h1", 7))
