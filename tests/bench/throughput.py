"""How fast the engine is: proposals per second, memory, start, and other solvers on the same fleets.

python -m tests.bench.throughput --table

Three tables. Every row of the first and the last comes from a process of its own: `tests.bench.throughput_kernels`
says what a proposal is, `tests.bench.throughput_models` what the other solvers are given and what was left out. A model
that takes more time or memory than all are allowed is listed as such. The last line is JSON and has everything.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.throughput_fleet import Size
from tests.bench.throughput_kernels import ENGINES
from tests.bench.throughput_models import PLANNER, SOLVERS
from tests.bench.throughput_start import starts

ROOT = Path(__file__).parents[2]
RATED = (Size(5_000, 100, 1), Size(50_000, 1_000, 1), Size(20_000, 2_000, 168))
COMPARED = (Size(100, 10, 24), Size(1_000, 100, 1), Size(1_000, 100, 24), Size(10_000, 1_000, 1))
"""The largest with one slot: with 24 the assignment model alone has some 700 million entries."""
_GRACE = 1.25
"""Multiple of its time after which a solver that does not stop is ended."""
PARTS = ("rates", "start", "compared")


def rated() -> Iterator[dict[str, Any]]:
    """Proposals per second of every kernel at every size, and the memory of its process."""
    for size in RATED:
        for engine in ENGINES:
            numbers = [str(size.workloads), str(size.hosts), str(size.slots)]
            figures = json.loads(_module("throughput_kernels", [engine, *numbers]).stdout)
            for rate in figures["rates"]:
                yield {
                    "workloads × hosts × slots": str(size),
                    "engine": engine,
                    "kernel": rate["kernel"],
                    "proposals": rate["proposals"],
                    "per second": round(median(rate["per_s"])),
                    "least": min(rate["per_s"]),
                    "most": max(rate["per_s"]),
                    "MiB": figures["peak_memory_bytes"] >> 20,
                }


def started() -> Iterator[dict[str, Any]]:
    """What comes before any search."""
    for start in starts():
        yield {"start": start.what, "runs": start.runs, "seconds": start.seconds, "CPU seconds": start.cpu_seconds}


def compared(seconds: float, memory_bytes: int) -> Iterator[dict[str, Any]]:
    """Every solver on every fleet, with the same time, memory and threads."""
    for size in COMPARED:
        for solver in (PLANNER, *SOLVERS):
            yield {"workloads × hosts × slots": str(size), "solver": solver} | _solved(
                solver, size, seconds, memory_bytes
            )


def _solved(solver: str, size: Size, seconds: float, memory_bytes: int) -> dict[str, Any]:
    numbers = [str(size.workloads), str(size.hosts), str(size.slots)]
    limits = ["--seconds", str(seconds), "--memory-bytes", str(memory_bytes)]
    nothing = {"hosts": None, "bound": None, "seconds": None, "CPU seconds": None, "MiB": None}
    try:
        done = _module("throughput_models", [solver, *numbers, *limits], seconds * _GRACE)
    except subprocess.TimeoutExpired:
        return nothing | {"note": f"ended after {seconds * _GRACE:.0f} s without an answer"}
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines()
        last = lines[-1] if lines else f"exit code {error.returncode}"
        return nothing | {"note": f"failed within {memory_bytes / 2**30:.0f} GiB: {last}"}
    figures = json.loads(done.stdout.splitlines()[-1])
    return {
        "hosts": figures["hosts"],
        "bound": figures["bound"],
        "seconds": figures["seconds"],
        "CPU seconds": figures["cpu_seconds"],
        "MiB": figures["peak_memory_bytes"] >> 20,
        "note": _note(figures, seconds),
    }


def _note(figures: dict[str, Any], seconds: float) -> str:
    if figures["hosts"] is None:
        return "no placement found"
    if figures["broken"]:
        return f"breaks {figures['broken']} rules"
    late = ", took longer than the others were given" if figures["seconds"] > seconds * _GRACE else ""
    return ("proved best" if figures["hosts"] == figures["bound"] else "") + late


def _module(name: str, arguments: Sequence[str], timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"tests.bench.{name}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=timeout)


def shown(rows: Iterable[dict[str, Any]], table: bool) -> list[dict[str, Any]]:
    """Print each row as soon as there is one; return all."""
    every = []
    for row in rows:
        if table and not every:
            print("| " + " | ".join(row) + " |\n|" + "---|" * len(row))
        if table:
            cells = (
                "" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row.values()
            )
            print("| " + " | ".join(cells) + " |", flush=True)
        every.append(row)
    if table:
        print()
    return every


def main() -> None:
    """Print a table for each part, and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="Markdown before the JSON line")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=300.0, help="wall time of each solver, building included")
    parser.add_argument("--memory-gib", type=int, default=12, help="address space of each solver")
    given = parser.parse_args()
    parts = {"rates": rated(), "start": started(), "compared": compared(given.seconds, given.memory_gib << 30)}
    print(json.dumps({name: shown(parts[name], given.table) for name in PARTS if name in given.only}))


if __name__ == "__main__":
    main()
