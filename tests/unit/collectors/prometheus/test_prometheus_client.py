"""The client: every fault is a sentence, what may pass is tried again, and no cap is ever exceeded."""

from __future__ import annotations

import gzip
import json
import random
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.prometheus.access import Access, check_url, read_access
from collectors.prometheus.answer import PullError, TooMuchError, UnavailableError, parse_names, parse_values, refusal
from collectors.prometheus.client import Client, Patience
from collectors.prometheus.limit import Limiter
from collectors.records import TraceError
from tests.support.http import Asked, Reply, error, matrix, scripted

AT_S = 1_790_000_000
GOOD = matrix(({"__name__": "up", "instance": "a:1"}, [(AT_S, 1), (AT_S + 60, 0.5)]))
HTML = Reply(body=b"<!doctype html><title>Log in</title>")


def client(url: str, waited: list[float] | None = None, patience: Patience | None = None) -> Client:
    """A client that does not really wait."""
    pauses: list[float] = [] if waited is None else waited
    return Client(Access(url), Limiter(4, 1e6), patience or Patience(attempts=3), sleep=pauses.append)


def one_after_another(*replies: Reply) -> Callable[[Asked], Reply]:
    left = list(replies)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


def test_an_answer_is_series_without_the_metrics_name() -> None:
    with scripted(lambda asked: GOOD) as server, client(server.url) as asking:
        (found,) = asking.query_range("up", AT_S, AT_S + 60, 60).series
    assert (found.labels, found.at_s.tolist(), found.value.tolist()) == (
        {"instance": "a:1"},
        [AT_S, AT_S + 60],
        [1, 0.5],
    )
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/query_range")
    assert asked.fields["query"] == "up"
    assert [asked.fields[key] for key in ("start", "end", "step")] == [str(AT_S), str(AT_S + 60), "60"]
    assert asked.fields["partial_response"] == "false"


def test_what_is_no_finite_number_is_left_out_and_counted() -> None:
    answer = parse_values(matrix(({"a": "b"}, [(AT_S, "NaN"), (AT_S + 1, "+Inf"), (AT_S + 2, 3)])).body, "it")
    assert (answer.series[0].at_s.tolist(), answer.series[0].value.tolist()) == ([AT_S + 2], [3])
    assert answer.not_finite == 2


def test_a_compressed_answer() -> None:
    reply = Reply(body=gzip.compress(GOOD.body), headers={"content-encoding": "gzip"})
    with scripted(lambda asked: reply) as server, client(server.url) as asking:
        assert asking.query("up", AT_S).series[0].value.tolist() == [1, 0.5]
    assert server.asked[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (error(400, "parse error: unexpected end"), "refused with 400: parse error: unexpected end; correct the expr"),
        (error(422, "found duplicate series for the match"), "refused with 422: found duplicate series"),
        (error(401, ""), "refused with 401; set CONSOLIDATE_PROMETHEUS_TOKEN"),
        (Reply(403, b"<html>Forbidden</html>"), "refused with 403; set CONSOLIDATE_PROMETHEUS_TOKEN"),
        (Reply(404, b"404 page not found"), "nothing there (404): 404 page not found; give the address below which"),
        (Reply(302, headers={"location": "/login"}), "sends elsewhere (302); give the address that it sends to"),
        (HTML, "answered with a page of HTML; give the address of the API itself"),
        (Reply(body=b'{"status":"success"}'), "answered with JSON of another kind"),
        (Reply(body=b"[1,2]"), "answered with JSON of another kind ([1,2])"),
        (
            Reply(body=b'{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}'),
            "gives a scalar where series belong",
        ),
        (
            Reply(
                body=b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[["x"]]}]}}'
            ),
            "answered with series of another shape",
        ),
    ],
    ids=["400", "422", "401", "403", "404", "redirect", "HTML", "no data", "a list", "a scalar", "wrong shape"],
)
def test_what_no_further_attempt_mends_is_one_sentence_at_once(reply: Reply, says: str) -> None:
    with (
        scripted(lambda asked: reply) as server,
        client(server.url) as asking,
        pytest.raises(PullError) as refused,
    ):
        asking.query_range("up", AT_S, AT_S, 60)
    assert says in str(refused.value)
    assert str(refused.value).startswith(f"{server.url}: up: ")
    assert "\n" not in str(refused.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(503, b"starting"), "not available (503): starting; try again"),
        (error(503, "query was canceled", "canceled"), "not available (503): query was canceled"),
        (Reply(502, b"<html>Bad Gateway</html>"), "not available (502); try again"),
        (error(429, "too many requests"), "not available (429): too many requests"),
        (Reply(200, GOOD.body, cut_after=40), "no whole answer"),
        (Reply(200, b"{", {"transfer-encoding": "chunked", "content-length": ""}, cut_after=0), "no whole answer"),
        (Reply(200, GOOD.body[:-9]), "answered with what is not JSON"),
        (matrix(isPartial=True), "answered for a part of its data only"),
    ],
    ids=["503", "canceled", "502", "429", "closed mid-body", "closed mid-chunk", "half of the JSON", "a part"],
)
def test_what_may_pass_is_tried_again_so_often_and_no_more(reply: Reply, says: str) -> None:
    waited: list[float] = []
    with (
        scripted(lambda asked: reply) as server,
        client(server.url, waited) as asking,
        pytest.raises(UnavailableError, match=re.escape(says)),
    ):
        asking.query_range("up", AT_S, AT_S, 60)
    assert (len(server.asked), waited) == (3, [1, 2])


def test_a_fault_that_passes_leaves_no_trace() -> None:
    answer = one_after_another(Reply(503), Reply(200, GOOD.body, cut_after=30), GOOD)
    with scripted(answer) as server, client(server.url) as asking:
        assert asking.query("up", AT_S).series[0].value.tolist() == [1, 0.5]
    assert len(server.asked) == 3


def test_a_server_is_left_alone_for_as_long_as_it_asks_but_not_for_ever() -> None:
    waited: list[float] = []
    answer = one_after_another(error(429, "slow down", retry_after="7"), GOOD)
    with scripted(answer) as server, client(server.url, waited) as asking:
        asking.query("up", AT_S)
    assert waited == [7]
    with (
        scripted(lambda asked: Reply(503, headers={"retry-after": "86400"})) as server,
        client(server.url) as asking,
        pytest.raises(UnavailableError, match="not available"),
    ):
        asking.query("up", AT_S)
    assert len(server.asked) == 1


@pytest.mark.parametrize("header", ["soon", "-3", "", "Wed, 99 Foo 2026"])
def test_a_retry_after_that_cannot_be_read_is_not_there(header: str) -> None:
    waited: list[float] = []
    answer = one_after_another(Reply(503, headers={"retry-after": header}), GOOD)
    with scripted(answer) as server, client(server.url, waited) as asking:
        asking.query("up", AT_S)
    assert waited in ([1], [0])


@pytest.mark.parametrize(
    ("reply", "of_series"),
    [
        (error(422, "query processing would load too many samples into memory in query execution"), False),
        (error(422, "the query exceeded the maximum number of series (limit: 100)"), True),
        (error(422, "cannot select more than -search.maxSamplesPerQuery=10 samples; narrow down the search"), False),
        (error(400, "exceeded maximum resolution of 11,000 points per timeseries."), False),
        (error(503, "query timed out in expression evaluation", "timeout"), False),
        (Reply(413), False),
    ],
)
def test_what_is_too_much_says_so_and_is_not_repeated(reply: Reply, of_series: bool) -> None:
    with (
        scripted(lambda asked: reply) as server,
        client(server.url) as asking,
        pytest.raises(TooMuchError, match="too much for one request") as refused,
    ):
        asking.query_range("up", AT_S, AT_S, 60)
    assert (refused.value.of_series, len(server.asked)) == (of_series, 1)


def test_an_answer_that_is_too_large_is_not_read_to_its_end() -> None:
    small = Patience(attempts=3, largest_answer_bytes=100_000)
    with (
        scripted(lambda asked: Reply(body=b" " * 1_000_000)) as server,
        client(server.url, patience=small) as asking,
        pytest.raises(TooMuchError, match="an answer of over"),
    ):
        asking.query("up", AT_S)


def test_an_answer_that_trickles_is_given_up() -> None:
    clock = iter(range(0, 1_000_000, 1000))
    slow = Client(Access(""), Limiter(1, 1e6), Patience(attempts=1), clock=lambda: float(next(clock)))
    with scripted(lambda asked: GOOD) as server:
        slow.access = Access(server.url)
        with slow, pytest.raises(UnavailableError, match="not read within 150 s"):
            slow.query("up", AT_S)


def test_a_server_that_is_not_there() -> None:
    with scripted(lambda asked: GOOD) as server:
        url = server.url
    with client(url) as asking, pytest.raises(UnavailableError, match="Connection refused"):
        asking.query("up", AT_S)


def test_a_proxy_that_lets_only_reads_pass_is_read_from() -> None:
    with scripted(lambda asked: GOOD if asked.method == "GET" else Reply(405)) as server, client(server.url) as asking:
        asking.query("up", AT_S)
        asking.query("up", AT_S)
    assert [asked.method for asked in server.asked] == ["POST", "GET", "GET"]


def test_warnings_are_kept() -> None:
    reply = matrix(({"a": "b"}, [(AT_S, 1)]), warnings=["store gateway eu-2 is down"])
    with scripted(lambda asked: reply) as server, client(server.url) as asking:
        assert asking.query("up", AT_S).warnings == ("store gateway eu-2 is down",)


def test_credentials_come_from_the_environment_and_go_into_headers(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    environment = {
        "CONSOLIDATE_PROMETHEUS_TOKEN_FILE": str(tmp_path / "token"),
        "CONSOLIDATE_PROMETHEUS_TENANT": "blue",
    }
    with scripted(lambda asked: GOOD) as server:
        access = read_access(server.url + "/prometheus/", environment, {"tenant": "red"})
        with Client(access, Limiter(1, 1e6)) as asking:
            asking.query("up", AT_S)
        basic = read_access(
            server.url, {"CONSOLIDATE_PROMETHEUS_USERNAME": "u", "CONSOLIDATE_PROMETHEUS_PASSWORD": "p"}
        )
        with Client(basic, Limiter(1, 1e6)) as asking:
            asking.query("up", AT_S)
    assert server.asked[0].path == "/prometheus/api/v1/query"
    assert server.asked[0].headers["authorization"] == "Bearer s3cret"
    assert server.asked[0].headers["x-scope-orgid"] == "blue"
    assert server.asked[1].headers["authorization"] == "Basic dTpw"
    assert "s3cret" not in repr(access)


@pytest.mark.parametrize(
    ("url", "environment", "settings", "says"),
    [
        ("prometheus:9090", {}, {}, "is no address; write for example http://prometheus:9090"),
        ("http://", {}, {}, "is no address"),
        ("http://a:99999", {}, {}, "is no address"),
        ("http://u:p@host", {}, {}, "an address with a password can be read by everybody"),
        ("http://host/?a=b", {}, {}, "has a query or fragment"),
        ("http://host", {"TOKEN": "a", "USERNAME": "b"}, {}, "are both set"),
        ("http://host", {"TOKEN": "a\nb"}, {}, "characters that no header can"),
        ("http://host", {"TOKEN_FILE": "/nonexistent"}, {}, "/nonexistent: cannot be read"),
        ("http://host", {"CA_FILE": "/nonexistent"}, {}, "no file of certificates"),
        ("http://host", {}, {"token": "s3cret"}, "'token' cannot stand in the mapping file"),
    ],
)
def test_access_that_cannot_be_used(url: str, environment: dict[str, str], settings: dict[str, str], says: str) -> None:
    named = {f"CONSOLIDATE_PROMETHEUS_{key}": value for key, value in environment.items()}
    with pytest.raises(TraceError, match=re.escape(says)) as refused:
        read_access(url, named, settings)
    assert "s3cret" not in str(refused.value)
    assert ":p@" not in str(refused.value)


def test_the_api_s_own_path_is_taken_off_an_address() -> None:
    assert check_url("https://mimir/prometheus/api/v1/") == "https://mimir/prometheus"


def test_never_more_at_once_than_the_cap() -> None:
    everyone = threading.Barrier(3, timeout=30)

    def meet(asked: Asked) -> Reply:
        everyone.wait()  # so that three are really answered at once
        time.sleep(0.02)  # and a fourth would be seen
        return GOOD

    with (
        scripted(meet) as server,
        Client(Access(server.url), Limiter(3, 1e6)) as asking,
        ThreadPoolExecutor(12) as pool,
    ):
        list(pool.map(lambda _: asking.query("up", AT_S), range(12)))
    assert (server.busiest, len(server.asked)) == (3, 12)


class Clock:
    """Time that passes only when somebody waits, and a little whenever somebody looks."""

    def __init__(self, seed: int) -> None:
        self.now_s, self._random = 0.0, random.Random(seed)

    def look(self) -> float:
        self.now_s += self._random.random() * 0.01
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds * (1 + self._random.random() * 0.5)  # sleeping takes longer than it was asked for


@given(st.floats(0.2, 50), st.integers(0, 1000), st.integers(1, 60))
def test_never_more_a_second_than_the_cap_wherever_the_second_begins(per_second: float, seed: int, number: int) -> None:
    clock = Clock(seed)
    limiter = Limiter(1, per_second, clock.look, clock.wait)
    starts = []
    for _ in range(number):
        with limiter.turn():
            starts.append(clock.now_s)
    for start in starts:
        assert sum(start <= other < start + 1 - 1e-9 for other in starts) <= -(-per_second // 1)


def test_attempts_that_fail_count_against_the_caps_too() -> None:
    clock = Clock(0)
    with scripted(lambda asked: Reply(503)) as server:
        asking = Client(
            Access(server.url), Limiter(1, 0.5, clock.look, clock.wait), Patience(attempts=4), sleep=lambda _: None
        )
        with asking, pytest.raises(UnavailableError):
            asking.query("up", AT_S)
    assert clock.now_s >= 3 * 2


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_a_sentence(body: bytes) -> None:
    for parse in (parse_values, parse_names):
        try:
            parse(body, "it")  # type: ignore[operator]
        except PullError as refused:
            assert "\n" not in str(refused)
    assert isinstance(refusal(422, body, "it"), PullError)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["metric", "values", "value", "resultType", "result", "a"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(json_values, st.sampled_from(["matrix", "vector", "scalar"]))
def test_any_json_is_an_answer_or_a_sentence(result: object, kind: str) -> None:
    for data in (result, {"resultType": kind, "result": result}, {"resultType": kind, "result": [result]}):
        try:
            parse_values(json.dumps({"status": "success", "data": data}).encode(), "it")
        except PullError as refused:
            assert "answered with" in str(refused) or "where series belong" in str(refused)
