"""Records that another host printed: taken over as they are, or refused at their line."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.records import HostRecord, Sample, TraceError, WorkloadRecord
from collectors.traces.records import parse, read

RECORDS = [
    HostRecord("a", "debian", capacity={"cpu_milli": 4000}),
    WorkloadRecord("web", "service", "a", "linux", "web.service", {"cpu_milli": 500}),
    Sample(1_780_315_200, "a", "web", "1", "cpu_seconds_total", 12.5),
    Sample(1_780_315_200, "a", None, "1", "memory_current_bytes", 5),
]


def line(record: HostRecord | WorkloadRecord | Sample, **changed: object) -> str:
    return json.dumps({"type": type(record).__name__, **asdict(record), **changed})


def test_what_was_printed_comes_back(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(line(record) for record in RECORDS) + "\n\n")
    assert list(read(tmp_path)) == list(read(tmp_path / "a.jsonl")) == RECORDS


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("{", "not a JSON object"),
        ("[]", "'None' is not a type of record"),
        (line(RECORDS[2], type="Smaple"), "'Smaple' is not a type of record"),
        (line(RECORDS[2], value=-1), "cpu_seconds_total cannot be -1"),
        (line(RECORDS[2], value="12"), "'12' cannot be its value"),
        (line(RECORDS[2], value=True), "'True' cannot be its value"),
        (line(RECORDS[2], metric="cpu"), "'cpu' is not a metric"),
        (line(RECORDS[2], at_s=12), "12 is not a time between 2000 and 2100"),
        (line(RECORDS[2], extra=1), "the key 'extra' is unknown"),
        (line(RECORDS[0], capacity={"cpu_milli": -4}), "'-4' is not an amount of cpu_milli"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(tmp_path: Path, bad: str, says: str) -> None:
    (tmp_path / "a.jsonl").write_text(f"{line(RECORDS[0])}\n{bad}\n")
    with pytest.raises(TraceError) as caught:
        list(read(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path}/a.jsonl:2: {says}")


@given(
    st.text(max_size=50)
    | st.dictionaries(
        st.sampled_from(["type", "name", "at_s", "host", "metric", "value", "capacity", "workload", "incarnation"]),
        st.none() | st.integers() | st.floats() | st.sampled_from(["Sample", "HostRecord", "pids"]) | st.just({}),
    ).map(json.dumps)
)
def test_any_line_is_a_record_or_a_value_error(text: str) -> None:
    try:
        assert isinstance(parse(text), HostRecord | WorkloadRecord | Sample)
    except ValueError as error:
        assert str(error)
