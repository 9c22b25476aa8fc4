"""The reader of the machine reassignment challenge: a small instance by hand, and the real ones."""

from __future__ import annotations

import csv
import lzma
from pathlib import Path

import numpy as np
import pytest

from consolidate.solve.reassign.problem import Reassignment
from consolidate.solve.reassign.score import score
from tests.bench.roadef import read_instance

MODEL = """\
2
1 100
0 10
3
0 0 30 400 16 80 0 1 4
0 0 10 240 8 160 1 0 4
1 1 15 100 12 80 4 3 0
2
2 0
1 1 0
3
0 12 10 1000
0 10 20 100
1 6 200 1
1
0 1 20
10
1 10 100
"""
"""Resources, machines, services, processes, one balance cost, weights, as the challenge's statement orders them."""
ASSIGNMENT = "0 2 0\n"


@pytest.fixture(params=[".txt", ".txt.xz"])
def problem(request: pytest.FixtureRequest, tmp_path: Path) -> Reassignment:
    """The instance, plain and packed."""
    suffix = str(request.param)
    model, assignment = tmp_path / f"model{suffix}", tmp_path / f"assignment{suffix}"
    for path, text in ((model, MODEL), (assignment, ASSIGNMENT)):
        path.write_bytes(lzma.compress(text.encode()) if suffix.endswith(".xz") else text.encode())
    return read_instance(model, assignment)


def test_everything_in_the_files_is_in_the_problem(problem: Reassignment) -> None:
    assert (problem.items, problem.hosts) == (3, 3)
    assert problem.demand[:-1].tolist() == [[12, 10], [10, 20], [6, 200]]
    assert problem.home[:-1].tolist() == [0, 2, 0]
    assert problem.capacity.tolist() == [[30, 400], [10, 240], [15, 100]]
    assert problem.soft_capacity.tolist() == [[16, 80], [8, 160], [12, 80]]
    assert problem.soft_weight.tolist() == [100, 10]
    assert problem.transient.tolist() == [True, False]
    assert problem.neighbourhood.tolist() == [0, 0, 1]
    assert problem.location.tolist() == [0, 0, 1]
    assert problem.groups.value.tolist() == [0, 0, 1]
    assert problem.host_limit.tolist() == [1, 1]
    assert problem.least_locations.tolist() == [2, 1]
    assert problem.needs.value[problem.needs.start[1] : problem.needs.start[2]].tolist() == [0]
    assert problem.balance.tolist() == [[0, 1, 20, 10]]
    assert problem.move_cost[:-1].tolist() == [1000, 100, 1]
    assert problem.route.tolist() == [[0, 100, 400], [100, 0, 400], [400, 300, 0]]
    assert problem.group_move_weight == 10


def test_a_placement_costs_what_the_statement_says(problem: Reassignment) -> None:
    found = score(problem, np.array([0, 2, 1]))
    assert not found.violations
    assert found.parts == {
        "opening": 0,
        "soft": 10 * (200 - 160),
        "balance": 10 * (max(0, 20 * 18 - 390) + max(0, 20 * 4 - 40) + max(0, 20 * 5 - 80)),
        "curve": 0,
        "moves": 1,
        "routes": 100,
        "group moves": 10,
    }


@pytest.mark.data
def test_every_start_costs_what_is_published_and_keeps_all_rules(data: Path) -> None:
    with (data / "roadef2012/published.csv").open() as file:
        published = {row["instance"]: row for row in csv.DictReader(file)}
    models = sorted((data / "roadef2012").glob("model_*.txt.xz"))
    assert len(models) == 18
    for model in models:
        row = published[model.name.removeprefix("model_").removesuffix(".txt.xz")]
        problem = read_instance(model, model.with_name(model.name.replace("model", "assignment")))
        assert (problem.items, problem.hosts) == (int(row["processes"]), int(row["machines"])), row["instance"]
        assert len(problem.transient) == int(row["resources"]), row["instance"]
        start = score(problem, problem.home[:-1])
        assert (start.cost, start.violations) == (int(row["initial_cost"]), ()), row["instance"]
