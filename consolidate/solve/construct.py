"""A portfolio of starts: the current placement, best fit, and filling hosts one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from consolidate.solve.columns.fleet import Captives, place_captives
from consolidate.solve.kernels import State, empty_state, fill_host, fits, insert_all, place, rules_allow
from consolidate.solve.problem import MAX_HOSTS, Arrays, Problem


def starts(arrays: Arrays, seed: int, perturbed: int) -> Iterator[tuple[str, State]]:
    """Yield named states, the cheapest to compute first; a state may leave items unplaced.

    Mommessin, Erlebach and Shakhlevich (2025) measured 351 heuristics: filling one host at a time by dynamically
    weighted dot product is best for most mixes, best fit by decreasing size for big items; perturbing the weights
    gives cheap further starts.
    """
    yield "current placement", _current(arrays)
    yield "best fit decreasing", _best_fit(arrays)
    random = np.random.default_rng(seed)
    plain = np.ones(len(arrays.size))
    for name, order in _host_orders(arrays):
        yield f"fill hosts, {name}", _fill(arrays, order, plain)
    for number in range(perturbed):
        order = _host_orders(arrays)[number % 2][1]
        yield f"fill hosts, perturbed {number + 1}", _fill(arrays, order, random.uniform(0.8, 1.25, len(plain)))


def captive_starts(problem: Problem, captives: Sequence[Captives]) -> Iterator[tuple[str, State]]:
    """Yield starts in which column generation has placed what runs on few hosts only, and all else fills up."""
    arrays = problem.arrays
    if any(one.host_of is not None for one in captives):
        for name, order in _host_orders(arrays)[:2]:
            state = place_captives(problem, captives)
            on = state.occupancy[order] > 0
            _fill_up(arrays, state, np.concatenate([order[on], order[~on]]), np.ones(len(arrays.size)))
            yield f"captives by columns, {name}", state


def by_size(arrays: Arrays) -> NDArray[np.int64]:
    """Items from large to small, those of licensed groups first, since they must find each other's hosts."""
    return np.lexsort((-arrays.size, ~_licensed(arrays)))


def _licensed(arrays: Arrays) -> NDArray[np.bool_]:
    """Items of groups that may use few hosts, shape (I,)."""
    member = np.repeat(np.arange(len(arrays.size)), np.diff(arrays.group_start))
    licensed = np.zeros(len(arrays.size), dtype=np.bool_)
    licensed[member[arrays.group_kind[arrays.group_of] == MAX_HOSTS]] = True
    return licensed


def _current(arrays: Arrays) -> State:
    """Everything stays where it can; the rest goes where it fits best."""
    state = empty_state(arrays)
    for item in by_size(arrays).tolist():
        home = int(arrays.home[item])
        if home >= 0 and fits(arrays, state, item, home) and rules_allow(arrays, state, item, home):
            place(arrays, state, item, home)
    insert_all(arrays, state, by_size(arrays))
    return state


def _best_fit(arrays: Arrays) -> State:
    state = empty_state(arrays)
    _place_bound(arrays, state)
    insert_all(arrays, state, by_size(arrays))
    return state


def _fill(arrays: Arrays, order: NDArray[np.int64], noise: NDArray[np.float64]) -> State:
    state = empty_state(arrays)
    _place_bound(arrays, state)
    _fill_up(arrays, state, order, noise)
    return state


def _fill_up(arrays: Arrays, state: State, order: NDArray[np.int64], noise: NDArray[np.float64]) -> None:
    for host in order.tolist():
        if (state.host_of >= 0).all():
            break
        fill_host(arrays, state, host, noise)


def _place_bound(arrays: Arrays, state: State) -> None:
    """What has little choice comes first, or others would take its room: one host only, or few licensed ones."""
    for item in np.flatnonzero((arrays.variant >= 0).sum(axis=1) == 1).tolist():
        host = int(arrays.variant[item].argmax())
        if state.host_of[item] < 0 and fits(arrays, state, item, host) and rules_allow(arrays, state, item, host):
            place(arrays, state, item, host)
    order = by_size(arrays)
    insert_all(arrays, state, order[_licensed(arrays)[order]])


def _host_orders(arrays: Arrays) -> list[tuple[str, NDArray[np.int64]]]:
    """Forced hosts, then by cost for what they hold, or by how much of their own load could stay."""
    share = np.minimum(arrays.capacity / np.maximum(arrays.capacity.mean(axis=0), 1.0), 10.0)
    value = (share * arrays.weight).sum(axis=1)
    price = arrays.cost / np.maximum(value, 1e-9)
    at_home = np.bincount(arrays.home[arrays.home >= 0], minlength=len(price), weights=arrays.size[arrays.home >= 0])
    picky = (arrays.variant >= 0).sum(axis=0)
    cheap_first = np.lexsort((-at_home, price, ~arrays.forced))
    full_first = np.lexsort((price, -at_home, ~arrays.forced))
    choosy_last = np.lexsort((price, picky, ~arrays.forced))
    return [("cheapest first", cheap_first), ("fullest first", full_first), ("choosiest first", choosy_last)]
