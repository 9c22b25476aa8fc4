"""A pull as a whole: nothing twice, nothing missing, whatever the server will not give at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.prometheus import plan
from collectors.prometheus.access import Access
from collectors.prometheus.answer import PullError, UnavailableError
from collectors.prometheus.client import Client, Patience
from collectors.prometheus.limit import Limiter
from collectors.prometheus.mapping import load_mapping
from collectors.prometheus.plan import Grid
from collectors.prometheus.pull import Chunk, Options, Pull, mark_name, source_name
from collectors.records import HostRecord, NoteRecord, Sample, Series
from tests.support.http import Asked, Reply, error, matrix, scripted

STEP_S = 300
GRID = Grid(1_790_000_100 - 11 * STEP_S, 1_790_000_100, STEP_S)
METRIC = "node_memory_AnonPages_bytes"


@dataclass
class Server:
    """Hosts whose memory is the time, behind limits."""

    hosts: int = 6
    most_samples: int = 10**9
    most_series: int = 10**9
    fails_after: int = 10**9
    """Range requests that are answered before all others are not."""
    warns: str = ""
    ranges: list[tuple[int, int]] = field(default_factory=list)
    """(series, steps) of every request over a range that was answered or refused."""

    def __call__(self, asked: Asked) -> Reply:
        names = [f"h{number}:9100" for number in range(self.hosts)]
        if asked.path.endswith("/__name__/values"):
            return values([METRIC, "up"])
        if asked.path.endswith("/values"):
            return values(names)
        if asked.path.endswith("/query"):
            return vector([({"instance": name}, 1) for name in names])
        chosen = re.search(r'instance=~"([^"]*)"', asked.fields["query"])
        names = [name for name in names if chosen is None or name in chosen[1].replace("\\", "").split("|")]
        first_s, last_s, step_s = (int(asked.fields[key]) for key in ("start", "end", "step"))
        times = range(first_s, last_s + 1, step_s)
        if "max_over_time" in asked.fields["query"]:
            self.ranges.append((len(names), len(times)))
            if len(self.ranges) > self.fails_after:
                return Reply(503, b"shutting down")
        if len(names) > self.most_series:
            return error(422, "the query exceeded the maximum number of series")
        if len(names) * len(times) > self.most_samples:
            return error(422, "query processing would load too many samples into memory in query execution")
        more = {"warnings": [self.warns]} if self.warns else {}
        return matrix(*(({"instance": name, "job": "n"}, [(at_s, at_s) for at_s in times]) for name in names), **more)


def values(names: list[str]) -> Reply:
    return Reply(body=json.dumps({"status": "success", "data": names}).encode())


def vector(found: list[tuple[dict[str, str], float]]) -> Reply:
    result = [{"metric": labels, "value": [GRID.last_s, str(value)]} for labels, value in found]
    return Reply(body=json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode())


def pulling(url: str, options: Options | None = None) -> Pull:
    client = Client(Access(url), Limiter(2, 1e6), Patience(attempts=2), sleep=lambda _: None)
    return Pull(client, load_mapping(), GRID, options or Options())


def samples(chunks: Iterator[Chunk]) -> list[tuple[str, int, float]]:
    return sorted(
        (one.host, at_s, value)
        for chunk in chunks
        for one in chunk.records
        if isinstance(one, Series)
        for at_s, value in zip(one.at_s.tolist(), one.value.tolist(), strict=True)
    )


def expected(hosts: int) -> list[tuple[str, int, float]]:
    times = range(GRID.first_s, GRID.last_s + 1, STEP_S)
    return sorted((f"h{number}", at_s, float(at_s)) for number in range(hosts) for at_s in times)


@settings(max_examples=15)
@given(st.integers(1, 8), st.integers(3, 60), st.integers(1, 8), st.sampled_from([900, 3600, 86_400]))
def test_whatever_a_server_limits_everything_is_pulled_once(
    hosts: int, most_samples: int, most_series: int, chunk_s: int
) -> None:
    server = Server(hosts, most_samples, most_series)
    before, plan.MAX_CHUNK_S = plan.MAX_CHUNK_S, chunk_s
    try:
        with scripted(server) as http:
            assert samples(pulling_within(server, http.url)) == expected(hosts)
    finally:
        plan.MAX_CHUNK_S = before


def pulling_within(server: Server, url: str) -> Iterator[Chunk]:
    """A pull whose survey is not limited, since it asks for few times."""
    limits = server.most_samples, server.most_series
    server.most_samples = server.most_series = 10**9
    pull = pulling(url)
    server.most_samples, server.most_series = limits
    return pull.chunks()


def test_what_was_refused_once_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MAX_CHUNK_S", 6 * STEP_S)
    server = Server(most_samples=20)
    with scripted(server) as http:
        assert samples(pulling_within(server, http.url)) == expected(6)
    refused = [series * steps for series, steps in server.ranges if series * steps > 20]
    assert refused == [36]


def test_a_single_point_that_is_too_much_is_the_servers_own_sentence() -> None:
    server = Server(most_samples=0)
    with scripted(server) as http, pytest.raises(PullError, match="would load too many samples into memory"):
        samples(pulling_within(server, http.url))


def test_a_server_that_goes_away_leaves_whole_chunks_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MAX_CHUNK_S", 5 * STEP_S)
    done: list[Chunk] = []
    with scripted(Server(fails_after=2)) as http, pytest.raises(UnavailableError, match="shutting down"):
        done += pulling(http.url).chunks()
    with scripted(Server(fails_after=2)) as http:
        chunks = pulling(http.url).chunks()
        first, second = next(chunks), next(chunks)
        with pytest.raises(UnavailableError):
            next(chunks)
    assert [chunk.grid.steps for chunk in (first, second)] == [5, 5]
    assert len(samples(iter([first, second]))) == 6 * 10


def test_the_end_of_a_chunk_is_a_mark_among_its_records() -> None:
    with scripted(Server()) as http:
        pull = pulling(http.url)
        (chunk,) = pull.chunks()
    marks = [one for one in chunk.records if isinstance(one, Sample) and one.metric == "collector_success"]
    assert marks == [Sample(GRID.last_s, "", mark_name(pull.source), "", "collector_success", 1.0)]
    assert {one.name for one in chunk.records if isinstance(one, HostRecord)} == {f"h{number}" for number in range(6)}
    assert len(pull.hosts) == 6


def test_another_system_tenant_or_selection_goes_by_another_mark() -> None:
    one = Access("http://a")
    names = {
        source_name(one, ()),
        source_name(one, ('b="c"',)),
        source_name(Access("http://b"), ()),
        source_name(Access("http://a", {"x-scope-orgid": "blue"}), ()),
    }
    assert len(names) == 4
    assert source_name(one, ()) == source_name(Access("http://a", basic="me:other"), ())


def test_what_is_missing_and_what_the_server_warns_of_are_notes() -> None:
    with scripted(Server(warns="store eu-2 is slow")) as http:
        pull = pulling(http.url)
        (chunk,) = pull.chunks()
    notes = [one.text for one in chunk.records if isinstance(one, NoteRecord)]
    assert notes == pull.notes()
    assert "the server warns: store eu-2 is slow" in notes
    assert any(note.startswith("node: missing are cpu_seconds_total (no node_cpu_seconds_total), ") for note in notes)


def test_a_system_that_has_nothing_a_table_knows() -> None:
    with scripted(lambda asked: values(["up"])) as http, pytest.raises(PullError, match="nothing that a") as refused:
        pulling(http.url)
    assert "name your metrics in a mapping file" in str(refused.value)
