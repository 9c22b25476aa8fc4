"""The HTTP API of Prometheus, with a limiter before every request and a bound on everything that may take for ever."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import urllib3

from collectors.prometheus.access import Access
from collectors.prometheus.answer import (
    Answer,
    PullError,
    TooMuchError,
    UnavailableError,
    parse_names,
    parse_values,
    refusal,
)
from collectors.prometheus.limit import Limiter

T = TypeVar("T")
Fields = list[tuple[str, str]]

_WHOLE = [("partial_response", "false"), ("deny_partial_response", "1")]
"""Thanos and a cluster of VictoriaMetrics rather fail than leave series out; others ignore it."""
_PIECE_BYTES = 1 << 16


@dataclass(frozen=True)
class Patience:
    """How long and how often to wait."""

    connect_s: float = 10.0
    answer_s: float = 150.0
    """For a whole answer; Prometheus itself gives up on a query after 120 s."""
    attempts: int = 6
    first_pause_s: float = 1.0
    """Doubled before every further attempt."""
    longest_pause_s: float = 60.0
    """What a server asks for beyond this is not waited for."""
    largest_answer_bytes: int = 256 << 20


class Client:
    """Asks one monitoring system; safe to share between threads."""

    def __init__(
        self,
        access: Access,
        limiter: Limiter,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Connect when something is asked."""
        self.access, self._limiter, self._patience = access, limiter, patience or Patience()
        self._clock, self._sleep = clock, sleep
        headers = {"accept-encoding": "gzip", "user-agent": "consolidate", **access.headers}
        if access.basic:
            headers |= urllib3.make_headers(basic_auth=access.basic)
        timeout = urllib3.Timeout(connect=self._patience.connect_s, read=self._patience.answer_s)
        self._pool = urllib3.PoolManager(
            maxsize=limiter.max_concurrent,
            headers=headers,
            timeout=timeout,
            retries=False,
            ca_certs=None if access.ca_file is None else str(access.ca_file),
        )
        self._method = "POST"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.clear()

    @property
    def max_concurrent(self) -> int:
        """How many requests may be under way at once."""
        return self._limiter.max_concurrent

    def query(self, expression: str, at_s: int) -> Answer:
        """Values of an expression at one time.

        Raises:
            PullError: TooMuchError where less may be asked for, UnavailableError where asking again was in vain.

        """
        fields = [("query", expression), ("time", str(at_s)), *_WHOLE]
        return self._ask("query", fields, expression, parse_values)

    def query_range(self, expression: str, first_s: int, last_s: int, step_s: int) -> Answer:
        """Values of an expression at every step, both ends included; raises as ``query`` does."""
        times = [("start", str(first_s)), ("end", str(last_s)), ("step", str(step_s))]
        return self._ask("query_range", [("query", expression), *times, *_WHOLE], expression, parse_values)

    def label_values(self, label: str, selector: str, first_s: int, last_s: int) -> list[str]:
        """Values of a label that some series had within a time; of all series without a selector.

        Raises as ``query`` does.
        """
        fields = [("start", str(first_s)), ("end", str(last_s)), *_WHOLE]
        if selector:
            fields.append(("match[]", selector))
        about = f"values of {label}" + (f" in {selector}" if selector else "")
        return self._ask(f"label/{label}/values", fields, about, parse_names, method="GET")

    def _ask(self, path: str, fields: Fields, about: str, parse: Callable[[bytes, str], T], method: str = "") -> T:
        asked = f"{self.access.url}: {about if len(about) <= 120 else about[:117] + '...'}"
        pause_s = self._patience.first_pause_s
        for attempt in range(1, self._patience.attempts + 1):
            try:
                with self._limiter.turn():
                    return parse(self._fetch(path, fields, asked, method or self._method), asked)
            except UnavailableError as error:
                wait_s = pause_s if error.wait_s is None else error.wait_s
                if attempt == self._patience.attempts or wait_s > self._patience.longest_pause_s:
                    raise
                self._sleep(wait_s)
                pause_s = min(2 * pause_s, self._patience.longest_pause_s)
        raise AssertionError("the last attempt returns or raises")

    def _fetch(self, path: str, fields: Fields, asked: str, method: str) -> bytes:
        """One request; the connection is given back when it is read to its end, and dropped otherwise."""
        url = f"{self.access.url}/api/v1/{path}"
        try:
            with contextlib.ExitStack() as stack:
                if method == "GET":
                    response = self._pool.request("GET", url, fields=fields, preload_content=False, redirect=False)
                else:
                    response = self._pool.request(
                        "POST", url, fields=fields, encode_multipart=False, preload_content=False, redirect=False
                    )
                stack.callback(response.close)
                body = self._read(response, asked)
        except urllib3.exceptions.SSLError as error:
            remedy = "name the file of its certificates in CONSOLIDATE_PROMETHEUS_CA_FILE"
            raise PullError(f"{asked}: cannot be trusted ({_reason(error)}); {remedy}") from None
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(
                f"{asked}: no whole answer ({_reason(error)}); check that it runs and is reachable"
            ) from None
        if response.status == 405 and method == "POST":  # some proxies let only reads pass
            self._method = "GET"
            raise UnavailableError(f"{asked}: takes no POST; allow it or GET in the proxy", 0.0)
        if response.status != 200:
            raise refusal(response.status, body, asked, _retry_after_s(response))
        return body

    def _read(self, response: urllib3.BaseHTTPResponse, asked: str) -> bytes:
        """The whole body, within the bounds of size and time."""
        body, give_up_at = bytearray(), self._clock() + self._patience.answer_s
        while piece := response.read(_PIECE_BYTES, decode_content=True):
            body += piece
            if len(body) > self._patience.largest_answer_bytes:
                raise TooMuchError(f"{asked}: an answer of over {len(body) >> 20} MiB; ask for a longer step")
            if self._clock() > give_up_at:
                raise UnavailableError(f"{asked}: not read within {self._patience.answer_s:g} s; try again later")
        return bytes(body)


def _retry_after_s(response: urllib3.BaseHTTPResponse) -> float | None:
    """Seconds of a Retry-After header, or until its date; None where there is none that can be read."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    try:
        return urllib3.Retry().parse_retry_after(value)
    except urllib3.exceptions.HTTPError:
        return None


def _reason(error: Exception) -> str:
    """The innermost cause, in its own words."""
    inner: BaseException = error
    while (cause := getattr(inner, "reason", None) or inner.__cause__) is not None and isinstance(cause, BaseException):
        inner = cause
    text = " ".join(str(inner).split()) or type(inner).__name__
    return text.rpartition(": ")[2][:200]
