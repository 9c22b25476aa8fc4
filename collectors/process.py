"""Processes grouped into workloads, for hosts where nothing runs in a control group of its own."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from collectors.cgroup import find_groups, find_hierarchies
from collectors.records import Record, Sample, WorkloadRecord


@dataclass(frozen=True)
class Process:
    """What ``/proc/PID/stat`` says that matters here."""

    command: str
    cpu_ticks: int
    started_ticks: int
    threads: int
    resident_pages: int


def parse_stat(text: str) -> Process:
    """Parse ``/proc/PID/stat``; the command may itself contain spaces and brackets (proc(5))."""
    command = text[text.index("(") + 1 : text.rindex(")")]
    fields = text[text.rindex(")") + 2 :].split()
    return Process(command, int(fields[11]) + int(fields[12]), int(fields[19]), int(fields[17]), int(fields[21]))


class ProcessCollector:
    """Sums per command name. Silent where control groups already tell the workloads apart."""

    name = "process"

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        """Read ``/proc`` once; the incarnation changes when any process of the group came or went."""
        if any(kind != "slice" for _, kind in find_groups(find_hierarchies(root))):
            return
        groups: dict[str, list[tuple[int, Process]]] = defaultdict(list)
        for entry in (root / "proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                process = parse_stat((entry / "stat").read_text())
            except OSError:  # it ended meanwhile
                continue
            if process.resident_pages:  # a kernel thread has none
                groups[process.command].append((int(entry.name), process))
        ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        for command, members in sorted(groups.items()):
            name = f"process/{command}"
            lives = ",".join(f"{pid}:{process.started_ticks}" for pid, process in sorted(members, key=lambda m: m[0]))
            incarnation = hashlib.sha256(lives.encode()).hexdigest()[:12]
            yield WorkloadRecord(name, "process", host, "linux")
            values = {
                "cpu_seconds_total": sum(process.cpu_ticks for _, process in members) / ticks,
                "memory_working_set_bytes": sum(process.resident_pages for _, process in members) * page,
                "pids": sum(process.threads for _, process in members),
            }
            for metric, value in values.items():
                yield Sample(at_s, host, name, incarnation, metric, float(value))
