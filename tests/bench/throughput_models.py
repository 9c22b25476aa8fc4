"""The same fleet for the planner, OR-Tools' CP-SAT and HiGHS, in this process alone.

python -m tests.bench.throughput_models cp-sat 1000 100 24 --seconds 60

The other two are given the assignment model: x[w, h] where a workload runs, y[h] whether a host is on, every workload
on one host, and for every host, dimension and slot the sum of demands at most y times the room; hosts that are alike
are on in order, and today's placement is the start. Left out for all three are rules, overheads of isolation and the
costs that come after the number of hosts. Time includes building the model; threads are two. What comes back is scored
by the planner's oracle.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray
from ortools.sat.python import cp_model

from consolidate.model.demand import Demand
from consolidate.model.fleet import Fleet, Isolation
from consolidate.model.placement import Assignment, Placement
from consolidate.solve import evaluate, solve
from consolidate.solve.columns.master import quiet_highs
from consolidate.solve.loads import Needs
from tests.bench.throughput_fleet import Size, make_fleet

SEED = 7
THREADS = 2


@dataclass(frozen=True, eq=False)
class Model:
    """W workloads, H hosts, C cells (a dimension in a slot)."""

    demand: NDArray[np.int64]
    """(W, C)"""
    room: NDArray[np.int64]
    """(H, C)"""
    home: NDArray[np.int64]
    """(W,): host of each workload today."""

    @property
    def alike(self) -> list[tuple[int, int]]:
        """Hosts of equal room, each with the next of its kind: the first is on if the second is."""
        last: dict[bytes, int] = {}
        pairs = []
        for host, room in enumerate(self.room):
            kind = room.tobytes()
            if kind in last:
                pairs.append((last[kind], host))
            last[kind] = host
        return pairs


@dataclass(frozen=True, eq=False)
class Answer:
    """What a solver came to."""

    bound: int
    host_of: NDArray[np.int64] | None
    """(W,); None where it found nothing."""


def assignment_model(fleet: Fleet, demands: dict[str, Demand]) -> Model:
    """A fleet without rules, all of one system, as arrays."""
    needs = Needs(fleet, demands)
    position = {host.name: number for number, host in enumerate(fleet.hosts)}
    amounts = [needs.of(workload, Isolation.CONTAINER) for workload in fleet.workloads]
    return Model(
        np.stack([amount.ravel() for amount in amounts if amount is not None]),
        np.repeat(needs.limits, needs.slots, axis=1),
        np.array([position[str(workload.host)] for workload in fleet.workloads]),
    )


def by_cp_sat(model: Model, seconds: float) -> Answer:
    """Google's constraint solver, in whole numbers throughout."""
    began = time.monotonic()
    workloads, hosts = len(model.demand), len(model.room)
    program = cp_model.CpModel()
    x = [[program.new_bool_var("") for _ in range(hosts)] for _ in range(workloads)]
    y = [program.new_bool_var("") for _ in range(hosts)]
    for row in x:
        program.add_exactly_one(row)
    for host in range(hosts):
        here = [*(row[host] for row in x), y[host]]
        for cell in range(model.demand.shape[1]):
            weights = [*model.demand[:, cell].tolist(), -int(model.room[host, cell])]
            program.add(cp_model.LinearExpr.weighted_sum(here, weights) <= 0)
    for first, second in model.alike:
        program.add_implication(y[second], y[first])
    for workload, home in enumerate(model.home.tolist()):
        for host in range(hosts):
            program.add_hint(x[workload][host], host == home)
    for host in range(hosts):
        program.add_hint(y[host], True)
    program.minimize(cp_model.LinearExpr.sum(y))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = THREADS
    solver.parameters.random_seed = SEED
    solver.parameters.max_time_in_seconds = max(seconds - (time.monotonic() - began), 0.0)
    found = solver.solve(program) in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    host_of = np.array([[solver.boolean_value(one) for one in row] for row in x]).argmax(axis=1) if found else None
    return Answer(int(np.ceil(solver.best_objective_bound - 1e-6)), host_of)


def by_highs(model: Model, seconds: float) -> Answer:
    """HiGHS' branch and cut, with each row divided by the room it is about."""
    began = time.monotonic()
    workloads, hosts = len(model.demand), len(model.room)
    highspy.Highs.resetGlobalScheduler(True)  # its number of threads is fixed by whoever solved first
    highs = quiet_highs()
    for option, value in (("threads", THREADS), ("parallel", "on"), ("random_seed", SEED), ("mip_rel_gap", 0.0)):
        highs.setOptionValue(option, value)
    highs.setOptionValue("mip_abs_gap", 0.999)
    start, index, value, rows = _columns(model)
    columns = workloads * hosts + hosts
    cost = np.zeros(columns)
    cost[-hosts:] = 1.0
    lower, upper = np.full(rows, -highspy.kHighsInf), np.zeros(rows)
    lower[:workloads] = upper[:workloads] = 1.0
    whole = np.full(columns, int(highspy.HighsVarType.kInteger), dtype=np.int32)
    shape = (columns, rows, len(value), int(highspy.MatrixFormat.kColwise), int(highspy.ObjSense.kMinimize), 0.0)
    bounds = (cost, np.zeros(columns), np.ones(columns), lower, upper)
    highs.passModel(*shape, *bounds, start, index, value, whole)
    at = np.concatenate([np.arange(workloads) * hosts + model.home, np.arange(columns - hosts, columns)])
    today = np.zeros(columns)
    today[at] = 1.0
    highs.setSolution(columns, np.arange(columns, dtype=np.int32), today)
    highs.setOptionValue("time_limit", max(seconds - (time.monotonic() - began), 0.0))
    highs.run()
    highspy.Highs.resetGlobalScheduler(True)
    info = highs.getInfo()
    found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    values = np.array(highs.getSolution().col_value)[: workloads * hosts].reshape(workloads, hosts) if found else None
    bound = info.mip_dual_bound if np.isfinite(info.mip_dual_bound) else 0.0
    return Answer(max(int(np.ceil(bound - 1e-6)), 0), None if values is None else values.argmax(axis=1))


def _columns(model: Model) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64], int]:
    """(start, row, value) of the matrix by columns, x before y, and the number of its rows."""
    workloads, hosts, cells = len(model.demand), len(model.room), model.demand.shape[1]
    row = np.empty((workloads, hosts, 1 + cells), dtype=np.int32)
    row[:, :, 0] = np.arange(workloads)[:, None]
    row[:, :, 1:] = workloads + np.arange(hosts * cells).reshape(hosts, cells)
    share = np.empty(row.shape)
    share[:, :, 0] = 1.0
    share[:, :, 1:] = model.demand[:, None, :] / np.maximum(model.room, 1)
    order: list[list[tuple[int, float]]] = [[] for _ in range(hosts)]
    first_order = workloads + hosts * cells
    for number, (first, second) in enumerate(model.alike):
        order[second].append((first_order + number, 1.0))
        order[first].append((first_order + number, -1.0))
    rows_of_y = [[*range(workloads + host * cells, workloads + (host + 1) * cells)] for host in range(hosts)]
    index = [rows + [at for at, _ in order[host]] for host, rows in enumerate(rows_of_y)]
    values = [[-1.0] * cells + [value for _, value in order[host]] for host in range(hosts)]
    lengths = np.concatenate([np.full(workloads * hosts, 1 + cells), [len(one) for one in index]])
    return (
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
        np.concatenate([row.ravel(), np.concatenate(index)]).astype(np.int32),
        np.concatenate([share.ravel(), np.concatenate(values)]),
        first_order + len(model.alike),
    )


SOLVERS: dict[str, Callable[[Model, float], Answer]] = {"cp-sat": by_cp_sat, "highs": by_highs}
PLANNER = "planner"


def compared(solver: str, size: Size, seconds: float) -> dict[str, object]:
    """Solve a made-up fleet and score the answer; the planner stops by itself."""
    fleet, demands = make_fleet(size, SEED)
    began, began_cpu = time.monotonic(), time.process_time()
    if solver == PLANNER:
        result = solve(fleet, demands, seed=SEED)
        bound, placement = result.bound.cost, result.placement
    else:
        answer = SOLVERS[solver](assignment_model(fleet, demands), seconds)
        bound, placement = answer.bound, None if answer.host_of is None else as_placement(fleet, answer.host_of)
    took, took_cpu = time.monotonic() - began, time.process_time() - began_cpu
    score = None if placement is None else evaluate(fleet, demands, placement)
    return {
        "hosts": None if score is None else score.cost,
        "broken": None if score is None else len(score.violations),
        "bound": bound,
        "seconds": round(took, 1),
        "cpu_seconds": round(took_cpu, 1),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def as_placement(fleet: Fleet, host_of: NDArray[np.int64]) -> Placement:
    """Every workload on the host named for it."""
    return Placement(
        {
            workload.name: Assignment(fleet.hosts[host].name, Isolation.CONTAINER)
            for workload, host in zip(fleet.workloads, host_of.tolist(), strict=True)
        }
    )


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("solver", choices=[PLANNER, *SOLVERS])
    for name in ("workloads", "hosts", "slots"):
        parser.add_argument(name, type=int)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--memory-bytes", type=int, help="address space that this process may take")
    given = parser.parse_args()
    if given.memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (given.memory_bytes, given.memory_bytes))
    print(json.dumps(compared(given.solver, Size(given.workloads, given.hosts, given.slots), given.seconds)))


if __name__ == "__main__":
    main()
