"""Derives the table of CPU ratings from SPEC's list of published SPECpower_ssj2008 results."""

from __future__ import annotations

import csv
import fnmatch
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from consolidate.config.ratings import REFERENCE, plain_model


@dataclass(frozen=True)
class Result:
    """One published result."""

    cpu: str
    year: str
    ops_per_thread: float


def read_results(path: Path) -> list[Result]:
    """Every compliant result; those marked NC have no figures."""
    found = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            ops, threads = (
                row[column].replace(",", "").replace(" ", "") for column in ("ssj_ops @ 100%", "Total Threads")
            )
            if ops.isdigit() and int(ops):
                year = row["Date Submitted"].rpartition(", ")[2]
                found.append(Result(plain_model(row["CPU Description"]), year, int(ops) / int(threads)))
    return found


def derive(results: Iterable[Result], patterns: Iterable[str]) -> list[dict[str, str]]:
    """Rows of the table."""
    results = list(results)
    reference = statistics.median(one.ops_per_thread for one in results if one.cpu == plain_model(REFERENCE))
    rows = []
    for pattern in patterns:
        own = [one for one in results if fnmatch.fnmatchcase(one.cpu, pattern)]
        years = sorted(one.year for one in own if one.year.startswith("20"))
        when = years[0] if years[0] == years[-1] else f"{years[0]}–{years[-1]}"
        count = "1 result" if len(own) == 1 else f"{len(own)} results"
        rating = statistics.median(one.ops_per_thread for one in own) / reference
        rows.append({"pattern": pattern, "rating": f"{rating:.2f}", "source": f"SPECpower_ssj2008, {count}, {when}"})
    return rows
