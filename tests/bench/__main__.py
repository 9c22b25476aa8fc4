"""All public benchmarks in one table.

python -m tests.bench all --table --share 0.2 --only roadef vbp

Every instance is solved by the command that anyone can run alone, with its full time or a share of it. How fast the
kernels are, whether promises are kept and what is saved have other columns, so their tables come after this one.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.command import show_table

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Case:
    """One instance, and what is published for it."""

    benchmark: str
    instance: str
    arguments: tuple[str, ...]
    seconds: float
    published: float | None
    """Best published objective, where there is one."""
    scale: float | None = None
    """What a difference is divided by; the published objective unless the benchmark has its own."""


def data() -> Path:
    """The folder of public instances."""
    return Path(os.environ.get("CONSOLIDATE_DATA", ROOT / "../shared/data"))


def roadef() -> Iterator[Case]:
    """Machine reassignment: 300 s; a difference counts as a share of the initial cost."""
    folder = data() / "roadef2012"
    with (folder / "published.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            model, assignment = (folder / f"{part}_{row['instance']}.txt.xz" for part in ("model", "assignment"))
            if model.exists():
                files = (str(model), str(assignment))
                yield Case(
                    "roadef",
                    row["instance"],
                    files,
                    300,
                    float(row["challenge_best"]),
                    float(row["initial_cost"]),
                )


def vbp() -> Iterator[Case]:
    """Vector bin packing: every tenth instance of each set, 20 s; the best of 351 heuristics is published."""
    from tests.bench.vbp import instances  # noqa: PLC0415  # compiles nothing unless it is asked for

    for name, _, published in instances(10, data()):
        member = f"{data() / 'vbp' / name.partition('/')[0]}.tar.xz:{name}"
        yield Case("vbp", Path(name).stem, (member,), 20, float(published["best_overall"]))


def tianchi() -> Iterator[Case]:
    """Global scheduling: 600 s; the best public solution that could be verified."""
    for archive in sorted((data() / "tianchi2018").glob("*.zip")):
        yield Case("tianchi", archive.stem, (str(archive),), 600, 6090.34)


def cloudbalancing() -> Iterator[Case]:
    """Cloud balancing: 60 s; best published by simulated annealing or late acceptance (2013)."""
    best = {"100": 112_400.0, "200": 196_350.0, "400": 441_870.0, "800": 915_260.0}
    for path in sorted((data() / "cloudbalancing").glob("*computers-*processes.json")):
        computers = path.stem.partition("computers")[0]
        yield Case("cloudbalancing", path.stem, (str(path),), 60, best.get(computers))


BENCHMARKS = {"roadef": roadef, "vbp": vbp, "tianchi": tianchi, "cloudbalancing": cloudbalancing}
COMPARED_S = 300
"""What each solver that throughput is compared with gets."""
OWN_TABLES = ("throughput", "promises", "savings")
HEADINGS = ("benchmark", "instance", "objective", "bound", "gap %", "published", "difference %", "seconds", "MiB")


def measured(case: Case, share: float, seed: int) -> tuple[str, ...]:
    """Run one case and lay its figures out as a row."""
    command = [sys.executable, "-m", f"tests.bench.{case.benchmark}", *case.arguments]
    command += ["--seconds", str(case.seconds * share), "--seed", str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        return (case.benchmark, case.instance, "failed", *[""] * (len(HEADINGS) - 3))
    figures = json.loads(done.stdout.splitlines()[-1])
    difference = ""
    if case.published is not None:
        difference = f"{(figures['objective'] - case.published) / (case.scale or case.published):+.4%}".rstrip("%")
    return (
        case.benchmark,
        case.instance,
        f"{figures['objective']:,.10g}",
        f"{figures['bound']:,.10g}",
        f"{figures['gap'] * 100:.3f}",
        "" if case.published is None else f"{case.published:,.10g}",
        difference,
        f"{figures['seconds']:.1f}",
        str(figures["peak_memory_bytes"] // 1024**2),
    )


def main() -> None:
    """Run the benchmarks named and print a row as soon as there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["all"])
    parser.add_argument("--table", action="store_true", help="Markdown; otherwise one JSON object a line")
    parser.add_argument("--only", nargs="+", choices=[*BENCHMARKS, *OWN_TABLES], default=[*BENCHMARKS, *OWN_TABLES])
    parser.add_argument("--share", type=float, default=1.0, help="of each benchmark's time")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    cases = (case for name in given.only if name in BENCHMARKS for case in BENCHMARKS[name]())
    show_table(HEADINGS, (measured(case, given.share, given.seed) for case in cases), given.table)
    for name in OWN_TABLES:
        if name in given.only:
            seconds = ["--seconds", str(COMPARED_S * given.share)] if name == "throughput" else []
            command = [sys.executable, "-m", f"tests.bench.{name}", *seconds, *(["--table"] if given.table else [])]
            print(end="\n" if given.table else "", flush=True)
            subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
