"""How fast a plan is applied to many simulated hosts, where each connection takes its time and some fail.

python -m tests.bench.apply --hosts 1000 --concurrency 8 32 128 --round-trip-ms 5 --failing-permille 50 --table

Hosts are in this process; their journals are real files, synchronised before every write. A run is followed by further
ones on the hosts that failed, until none does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

from consolidate.apply import Records
from consolidate.apply.hosts import ManyHosts, Pace
from tests.support.machines import Datacentre

HEADINGS = (
    "hosts",
    "at once",
    "round trip",
    "failed, all reported",
    "seconds",
    "hosts/s",
    "writes/s",
    "runs until done",
)


def measure(hosts: int, concurrency: int, round_trip_s: float, failing_permille: int, state: Path) -> dict[str, float]:
    """Apply until everything is as planned; figures of the first run, and how many it took."""
    centre = Datacentre(hosts, round_trip_s=round_trip_s, failing_permille=failing_permille)
    plan = centre.plan()
    many = ManyHosts(
        centre.connect, lambda host: Records(state, host), Pace(concurrency=concurrency, max_failures=hosts)
    )
    began = time.monotonic()
    outcomes = many.apply(plan)
    seconds = time.monotonic() - began
    counts = Counter(one.status for one in outcomes)
    if len({one.host for one in outcomes}) != hosts or any(
        one.status == "failed" and not one.error for one in outcomes
    ):
        raise AssertionError(f"{hosts} hosts were asked for, and {dict(counts)} reported")
    writes = sum(one.status == "done" for outcome in outcomes for one in outcome.outcomes)
    runs = 1
    left = [one.host for one in outcomes if one.status == "failed"]
    while left:
        centre.run, runs = runs, runs + 1
        left = [one.host for one in many.apply(plan, left) if one.status == "failed"]
    return {
        "hosts": hosts,
        "concurrency": concurrency,
        "round_trip_s": round_trip_s,
        "failed": sum(one.status == "failed" for one in outcomes),
        "seconds": round(seconds, 2),
        "hosts_per_s": round(hosts / seconds, 1),
        "writes_per_s": round(writes / seconds),
        "runs": runs,
    }


def main() -> None:
    """Measure each concurrency."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--round-trip-ms", type=float, default=5)
    parser.add_argument("--failing-permille", type=int, default=50)
    parser.add_argument("--table", action="store_true", help="Markdown; otherwise one JSON object a line")
    given = parser.parse_args()
    if given.table:
        print("| " + " | ".join(HEADINGS) + " |\n|" + "---|" * len(HEADINGS))
    for concurrency in given.concurrency:
        with tempfile.TemporaryDirectory(prefix="consolidate-bench-") as state:
            figures = measure(given.hosts, concurrency, given.round_trip_ms / 1000, given.failing_permille, Path(state))
        print(_row(figures) if given.table else json.dumps(figures), flush=True)


def _row(figures: dict[str, float]) -> str:
    cells = (
        f"{figures['hosts']:,}",
        f"{figures['concurrency']}",
        f"{figures['round_trip_s'] * 1000:g} ms",
        f"{figures['failed']}",
        f"{figures['seconds']:.1f}",
        f"{figures['hosts_per_s']:.0f}",
        f"{figures['writes_per_s']:,}",
        f"{figures['runs']}",
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
