"""sysstat: the four generations of its files against what ``sar`` prints of them, and a live ``sadc``."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from collectors.records import HostRecord, Sample, Series
from collectors.run import run_all
from collectors.sysstat.importer import read
from tests.support.backends.process import program
from tests.support.cli import consolidate

KIB = 1024
GENERATIONS = ("9.1.6", "10.3.1", "11.6.5", "12.0.0")


def rows(report: str, heading: str) -> list[dict[str, str]]:
    """Rows of one section of a report of ``sar``, without averages; the section's columns begin with ``heading``."""
    found: list[dict[str, str]] = []
    columns: list[str] | None = None
    for line in report.splitlines():
        cells = line.split()
        if len(cells) > 1 and cells[1] == heading:
            columns = cells[1:]
        elif not cells:
            columns = None
        elif columns and re.match(r"\d\d:", cells[0]):
            found.append(dict(zip(columns, cells[1:], strict=False)))
    return found


def values(found: list[object]) -> dict[str, list[float]]:
    return {one.metric: one.value.tolist() for one in found if isinstance(one, Series)}


@pytest.mark.data
@pytest.mark.parametrize("version", GENERATIONS)
def test_a_file_of_each_generation_says_what_sar_says(data: Path, version: str) -> None:
    program("sadf", "sysstat")
    folder = data / "exports/sysstat"
    found = list(read(folder / f"data-{version}"))
    report = (folder / f"expected.data-{version}").read_text()
    measured = values(list(found))
    [host] = [one for one in found if isinstance(one, HostRecord)]
    header = report.splitlines()[0]
    assert f"({host.name})" in header
    assert f"({host.capacity['cpu_milli'] // 1000} CPU)" in header

    cpu = next(row for row in rows(report, "CPU") if row["CPU"] == "all")
    share = 100 - float(cpu["%idle"]) - float(cpu["%iowait"]) - float(cpu["%steal"])
    assert measured["cpu_cores"] == [pytest.approx(share / 100 * host.capacity["cpu_milli"] / 1000)]

    kib = {name: float(value) for name, value in rows(report, "kbmemfree")[0].items()}
    # In these reports memory in use is all that is not free, and what was not recorded is printed like what is free.
    total = kib["kbmemfree"] + kib["kbmemused"]
    if version in ("9.1.6", "10.3.1"):
        used = total - kib["kbmemfree"] - kib["kbbuffers"] - kib["kbcached"] + kib.get("kbshmem", 0.0)
        assert kib["kbavail"] in (0, kib["kbmemfree"])
        assert measured["memory_working_set_bytes"] == [pytest.approx(used * KIB)]

    disk = rows(report, "tps")[0]
    assert measured["disk_iops"] == [float(disk["rtps"]) + float(disk["wtps"])]
    assert measured["disk_write_bytes_per_s"] == [float(disk["bwrtn/s"]) * 512]
    assert measured["swap_used_bytes"] == [float(rows(report, "kbswpfree")[0]["kbswpused"]) * KIB]


@pytest.mark.data
def test_json_and_csv_of_the_same_host_are_the_same(data: Path) -> None:
    folder = data / "exports/sysstat"
    as_json, as_csv = (
        {
            (one.incarnation, one.metric): (one.at_s.tolist(), one.value.tolist())
            for one in read(path)
            if isinstance(one, Series)
        }
        for path in (folder / "expected.sadf-j", folder / "expected.sadf-d")
    )
    assert as_json == as_csv
    assert {incarnation for incarnation, _ in as_json} == {"", "1555595649"}


@pytest.mark.data
def test_a_folder_of_generations_and_hosts_is_one_import(data: Path, tmp_path: Path) -> None:
    program("sadf", "sysstat")
    for version in GENERATIONS:
        shutil.copy(data / f"exports/sysstat/data-{version}", tmp_path / f"sa-{version}")
    done = consolidate("import", "sysstat", tmp_path, "--store", tmp_path / "store")
    told = (
        "import: memory in use of kluane.home is all but free memory, buffers and page cache, since what is available"
    )
    assert (done.code, done.err) == (0, f"{told} was not recorded\n")
    assert "32 samples in" in done.out


@pytest.mark.data
def test_a_file_that_is_cut_short_is_refused_in_sadfs_words(data: Path, tmp_path: Path) -> None:
    program("sadf", "sysstat")
    content = (data / "exports/sysstat/data-12.0.0").read_bytes()
    (tmp_path / "sa31").write_bytes(content[:600])
    done = consolidate("import", "sysstat", tmp_path / "sa31", "--store", tmp_path / "store")
    assert done.code == 1
    assert "sadf says" in done.err
    assert "export it where it was written with `sadf -j`" in " ".join(done.err.split())


def test_a_live_sadc_says_what_our_own_collector_says(tmp_path: Path) -> None:
    program("sadf", "sysstat")
    file = tmp_path / "sa31"
    before = collected()
    subprocess.run(["/usr/lib/sysstat/sadc", "-S", "XALL", "5", "2", str(file)], check=True, capture_output=True)
    after = collected()
    found = list(read(file))
    measured = values(list(found))
    [host] = [one for one in found if isinstance(one, HostRecord)]
    [series] = [one for one in found if isinstance(one, Series) and one.metric == "cpu_cores"]
    assert host.capacity == before["host"].capacity
    assert abs(series.at_s[-1] - time.time()) < 60
    # Our counters enclose sadc's five seconds: what it saw used in them is no more than what we saw around them.
    spent_s = after["cpu_seconds_total"].value - before["cpu_seconds_total"].value
    assert 0 <= measured["cpu_cores"][-1] * 5 <= spent_s * 1.02 + 0.1
    for ours, theirs in (
        ("disk_write_bytes_total", "disk_write_bytes_per_s"),
        ("net_rx_bytes_total", "net_rx_bytes_per_s"),
    ):
        if theirs in measured:
            assert 0 <= measured[theirs][-1] * 5 <= (after[ours].value - before[ours].value) * 1.02 + 4096
    levels = sorted(one["memory_working_set_bytes"].value for one in (before, after))
    slack = 0.02 * host.capacity["memory_bytes"]  # other programs come and go between the readings
    assert levels[0] - slack <= measured["memory_working_set_bytes"][-1] <= levels[1] + slack


def collected() -> dict[str, Sample]:
    """The host's own samples by metric, from our collectors; and its record, as ``host``."""
    records = run_all(Path("/"), "h", int(time.time()), lambda words: None)
    samples = {one.metric: one for one in records if isinstance(one, Sample) and one.workload is None}
    return {**samples, "host": next(one for one in records if isinstance(one, HostRecord))}  # type: ignore[dict-item]
