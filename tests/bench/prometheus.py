"""A pull of many series from a real VictoriaMetrics: time, memory, and how hard the server was really asked.

python -m tests.bench.prometheus --containers 10000 --hours 6 --max-concurrent 4 --max-per-second 20

Five series a container are written into a VictoriaMetrics that admits as many queries at once as the cap allows and
counts those that come above it. What it counts itself, read several times a second, gives the rate.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.support.backends.victoriametrics import flush, victoriametrics

SCRAPE_S = 60
CONTAINERS_A_HOST = 100
END_S = int(time.time()) // 3600 * 3600 - 3600
LOOK_S = 0.1

PULL = """
import json, resource, sys, time
from pathlib import Path
from consolidate.verbs.pull import PullRequest, SETTLE_S, pull
url, store, hours, at_once, per_second, end_s = sys.argv[1:]
request = PullRequest(url, last=f"{hours}h", step="5m", max_concurrent=int(at_once), max_per_second=float(per_second))
began = time.perf_counter()
done = pull(request, Path(store), lambda text: print(text, file=sys.stderr), {}, lambda: float(end_s) + SETTLE_S)
print(json.dumps({
    "seconds": round(time.perf_counter() - began, 1), "samples": done.samples, "workloads": done.workloads,
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
}))
"""


def fill(url: str, containers: int, hours: int) -> int:
    """Write the history of containers, and return the number of samples."""
    at_s = np.arange(END_S - hours * 3600 - SCRAPE_S, END_S + 1, SCRAPE_S)
    timestamps = (at_s * 1000).tolist()
    random = np.random.default_rng(7)
    for first in range(0, containers, 500):
        lines = []
        for number in range(first, min(first + 500, containers)):
            host, used = number // CONTAINERS_A_HOST, random.gamma(0.5, 0.2, len(at_s))
            labels = {
                "instance": f"10.{host // 250}.{host % 250}.1:10250",
                "job": "kubelet",
                "node": f"node-{host}",
                "namespace": "bench",
                "pod": f"pod-{number}",
                "container": "app",
                "id": f"/kubepods/{number}",
            }
            columns = {
                "container_cpu_usage_seconds_total": np.cumsum(used) * SCRAPE_S,
                "container_memory_working_set_bytes": np.rint(1e8 + used * 1e8),
                "container_memory_rss": np.rint(8e7 + used * 1e8),
                "container_fs_writes_bytes_total": np.cumsum(np.rint(used * 1e6)),
                "container_start_time_seconds": np.full(len(at_s), END_S - 30 * 86_400),
            }
            for name, values in columns.items():
                metric = {"__name__": name, **labels}
                lines.append(json.dumps({"metric": metric, "values": values.tolist(), "timestamps": timestamps}))
        body = "\n".join(lines).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{url}/api/v1/import", data=body), timeout=300):
            pass
    flush(url)
    return containers * 5 * len(at_s)


@dataclass
class Watch:
    """What the server says of queries while it is asked."""

    url: str
    at_once: int = 0
    turned_away: int = 0
    counts: list[tuple[float, int]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look until it is over."""
        while not self.over.wait(LOOK_S):
            with urllib.request.urlopen(f"{self.url}/metrics", timeout=60) as answer:
                text, now = answer.read().decode(), time.monotonic()
            self.counts.append(
                (now, _sum(text, r'vm_http_requests_total\{path="/api/v1/(query|query_range|label[^"]*)"\}'))
            )
            self.at_once = max(self.at_once, _sum(text, r"vm_concurrent_select_current"))
            self.turned_away = max(self.turned_away, _sum(text, r"vm_concurrent_select_limit_reached_total"))

    @property
    def most_per_second(self) -> int:
        """Most requests that were counted between two looks no more than a second apart."""
        most = 0
        for index, (at, count) in enumerate(self.counts):
            later = [other for when, other in self.counts[index:] if when - at <= 1]
            most = max(most, max(later) - count)
        return most


def _sum(text: str, pattern: str) -> int:
    return int(sum(float(match[-1]) for match in re.findall(rf"^({pattern}) (\S+)$", text, re.MULTILINE)))


def main() -> None:
    """Fill a server, pull from it in a process of its own, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--containers", type=int, default=10_000)
    parser.add_argument("--hours", type=int, default=6)
    parser.add_argument("--max-concurrent", type=int, default=4)
    parser.add_argument("--max-per-second", type=float, default=20.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options = [f"-search.maxConcurrentRequests={given.max_concurrent}", "-memory.allowedBytes=2GB"]
        with victoriametrics(Path(folder) / "server", options) as url:
            began = time.perf_counter()
            written = fill(url, given.containers, given.hours)
            print(f"{written:,} samples written in {time.perf_counter() - began:.0f} s", file=sys.stderr)
            watch = Watch(url)
            watcher = threading.Thread(target=watch.run)
            watcher.start()
            command = [sys.executable, "-c", PULL, url, str(Path(folder) / "store"), str(given.hours)]
            command += [str(given.max_concurrent), str(given.max_per_second), str(END_S)]
            try:
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            finally:
                watch.over.set()
                watcher.join()
    figures = json.loads(done.stdout)
    figures |= {
        "series": given.containers * 5,
        "samples_per_s": round(figures["samples"] / figures["seconds"]),
        "most_at_once": watch.at_once,
        "above_the_cap": watch.turned_away,
        "most_per_second": watch.most_per_second,
        "requests": watch.counts[-1][1],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
