"""Run every collector once: one failure never hides another, and is itself a sample."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from collectors import COLLECTORS
from collectors.failures import Incomplete
from collectors.identity import join
from collectors.records import Collector, Record, Sample


def run_all(
    root: Path,
    host: str,
    at_s: int,
    report: Callable[[str], None],
    collectors: Sequence[Collector] = COLLECTORS,
) -> list[Record]:
    """Collect once from each source below ``root``, and let records of the same workload be one.

    Failures are reported in words and as samples.
    """
    found = []
    for collector in collectors:
        began = time.monotonic()
        records, failure = attempt(collector, root, host, at_s)
        took = time.monotonic() - began
        if failure:
            report(f"collector {collector.name}: {failure}")
        own = f"collector/{collector.name}"
        records.append(Sample(at_s, host, own, "", "collector_duration_seconds", took))
        records.append(Sample(at_s, host, own, "", "collector_success", 0.0 if failure else 1.0))
        found.append((collector.name, records))
    return join(found)


def attempt(collector: Collector, root: Path, host: str, at_s: int) -> tuple[list[Record], str]:
    """What one collector finds, and how it failed, or an empty text."""
    try:
        return list(collector.collect(root, host, at_s)), ""
    except Incomplete as error:
        return list(error.records), str(error)
    except Exception as error:  # noqa: BLE001 - the per-collector boundary: a failure becomes a record
        return [], f"{type(error).__name__}: {error}"
