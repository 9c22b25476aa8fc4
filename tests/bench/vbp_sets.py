"""Vector bin packing over whole public sets: how many are solved, and how they compare with 351 heuristics.

python -m tests.bench.vbp_sets --every 10 --seconds 20 --out rows.csv

Every instance is solved as the command for one solves it. A row is written as soon as there is one, and rows that are
there already are kept: a run that was cut goes on where it ended.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from pathlib import Path
from statistics import mean

from tests.bench.command import show_table
from tests.bench.vbp import SETS, instances, parse, solve

HEADINGS = (
    *("set", "instances", "optimum known", "reached", "proved", "proved of all", "checked"),
    *("fewer than 351 heuristics", "as many", "more", "mean s", "MiB"),
)


@dataclass(frozen=True)
class Row:
    """One instance's result beside what is published."""

    instance: str
    bins: int
    bound: int
    checked: int
    """The bound as far as the independent checker confirmed it."""
    optimum: int
    """Published; -1 where it is not known."""
    best_heuristic: int
    """Fewest bins of 351 published heuristics."""
    seconds: float
    peak_bytes: int
    """Of one worker, when it last reported."""

    @property
    def of(self) -> str:
        """Set that it belongs to."""
        return self.instance.partition("/")[0]

    @property
    def proved(self) -> bool:
        """Whether bound and bins meet."""
        return self.bins == self.bound


def run_sets(
    every: int, seconds: float, seed: int, known: Iterable[str] = (), only: Sequence[str] = SETS
) -> Iterator[Row]:
    """Solve every so many instances of each public set, each with so many seconds, but for those known."""
    done = set(known)
    for name, text, published in instances(every):
        if name in done or name.partition("/")[0] not in only:
            continue
        instance = parse(text)
        solved = solve(instance, time.monotonic() + seconds, seed)
        yield Row(
            name,
            len(solved.packing),
            solved.bound,
            solved.checked,
            int(published["OPT"]),
            int(published["best_overall"]),
            round(solved.seconds, 2),
            solved.peak_bytes,
        )


def read_rows(path: Path) -> list[Row]:
    """Rows of an earlier run; none where there is no such file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as file:
        kinds = {field.name: {"str": str, "int": int, "float": float}[str(field.type)] for field in fields(Row)}
        return [Row(**{name: kinds[name](text) for name, text in row.items()}) for row in csv.DictReader(file)]


def summary(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """A line a set, in the order of HEADINGS."""
    for name, group in groupby(sorted(rows, key=lambda row: row.of), key=lambda row: row.of):
        each = list(group)
        known = [row for row in each if row.optimum >= 0]
        better, worse = (sum(sign * (row.best_heuristic - row.bins) > 0 for row in each) for sign in (1, -1))
        yield (
            name,
            *map(str, (len(each), len(known), sum(row.bins == row.optimum for row in known))),
            *map(str, (sum(row.proved for row in known), sum(row.proved for row in each))),
            str(sum(row.bins == row.checked for row in each)),
            *map(str, (better, len(each) - better - worse, worse)),
            f"{mean(row.seconds for row in each):.1f}",
            str(max(row.peak_bytes for row in each) >> 20),
        )


def main() -> None:
    """Run, tell of each instance on stderr, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=10, help="only every so many instances of each set")
    parser.add_argument("--seconds", type=float, default=20.0, help="wall time for each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--out", type=Path, required=True, help="CSV that rows are added to")
    given = parser.parse_args()
    rows = read_rows(given.out)
    with given.out.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        if not rows:
            writer.writeheader()
        for row in run_sets(given.every, given.seconds, given.seed, [row.instance for row in rows], given.only):
            rows.append(row)
            writer.writerow(asdict(row))
            file.flush()
            print(f"{row.instance}  {row.bins}, at least {row.bound}, {row.seconds} s", file=sys.stderr)
    show_table(HEADINGS, summary(rows), markdown=True)


if __name__ == "__main__":
    main()
