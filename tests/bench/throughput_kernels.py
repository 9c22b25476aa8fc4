"""Proposals per second of the search kernels on one core, in this process alone.

python -m tests.bench.throughput_kernels packing 5000 100 1
python -m tests.bench.throughput_kernels reassignment 5000 100 1

A proposal is one change that is judged: an item on a host (fit, fill), an item instead of another (displace), a shift,
swap or chain of annealing (squeeze, anneal). Repetitions do the same amount of work; what counts is processor time, so
that neighbours on the machine do not.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.compiled import kernel
from consolidate.solve.construct import starts
from consolidate.solve.kernels import (
    State,
    _best_usable,
    _swap_in,
    copy_state,
    empty_state,
    fill_host,
    place,
    remove,
)
from consolidate.solve.loads import Needs
from consolidate.solve.presolve import tighten
from consolidate.solve.problem import Arrays, compile_problem
from consolidate.solve.randomness import seeded
from consolidate.solve.reassign import problem as reassign
from consolidate.solve.reassign.anneal import anneal, new_scratch
from consolidate.solve.reassign.score import score
from consolidate.solve.reassign.search import STYLES, Weather
from consolidate.solve.reassign.state import by_host, new_state, one_list
from consolidate.solve.search import is_on
from consolidate.solve.squeeze import evict, squeeze
from tests.bench.throughput_fleet import Size, make_fleet

SEED = 7
REPETITIONS = 5
_JUDGED = 2_000_000
"""Proposals of a repetition, about: the last item or host is judged to the end."""
_STRETCH = 1024
"""Steps of a squeeze between two looks at the whole; one that ends there is never given up on the way."""
_APART_PERMILLE = 100
_SOFT_PERMILLE = 700
"""Load above this share of a host costs, where hosts are given."""


class Rate(NamedTuple):
    """Proposals per second of one kernel."""

    kernel: str
    proposals: int
    """Of one repetition."""
    per_s: list[int]
    """Of each repetition, ascending."""


def timed(name: str, repetitions: Iterator[Callable[[], int]]) -> Rate:
    """Carry out repetitions, each of which says how much it judged; the first warms up and does not count."""
    judged, rates = 0, []
    for number, work in enumerate(repetitions):
        began = time.thread_time()
        judged = work()
        if number:
            rates.append(round(judged / (time.thread_time() - began)))
    return Rate(name, judged, sorted(rates))


def packing(size: Size) -> list[Rate]:
    """The kernels of the planner on a fleet packed by best fit, where hosts are nearly full as in a search."""
    fleet, demands = make_fleet(size, SEED, _APART_PERMILLE)
    arrays = tighten(compile_problem(Needs(fleet, demands))).arrays
    _, state = next(itertools.islice(starts(arrays, SEED, 0), 1, None))
    usable = is_on(arrays, state)
    on, others = int(usable.sum()), len(arrays.size) - 1
    tabu = np.zeros(len(arrays.size), dtype=np.int64)
    random = np.random.default_rng(SEED)

    def fit() -> int:
        items = random.integers(len(arrays.size), size=-(-_JUDGED // on))
        refit(arrays, state, items, usable)
        return len(items) * on

    def swap() -> int:
        items = random.integers(len(arrays.size), size=-(-_JUDGED // others))
        displace(arrays, state, items, usable, tabu)
        return len(items) * others

    return [
        timed("fill", _fills(arrays)),
        timed("fit", itertools.repeat(fit, REPETITIONS + 1)),
        timed("displace", itertools.repeat(swap, REPETITIONS + 1)),
        timed("squeeze", _squeezes(arrays, state)),
    ]


@kernel
def refit(arrays: Arrays, state: State, items: NDArray[np.int64], usable: NDArray[np.bool_]) -> None:
    """Take items off their hosts, one by one, and put each where it fits best, if only where it was."""
    for item in items:
        remove(arrays, state, item)
        place(arrays, state, item, _best_usable(arrays, state, item, usable))


@kernel
def displace(
    arrays: Arrays, state: State, items: NDArray[np.int64], usable: NDArray[np.bool_], tabu: NDArray[np.int64]
) -> None:
    """Look for the smallest item in whose place each item fits; then all is as it was."""
    for item in items:
        home = state.host_of[item]
        remove(arrays, state, item)
        out = _swap_in(arrays, state, item, usable, tabu, 0)
        if out >= 0:
            there = state.host_of[item]
            remove(arrays, state, item)
            place(arrays, state, out, there)
        place(arrays, state, item, home)


def _fills(arrays: Arrays) -> Iterator[Callable[[], int]]:
    """Fill hosts of an empty fleet; each pick, and the last look in vain, goes over all that is not placed yet."""
    plain = np.ones(len(arrays.size))

    def fill() -> int:
        state, judged, unplaced = empty_state(arrays), 0, len(arrays.size)
        for host in range(len(arrays.capacity)):
            fill_host(arrays, state, host, plain)
            left = int((state.host_of < 0).sum())
            judged += sum(range(left, unplaced + 1))
            unplaced = left
            if judged >= _JUDGED:
                break
        return judged

    return itertools.repeat(fill, REPETITIONS + 1)


def _squeezes(arrays: Arrays, state: State) -> Iterator[Callable[[], int]]:
    """Squeeze onto as many hosts as just do not suffice, so that it is at work until its steps are done."""
    usable, squeezed = too_few(arrays), empty_state(arrays)
    copy_state(state, squeezed)
    walled, random = np.zeros_like(usable), np.array([seeded(SEED)], dtype=np.uint64)
    over = np.zeros(len(usable))
    if not evict(arrays, squeezed, usable, walled):
        raise RuntimeError("services that are kept apart do not leave room to squeeze")

    def stretches() -> int:
        for _ in range(_JUDGED // _STRETCH):
            if squeeze(arrays, squeezed, usable, walled, _STRETCH, random, over, np.ones(1, dtype=np.int64), 0):
                raise RuntimeError("everything fits where it was proved not to")
        return _JUDGED // _STRETCH * _STRETCH

    return itertools.repeat(stretches, REPETITIONS + 1)


def too_few(arrays: Arrays) -> NDArray[np.bool_]:
    """The most hosts, in order, that provably cannot hold everything, shape (H,)."""
    needed = arrays.demand[arrays.variant.max(axis=1)].sum(axis=0).max(axis=1)
    enough: NDArray[np.bool_] = (np.cumsum(arrays.capacity, axis=0) >= needed).all(axis=1)
    return ~enough


def reassignment(size: Size) -> list[Rate]:
    """Annealing where hosts are given: they cost when on and when they are too full, and moves cost."""
    problem = given_hosts(size)
    start = problem.home[:-1].copy()
    style, scratch = STYLES[0], new_scratch(problem)
    climate = Weather(problem, start, score(problem, start).cost, style.heat).at(style.sweeps[0], 0.5)
    state, random = new_state(problem, start), np.array([seeded(SEED)], dtype=np.uint64)
    listed = by_host(one_list(problem), state)

    def steps() -> int:
        anneal(problem, state, climate, _JUDGED, random, listed, scratch)
        return _JUDGED

    return [timed("anneal", itertools.repeat(steps, REPETITIONS + 1))]


def given_hosts(size: Size) -> reassign.Reassignment:
    fleet, demands = make_fleet(size, SEED, _APART_PERMILLE)
    needs = Needs(fleet, demands)
    dimensions, slots = needs.limits.shape[1], needs.slots
    position = {host.name: number for number, host in enumerate(fleet.hosts)}
    groups: dict[str, list[int]] = {}
    for number, rule in enumerate(fleet.rules):
        for name in rule.workloads:
            groups.setdefault(name, []).append(number)
    demand = np.zeros((size.workloads, dimensions * slots), dtype=np.int64)
    for row, one in enumerate(fleet.workloads):
        amounts = demands[one.name].amounts
        demand[row] = np.concatenate([amounts[name] for name in needs.dimensions])
    capacity = np.repeat(needs.limits, slots, axis=1)
    typical = int(demand.mean(axis=0).sum())
    return reassign.reassignment(
        reassign.Hosts(capacity),
        reassign.Items(
            demand,
            home=np.array([position[str(one.host)] for one in fleet.workloads]),
            grouping=reassign.Grouping(
                [groups.get(one.name, []) for one in fleet.workloads], host_limit=[1] * len(fleet.rules)
            ),
        ),
        reassign.Costs(
            opening=np.full(size.hosts, typical),
            soft_weight=np.ones(capacity.shape[1], dtype=np.int64),
            soft_capacity=capacity * _SOFT_PERMILLE // 1000,
            move_cost=np.full(size.workloads, max(typical // 100, 1)),
        ),
    )


ENGINES: dict[str, Callable[[Size], list[Rate]]] = {"packing": packing, "reassignment": reassignment}


def main() -> None:
    """Print one JSON line: the rates, and the most memory this process ever took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=sorted(ENGINES))
    for name in ("workloads", "hosts", "slots"):
        parser.add_argument(name, type=int)
    given = parser.parse_args()
    rates = ENGINES[given.engine](Size(given.workloads, given.hosts, given.slots))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"rates": [rate._asdict() for rate in rates], "peak_memory_bytes": peak}))


if __name__ == "__main__":
    main()
