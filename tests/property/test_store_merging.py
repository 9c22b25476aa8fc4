"""Merging sources loses no sample, counts none twice, and does not depend on which came first."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.records import HostRecord, Record, Series, WorkloadRecord
from consolidate.store import Store

NOON_S = 1_780_315_200
IDS = ("", "", "0f" * 16, "1e" * 16)
Import = tuple[str, list[Record]]


@st.composite
def imports(draw: st.DrawFn) -> list[Import]:
    """What several sources bring, each at times of its own so that none goes back."""
    found: list[Import] = []
    for source in draw(st.lists(st.sampled_from(("agent", "prometheus", "sysstat")), min_size=1, unique=True)):
        for part in range(draw(st.integers(1, 3))):
            records: list[Record] = []
            for name in draw(st.lists(st.sampled_from(("web", "WEB", "web.corp", "db")), min_size=1, unique=True)):
                records.append(HostRecord(name, machine_id=draw(st.sampled_from(IDS))))
                kind = draw(st.sampled_from(("service", "vm")))
                cgroup = draw(st.sampled_from(("", "a.slice")))
                records.append(WorkloadRecord("shop", kind, name, cgroup=cgroup, cluster="c"))
                at_s = NOON_S + part * 7200 + np.arange(0, 60 * draw(st.integers(1, 60)), 60)
                for metric in ("cpu_cores", "memory_working_set_bytes"):
                    records.append(Series(name, "shop", "1", metric, at_s, draw(st.integers(1, 9)) + 0.0 * at_s))
            found.append((source, records))
    return found


def stored(path: Path, several: list[Import]) -> Store:
    store = Store.create(path)
    for source, records in several:
        store.append(records, source)
    return store


@settings(max_examples=20)
@given(imports(), st.randoms(use_true_random=False))
def test_no_sample_is_lost_or_counted_twice(several: list[Import], random: object) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        store = stored(Path(scratch) / "store", several)
        for metric in ("cpu_cores", "memory_working_set_bytes"):
            brought = Counter(
                (int(at_s), float(value))
                for _, records in several
                for one in records
                if isinstance(one, Series) and one.metric == metric
                for at_s, value in zip(one.at_s, one.value, strict=True)
            )
            columns = [store.columns(metric)]
            for rival in store.rivals():
                measure = rival.owner[0]
                if (measure == "cpu_milli") == (metric == "cpu_cores"):
                    columns.append(store.of_rival(metric, rival))
            found = Counter(pair for one in columns for pair in zip(one.at_s.tolist(), one.value.tolist(), strict=True))
            assert found == brought
            for one in columns:
                same = np.diff(one.series) == 0
                assert (np.diff(one.at_s)[same] >= 0).all()


@settings(max_examples=12)
@given(imports())
def test_it_does_not_matter_which_source_came_first(several: list[Import]) -> None:
    sources = sorted({source for source, _ in several})
    turned = [one for source in reversed(sources) for one in several if one[0] == source]
    with tempfile.TemporaryDirectory() as scratch:
        one, other = stored(Path(scratch) / "one", several), stored(Path(scratch) / "other", turned)
        assert one.hosts() == other.hosts()
        assert one.workloads() == other.workloads()
        assert one.findings() == other.findings()
        for metric in ("cpu_cores", "memory_working_set_bytes"):
            left, right = one.columns(metric), other.columns(metric)
            assert left.keys == right.keys
            assert (left.at_s == right.at_s).all()
            assert (left.value == right.value).all()
