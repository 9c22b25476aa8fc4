"""How a collector fails without losing what it does know."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.records import Record


class Incomplete(Exception):
    """A source that failed, with the records that hold all the same; any other failure leaves no half of a round."""

    def __init__(self, reason: str, records: Sequence[Record]) -> None:
        super().__init__(reason)
        self.records = tuple(records)
