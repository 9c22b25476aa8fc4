"""Local search: empty one host after another, as long as the rest can hold everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from consolidate.solve.fluid import Fluid
from consolidate.solve.kernels import State, copy_state, empty_state, go_home, relocate, repack
from consolidate.solve.problem import Arrays
from consolidate.solve.squeeze import squeeze

QUICK = 6
"""Steps without progress after which a try of the first pass over the hosts gives up."""

TRIES = 2
"""Ways of closing hosts that are tried side by side: a number that does not depend on the machine."""
_STEPS_PER_ITEM, _MOST_STEPS = 50, 40_000
"""Steps of squeezing for each step of patience: by item, and at most."""
_HASTE = 8
_SLACKS = (0.0, 0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1)
"""Shares by which hosts are chosen too roomy: a liquid fills them to the last, workloads do not."""

Progress = Callable[[str, int], None]
"""Called with what is being done and the cost of the best placement so far."""


class Floor(NamedTuple):
    """What is proved of some hosts: those that stay on cost at least so much."""

    hosts: NDArray[np.int64]
    cost: int


Floors = Sequence[Floor]
"""That of all hosts, and then those of some."""


def is_on(arrays: Arrays, state: State) -> NDArray[np.bool_]:
    """Hosts that stay on, shape (H,)."""
    return (state.occupancy > 0) | arrays.forced


def cost_of(arrays: Arrays, state: State) -> int:
    """Opening cost of the hosts that stay on."""
    return int(arrays.cost[is_on(arrays, state)].sum())


def moved(arrays: Arrays, host_of: NDArray[np.int64]) -> tuple[int, int]:
    """Workloads and bytes that leave their host in an assignment of items to hosts."""
    away = (arrays.home >= 0) & (host_of != arrays.home)
    workloads, size = arrays.bulk[away].sum(axis=0).tolist()
    return workloads, size


def complete(arrays: Arrays, state: State, seed: int, patience: int) -> bool:
    """Place what a construction left over, displacing smaller items where need be; False where that fails."""
    usable = np.ones(len(state.occupancy), dtype=np.bool_)
    return bool(repack(arrays, state, usable, patience, random_state(seed), np.zeros(len(arrays.size), dtype=np.int64)))


def empty_hosts(
    arrays: Arrays, state: State, seed: int, passes: Sequence[int], floors: Floors, progress: Progress
) -> None:
    """Improve a complete state in place until no host can be emptied, or the floor is met.

    Hosts are tried from the one with the least on it. Each try closes it, or closes two and opens one that costs
    less, and repacks; a try that fails is undone. Each pass over all hosts has its number of steps without progress
    after which a try gives up.
    """
    trial = empty_state(arrays)
    random = random_state(seed)
    tabu = np.zeros(len(arrays.size), dtype=np.int64)
    for steps in passes:
        tried: set[tuple[int, ...]] = set()
        while cost_of(arrays, state) > floors[0].cost:
            every = _exchanges(arrays, state, floors)
            exchange = next((one for one in every if (*one[0], -1, *one[1]) not in tried), None)
            if exchange is None:
                break
            closing, opening = exchange
            usable = is_on(arrays, state)
            usable[closing], usable[opening] = False, True
            copy_state(state, trial)
            packed = repack(arrays, trial, usable, steps, random, tabu)
            if packed and cost_of(arrays, trial) < cost_of(arrays, state):
                copy_state(trial, state)
                progress("emptying hosts", cost_of(arrays, state))
            else:
                tried.add((*closing, -1, *opening))


class Try(NamedTuple):
    """One of several searches that run side by side."""

    arrays: Arrays
    state: State
    """Changed in place."""
    usable: NDArray[np.bool_]


def first_to_fit(tries: Sequence[Try], walled: NDArray[np.bool_], steps: int, seed: int) -> Try | None:
    """Squeeze several states at once; the first in order that fits counts, however long each takes.

    What the threads tell each other only makes later ones give up: an earlier success that a later one overwrites there
    costs time, and no more.
    """
    succeeded = np.full(1, len(tries))
    with ThreadPoolExecutor(max(1, len(tries))) as pool:
        running = []
        for number, (arrays, state, usable) in enumerate(tries):
            random, over = random_state(seed + steps + number), np.zeros(len(usable))
            running.append(pool.submit(squeeze, arrays, state, usable, walled, steps, random, over, succeeded, number))
    return next((one for one, each in zip(tries, running, strict=True) if each.result()), None)


def steps_of(arrays: Arrays, patience: int) -> int:
    """Steps of a patient squeeze."""
    return patience * min(_STEPS_PER_ITEM * len(arrays.size), _MOST_STEPS)


def choose_hosts(arrays: Arrays, state: State, fluid: Fluid, seed: int, patience: int, progress: Progress) -> bool:
    """Squeeze everything onto the cheapest hosts that might do, or onto roomier ones; whether that works for less.

    Closing hosts or replacing one finds no way from three dear ones to five cheap ones, where hosts cost differently.
    """
    sets = list(_roomier(arrays, state, fluid)) if np.ptp(arrays.cost) else []
    states = [empty_state(arrays) for _ in range(TRIES)]
    for first in range(0, len(sets), TRIES):
        tries = []
        for trial, usable in zip(states, sets[first : first + TRIES], strict=False):
            copy_state(state, trial)
            tries.append(Try(arrays, trial, usable))
        fit = first_to_fit(tries, np.zeros_like(arrays.forced), steps_of(arrays, patience), seed)
        if fit is not None:
            copy_state(fit.state, state)
            progress("choosing hosts", cost_of(arrays, state))
            return True
    return False


def _roomier(arrays: Arrays, state: State, fluid: Fluid) -> Iterator[NDArray[np.bool_]]:
    """Sets of hosts, each the cheapest that holds more of a liquid, for as long as they cost less than those on."""
    latest = np.zeros_like(arrays.forced)
    for slack in _SLACKS:
        chosen = fluid.cheapest_hosts(1 + slack)
        if chosen is None or arrays.cost[chosen].sum() >= cost_of(arrays, state):
            return
        if (chosen != latest).any():
            yield chosen
        latest = chosen


def squeeze_hosts(arrays: Arrays, state: State, seed: int, patience: int, floors: Floors, progress: Progress) -> None:
    """Close further hosts of a complete state by way of overfull ones, until that fails or the floor is met.

    Of the tries side by side the earlier ones close more hosts at once; where all fail, smaller shares of the gap are
    tried, down to one host. A hasty round, which may stir everything, comes before a patient one, which does not
    overfill what column generation has packed as tightly as can be: once disturbed that is hardly found again.
    """
    states = [empty_state(arrays) for _ in range(TRIES)]
    patient = steps_of(arrays, patience)
    tight = np.zeros_like(arrays.forced)
    for floor in floors[1:]:
        tight[floor.hosts] = True
    for steps, walled in ((patient // _HASTE, np.zeros_like(tight)), (patient, tight)):
        halvings = 1
        while cost_of(arrays, state) > floors[0].cost:
            tries = []
            exchanges = _squeezes(arrays, state, floors, halvings)
            for trial, (closing, opening) in zip(states, exchanges, strict=False):
                usable = is_on(arrays, state)
                usable[closing], usable[opening] = False, True
                copy_state(state, trial)
                tries.append(Try(arrays, trial, usable))
            fit = first_to_fit(tries, walled, steps, seed)
            if fit is not None:
                copy_state(fit.state, state)
                progress("squeezing", cost_of(arrays, state))
            elif any(len(closing) > 1 and not opening for closing, opening in exchanges):
                halvings += TRIES
            else:  # not even a single host could be closed, or replaced by a cheaper one
                break


def _squeezes(arrays: Arrays, state: State, floors: Floors, halvings: int) -> list[tuple[list[int], list[int]]]:
    """(hosts to close, hosts to open) of each try: the gap halved so many times at once, then half of that."""
    exchanges = list(_exchanges(arrays, state, floors))
    alone = [closing[0] for closing, opening in exchanges if len(closing) == 1 and not opening]
    gap = cost_of(arrays, state) - floors[0].cost
    shares = [int((np.cumsum(arrays.cost[alone]) <= gap >> (halvings + one)).sum()) for one in range(TRIES)]
    found = [(alone[:many], list[int]()) for many in shares if many > 1]
    return [*found, *exchanges[: TRIES - len(found)]]


def settle(arrays: Arrays, kind: NDArray[np.int64], state: State) -> State:
    """A copy in which as much as possible is where it runs now, at the same cost."""
    settled = empty_state(arrays)
    copy_state(state, settled)
    settled = swap_equals(arrays, kind, settled)
    go_home(arrays, settled)
    return settled


def swap_equals(arrays: Arrays, kind: NDArray[np.int64], state: State) -> State:
    """Give the contents of a host to another of its kind where more of it is at home; the cost stays the same.

    An assignment problem for each kind of host: contents against hosts, weighted by the workloads that then need
    not move. Contents go round in chains; a chain that a rule or a lost advantage of home forbids is left out.
    """
    order = np.argsort(-arrays.size, kind="stable")
    for one in np.unique(kind):
        hosts = np.flatnonzero((kind == one) & ~arrays.forced)
        full = hosts[state.occupancy[hosts] > 0]
        if not len(full):
            continue
        for chain in _chains(dict(zip(full.tolist(), _best_hosts(arrays, state, full, hosts).tolist(), strict=True))):
            target = np.arange(len(kind))
            target[list(chain)] = list(chain.values())
            moved = empty_state(arrays)
            if relocate(arrays, state, target, order, moved):
                state = moved
    return state


def _chains(target: Mapping[int, int]) -> list[dict[int, int]]:
    """An injective map's cycles and paths, without the fixed points."""
    left = {source: to for source, to in target.items() if source != to}
    starts = [source for source in left if source not in left.values()]
    chains = []
    while left:
        source = starts.pop() if starts else next(iter(left))
        chain = {}
        while source in left:
            chain[source] = left.pop(source)
            source = chain[source]
        chains.append(chain)
    return chains


def _best_hosts(arrays: Arrays, state: State, full: NDArray[np.int64], hosts: NDArray[np.int64]) -> NDArray[np.int64]:
    """For the contents of each full host the host to go to, all different, shape (full,)."""
    row_of = np.full(len(state.occupancy), -1)
    row_of[full] = np.arange(len(full))
    items = np.flatnonzero(np.isin(state.host_of, full))
    gain = np.zeros((len(full), len(row_of)))
    np.add.at(gain, row_of[state.host_of[items]], np.where(arrays.variant[items] < 0, -1e6, 0.0))
    settled = items[arrays.home[items] >= 0]
    np.add.at(gain, (row_of[state.host_of[settled]], arrays.home[settled]), arrays.bulk[settled, 0])
    _, columns = linear_sum_assignment(-gain[:, hosts])
    return hosts[columns]


def random_state(seed: int) -> NDArray[np.uint64]:
    """State of the kernels' generator; never zero."""
    return np.random.SeedSequence(seed).generate_state(1, np.uint64) | np.uint64(1)


def _exchanges(arrays: Arrays, state: State, floors: Floors) -> Iterator[tuple[list[int], list[int]]]:
    """(hosts to close, hosts to open), each cheaper than what it replaces; the most promising first."""
    on = is_on(arrays, state)
    closable = on & ~arrays.forced
    for floor in floors[1:]:
        spent = np.where(on[floor.hosts], arrays.cost[floor.hosts], 0)
        closable[floor.hosts] &= spent.sum() - spent >= floor.cost
    candidates = np.flatnonzero(closable)
    placed = state.host_of >= 0
    content = np.bincount(state.host_of[placed], arrays.size[placed], len(on))
    candidates = candidates[np.argsort(content[candidates] / np.maximum(arrays.cost[candidates], 1), kind="stable")]
    yield from (([host], []) for host in candidates.tolist())
    off = np.flatnonzero(~on)
    if not len(off):
        return
    worth = (arrays.capacity[off] * arrays.weight / np.maximum(arrays.capacity.mean(axis=0), 1.0)).sum(axis=1)
    order = np.argsort(arrays.cost[off], kind="stable")
    off, worth, costs = off[order], worth[order], arrays.cost[off[order]]
    better = worth > np.append(-1.0, np.maximum.accumulate(worth)[:-1])
    roomiest = np.maximum.accumulate(np.where(better, np.arange(len(off)), 0))  # of those that cost no more than each
    pairs = zip(candidates[::2].tolist(), candidates[1::2].tolist(), strict=False)
    for closing in (*map(list, pairs), *([host] for host in candidates.tolist())):
        cheaper = int(np.searchsorted(costs, arrays.cost[closing].sum()))
        if cheaper:
            yield closing, [int(off[roomiest[cheaper - 1]])]
