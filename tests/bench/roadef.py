"""Google machine reassignment (ROADEF/EURO challenge 2012): the reader, and the command that solves one instance."""

from __future__ import annotations

import lzma
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.reassign.bounds import lower_bound
from consolidate.solve.reassign.portfolio import improve
from consolidate.solve.reassign.problem import Costs, Grouping, Hosts, Items, Reassignment, reassignment
from consolidate.solve.reassign.score import score
from tests.bench.command import Outcome, bench_parser, run, show_progress

_WRITING_S = 1.0
"""Seconds kept for checking and writing the answer."""


def read_instance(model: Path, assignment: Path) -> Reassignment:
    """The challenge's two files as a reassignment problem."""
    numbers = _numbers(model)

    def take(count: int) -> NDArray[np.int64]:
        return np.fromiter(numbers, dtype=np.int64, count=count)

    resources = int(next(numbers))
    transient, soft_weight = take(2 * resources).reshape(resources, 2).T
    hosts = int(next(numbers))
    host_rows = take(hosts * (2 + 2 * resources + hosts)).reshape(hosts, -1)
    services = int(next(numbers))
    least_locations, needs = [], []
    for _ in range(services):
        spread, depends = take(2)
        least_locations.append(int(spread))
        needs.append(take(int(depends)).tolist())
    items = int(next(numbers))
    item_rows = take(items * (2 + resources)).reshape(items, -1)
    balance = []
    for _ in range(int(next(numbers))):
        a, b, target, weight = take(4)
        balance.append((int(a), int(b), int(target), int(weight)))
    move_weight, group_weight, route_weight = take(3)
    capacity = host_rows[:, 2 : 2 + resources]
    soft_capacity = host_rows[:, 2 + resources : 2 + 2 * resources]
    home = np.fromiter(_numbers(assignment), dtype=np.int64)
    grouping = Grouping([(int(s),) for s in item_rows[:, 0]], [1] * services, (), least_locations, needs)
    costs = Costs(
        soft_weight=soft_weight,
        soft_capacity=soft_capacity,
        balance=balance,
        move_cost=move_weight * item_rows[:, -1],
        route=route_weight * host_rows[:, 2 + 2 * resources :],
        group_move_weight=int(group_weight),
    )
    return reassignment(
        Hosts(capacity, location=host_rows[:, 1], neighbourhood=host_rows[:, 0]),
        Items(item_rows[:, 1:-1], home, transient=np.flatnonzero(transient).tolist(), grouping=grouping),
        costs,
    )


def _numbers(path: Path) -> Iterator[int]:
    with lzma.open(path, "rt") if path.suffix == ".xz" else path.open() as file:
        for line in file:
            yield from map(int, line.split())


def solve(model: Path, assignment: Path, seconds: float, seed: int, out: Path | None) -> Outcome:
    """Solve one instance and write the challenge's solution line."""
    until = time.monotonic() + seconds
    problem = read_instance(model, assignment)
    home = problem.home[:-1]
    answer = improve(problem, home, until - _WRITING_S, seed, progress=show_progress)
    checked = score(problem, answer.host_of)
    if checked.violations or checked.cost != answer.cost:
        raise AssertionError(f"the search claims {answer.cost}, the scorer says {checked}")
    if out is not None:
        out.write_text(" ".join(map(str, answer.host_of)) + "\n")
    return Outcome(answer.cost, lower_bound(problem))


def main(arguments: Sequence[str]) -> None:
    """``MODEL ASSIGNMENT --seconds S --seed K --out FILE``."""
    parser = bench_parser("MODEL", "ASSIGNMENT")
    given = parser.parse_args(arguments)
    run(lambda: solve(given.MODEL, given.ASSIGNMENT, given.seconds, given.seed, given.out))


if __name__ == "__main__":
    main(sys.argv[1:])
