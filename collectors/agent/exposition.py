"""``/metrics`` of an agent, in Prometheus's text format: what it samples and what that costs."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from collectors.agent.loop import Rounds
from collectors.agent.observer import Cost, cpu_s
from collectors.agent.push import Deliveries
from collectors.agent.spool import Tally
from collectors.reading import Reading
from collectors.records import METRICS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_COLLECTOR = "collector/"


@dataclass(frozen=True)
class Status:
    """All that there is to tell."""

    host: str
    rounds: Rounds
    costs: Mapping[str, Cost]
    tally: Tally
    deliveries: Deliveries
    spool_bytes: int
    spool_limit_bytes: int
    spool_segments: int


def render(status: Status) -> Iterator[bytes]:
    """The exposition, a family at a time."""
    for name, kind, text, samples in (*_own(status), *_spool(status), *_collectors(status)):
        yield _family(f"consolidate_agent_{name}", kind, text, samples)
    if status.rounds.last is not None:
        yield from _sampled(status.host, status.rounds.last.readings)


_Families = defaultdict[str, list[tuple[str, float]]]
"""Labels and value of each sample, by metric."""
Family = tuple[str, str, str, Sequence[tuple[str, float]]]


def _one(value: float) -> Sequence[tuple[str, float]]:
    return [("", value)]


def _own(status: Status) -> Iterator[Family]:
    rounds = status.rounds
    resident_bytes, files = _process()
    yield "cpu_seconds_total", "counter", "CPU time of the agent and of programs that it ran", _one(cpu_s())
    yield "resident_memory_bytes", "gauge", "Memory of the agent", _one(resident_bytes)
    yield "open_files", "gauge", "Descriptors that the agent holds", _one(files)
    yield "rounds_total", "counter", "Rounds that were taken", _one(rounds.done)
    skipped = "Rounds that were due while another one ran, or while the host did not get to them"
    yield "rounds_skipped_total", "counter", skipped, _one(rounds.skipped)
    yield "rounds_held_total", "counter", "Rounds left out because the clock had been set back", _one(rounds.held)
    yield "rounds_lost_total", "counter", "Rounds that the spool's disk would not have", _one(status.tally.lost_rounds)
    yield "round_duration_seconds_total", "counter", "Time that all rounds took", _one(rounds.duration_s)
    yield "round_duration_seconds", "gauge", "Time that the last round took", _one(rounds.last_duration_s)
    yield "round_duration_max_seconds", "gauge", "Time that the longest round took", _one(rounds.longest_s)
    if rounds.last is not None:
        yield "last_round_timestamp_seconds", "gauge", "Time of the last round", _one(rounds.last.at_s)
        names = {one.workload for one in rounds.last.readings if one.workload is not None}
        workloads = sum(not name.startswith(_COLLECTOR) for name in names)
        yield "workloads", "gauge", "Workloads that were measured in the last round", _one(workloads)
        samples = sum(len(one.values) for one in rounds.last.readings)
        yield "samples", "gauge", "Samples of the last round", _one(samples)


def _spool(status: Status) -> Iterator[Family]:
    tally, deliveries = status.tally, status.deliveries
    yield "spool_bytes", "gauge", "Size of the spool", _one(status.spool_bytes)
    yield "spool_limit_bytes", "gauge", "Size at which the oldest segments are dropped", _one(status.spool_limit_bytes)
    yield "spool_segments", "gauge", "Segments that nobody has fetched yet", _one(status.spool_segments)
    yield "segments_sealed_total", "counter", "Segments written", _one(tally.sealed)
    yield "segments_delivered_total", "counter", "Segments that a store has now", _one(tally.acknowledged)
    yield "segments_dropped_total", "counter", "Segments removed to stay within the bound", _one(tally.dropped)
    yield "segments_refused_total", "counter", "Segments that the receiver will never take", _one(tally.refused)
    yield "push_failures_total", "counter", "Deliveries that had to be tried again", _one(deliveries.failures)


def _collectors(status: Status) -> Iterator[Family]:
    costs = [(_labels({"collector": name}), cost) for name, cost in status.costs.items()]
    success = "1 if the collector finished when it was last asked, 0 if it failed"
    yield "collector_success", "gauge", success, [(labels, float(cost.succeeded)) for labels, cost in costs]
    took = "Time that the collector took when it was last asked"
    yield "collector_duration_seconds", "gauge", took, [(labels, cost.took_s) for labels, cost in costs]
    cpu = "CPU time that it took, with programs that it ran"
    yield "collector_cpu_seconds", "gauge", cpu, [(labels, cost.cpu_s) for labels, cost in costs]


def _sampled(host: str, readings: Iterable[Reading]) -> Iterator[bytes]:
    """Values of the last round, by metric; of a name that several readings share, the later ones' values."""
    values: dict[str | None, Mapping[str, float]] = {}
    for reading in readings:
        before = values.get(reading.workload)
        values[reading.workload] = reading.values if before is None else {**before, **reading.values}
    of_host: _Families = defaultdict(list)
    of_workloads: _Families = defaultdict(list)
    for workload, own in values.items():
        if workload is None:
            labels, families = _labels({"host": host}), of_host
        elif workload.startswith(_COLLECTOR):
            continue
        else:  # written once, not for each of its metrics
            labels, families = _labels({"host": host, "workload": workload}), of_workloads
        for metric, value in own.items():
            families[metric].append((labels, value))
    for of, families in (("host", of_host), ("workload", of_workloads)):
        for metric, samples in sorted(families.items()):
            yield _family(f"consolidate_{of}_{metric}", METRICS[metric].kind, METRICS[metric].help, samples)


def _family(name: str, kind: str, text: str, samples: Iterable[tuple[str, float]]) -> bytes:
    lines = [f"# HELP {name} {text}\n# TYPE {name} {kind}\n"]
    lines += [f"{name}{labels} {value!r}\n" for labels, value in samples]
    return "".join(lines).encode(errors="replace")


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{key}="{_escape(label)}"' for key, label in labels.items()) + "}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _process() -> tuple[int, int]:
    """Resident bytes and open descriptors of this process."""
    with open("/proc/self/statm", "rb") as file:
        resident_pages = int(file.read().split()[1])
    return resident_pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd"))
