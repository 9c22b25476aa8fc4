"""Requests: together they ask for everything once, and none for more than a server gives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collectors.prometheus.mapping import load_mapping
from collectors.prometheus.plan import (
    MAX_ANSWER_SAMPLES,
    MAX_CHUNK_SAMPLES,
    MAX_POINTS,
    Grid,
    Request,
    asks_of,
    grid_until,
    make_groups,
    requests_of,
    steps_of_chunk,
)
from collectors.prometheus.pull import resumed

NODE = load_mapping().tables[0]
CPU = next(ask for ask in asks_of(NODE) if ask.metric == "cpu_cores")
counts = st.dictionaries(st.text(max_size=4), st.integers(1, 300_000), min_size=1, max_size=20)
grids = st.builds(
    lambda first, steps, step_s: Grid(first * step_s, (first + steps - 1) * step_s, step_s),
    st.integers(0, 10**6),
    st.integers(1, 2000),
    st.integers(10, 3600),
)


def times(grid: Grid) -> list[int]:
    return list(range(grid.first_s, grid.last_s + 1, grid.step_s))


def pieces(request: Request, of_series: bool) -> list[Request]:
    """A request divided as far as it goes."""
    halves = request.halves(of_series)
    return [request] if halves is None else [piece for half in halves for piece in pieces(half, of_series)]


@given(grids, st.integers(1, 500))
def test_chunks_are_all_times_once_and_in_order(grid: Grid, most: int) -> None:
    chunks = list(grid.chunks(most))
    assert [at_s for chunk in chunks for at_s in times(chunk)] == times(grid)
    assert all(chunk.steps <= most for chunk in chunks)


@given(st.integers(10**9, 2 * 10**9), st.integers(1, 90 * 86_400), st.integers(10, 3600))
def test_the_same_times_are_asked_for_whenever_the_pull_is_made(until_s: int, length_s: int, step_s: int) -> None:
    grid = grid_until(until_s, length_s, step_s)
    assert grid.last_s <= until_s < grid.last_s + step_s
    assert grid.first_s % step_s == grid.last_s % step_s == 0
    assert grid.steps == max(1, length_s // step_s)


@given(counts, st.integers(1, 400_000))
def test_groups_are_every_value_once(own: dict[str, int], most: int) -> None:
    groups = make_groups(own, most)
    assert sorted(value for group in groups for value in group.values) == sorted(own)
    assert sum(group.series for group in groups) == sum(own.values())
    assert all(group.series <= most or len(group.values) == 1 for group in groups)
    # What was not there when it was counted is found all the same.
    assert [group.whole for group in groups] == ([True] if sum(own.values()) <= most else [False] * len(groups))


@given(st.integers(1, 10**7), st.integers(10, 3600))
def test_a_chunk_fits_into_memory_and_into_an_answer(series: int, step_s: int) -> None:
    steps = steps_of_chunk(series, step_s)
    assert 1 <= steps <= MAX_POINTS
    assert steps == 1 or (steps * series <= MAX_CHUNK_SAMPLES and steps * step_s <= 86_400)


@given(counts, st.integers(1, 288))
def test_requests_are_as_large_as_an_answer_may_be(own: dict[str, int], steps: int) -> None:
    grid = Grid(0, (steps - 1) * 300, 300)
    requests = requests_of([CPU], {"node": own}, grid)
    assert all(request.samples <= MAX_ANSWER_SAMPLES or len(request.group.values) == 1 for request in requests)
    assert sorted(value for request in requests for value in request.group.values) == sorted(own)


@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 9), st.booleans()
)
def test_a_divided_request_asks_for_the_same(own: dict[str, int], steps: int, of_series: bool) -> None:
    (request,) = requests_of([CPU], {"node": own}, Grid(0, (steps - 1) * 60, 60))
    parts = pieces(request, of_series)
    asked = [(value, at_s) for part in parts for value in part.group.values for at_s in times(part.grid)]
    assert sorted(asked) == sorted((value, at_s) for value in own for at_s in times(request.grid))
    assert all(len(part.group.values) == part.grid.steps == 1 for part in parts)


@given(grids, st.none() | st.integers(0, 10**10))
def test_what_is_left_of_a_pull_is_what_was_not_stored(grid: Grid, done_s: int | None) -> None:
    left = resumed(grid, done_s)
    expected = [at_s for at_s in times(grid) if done_s is None or at_s > done_s]
    assert ([] if left is None else times(left)) == expected
