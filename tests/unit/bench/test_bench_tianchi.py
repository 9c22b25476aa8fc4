"""The reader, the score and the replay of the global scheduling contest, on two machines and on the real archive."""

from __future__ import annotations

import math
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from consolidate.solve.reassign.order import Order
from consolidate.solve.reassign.score import score
from tests.bench.tianchi import COST, TICKS, Contest, points, problem_of, read_contest, replay


def curve(*values: float) -> str:
    """A day whose last value lasts."""
    return "|".join(f"{value:.4f}" for value in [*values, *[values[-1]] * (TICKS - len(values))])


TABLES = {
    "app_resources": [f"a,{curve(1.5, 16)},{curve(2)},60,0,1,2", f"b,{curve(4)},{curve(3.25)},40,1,0,0"],
    "machine_resources": ["m1,32,64,600,7,3,7", "m2,92,288,1024,7,7,9"],
    "instance_deploy": ["i1,a,m2", "i2,b,", "i3,b,m1"],
    "app_interference": ["a,b,1", "b,b,0"],
}
M1, M2 = 0, 1


@pytest.fixture
def contest(tmp_path: Path) -> Contest:
    """Two apps, three instances, two machines."""
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, rows in TABLES.items():
            archive.writestr(f"scheduling_{name}_20180726.csv", "\n".join(rows) + "\n")
    return read_contest(path)


def moves(*pairs: tuple[int, int]) -> Order:
    """Instances and the machines they go to."""
    item, host = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Order(item, host, np.array([], dtype=np.int64))


def test_everything_in_the_archive_is_in_the_contest(contest: Contest) -> None:
    assert contest.instances == ("i1", "i2", "i3")
    assert contest.machines == ("m1", "m2")
    assert contest.app_of.tolist() == [0, 1, 1]
    assert contest.start.tolist() == [M2, -1, M1]
    assert contest.demand[:, [0, 1, TICKS - 1, TICKS]].tolist() == [
        [15_000, 160_000, 160_000, 20_000],
        [40_000, 40_000, 40_000, 32_500],
    ]
    assert contest.demand[:, 2 * TICKS :].tolist() == [[60, 0, 1, 2], [40, 1, 0, 0]]
    assert contest.capacity[:, [0, TICKS, 2 * TICKS]].tolist() == [[320_000, 640_000, 600], [920_000, 2_880_000, 1024]]
    assert contest.capacity[:, 2 * TICKS :].tolist() == [[600, 7, 3, 7], [1024, 7, 7, 9]]
    assert contest.rules == ((0, 1, 1), (1, 1, 0))


def test_a_rule_of_an_app_with_itself_counts_the_others(contest: Contest) -> None:
    problem = problem_of(contest, np.array([M1, M2]))
    assert problem.host_limit[1] == 1
    assert any("of group 1" in violation for violation in score(problem, np.array([M1, M2, M2])).violations)
    assert not score(problem, np.array([M1, M1, M2])).violations


def test_machines_that_are_not_opened_are_not_in_the_problem(contest: Contest) -> None:
    problem = problem_of(contest, np.array([M2]))
    assert problem.hosts == 1
    assert problem.capacity[0].tolist() == contest.capacity[M2].tolist()


def test_a_machine_scores_one_point_and_more_for_every_tick_above_half_of_its_cpu(contest: Contest) -> None:
    machine_of = np.array([M1, M1, M2])
    busy = (16 + 4) / 32
    expected = 2 + (TICKS - 1) / TICKS * 10 * (math.exp(busy - 0.5) - 1)
    assert points(contest, machine_of) == pytest.approx(expected, rel=1e-12)
    cost = score(problem_of(contest, np.array([M1, M2])), machine_of).cost
    assert cost / COST == pytest.approx(expected, abs=2e-5)  # chords of the curve, over it by less


def test_a_replay_ends_where_the_moves_lead(contest: Contest) -> None:
    assert replay(contest, moves((2, M2), (1, M1), (0, M1))).tolist() == [M1, M1, M2]


def test_a_replay_stops_at_interference_even_if_it_would_pass(contest: Contest) -> None:
    with pytest.raises(ValueError, match="i2 interferes on m1"):
        replay(contest, moves((1, M1), (2, M2)))


def test_a_replay_stops_at_a_full_machine(contest: Contest) -> None:
    small = replace(contest, capacity=np.where(np.arange(2)[:, None] == M1, 50_000, contest.capacity))
    with pytest.raises(ValueError, match="i1 overfills m1"):
        replay(small, moves((0, M1)))


@pytest.mark.data
def test_the_real_archive_is_read_whole(data: Path) -> None:
    contest = read_contest(data / "tianchi2018/preliminary_dataB_20180726.zip")
    assert contest.demand.shape == (9338, 2 * TICKS + 4)
    assert contest.capacity.shape == (6000, 2 * TICKS + 4)
    assert len(contest.instances) == len(contest.app_of) == len(contest.start) == 68_224
    assert len(contest.rules) == 33_416
    assert (contest.demand >= 0).all()
