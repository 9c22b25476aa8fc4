"""The sample store: whole segments or none, and one sentence for what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from collectors.records import HostRecord, Sample, Series, WorkloadRecord
from consolidate.errors import InputError, StoreError
from consolidate.store import Store

NOON_S = 1_780_315_200


def series(at_s: list[int], values: list[float], workload: str = "web", metric: str = "cpu_cores") -> Series:
    return Series("a", workload, "1", metric, np.array(at_s), np.array(values, dtype=float))


def test_what_goes_in_comes_out_ordered(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    records = [
        HostRecord("a", "debian", capacity={"cpu_milli": 4000}),
        WorkloadRecord("web", "service", "a", cgroup="web.service"),
        series([NOON_S, NOON_S + 60], [1.0, 2.0]),
        Sample(NOON_S, "a", "db", "7", "cpu_cores", 3.0),
        Sample(NOON_S, "a", None, "7", "cpu_seconds_total", 9.0),
    ]
    assert store.append(records) == 4
    assert store.append([series([NOON_S + 120], [4.0])]) == 1
    columns = Store(tmp_path / "store").columns("cpu_cores")
    assert [key.name for key in columns.keys] == ["a:db", "a:web"]
    assert columns.series.tolist() == [0, 1, 1, 1]
    assert columns.at_s.tolist() == [NOON_S, NOON_S, NOON_S + 60, NOON_S + 120]
    assert columns.value.tolist() == [3.0, 1.0, 2.0, 4.0]
    assert store.hosts() == {"a": records[0]}
    assert store.workloads() == {"a:web": records[1]}
    assert store.span() == (NOON_S, NOON_S + 120)
    assert not len(store.columns("pids").value)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (series([NOON_S], [-1.0], metric="cpu_seconds_total"), "cpu_seconds_total is -1 at 2026-06-01 12:00:00 UTC"),
        (series([NOON_S], [float("nan")]), "cpu_cores is nan"),
        (series([NOON_S, NOON_S - 60], [1.0, 1.0]), "jumps back from 2026-06-01 12:00:00 UTC to"),
        (series([NOON_S - 60], [1.0]), "is already stored until 2026-06-01 12:00:00 UTC"),
        (series([NOON_S], [1.0], metric="cpu_coers"), "no metric 'cpu_coers'"),
    ],
)
def test_bad_samples_are_refused_whole(tmp_path: Path, bad: Series, says: str) -> None:
    store = Store.create(tmp_path / "store")
    store.append([series([NOON_S], [1.0])])
    before = sorted(path.name for path in (tmp_path / "store").iterdir())
    with pytest.raises(InputError, match=says):
        store.append([series([NOON_S + 60], [1.0], workload="db"), bad])
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == before
    assert store.columns("cpu_cores").value.tolist() == [1.0]


def test_a_truncated_segment_is_named(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    store.append([series([NOON_S], [1.0])])
    store.append([series([NOON_S + 60], [1.0])])
    (segment, *_) = sorted((tmp_path / "store").glob("segment-*"))
    parquet = segment / "samples.parquet"
    parquet.write_bytes(parquet.read_bytes()[:-20])
    with pytest.raises(StoreError, match=f"{segment.name}: truncated or damaged; remove this segment"):
        store.columns("cpu_cores")


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "damaged"), ('{"schema": 99}', "written in schema 99, this version reads 1"), ("[]", "damaged")],
)
def test_a_store_of_another_kind_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "store.json").write_text(text)
    with pytest.raises(StoreError, match=says):
        Store(tmp_path)


def test_a_directory_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("x")
    with pytest.raises(StoreError, match="not empty and not a store"):
        Store.create(tmp_path)
    with pytest.raises(StoreError, match="no sample store here"):
        Store(tmp_path / "nowhere")


def test_retention_removes_whole_old_segments_and_leftovers(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    store.append([series([NOON_S], [1.0])])
    store.append([series([NOON_S + 3600], [2.0])])
    for name, age_s in (("unfinished-old", 7200), ("unfinished-young", 0)):
        (tmp_path / "store" / name).mkdir()
        os.utime(tmp_path / "store" / name, (time.time() - age_s,) * 2)
    assert store.retain(NOON_S + 1) == 1
    assert store.columns("cpu_cores").value.tolist() == [2.0]
    assert [path.name for path in (tmp_path / "store").glob("unfinished-*")] == ["unfinished-young"]


def test_a_workload_that_has_ended_is_not_in_the_fleet(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    host = HostRecord("a", "debian")
    web, job = WorkloadRecord("web", "service", "a"), WorkloadRecord("job", "container", "a")
    store.append([host, web, job, host, web])  # two rounds in one segment
    assert list(store.workloads()) == ["a:web"]
    store.append([host, web, job])
    store.append([host, job])
    assert list(store.workloads()) == ["a:job"]


WRITER = """
import sys, numpy as np
from pathlib import Path
from collectors.records import Series
from consolidate.store import Store
store = Store.create(Path(sys.argv[1]))
print("ready", flush=True)
for n in range(10_000):
    at_s = 1_780_315_200 + 60 * n + np.arange(50)
    store.append([Series("a", f"w{w}", "1", "cpu_cores", at_s, np.full(50, float(n))) for w in range(40)])
"""


@pytest.mark.parametrize("delay_s", [0.05, 0.13, 0.29])
def test_a_killed_writer_leaves_whole_segments_only(tmp_path: Path, delay_s: float) -> None:
    store = tmp_path / "store"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(store)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"ready\n"
    time.sleep(delay_s)  # any moment will do: the property holds at each
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    columns = Store(store).columns("cpu_cores")
    assert len(columns.value) % (40 * 50) == 0
    assert len(columns.value) == 40 * 50 * len(list(store.glob("segment-*")))
    assert Store(store).append([series([NOON_S + 10**6], [1.0])]) == 1


def test_the_schema_is_written_down(tmp_path: Path) -> None:
    Store.create(tmp_path / "store")
    assert json.loads((tmp_path / "store" / "store.json").read_text()) == {"schema": 1}
