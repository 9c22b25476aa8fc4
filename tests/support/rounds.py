"""One round of live collectors, and what it says of a workload."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from collectors.records import Collector, Record, Sample, WorkloadRecord
from collectors.run import run_all

HOST = "here"


@dataclass(frozen=True)
class Round:
    """What the collectors found."""

    records: Sequence[Record]
    complaints: Sequence[str]

    @property
    def workloads(self) -> dict[str, WorkloadRecord]:
        """Every workload by its name; two of one name are a mistake."""
        found = [record for record in self.records if isinstance(record, WorkloadRecord)]
        named = {record.name: record for record in found}
        assert len(named) == len(found), "two workloads of one name"
        return named

    def values(self, workload: str | None) -> dict[str, float]:
        """Values by metric; two of one metric are a mistake."""
        found = [record for record in self._samples if record.workload == workload]
        values = {sample.metric: sample.value for sample in found}
        assert len(values) == len(found), f"two values of one metric of {workload}"
        return values

    def incarnation(self, workload: str, metric: str) -> str:
        """Incarnation of a metric's only sample."""
        [found] = [one for one in self._samples if (one.workload, one.metric) == (workload, metric)]
        return found.incarnation

    def succeeded(self, collector: str) -> bool:
        """Whether a collector finished."""
        return self.values(f"collector/{collector}")["collector_success"] == 1

    @property
    def _samples(self) -> list[Sample]:
        return [record for record in self.records if isinstance(record, Sample)]


def collect(*collectors: Collector, root: Path = Path("/")) -> Round:
    """One round below a root."""
    complaints: list[str] = []
    records = run_all(root, HOST, int(time.time()), complaints.append, collectors)
    return Round(records, complaints)
