"""Running the collectors: failures, vanishing groups, the command line and this machine itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import collectors
from collectors import COLLECTORS, __main__, cgroup
from collectors.host import HostCollector
from collectors.process import ProcessCollector
from collectors.psi import PressureCollector
from collectors.records import METRICS, HostRecord, Record, Sample, WorkloadRecord
from collectors.run import run_all

HOSTS = Path(__file__).parents[2] / "fixtures/hosts"


class Broken:
    name = "broken"

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        yield HostRecord(host)
        raise KeyError("nowhere")


def test_a_collector_that_fails_is_reported_and_hides_no_other() -> None:
    complaints: list[str] = []
    records = run_all(HOSTS / "v2", "h1", 7, complaints.append, (Broken(), PressureCollector()))
    assert complaints == ["collector broken: KeyError: 'nowhere'"]
    assert not [record for record in records if isinstance(record, HostRecord)], "no half of a round"
    success = {r.workload: r.value for r in records if isinstance(r, Sample) and r.metric == "collector_success"}
    assert success == {"collector/broken": 0.0, "collector/psi": 1.0}
    assert len([r for r in records if isinstance(r, Sample) and r.workload is None]) == 5


@pytest.mark.parametrize("collector", [HostCollector(), PressureCollector()])
def test_without_a_boot_time_counters_are_refused(tmp_path: Path, collector: HostCollector | PressureCollector) -> None:
    shutil.copytree(HOSTS / "v2/proc", tmp_path / "proc")
    (tmp_path / "proc/stat").write_text("cpu  1 2 3 4 5 6 7 8 9 10\n")
    with pytest.raises(ValueError, match="no btime line"):
        list(collector.collect(tmp_path, "h1", 0))


def test_host_figures_are_those_of_the_tree_even_where_it_lacks_files(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    for name in ("stat", "meminfo"):
        shutil.copy(HOSTS / "v2/proc" / name, tmp_path / "proc" / name)
    record, *samples = HostCollector().collect(tmp_path, "h1", 0)
    assert record == HostRecord("h1", capacity={"memory_bytes": 16277504 * 1024})
    metrics = {sample.metric for sample in samples if isinstance(sample, Sample)}
    memory = (f"memory_{kind}_bytes" for kind in ("current", "anon", "cache", "working_set"))
    assert metrics == {"cpu_seconds_total", "cpu_steal_seconds_total", "swap_used_bytes", *memory}


GROUP = "system.slice/nginx.service"


def v2_tree(tmp_path: Path) -> Path:
    shutil.copytree(HOSTS / "v2", tmp_path / "host")
    return tmp_path / "host"


def sampled(root: Path) -> set[str | None]:
    return {r.workload for r in cgroup.CgroupCollector().collect(root, "h1", 0) if isinstance(r, Sample)}


def test_a_group_that_ends_between_listing_and_reading_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = v2_tree(tmp_path)
    before = sampled(root)
    find_groups = cgroup.find_groups

    def end_one(hierarchies: cgroup.Hierarchies) -> Iterable[cgroup.Group]:
        groups = list(find_groups(hierarchies))
        shutil.rmtree(root / "sys/fs/cgroup" / GROUP)
        return groups

    monkeypatch.setattr(cgroup, "find_groups", end_one)
    assert before - sampled(root) == {GROUP}


def test_a_group_created_anew_while_it_is_read_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = v2_tree(tmp_path)
    before = sampled(root)
    find_groups = cgroup.find_groups

    def restart_one(hierarchies: cgroup.Hierarchies) -> Iterable[cgroup.Group]:
        groups = list(find_groups(hierarchies))
        group = root / "sys/fs/cgroup" / GROUP
        group.rename(tmp_path / "ended")  # kept, so that the inode is not given out again
        shutil.copytree(tmp_path / "ended", group)
        return groups

    monkeypatch.setattr(cgroup, "find_groups", restart_one)
    assert before - sampled(root) == {GROUP}


def test_a_group_created_anew_is_another_incarnation(tmp_path: Path) -> None:
    root = v2_tree(tmp_path)

    def incarnation() -> str:
        records = cgroup.CgroupCollector().collect(root, "h1", 0)
        return next(r.incarnation for r in records if isinstance(r, Sample) and r.workload == GROUP)

    before = incarnation()
    assert incarnation() == before
    (root / "sys/fs/cgroup" / GROUP).rename(tmp_path / "ended")
    shutil.copytree(tmp_path / "ended", root / "sys/fs/cgroup" / GROUP)
    assert incarnation() != before


def test_an_unreadable_slice_hides_no_other_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = v2_tree(tmp_path)
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "user.slice":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    everything = sampled(root)
    monkeypatch.setattr(os, "scandir", refuse)
    assert {str(name).partition("/")[0] for name in everything - sampled(root)} == {"user.slice"}


def test_no_directory_is_listed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[Path] = []
    scandir = os.scandir

    def note(path: Path) -> object:
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", note)
    for tree in ("v1", "v2", "hybrid"):
        assert list(cgroup.find_groups(cgroup.find_hierarchies(HOSTS / tree)))
    assert len(listed) == len(set(listed)) > 3
    assert [path for path in listed if path.suffix in (".service", ".scope")] == [], "workloads are not entered"


def test_a_process_program_is_another_incarnation_when_one_of_them_restarts(tmp_path: Path) -> None:
    shutil.copytree(HOSTS / "plain", tmp_path / "host")

    def incarnations() -> dict[str | None, str]:
        records = ProcessCollector().collect(tmp_path / "host", "h1", 0)
        return {r.workload: r.incarnation for r in records if isinstance(r, Sample)}

    before = incarnations()
    (tmp_path / "host/proc/311").rename(tmp_path / "host/proc/999")
    after = incarnations()
    assert {name for name in before if before[name] != after[name]} == {"process/nginx"}


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["collectors", *arguments])
    __main__.main()


def test_the_command_prints_json_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(monkeypatch, "--root", str(HOSTS / "v2"), "--host", "h1", "--count", "2", "--interval", "0.001")
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert printed.err == ""
    assert len(rows) == 2 * len((HOSTS / "v2.jsonl").read_text().splitlines())
    assert rows[0]["type"] == "HostRecord"
    assert rows[0]["name"] == "h1"
    assert rows[0]["os"] == "ubuntu"
    assert {row["type"] for row in rows} == {"HostRecord", "WorkloadRecord", "Sample"}


def test_the_package_runs_alone_on_a_host(tmp_path: Path) -> None:
    shutil.copytree(Path(collectors.__file__).parent, tmp_path / "collectors")
    command = [sys.executable, "-W", "error", "-m", "collectors", "--root", str(HOSTS / "plain")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()][:2] == ["HostRecord", "Sample"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--root", "/nowhere"], "/nowhere holds no proc directory; give"),
        (["--count", "0"], "--count 0 is not a number of rounds; give 1 or more"),
        (["--interval", "-1"], "--interval -1 is not a time to wait; give seconds"),
        (["--interval", "nan"], "--interval nan is not a time to wait; give seconds"),
    ],
)
def test_the_command_refuses_options_it_cannot_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run_command(monkeypatch, *arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def this_machine(at_s: int) -> list[Record]:
    complaints: list[str] = []
    records = run_all(Path("/"), "here", at_s, complaints.append)
    assert complaints == []
    return records


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs Linux")
def test_this_machine() -> None:
    first, second = this_machine(1), this_machine(2)
    samples = [record for record in first if isinstance(record, Sample)]
    assert {sample.metric for sample in samples} <= METRICS.keys()
    assert [sample for sample in samples if sample.value < 0] == []
    keys = [(sample.workload, sample.metric) for sample in samples]
    assert len(keys) == len(set(keys)), "one value for each metric of a workload"
    [host] = [record for record in first if isinstance(record, HostRecord)]
    assert host.capacity["cpu_milli"] == 1000 * (os.cpu_count() or 0)
    names = [record.name for record in first if isinstance(record, WorkloadRecord)]
    assert len(names) == len(set(names))
    assert {name for name, _ in keys} <= {None, *names, *(f"collector/{c.name}" for c in COLLECTORS)}
    before = {(s.workload, s.incarnation, s.metric): s.value for s in samples}
    grown = [
        (record.value, before[key])
        for record in second
        if isinstance(record, Sample)
        and METRICS[record.metric].kind == "counter"
        and (key := (record.workload, record.incarnation, record.metric)) in before
    ]
    assert len(grown) > 5
    assert [pair for pair in grown if pair[0] < pair[1]] == []


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_names_its_unit_and_counters_say_total(metric: str) -> None:
    assert METRICS[metric].kind in ("counter", "gauge")
    assert metric.endswith("_total") == (METRICS[metric].kind == "counter")
    assert METRICS[metric].help
