"""Segments: whatever rounds are written, the same values are read, and nothing that a kill tore off."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collectors.agent.observer import Round
from collectors.agent.segment import Encoder, SegmentError, line, pack, packer_of, rounds_of, unpack
from collectors.reading import Reading
from collectors.records import HostRecord, Record, Sample, Series, WorkloadRecord
from collectors.traces.segments import decode

START_S = 1_780_315_200
METRICS = ("cpu_seconds_total", "pids", "memory_current_bytes")

readings = st.builds(
    Reading,
    st.sampled_from([None, "web", "db"]),
    st.sampled_from(["1", "2"]),
    st.dictionaries(st.sampled_from(METRICS), st.integers(0, 3).map(float) | st.floats(0, 1e18), min_size=1),
)
rounds = st.lists(
    st.lists(readings, max_size=4, unique_by=lambda one: (one.workload, one.incarnation)), max_size=6
).map(lambda found: [Round(START_S + 10 * index, (), tuple(own)) for index, own in enumerate(found)])


def encoded(found: list[Round], inventory: tuple[Record, ...] = ()) -> str:
    encoder = Encoder("h1")
    return b"".join(encoder.encode(one, inventory) for one in found).decode()


def samples(records: list[Record]) -> set[Sample]:
    return {
        Sample(int(at_s), one.host, one.workload, one.incarnation, one.metric, float(value))
        for one in records
        if isinstance(one, Series)
        for at_s, value in zip(one.at_s, one.value, strict=True)
    }


@given(rounds)
def test_what_is_encoded_is_decoded(found: list[Round]) -> None:
    if not found:
        return
    expected = {sample for one in found for reading in one.readings for sample in reading.samples("h1", one.at_s)}
    records = decode(pack(encoded(found)))
    assert samples(records) == expected
    series = [(one.workload, one.incarnation, one.metric) for one in records if isinstance(one, Series)]
    assert len(series) == len(set(series)), "one series each, even where it was absent for a while"
    assert sum(len(one.at_s) for one in records if isinstance(one, Series)) == len(expected), "nothing twice"


@given(rounds, st.data())
def test_a_segment_cut_anywhere_has_its_first_rounds(found: list[Round], data: st.DataObject) -> None:
    encoder, packer = Encoder("h1"), packer_of()
    packed, ends = b"", []
    for one in found:
        packed += packer.compress(encoder.encode(one)) + packer.flush(2)  # Z_SYNC_FLUSH
        ends.append(len(packed))
    cut = data.draw(st.integers(0, len(packed)))
    try:
        text = rounds_of(unpack(packed[:cut])[0])
    except SegmentError:
        text = ""
    whole = sum(end <= cut for end in ends)
    assert sum(piece.startswith('{"type":"Round"') for piece in text.splitlines()) >= whole
    kept = found[: text.count('{"type":"Round"')]
    expected = {sample for one in kept for reading in one.readings for sample in reading.samples("h1", one.at_s)}
    assert samples(decode(pack(text)) if text else []) == expected


def test_what_has_not_changed_is_not_said_again() -> None:
    reading = Reading("web", "1", {"pids": 3.0, "memory_current_bytes": 5.0})
    again = Reading("web", "1", {"pids": 4.0, "memory_current_bytes": 5.0})
    text = encoded(
        [Round(START_S, (), (reading,)), Round(START_S + 10, (), (reading,)), Round(START_S + 20, (), (again,))]
    )
    told = [json.loads(piece) for piece in text.splitlines() if '"Round"' in piece]
    assert [one["values"] for one in told] == [[3.0, 5.0], [], [4.0]]


def test_the_last_inventory_counts_and_only_whole() -> None:
    host, web, db = HostRecord("h1", "debian"), WorkloadRecord("web", "service", "h1"), WorkloadRecord("db", "vm", "h1")
    encoder = Encoder("h1")
    text = encoder.encode(Round(START_S, (), ()), (host, web)) + encoder.encode(Round(START_S + 10, (), ()), (host, db))
    assert decode(pack(text.decode())) == [host, db]


HEADER = line({"type": "Segment", "format": 1, "host": "h1"})
SERIES = line({"type": "Series", "first": 0, "workload": None, "incarnation": "1", "metrics": ["cpu_seconds_total"]})


def a_round(**changed: object) -> str:
    return line({"type": "Round", "at_s": START_S, "series": [0], "values": [1.0], **changed})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no line says which host"),
        ("nonsense\n", "line 1: 'nonsense' is not a JSON object"),
        (a_round(), "line 1: comes before the line that says which host it is of"),
        (HEADER.replace("1,", "2,"), "line 1: format '2', this version reads 1"),
        (HEADER + SERIES.replace('"first":0', '"first":1'), "line 2: series 1 where 0 comes next"),
        (HEADER + SERIES.replace("cpu_seconds_total", "cpu"), "line 2: 'cpu' is not a metric"),
        (HEADER + SERIES + a_round(series=[1]), "line 3: '1' is not the number of a series"),
        (HEADER + SERIES + a_round(values=[-1.0]), "line 3: cpu_seconds_total cannot be -1"),
        (HEADER + SERIES + a_round(values=["1"]), "line 3: '1' is not a value of cpu_seconds_total"),
        (HEADER + SERIES + a_round(values=[]), "line 3: not as many values as the 1 series that change"),
        (HEADER + SERIES + a_round(at_s=1), "line 3: 1 is not a time between 2000 and 2100"),
        (HEADER + SERIES + a_round() + a_round(), f"line 4: {START_S} does not come after {START_S}"),
        (HEADER + '{"type":"Round"}\n', "line 2: not what an agent writes (KeyError('at_s'))"),
    ],
)
def test_what_no_agent_writes_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(SegmentError) as caught:
        decode(pack(text))
    assert says in str(caught.value)


def test_what_is_no_gzip_stream_is_refused() -> None:
    with pytest.raises(SegmentError, match="not a gzip stream"):
        decode(b"PK\x03\x04 something else")


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.agent.segment.LARGEST_BYTES", 1000)
    with pytest.raises(SegmentError, match="no agent writes that"):
        decode(pack(" " * 2000))


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: pack(HEADER + text)))
@example(pack(HEADER + "[" * 100_000))
def test_any_bytes_are_records_or_a_segment_error(packed: bytes) -> None:
    try:
        decode(packed)
    except SegmentError as error:
        assert str(error)


@given(
    st.integers(0, 3),
    st.recursive(st.none() | st.integers() | st.floats() | st.text(max_size=3), st.lists, max_leaves=5),
)
def test_any_field_is_understood_or_refused(field: int, value: object) -> None:
    name = ("at_s", "series", "values", "absent")[field]
    text = HEADER + SERIES + json.dumps({**json.loads(a_round()), name: value}) + "\n"
    try:
        found = decode(pack(text.replace('{"type": "Round"', '{"type":"Round"')))
    except SegmentError:
        return
    assert all(math.isfinite(sample.value) for sample in samples(found))
