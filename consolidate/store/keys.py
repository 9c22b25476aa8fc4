"""Which series a segment holds: what a reader knows of samples without reading them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from consolidate.model.series import SeriesKey

Identity = tuple[str, str, str, str]
"""Metric, host, workload, incarnation; a segment's series are in this order."""


@dataclass(frozen=True)
class Key:
    """One series of one metric in a segment, under the names that its source gave."""

    number: int
    """Place in the segment's order."""
    metric: str
    series: SeriesKey
    first_s: int
    last_s: int
    samples: int

    @property
    def identity(self) -> Identity:
        """What tells it from the segment's other series."""
        return self.metric, self.series.host, self.series.workload, self.series.incarnation

    def extended_by(self, other: Key) -> Key:
        """The same series with another segment's samples as well."""
        first_s, last_s = min(self.first_s, other.first_s), max(self.last_s, other.last_s)
        return replace(self, first_s=first_s, last_s=last_s, samples=self.samples + other.samples)
