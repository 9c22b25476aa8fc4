"""All values of one workload at one time: how an agent keeps thousands of samples a round cheap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from collectors.records import Sample


@dataclass(frozen=True)
class Reading:
    """What one workload's metrics were in one round.

    Where nothing has changed since the round before, a collector may hand out the same object again; values are
    therefore never altered, only replaced.
    """

    workload: str | None
    """None where the host itself is meant."""
    incarnation: str
    values: Mapping[str, float]
    """By metric, in the unit of its name; what was not measured is absent."""

    def samples(self, host: str, at_s: int) -> Iterator[Sample]:
        """One sample a value."""
        for metric, value in self.values.items():
            yield Sample(at_s, host, self.workload, self.incarnation, metric, value)


def gather(samples: Iterable[Sample]) -> list[Reading]:
    """Samples of one round, by workload and incarnation, in the order in which these first occur."""
    found: dict[tuple[str | None, str], dict[str, float]] = {}
    for sample in samples:
        found.setdefault((sample.workload, sample.incarnation), {})[sample.metric] = sample.value
    return [Reading(workload, incarnation, values) for (workload, incarnation), values in found.items()]
