"""The user's own condition: a PromQL query that must stay true while partitions are watched."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from collectors.prometheus.client import Client
from collectors.records import TraceError


@dataclass(frozen=True)
class Answer:
    """Whether the condition holds; None where nobody can tell."""

    holds: bool | None
    said: str
    """What was found, as the end of a sentence."""


Condition = Callable[[], Answer]


class PromqlCondition:
    """True where every series of the answer is other than 0. Comparisons take ``bool``, so that false is 0."""

    def __init__(self, client: Client, query: str, now: Callable[[], float] = time.time) -> None:
        """Ask ``client`` for ``query`` at the time that ``now`` tells."""
        self._client, self._query, self._now = client, query, now

    def __call__(self) -> Answer:
        """Ask. An error, or an answer without data, is no answer: silence proves nothing."""
        try:
            answer = self._client.query(self._query, int(self._now()))
        except TraceError as error:
            return Answer(None, str(error))
        values = [float(value) for series in answer.series for value in series.value]
        if answer.not_finite or not values:
            return Answer(
                None,
                f"{self._query}: no data; write comparisons with bool (a > bool 1), so that false is 0, not silence",
            )
        return Answer(all(values), f"{self._query} is {min(values, key=abs):g}")
