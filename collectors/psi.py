"""Pressure stall information (``/proc/pressure`` and control groups; kernel document accounting/psi.rst)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from collectors.kernel import number, parse_boot_time, read
from collectors.records import METRICS, Record, Sample


def parse_pressure(text: str) -> dict[str, float]:
    """``some`` and ``full`` totals of a pressure file, in seconds.

    >>> parse_pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000")
    {'some': 2.5}
    """
    totals = {}
    for line in text.splitlines():
        kind, *fields = line.split()
        for item in fields:
            if item.startswith("total="):
                totals[kind] = number(item.removeprefix("total=")) / 1e6
    return totals


PRESSURE_METRICS: Mapping[str, Mapping[str, str]] = {
    resource: {
        kind: metric for kind in ("some", "full") if (metric := f"{resource}_pressure_{kind}_seconds_total") in METRICS
    }
    for resource in ("cpu", "memory", "io")
}
"""By resource and kind of stall; all tasks at once cannot wait for the CPU, so that one is not a metric."""


def pressure_values(directory: Path) -> dict[str, float]:
    """Known pressure metrics of ``/proc/pressure``."""
    values: dict[str, float] = {}
    for resource, metrics in PRESSURE_METRICS.items():
        # No PSI in this kernel, or switched off: absent, not zero.
        stalls = read(directory / resource, parse_pressure) or {}
        values |= {metric: stalls[kind] for kind, metric in metrics.items() if kind in stalls}
    return values


class PressureCollector:
    """How long tasks of this host waited for CPU, memory and IO."""

    name = "psi"

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        """Read ``/proc/pressure`` once; the incarnation is the boot time."""
        boot = parse_boot_time((root / "proc/stat").read_text())
        for metric, value in pressure_values(root / "proc/pressure").items():
            yield Sample(at_s, host, None, boot, metric, value)
