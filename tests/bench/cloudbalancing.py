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

from consolidate.model.demand import Demand
from consolidate.model.fleet import Fleet, Host, Isolation, Overhead, Workload
from consolidate.model.policy import Objective
from consolidate.model.resources import Resources
from consolidate.solve import solve as solve_fleet
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
    _write(cloud, answer.host_of, out)
    return Outcome(answer.cost, lower_bound(cloud.problem))


def plan(path: Path, seed: int, out: Path | None) -> Outcome:
    """The same by the planner: computers are hosts that cost so much a month, processes are containers yet to start."""
    cloud = read_cloud(path)
    hosts = [
        Host(f"{number}", Resources(_amounts(room)), "debian", headroom_permille=0, cost_per_month=float(cost))
        for number, (room, cost) in enumerate(zip(cloud.problem.capacity, cloud.problem.opening.tolist(), strict=True))
    ]
    names = [f"{number}" for number in range(len(cloud.processes))]
    demands = {
        name: Demand(name, {one: np.array([value]) for one, value in _amounts(need).items()}, mean_cpu_milli=0.0)
        for name, need in zip(names, cloud.problem.demand, strict=False)
    }
    workloads = [Workload(name, "debian", None, Isolation.CONTAINER) for name in names]
    free = {kind: Overhead(0, 0, 0, 0) for kind in Isolation}
    fleet = Fleet(tuple(hosts), tuple(workloads), overheads=free)
    result = solve_fleet(fleet, demands, Objective.COST, seed)
    host_of = np.array([int(result.placement.assignments[name].host) for name in names])
    checked = score(cloud.problem, host_of)
    if checked.violations or checked.cost * 100 != result.score.cost:
        raise AssertionError(f"the planner claims {result.score.cost}, the scorer says {checked}")
    _write(cloud, host_of, out)
    return Outcome(checked.cost, result.bound.cost / 100)


def _amounts(row: NDArray[np.int64]) -> dict[str, int]:
    return dict(zip(("cpu_milli", "memory_bytes", "network_bytes_per_s"), row.tolist(), strict=True))


def _write(cloud: Cloud, host_of: NDArray[np.int64], out: Path | None) -> None:
    if out is not None:
        pairs = zip(cloud.processes, host_of, strict=True)
        out.write_text("".join(f"{process},{cloud.computers[host]}\n" for process, host in pairs))


def main(arguments: Sequence[str]) -> None:
    """``JSON --seconds S --seed K --out FILE``, or ``--planner`` in place of the seconds: it ends by itself."""
    parser = bench_parser("JSON")
    parser.add_argument("--planner", action="store_true", help="as a fleet, by the planner, which takes what it takes")
    given = parser.parse_args(arguments)
    if given.planner:
        run(lambda: plan(given.JSON, given.seed, given.out))
    else:
        run(lambda: solve(given.JSON, given.seconds, given.seed, given.out))


if __name__ == "__main__":
    main(sys.argv[1:])
