"""What the benchmark commands share: their options, their progress on stderr, and one JSON line at the end."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """Objective and proved lower bound of a run, in the benchmark's own unit."""

    objective: float
    bound: float

    @property
    def gap(self) -> float:
        """Distance to the bound as a share of the objective."""
        return (self.objective - self.bound) / self.objective if self.objective else 0.0


def bench_parser(*inputs: str) -> argparse.ArgumentParser:
    """A parser of the input files and the options that every benchmark has."""
    parser = argparse.ArgumentParser()
    for name in inputs:
        parser.add_argument(name, type=Path)
    parser.add_argument("--seconds", type=float, default=60.0, help="wall time, loading included")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="where the answer is written")
    return parser


def show_progress(spent: float, objective: float) -> None:
    """One line on stderr."""
    print(f"{spent:5.0%}  {objective:,.0f}", file=sys.stderr)


def run(solve: Callable[[], Outcome]) -> None:
    """Time a run and print its figures as one line of JSON.

    The peak memory is that of the largest single process, this one or a worker: what all of them held together is not
    known.
    """
    begin = time.monotonic()
    outcome = solve()
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    figures = {
        "objective": outcome.objective,
        "bound": outcome.bound,
        "gap": round(outcome.gap, 6),
        "seconds": round(time.monotonic() - begin, 1),
        "peak_memory_bytes": peak * 1024,
    }
    print(json.dumps(figures))


def show_table(headings: Sequence[str], rows: Iterable[Sequence[str]], markdown: bool) -> None:
    """Print rows as they come: as a Markdown table, or as one JSON object a line."""
    if markdown:
        print("\n| " + " | ".join(headings) + " |\n|" + "---|" * len(headings))
    for cells in rows:
        print(
            "| " + " | ".join(cells) + " |" if markdown else json.dumps(dict(zip(headings, cells, strict=True))),
            flush=True,
        )
