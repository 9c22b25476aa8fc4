"""What a monitoring system answers: bytes in, series out, or a sentence about what is wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collectors.records import TraceError

_TOO_MUCH = re.compile(
    r"too many|too large|exceed|limit|narrow down|max(imum)? .*(points|samples|series)", re.IGNORECASE
)
_ABOUT_SERIES = re.compile(r"(number of|too many)[a-z ]*series|chunks", re.IGNORECASE)


class PullError(TraceError):
    """A monitoring system that cannot be read: what was asked, what came, and the remedy."""


class UnavailableError(PullError):
    """It may answer when it is asked again."""

    def __init__(self, text: str, wait_s: float | None = None) -> None:
        """Keep how long it asked to be left alone."""
        super().__init__(text)
        self.wait_s = wait_s


class TooMuchError(PullError):
    """It would answer if less was asked at once."""

    def __init__(self, text: str, of_series: bool = False) -> None:
        """Keep whether the number of series was too large, rather than the time."""
        super().__init__(text)
        self.of_series = of_series


@dataclass(frozen=True, eq=False)
class Found:
    """One series of an answer; values that are no finite number are left out."""

    labels: Mapping[str, str]
    at_s: NDArray[np.int64]
    value: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answer:
    """Series, and what the system had to say about them."""

    series: tuple[Found, ...]
    warnings: tuple[str, ...] = ()
    not_finite: int = 0
    """Values left out."""


@dataclass(frozen=True)
class Envelope:
    """The common part of every answer."""

    data: Any
    warnings: tuple[str, ...] = field(default=())


def open_envelope(body: bytes, asked: str) -> Envelope:
    """Take the data out of a successful answer.

    Raises:
        PullError: where it is no answer of a Prometheus.
        UnavailableError: where it is cut off, or known to be only a part.

    """
    if body.lstrip()[:1] == b"<":
        raise PullError(
            f"{asked}: answered with a page of HTML; give the address of the API itself, not of a login page"
        )
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise UnavailableError(f"{asked}: answered with what is not JSON ({_start(body)}); check the address") from None
    if not isinstance(document, dict) or document.get("status") != "success" or "data" not in document:
        raise PullError(f"{asked}: answered with JSON of another kind ({_start(body)}); check the address")
    if document.get("isPartial"):
        raise UnavailableError(f"{asked}: answered for a part of its data only; wait until all of its storage is up")
    warnings = document.get("warnings") or []
    return Envelope(document["data"], tuple(str(one) for one in warnings) if isinstance(warnings, list) else ())


def parse_values(body: bytes, asked: str) -> Answer:
    """Series of a query, at one time or at many."""
    envelope = open_envelope(body, asked)
    try:
        kind, result = envelope.data["resultType"], envelope.data["result"]
        if kind not in ("matrix", "vector"):
            raise PullError(f"{asked}: gives a {kind!s:.20} where series belong; correct the expression in the mapping")
        found = [_series(one["metric"], one["values"] if kind == "matrix" else [one["value"]]) for one in result]
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        if isinstance(error, PullError):
            raise
        raise PullError(f"{asked}: answered with series of another shape ({_start(body)}); check the address") from None
    left_out = sum(dropped for _, dropped in found)
    return Answer(tuple(one for one, _ in found if len(one.at_s)), envelope.warnings, left_out)


def parse_names(body: bytes, asked: str) -> list[str]:
    """Values of a label."""
    data = open_envelope(body, asked).data
    if not isinstance(data, list) or not all(isinstance(one, str) for one in data):
        raise PullError(f"{asked}: answered with what are no values of a label ({_start(body)}); check the address")
    return data


def refusal(status: int, body: bytes, asked: str, wait_s: float | None = None) -> PullError:
    """What an answer with another status than 200 means."""
    said, kind = _said(body)
    if status in (401, 403):
        return PullError(
            f"{asked}: refused with {status}{said}; "
            "set CONSOLIDATE_PROMETHEUS_TOKEN, or _USERNAME and _PASSWORD, or _TENANT"
        )
    if status == 404:
        return PullError(
            f"{asked}: nothing there (404){said}; give the address below which /api/v1 is, "
            "such as http://mimir/prometheus or http://vmselect:8481/select/0/prometheus"
        )
    if 300 <= status < 400:
        return PullError(f"{asked}: sends elsewhere ({status}); give the address that it sends to, or log in there")
    timed_out = status == 503 and kind == "timeout"
    if timed_out or status == 413 or (status in (400, 422, 500) and _TOO_MUCH.search(said)):
        return TooMuchError(
            f"{asked}: too much for one request ({status}){said}; raise the server's limit or ask for a longer step",
            bool(_ABOUT_SERIES.search(said)),
        )
    if status == 429 or status >= 500:
        return UnavailableError(
            f"{asked}: not available ({status}){said}; try again when it is, which goes on from here", wait_s
        )
    return PullError(f"{asked}: refused with {status}{said}; correct the expression in the mapping or the selector")


def _said(body: bytes) -> tuple[str, str]:
    """The server's own words, as the end of a clause, and the type of its error."""
    try:
        document = json.loads(body)
        error, kind = document["error"], document.get("errorType", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        error, kind = ("" if body.lstrip()[:1] == b"<" else _start(body)), ""
    text = " ".join(str(error).split())
    return (f": {text[:300]}" if text else ""), str(kind)


def _start(body: bytes) -> str:
    text = " ".join(body[:80].decode(errors="replace").split())
    return text or "nothing"


def _series(labels: Mapping[str, str], values: Sequence[Sequence[Any]]) -> tuple[Found, int]:
    at_s = np.array([at for at, _ in values], dtype=np.float64)
    value = np.array([text for _, text in values], dtype=np.float64)
    good = np.isfinite(value)
    dropped = len(value) - int(good.sum())
    if dropped:
        at_s, value = at_s[good], value[good]
    names = {str(key): str(text) for key, text in labels.items() if key != "__name__"}
    return Found(names, np.rint(at_s).astype(np.int64), value), dropped
