"""Memory of each NUMA node: one that is full slows down what is pinned to it, however much the host has left."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from collectors.kernel import parse_boot_time, read
from collectors.meminfo import parse_meminfo
from collectors.records import Record, Sample
from collectors.topology import find_nodes


class NumaCollector:
    """Used and free memory by node, on hosts with more than one; the host's own figures are enough for others."""

    name = "numa"

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        """Read each node's ``meminfo`` once; in the place of a workload stands ``numa/`` and the node's number."""
        nodes = find_nodes(root)
        if len(nodes) < 2:
            return
        boot = parse_boot_time((root / "proc/stat").read_text())
        for node, folder in nodes:
            memory = read(folder / "meminfo", parse_meminfo) or {}
            for metric, key in (("memory_current_bytes", "MemUsed"), ("memory_free_bytes", "MemFree")):
                if key in memory:
                    yield Sample(at_s, host, f"numa/{node}", boot, metric, float(memory[key]))
