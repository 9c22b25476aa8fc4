"""Feed damaged files for a while; what must not happen is printed and kept.

python -m tests.fuzz --seconds 600 --seed 1 --findings FOLDER

Every target runs in a process of its own, so that one which hangs or takes all memory is a finding like others.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from random import Random
from types import FrameType

from tests.fuzz.mutation import damaged
from tests.fuzz.targets import Target, targets

HANG_S = 20
MEMORY_BYTES = 2 << 30


class HangError(Exception):
    """An input that takes too long."""


def run(target: Target, seconds: float, seed: int, findings: Path) -> dict[str, object]:
    """Feed one target; one finding for each place that something is raised at."""
    random, began, found, inputs = Random(f"{target.name} {seed}"), time.monotonic(), set[str](), 0
    signal.signal(signal.SIGALRM, _hang)
    while time.monotonic() - began < seconds:
        content = damaged(random, target.seeds)
        inputs += 1
        signal.alarm(HANG_S)
        try:
            target.feed(content)
        except Exception as error:  # noqa: BLE001 - anything is a finding
            place = traceback.extract_tb(error.__traceback__)[-1]
            finding = f"{type(error).__name__} {Path(place.filename).name}:{place.lineno}"
            if finding not in found:
                found.add(finding)
                name = f"{target.name} {hashlib.sha256(content).hexdigest()[:12]}".replace(" ", "-")
                (findings / name).write_bytes(content)
                (findings / f"{name}.traceback").write_text(traceback.format_exc(), encoding="utf-8")
        finally:
            signal.alarm(0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if peak > MEMORY_BYTES:
        found.add(f"{peak >> 20} MiB of memory")
    return {"target": target.name, "inputs": inputs, "peak_mib": peak >> 20, "findings": sorted(found)}


def _hang(number: int, frame: FrameType | None) -> None:
    raise HangError(f"still at work after {HANG_S} s")


def main() -> None:
    """Share the time among the targets, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="in total")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path, required=True, help="folder for the inputs that were found")
    parser.add_argument("--only", nargs="+", default=[""], help="beginnings of targets' names")
    parser.add_argument("--target", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.findings.mkdir(parents=True, exist_ok=True)
    if given.target:
        print(json.dumps(run(targets()[given.target], given.seconds, given.seed, given.findings)))
        return
    chosen = [name for name in targets() if name.startswith(tuple(given.only))]
    # Importers start files, tools and a database; parsers are done in microseconds.
    shares = {name: 4.0 if name.startswith("import") else 1.0 for name in chosen}
    failed = False
    for name in chosen:
        seconds = given.seconds * shares[name] / sum(shares.values())
        command = [sys.executable, "-m", "tests.fuzz", "--target", name, "--seconds", str(seconds)]
        command += ["--seed", str(given.seed), "--findings", str(given.findings)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120, check=False)
        answer = done.stdout.strip() or json.dumps({"target": name, "findings": [f"ended with {done.returncode}"]})
        failed |= bool(json.loads(answer)["findings"])
        print(answer, flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
