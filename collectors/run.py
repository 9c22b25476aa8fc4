"""Run every collector once: one failure never hides another, and is itself a sample."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from collectors import COLLECTORS
from collectors.records import Collector, Record, Sample


def run_all(
    root: Path,
    host: str,
    at_s: int,
    report: Callable[[str], None],
    collectors: Sequence[Collector] = COLLECTORS,
) -> list[Record]:
    """Collect once from each source below ``root``; failures are reported in words and as samples."""
    records: list[Record] = []
    for collector in collectors:
        began = time.monotonic()
        succeeded = 1.0
        try:
            records += list(collector.collect(root, host, at_s))
        except Exception as error:  # noqa: BLE001 - the per-collector boundary: a failure becomes a record
            report(f"collector {collector.name}: {type(error).__name__}: {error}")
            succeeded = 0.0
        took = time.monotonic() - began
        own = f"collector/{collector.name}"
        records.append(Sample(at_s, host, own, "", "collector_duration_seconds", took))
        records.append(Sample(at_s, host, own, "", "collector_success", succeeded))
    return records
