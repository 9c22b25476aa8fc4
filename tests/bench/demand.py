"""Demand at scale: from a store of made-up samples to every workload's size, with time and peak memory.

python -m tests.bench.demand --workloads 5000 --days 30
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from collectors.records import HostRecord, Record, Series, WorkloadRecord
from consolidate.store import Store

METRICS = ("cpu_cores", "memory_working_set_bytes", "disk_iops", "net_rx_bytes_per_s")
START_S, STEP_S = 1_780_272_000, 300

MEASURE = """
import json, resource, sys, time
from pathlib import Path
from consolidate.pipeline import measure, read_fleet
from consolidate.store import Store
began = time.perf_counter()
store = Store(Path(sys.argv[1]))
inputs = read_fleet(store, None)
read = time.perf_counter()
demands = measure(store, inputs)
done = time.perf_counter()
print(json.dumps({
    "inventory_s": round(read - began, 2), "demand_s": round(done - read, 2), "workloads": len(demands),
    "slots": max(one.slots for one in demands.values()),
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
}))
"""


def make_store(path: Path, workloads: int, days: int) -> int:
    """Fill a store, a segment for every 250 workloads; return the number of samples."""
    store, random = Store.create(path), np.random.default_rng(7)
    at_s = START_S + STEP_S * np.arange(days * 86400 // STEP_S)
    wave = 1 + 0.5 * np.sin(at_s / 86400 * 2 * np.pi)
    stored = 0
    for begin in range(0, workloads, 250):
        host = f"host-{begin // 250:04d}"
        records: list[Record] = [HostRecord(host, "debian", capacity={"cpu_milli": 64_000, "memory_bytes": 1 << 40})]
        for number in range(begin, min(begin + 250, workloads)):
            name = f"w{number:05d}"
            records.append(WorkloadRecord(name, "service", host, "linux"))
            for scale, metric in zip((1.0, 2e9, 300.0, 1e6), METRICS, strict=True):
                values = np.round(scale * wave * random.lognormal(0, 0.3, len(at_s)), 4)
                records.append(Series(host, name, "1", metric, at_s, values))
        stored += store.append(records)
    return stored


def main() -> None:
    """Print one JSON line a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", type=int, default=5000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        stored = make_store(Path(scratch) / "store", options.workloads, options.days)
        size = sum(path.stat().st_size for path in Path(scratch).rglob("*") if path.is_file())
        made = {"samples": stored, "made_s": round(time.perf_counter() - began, 1), "store_mib": size >> 20}
        print(json.dumps(made), flush=True)
        for _ in range(options.runs):
            command = [sys.executable, "-c", MEASURE, str(Path(scratch) / "store")]
            print(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip(), flush=True)
    print(json.dumps({"peak_mib_of_the_maker": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


if __name__ == "__main__":
    main()
