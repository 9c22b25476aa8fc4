"""OptaPlanner's cloud balancing: processes on computers, each of which costs something once it is used."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.reassign.bounds import lower_bound
from consolidate.solve.reassign.construct import construct
from consolidate.solve.reassign.portfolio import improve
from consolidate.solve.reassign.problem import Costs, Hosts, Items, Reassignment, reassignment
from consolidate.solve.reassign.score import score
from tests.bench.command import Outcome, bench_parser, run, show_progress

_WRITING_S = 1.0
_COMPUTER = ("cpuPower", "memory", "networkBandwidth")
_PROCESS = ("requiredCpuPower", "requiredMemory", "requiredNetworkBandwidth")


@dataclass(frozen=True, eq=False)
class Cloud:
    """One file: the problem, and the names behind its rows."""

    problem: Reassignment
    computers: tuple[int, ...]
    processes: tuple[int, ...]


def read_cloud(path: Path) -> Cloud:
    """Read one instance; nothing runs anywhere at the start."""
    content = json.loads(path.read_text())
    computers, processes = content["computerList"], content["processList"]
    problem = reassignment(
        Hosts(_table(computers, _COMPUTER)),
        Items(_table(processes, _PROCESS), np.full(len(processes), -1)),
        Costs(opening=_table(computers, ("cost",))[:, 0]),
    )
    return Cloud(problem, tuple(one["id"] for one in computers), tuple(one["id"] for one in processes))


def _table(rows: Sequence[dict[str, int]], keys: Sequence[str]) -> NDArray[np.int64]:
    return np.array([[row[key] for key in keys] for row in rows], dtype=np.int64)


def solve(path: Path, seconds: float, seed: int, out: Path | None) -> Outcome:
    """Solve one instance and write ``process,computer`` lines."""
    until = time.monotonic() + seconds
    cloud = read_cloud(path)
    start = construct(cloud.problem, seed)
    answer = improve(cloud.problem, start, until - _WRITING_S, seed, progress=show_progress)
    checked = score(cloud.problem, answer.host_of)
    if checked.violations or checked.cost != answer.cost:
        raise AssertionError(f"the search claims {answer.cost}, the scorer says {checked}")
    if out is not None:
        pairs = zip(cloud.processes, answer.host_of, strict=True)
        out.write_text("".join(f"{process},{cloud.computers[host]}\n" for process, host in pairs))
    return Outcome(answer.cost, lower_bound(cloud.problem))


def main(arguments: Sequence[str]) -> None:
    """``JSON --seconds S --seed K --out FILE``."""
    given = bench_parser("JSON").parse_args(arguments)
    run(lambda: solve(given.JSON, given.seconds, given.seed, given.out))


if __name__ == "__main__":
    main(sys.argv[1:])
