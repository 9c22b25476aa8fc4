"""Several workers on one problem, each a process of its own with its own seed; the best answer wins."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.reassign.chosen import search_chosen
from consolidate.solve.reassign.problem import Reassignment, restrict
from consolidate.solve.reassign.score import score
from consolidate.solve.reassign.search import Style, compile_search, cool, styles

Progress = Callable[[float, int], None]
"""Called with the share of the budget spent and the best cost so far."""


class Answer(NamedTuple):
    """A placement and its cost."""

    cost: int
    host_of: NDArray[np.int64]


def improve(
    problem: Reassignment,
    start: NDArray[np.int64],
    until: float,
    seed: int,
    workers: int = 2,
    progress: Progress = lambda spent, cost: None,
) -> Answer:
    """The best placement that any worker finds before the monotonic clock shows ``until``.

    A worker that fails is an error; the start is returned where none finds better.
    """
    context, chosen = multiprocessing.get_context("spawn"), styles(problem)
    compile_search(problem, start)
    begin = time.monotonic()
    running: dict[Connection, BaseProcess] = {}
    for worker in range(workers):
        here, there = context.Pipe(duplex=False)
        process: BaseProcess = context.Process(
            target=_work,
            args=(there, problem, start, (begin, until), seed * workers + worker, chosen[worker % len(chosen)]),
            daemon=True,
        )
        process.start()
        there.close()
        running[here] = process
    best: Answer | None = None
    try:
        while running:
            for pipe in wait(list(running)):
                assert isinstance(pipe, Connection)
                try:
                    spent, cost, host_of = pipe.recv()
                except EOFError:
                    process = running.pop(pipe)
                    process.join()
                    if process.exitcode:
                        raise RuntimeError(f"a search worker ended with exit code {process.exitcode}") from None
                    continue
                if best is None or cost < best.cost:
                    best = Answer(cost, host_of)
                    progress(spent, cost)
    finally:
        for process in running.values():
            process.terminate()
    assert best is not None  # every worker reports its start
    return best


def _work(
    pipe: Connection,
    problem: Reassignment,
    start: NDArray[np.int64],
    span: tuple[float, float],
    seed: int,
    style: Style,
) -> None:
    begin, until = span
    last = -1.0

    def clock() -> float:
        return min((time.monotonic() - begin) / max(until - begin, 1e-9), 1.0)

    def report(spent: float, cost: int, host_of: NDArray[np.int64]) -> None:
        nonlocal last
        if spent > last + 0.02:  # often enough to watch, seldom enough not to be felt
            last = spent
            pipe.send((spent, cost, host_of))

    cost, host_of = search_chosen(problem, start, clock, seed, report, style)
    pipe.send((1.0, cost, host_of))
    pipe.close()


def cool_in_parts(
    problem: Reassignment,
    start: NDArray[np.int64],
    until: float,
    seed: int,
    workers: int = 2,
    progress: Progress = lambda spent, cost: None,
) -> Answer:
    """Anneal a large problem whose hosts are tied by nothing: each worker has some of them, dealt anew in each round.

    All of it is one cooling, so that workers divide the time and do not merely repeat it. The placement must keep the
    limits of groups, and comes back within all capacities or as the start.

    Raises:
        ValueError: where more than capacity and limits on a host ties the parts together (`restrict`).

    """
    compile_search(problem, start)
    begin = time.monotonic()
    before = score(problem, start).cost
    cost, host_of, random = before, start.copy(), np.random.default_rng(seed)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_hold, initargs=(problem,)) as pool:
        for number in range(_ROUNDS):
            dealt = np.array_split(random.permutation(problem.hosts), workers)
            waiting = []
            for hosts in dealt:
                mine = np.flatnonzero(np.isin(host_of, hosts))
                at = np.searchsorted(np.sort(hosts), host_of[mine])
                task = (mine, np.sort(hosts), at, (begin, until), int(random.integers(2**31)), (number + 1) / _ROUNDS)
                waiting.append((mine, np.sort(hosts), pool.submit(_cool_part, *task)))
            for mine, hosts, answer in waiting:
                change, found = answer.result()
                cost, host_of[mine] = cost + change, hosts[found]
            progress((number + 1) / _ROUNDS, cost)
    return Answer(before, start) if score(problem, host_of).violations else Answer(cost, host_of)


_ROUNDS = 12
"""Times that hosts are dealt to the workers."""
_held: list[Reassignment] = []
"""The problem, in a worker of `cool_in_parts`, so that it is sent once."""


def _hold(problem: Reassignment) -> None:
    _held[:] = [problem]


def _cool_part(
    items: NDArray[np.int64],
    hosts: NDArray[np.int64],
    start: NDArray[np.int64],
    span: tuple[float, float],
    seed: int,
    until: float,
) -> tuple[int, NDArray[np.int64]]:
    part = restrict(_held[0], items, hosts)
    begin, end = span

    def clock() -> float:
        return min((time.monotonic() - begin) / max(end - begin, 1e-9), 1.0)

    return cool(part, start, clock, seed, until)
