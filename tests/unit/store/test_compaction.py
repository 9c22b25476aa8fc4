"""Compaction: fewer segments, the same content, and never both or neither."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.records import HostRecord, Record, Sample, Series, WorkloadRecord
from collectors.sources import AGENT
from consolidate.errors import StoreError
from consolidate.store import Store
from consolidate.store.compaction import Part, combine, compact, plan
from consolidate.store.segment import Origin
from consolidate.store.store import ABANDONED_S

MIDNIGHT_S = 1_780_272_000
DAY_S = 86400
EVENING_S = MIDNIGHT_S + 22 * 3600


def series(host: str, at_s: int, count: int = 3, workload: str | None = "web", metric: str = "pids") -> Series:
    times = np.arange(at_s, at_s + 10 * count, 10)
    return Series(host, workload, "1", metric, times, (times % 977).astype(np.float64))


def host(name: str, machine_id: str = "") -> HostRecord:
    return HostRecord(name, "debian", machine_id=machine_id or f"id of {name}")


def filled(path: Path, hosts: tuple[str, ...] = ("a", "b"), until_s: int = MIDNIGHT_S + DAY_S + 7200) -> Store:
    """The last two hours of a day and the first two of the next, in segments of 20 minutes."""
    store = Store.create(path)
    for at_s in range(EVENING_S, until_s, 1200):
        for name in hosts:
            store.append(
                [host(name), WorkloadRecord("web", "service", name), series(name, at_s)], AGENT, f"{name}{at_s}"
            )
    return store


def content(path: Path) -> tuple[object, ...]:
    store = Store(path)
    found = store.columns("pids")
    rows = [*zip(found.series.tolist(), found.at_s.tolist(), found.value.tolist(), strict=True)]
    assert rows == sorted(rows), "by series and time"
    return found.keys, rows, store.hosts(), store.workloads(), store.span(), store.findings()


def part(last_s: int, source: str = AGENT, machines: dict[str, str] | None = None) -> Part:
    return Part(f"segment-{last_s}", last_s, Origin(source, machines or {}, frozenset()))


def test_hours_and_days_that_are_over_are_put_together() -> None:
    noon_s = MIDNIGHT_S + DAY_S // 2
    times = [MIDNIGHT_S - 7200, MIDNIGHT_S - 100, noon_s + 100, noon_s + 3599, noon_s + 3600, noon_s + 3700]
    together = plan([part(last_s) for last_s in times], noon_s + 4300)
    assert [[one.last_s for one in parts] for parts in together] == [times[:2], times[2:4]]


def test_sources_and_ambiguous_hosts_stay_apart() -> None:
    alone = [part(MIDNIGHT_S), part(MIDNIGHT_S + 1, "sysstat")]
    two_machines = [part(MIDNIGHT_S, machines={"a": "1"}), part(MIDNIGHT_S + 1, machines={"a": "2"})]
    for parts in (alone, two_machines):
        assert plan(parts, MIDNIGHT_S + 10 * DAY_S) == []
    assert plan([part(MIDNIGHT_S, machines={"a": ""}), two_machines[1]], MIDNIGHT_S + 10 * DAY_S)


def test_what_is_read_stays_the_same(tmp_path: Path) -> None:
    store = filled(tmp_path / "store")
    before = content(tmp_path / "store")
    reader = Store(tmp_path / "store")
    assert compact(store, MIDNIGHT_S + DAY_S + 4300) == 2 * (6 + 3)
    assert content(tmp_path / "store") == before
    assert len(store.segments()) == 1 + 1 + 2 * 3, "a day, an hour, and what is not over"
    assert compact(store, MIDNIGHT_S + DAY_S + 4300) == 0, "nothing more to do"
    assert reader.columns("pids").at_s.tolist() == Store(tmp_path / "store").columns("pids").at_s.tolist()


def test_what_was_received_before_is_still_known_afterwards(tmp_path: Path) -> None:
    store = filled(tmp_path / "store")
    compact(store, MIDNIGHT_S + 3 * DAY_S)
    before = content(tmp_path / "store")
    for opened in (store, Store(tmp_path / "store")):
        assert opened.append([series("a", EVENING_S)], AGENT, f"a{EVENING_S}") == 0
    assert content(tmp_path / "store") == before


def test_a_late_segment_finds_its_place_in_time(tmp_path: Path) -> None:
    store = filled(tmp_path / "store", ("a",))
    compact(store, MIDNIGHT_S + DAY_S + 4300)
    for at_s in (MIDNIGHT_S + 300, MIDNIGHT_S + 3000):
        assert store.append([host("late"), series("late", at_s)], AGENT, f"late{at_s}") == 3
    assert compact(store, MIDNIGHT_S + DAY_S + 4300) == 3
    found = Store(tmp_path / "store").columns("pids", {"late:web"})
    assert found.at_s.tolist() == [MIDNIGHT_S + offset for offset in (300, 310, 320, 3000, 3010, 3020)]


def test_segments_that_overlap_are_read_in_order_of_time(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    store.append([series("a", MIDNIGHT_S), series("b", MIDNIGHT_S + 5000)])
    store.append([series("a", MIDNIGHT_S + 100)])  # ends before the first does, so it stands before it
    found = store.columns("pids", {"a:web"})
    assert found.at_s.tolist() == [MIDNIGHT_S + offset for offset in (0, 10, 20, 100, 110, 120)]


def test_parts_stay_for_an_hour_and_then_go(tmp_path: Path) -> None:
    store = filled(tmp_path / "store", ("a",), EVENING_S + 3600)
    compact(store, MIDNIGHT_S + DAY_S)
    assert len(list(store.path.glob("segment-*"))) == 4
    (whole,) = [path for path, _, _ in store.segments()]
    old_s = time.time() - ABANDONED_S - 1
    os.utime(whole, (old_s, old_s))
    before = content(store.path)
    store.sweep()
    assert list(store.path.glob("segment-*")) == [whole]
    assert content(store.path) == before


def test_retention_does_not_uncover_what_was_replaced(tmp_path: Path) -> None:
    store = filled(tmp_path / "store", ("a",), MIDNIGHT_S + DAY_S)
    for now_s in (EVENING_S + 4300, MIDNIGHT_S + 3 * DAY_S):  # an hour, and then the day with it
        compact(store, now_s)
    store.retain(MIDNIGHT_S + 2 * DAY_S)
    assert Store(tmp_path / "store").span() is None
    assert not list(store.path.glob("segment-*"))


def test_inventories_that_changed_are_kept_in_their_order(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    web, job = WorkloadRecord("web", "service", "a"), WorkloadRecord("job", "container", "a")
    for number, listed in enumerate(([web, job], [web, job], [web], [])):
        records: list[Record] = [series("a", MIDNIGHT_S + 600 * number), host("b")]
        if listed:
            records += [host("a"), *listed]
        store.append(records, AGENT)
    before = content(tmp_path / "store")
    compact(store, MIDNIGHT_S + DAY_S)
    assert len(store.segments()) == 1
    assert content(tmp_path / "store") == before
    assert list(store.workloads()) == ["a:web"]


inventories = st.fixed_dictionaries(
    {
        "hosts": st.lists(st.sampled_from("ab").map(lambda name: {"name": name}), max_size=2, unique_by=str),
        "workloads": st.lists(
            st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")).map(lambda it: {"host": it[0], "name": it[1]}),
            max_size=3,
            unique_by=str,
        ),
    }
)


def listed(found: list[dict[str, list[dict[str, str]]]]) -> dict[str, set[str]]:
    """What runs on each host at the end, as the store works it out."""
    running: dict[str, set[str]] = {}
    for one in found:
        for entry in one["hosts"]:
            running[entry["name"]] = set()
        for entry in one["workloads"]:
            running.setdefault(entry["host"], set()).add(entry["name"])
    return running


@given(st.lists(inventories, max_size=6))
def test_combined_inventories_come_to_the_same(found: list[dict[str, list[dict[str, str]]]]) -> None:
    combined = combine(found)
    assert listed([*combined.get("earlier", []), combined]) == listed(found)


@settings(max_examples=6)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(["web", "db"]), st.integers(0, 400), st.floats(0, 1e9)),
        min_size=1,
        max_size=20,
    ),
    st.integers(0, 3 * DAY_S),
)
def test_any_samples_stay_the_same(
    tmp_path_factory: pytest.TempPathFactory, found: list[tuple[str, str, int, float]], now_s: int
) -> None:
    path = tmp_path_factory.mktemp("any") / "store"
    store = Store.create(path)
    for index in range(0, len(found), 5):
        # Each of a host's samples is later than those before, as a source writes them.
        records = [
            Sample(MIDNIGHT_S + 400 * (index + place) + offset, name, workload, "1", "pids", value)
            for place, (name, workload, offset, value) in enumerate(found[index : index + 5])
        ]
        records.sort(key=lambda one: one.at_s)
        store.append(records, AGENT)
    before = content(path)
    compact(store, MIDNIGHT_S + now_s)
    assert content(path) == before


def test_a_damaged_part_stops_compaction_and_changes_nothing(tmp_path: Path) -> None:
    store = filled(tmp_path / "store", ("a",), EVENING_S + 3600)
    (first, *_) = [path for path, _, _ in store.segments()]
    parquet = first / "samples.parquet"
    whole = parquet.read_bytes()
    parquet.write_bytes(whole[:-30])
    names = sorted(path.name for path in store.path.iterdir())
    with pytest.raises(StoreError, match="cannot be compacted"):
        compact(store, MIDNIGHT_S + DAY_S)
    assert sorted(path.name for path in store.path.iterdir()) == names
    parquet.write_bytes(whole)
    assert compact(store, MIDNIGHT_S + DAY_S) == 3


COMPACT = """
import sys
from pathlib import Path
from consolidate.store import Store
from consolidate.store.compaction import compact
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
compact(store, int(sys.argv[2]))
"""


@pytest.mark.parametrize("delay_s", [0.0, 0.03, 0.1])
def test_killed_at_any_moment_the_content_is_the_same(tmp_path: Path, delay_s: float) -> None:
    filled(tmp_path / "store")
    before = content(tmp_path / "store")
    command = [sys.executable, "-c", COMPACT, str(tmp_path / "store"), str(MIDNIGHT_S + 3 * DAY_S)]
    compacting = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert compacting.stdout is not None
    assert compacting.stdout.readline() == b"ready\n"
    time.sleep(delay_s)  # any moment will do: the property holds at each
    os.kill(compacting.pid, signal.SIGKILL)
    compacting.wait()
    compacting.stdout.close()
    assert content(tmp_path / "store") == before
    compact(Store(tmp_path / "store"), MIDNIGHT_S + 3 * DAY_S)
    assert content(tmp_path / "store") == before
