"""One source for each dimension of each workload and host: two are never added up, nor put into one series."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collectors.sources import rank
from consolidate.model.dimensions import DIMENSION_OF, SOURCES
from consolidate.model.finding import Finding
from consolidate.store.keys import Key

ENOUGH = 0.9
"""A source that covers this share of what the best covers is preferred where it is more trusted."""
LONGEST_S = 3600
"""A sample speaks for no longer than this, so that two of them a month apart do not cover the month."""

Stream = tuple[str, str]
"""What one source says under one name of a host: source, and that name where it has several at once."""
Owner = tuple[str, str, str]
"""Whose samples: dimension (or metric), host, workload."""


@dataclass(frozen=True)
class Rival:
    """Samples that do not count, since another source has better ones."""

    owner: Owner
    chosen: Stream
    other: Stream


def measure_of(metric: str) -> str:
    """What a metric measures: counters and gauges of one dimension measure the same, and so does their highest."""
    return DIMENSION_OF.get(metric.removesuffix("_max"), metric)


def covered_s(key: Key) -> int:
    """Seconds that a series speaks for."""
    return min(key.last_s - key.first_s, key.samples * LONGEST_S)


def choose(streams: Mapping[Owner, Mapping[Stream, Iterable[Key]]]) -> tuple[dict[Owner, Stream], list[Rival]]:
    """The stream that counts, of each owner that has more than one, and the others."""
    chosen: dict[Owner, Stream] = {}
    rivals: list[Rival] = []
    for owner, own in streams.items():
        if len(own) < 2:
            continue
        covered = {stream: _covered_s(keys) for stream, keys in own.items()}
        best_s = max(covered.values())
        enough = [stream for stream, seconds in covered.items() if seconds >= ENOUGH * best_s]
        chosen[owner] = min(enough, key=lambda stream: (rank(stream[0]), -covered[stream], stream))
        rivals += [Rival(owner, chosen[owner], other) for other in sorted(own) if other != chosen[owner]]
    return chosen, rivals


def _covered_s(keys: Iterable[Key]) -> int:
    """Of the metric of a dimension that is there most; reads and writes are not twice as much."""
    by_metric: dict[str, int] = defaultdict(int)
    for key in keys:
        by_metric[key.metric] += covered_s(key)
    return max(by_metric.values())


def told(rivals: Iterable[Rival]) -> list[Finding]:
    """One finding for each host and pair of sources."""
    groups: dict[tuple[str, Stream, Stream], list[Owner]] = defaultdict(list)
    for rival in rivals:
        groups[rival.owner[1], rival.chosen, rival.other].append(rival.owner)
    return [
        Finding(
            host,
            "",
            "set aside",
            f"what {stream_name(chosen)} measured counts, and not what {stream_name(other)} did: "
            f"{_measures({owner[0] for owner in owners})} of {_whose({owner[2] for owner in owners})}",
        )
        for (host, chosen, other), owners in groups.items()
    ]


def _measures(measures: set[str]) -> str:
    """The planner's dimensions; metrics that belong to none are counted."""
    dimensions = [dimension for dimension in SOURCES if dimension in measures]
    others = len(measures) - len(dimensions)
    names = dimensions + ([f"{others:,} other metric{'' if others == 1 else 's'}"] if others else [])
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def stream_name(stream: Stream) -> str:
    """A stream for people."""
    source, name = stream
    return (source or "an unnamed source") + (f" as {name}" if name else "")


def _whose(workloads: set[str]) -> str:
    parts = ["the host itself"] if "" in workloads else []
    count = len(workloads - {""})
    if count:
        parts.append(f"{count:,} workload{'' if count == 1 else 's'}")
    return " and ".join(parts)
