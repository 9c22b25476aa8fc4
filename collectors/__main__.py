"""``python -m collectors``: this host's samples as JSON lines, without the planner; for months see the agent."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path

from collectors.records import as_fields
from collectors.run import run_all


def main() -> None:
    """Print one round of records a line each; repeat with ``--interval`` and ``--count``."""
    parser = argparse.ArgumentParser(prog="python -m collectors", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("/"), help="directory that looks like a host's /")
    parser.add_argument("--host", default=platform.node(), help="name to record the host under")
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between rounds")
    parser.add_argument("--count", type=int, default=1, help="number of rounds")
    options = parser.parse_args()
    if not (options.root / "proc").is_dir():
        parser.error(f"--root {options.root} holds no proc directory; give a directory that looks like a host's /")
    if not 0 < options.interval < float("inf"):
        parser.error(f"--interval {options.interval:g} is not a time to wait; give seconds, such as 10")
    if options.count < 1:
        parser.error(f"--count {options.count} is not a number of rounds; give 1 or more")
    for round_number in range(options.count):
        if round_number:
            time.sleep(options.interval)
        records = run_all(options.root, options.host, int(time.time()), lambda text: print(text, file=sys.stderr))
        for record in records:
            print(json.dumps({"type": type(record).__name__, **as_fields(record)}))
        sys.stdout.flush()  # a reader at the other end of a pipe gets every round as it is measured


if __name__ == "__main__":
    main()
