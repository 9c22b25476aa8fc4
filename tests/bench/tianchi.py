"""Alibaba's global scheduling contest (2018): the reader of one data set."""

from __future__ import annotations

import csv
import io
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.reassign.bounds import classes, fluid_bound
from consolidate.solve.reassign.construct import construct
from consolidate.solve.reassign.order import Order, order_moves
from consolidate.solve.reassign.portfolio import cool_in_parts
from consolidate.solve.reassign.problem import UNBOUNDED, Costs, Grouping, Hosts, Items, Reassignment, reassignment
from tests.bench.command import Outcome, bench_parser, run, show_progress

TICKS = 98
SCALE = 10_000
"""CPU and memory are written with at most four decimals."""
CLOSED = 0.5
"""Load of CPU up to which nothing is penalised."""
KNOTS = 512
COST = 10**9
"""Integer units of one contest point."""
MORE_HOSTS = 1.005
"""Machines opened of each size, as a multiple of what the fluid bound opens."""
_ORDERING_S = 25.0
"""Seconds kept for the order of moves, its check and the writing."""


@dataclass(frozen=True, eq=False)
class Contest:
    """The contest's files as arrays; instances, apps and machines are numbered in file order."""

    instances: tuple[str, ...]
    machines: tuple[str, ...]
    app_of: NDArray[np.int64]
    start: NDArray[np.int64]
    """Machine of each instance at the start, or -1."""
    demand: NDArray[np.int64]
    """(apps, 200): CPU and memory at 98 points in ten-thousandths, disk, and three kinds of slots."""
    capacity: NDArray[np.int64]
    """(machines, 200)"""
    rules: tuple[tuple[int, int, int], ...]
    """(a, b, k): beside app a at most k of app b."""


def read_contest(archive: Path) -> Contest:
    """Read the four tables of a data set from its archive."""
    with zipfile.ZipFile(archive) as files:
        tables = {name: _rows(files, name) for name in files.namelist()}

    def table(kind: str) -> list[list[str]]:
        return next(rows for name, rows in tables.items() if kind in name)

    apps = table("app_resources")
    app_number = {row[0]: index for index, row in enumerate(apps)}
    machines = table("machine_resources")
    machine_number = {row[0]: index for index, row in enumerate(machines)}
    deploy = table("instance_deploy")
    return Contest(
        instances=tuple(row[0] for row in deploy),
        machines=tuple(machine_number),
        app_of=np.array([app_number[row[1]] for row in deploy]),
        start=np.array([machine_number[row[2]] if row[2] else -1 for row in deploy]),
        demand=np.concatenate(
            [_curves(row[1] for row in apps), _curves(row[2] for row in apps), _whole(row[3:7] for row in apps)], axis=1
        ),
        capacity=_machine_capacity(machines),
        rules=tuple((app_number[a], app_number[b], int(k)) for a, b, k in table("app_interference")),
    )


def _rows(files: zipfile.ZipFile, name: str) -> list[list[str]]:
    with files.open(name) as file:
        return list(csv.reader(io.TextIOWrapper(file)))


def _curves(texts: object) -> NDArray[np.int64]:
    numbers = np.array("|".join(texts).split("|"), dtype=np.float64)  # type: ignore[call-overload]
    return np.rint(numbers * SCALE).astype(np.int64).reshape(-1, TICKS)


def _whole(rows: object) -> NDArray[np.int64]:
    return np.array([[round(float(value)) for value in row] for row in rows], dtype=np.int64)  # type: ignore[attr-defined]


def _machine_capacity(machines: list[list[str]]) -> NDArray[np.int64]:
    plain = _whole(row[1:] for row in machines)
    cpu, memory = (np.repeat(plain[:, [column]] * SCALE, TICKS, axis=1) for column in (0, 1))
    return np.concatenate([cpu, memory, plain[:, 2:]], axis=1)


def problem_of(contest: Contest, opened: NDArray[np.int64]) -> Reassignment:
    """The contest on the machines that are opened, with no regard to where things run at the start."""
    capacity = contest.capacity[opened]
    sizes, kind = np.unique(capacity[:, 0], return_inverse=True)
    shift = [int(np.ceil(np.log2(size / KNOTS))) for size in sizes]
    curve = np.array([_penalty(int(size), step) for size, step in zip(sizes, shift, strict=True)])
    apps = len(contest.demand)
    grouping = Grouping(
        of_item=[(int(app),) for app in contest.app_of],
        host_limit=_own_limits(contest.rules, apps),
        beside=[(a, b, k) for a, b, k in contest.rules if a != b],
    )
    return reassignment(
        Hosts(capacity, kind=kind),
        Items(
            contest.demand,
            np.full(len(contest.app_of), -1),
            variant=np.repeat(contest.app_of[:, None], len(sizes), axis=1),
            grouping=grouping,
        ),
        Costs(
            opening=np.full(len(opened), COST),
            curve_cells=TICKS,
            curve=curve,
            curve_shift=shift,
        ),
    )


def _own_limits(rules: tuple[tuple[int, int, int], ...], apps: int) -> list[int]:
    """Members of an app on one machine: a rule of an app with itself counts the others."""
    limits = [UNBOUNDED] * apps
    for a, b, k in rules:
        if a == b:
            limits[a] = k + 1
    return limits


def _penalty(size: int, shift: int) -> list[int]:
    """10 · (exp(max(0, load - 1/2)) - 1) / 98 of one point at each knot."""
    load = np.arange(KNOTS + 2) * 2**shift / size
    return np.rint(10 * np.expm1(np.maximum(load - CLOSED, 0)) / TICKS * COST).astype(np.int64).tolist()


def points(contest: Contest, machine_of: NDArray[np.int64]) -> float:
    """The contest's score of a placement, from its definition."""
    load = np.zeros((len(contest.machines), TICKS), dtype=np.int64)
    np.add.at(load, machine_of, contest.demand[contest.app_of, :TICKS])
    used = np.bincount(machine_of, minlength=len(load)) > 0
    share = load[used] / contest.capacity[used, :TICKS]
    return float((1 + 10 * np.expm1(np.maximum(share - CLOSED, 0))).mean(axis=1).sum())


def opened_machines(contest: Contest) -> tuple[float, NDArray[np.int64]]:
    """The fluid bound in points, and the machines that it opens, with a few more to spare."""
    problem = problem_of(contest, np.arange(len(contest.machines)))
    bound, opened = fluid_bound(problem)
    class_of = classes(problem)
    chosen = [np.flatnonzero(class_of == one)[: int(np.ceil(count * MORE_HOSTS))] for one, count in enumerate(opened)]
    return bound / COST, np.sort(np.concatenate(chosen))


def order(contest: Contest, machine_of: NDArray[np.int64]) -> Order:
    """Moves in order; machines that end up empty are tried first for parking."""
    problem = problem_of(contest, np.arange(len(contest.machines)))
    used = np.bincount(machine_of, minlength=len(contest.machines)) > 0
    return order_moves(problem, contest.start, machine_of, np.argsort(used, kind="stable"))


def replay(contest: Contest, moves: Order) -> NDArray[np.int64]:
    """Machine of each instance after all moves, checked one by one as the contest does.

    Raises:
        ValueError: at the first move that breaks a capacity or an interference rule.

    """
    at = contest.start.copy()
    load = np.zeros_like(contest.capacity)
    placed = np.flatnonzero(at >= 0)
    np.add.at(load, at[placed], contest.demand[contest.app_of[placed]])
    apps: list[dict[int, int]] = [{} for _ in contest.machines]
    for instance in placed:
        here = apps[at[instance]]
        here[int(contest.app_of[instance])] = here.get(int(contest.app_of[instance]), 0) + 1
    limit = {(a, b): k + (a == b) for a, b, k in contest.rules}
    for instance, machine in zip(moves.item.tolist(), moves.host.tolist(), strict=True):
        app, source = int(contest.app_of[instance]), int(at[instance])
        if source >= 0:
            load[source] -= contest.demand[app]
            apps[source][app] -= 1
            if not apps[source][app]:
                del apps[source][app]
        load[machine] += contest.demand[app]
        apps[machine][app] = apps[machine].get(app, 0) + 1
        at[instance] = machine
        if (load[machine] > contest.capacity[machine]).any():
            raise ValueError(f"{contest.instances[instance]} overfills {contest.machines[machine]}")
        here = apps[machine]
        for other, count in here.items():
            if count > limit.get((app, other), count) or here[app] > limit.get((other, app), here[app]):
                raise ValueError(f"{contest.instances[instance]} interferes on {contest.machines[machine]}")
    return at


def solve(archive: Path, seconds: float, seed: int, out: Path | None) -> Outcome:
    """Solve a data set, order the moves, replay them, and write the final state and the moves."""
    until = time.monotonic() + seconds
    contest = read_contest(archive)
    bound, opened = opened_machines(contest)
    problem = problem_of(contest, opened)
    start = construct(problem, seed)
    answer = cool_in_parts(
        problem, start, until - _ORDERING_S, seed, progress=lambda spent, cost: show_progress(spent, cost / COST)
    )
    machine_of = opened[answer.host_of]
    moves = order(contest, machine_of)
    if len(moves.stuck):
        raise AssertionError(f"{len(moves.stuck)} instances are stuck on the way")
    if (replay(contest, moves) != machine_of).any():
        raise AssertionError("the moves lead elsewhere")
    if out is not None:
        _write(contest, out, range(len(contest.instances)), machine_of)
        _write(contest, out.with_suffix(".moves"), moves.item, moves.host)
    return Outcome(points(contest, machine_of), bound)


def _write(
    contest: Contest, path: Path, instances: Sequence[int] | NDArray[np.int64], hosts: NDArray[np.int64]
) -> None:
    rows = zip(instances, hosts, strict=True)
    path.write_text("".join(f"{contest.instances[one]},{contest.machines[host]}\n" for one, host in rows))


def main(arguments: Sequence[str]) -> None:
    """``ZIP --seconds S --seed K --out FILE``; the moves go to FILE with the suffix ``.moves``."""
    given = bench_parser("ZIP").parse_args(arguments)
    run(lambda: solve(given.ZIP, given.seconds, given.seed, given.out))


if __name__ == "__main__":
    main(sys.argv[1:])
