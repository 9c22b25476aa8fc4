"""The reader of cloud balancing: two computers by hand, and the public files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from consolidate.solve.reassign.score import score
from tests.bench.cloudbalancing import plan, read_cloud


def computer(number: int, cpu: int, cost: int) -> dict[str, int]:
    """A computer with plenty of the rest."""
    return {"id": number, "cpuPower": cpu, "memory": 100, "networkBandwidth": 50, "cost": cost}


def process(number: int, cpu: int) -> dict[str, int | None]:
    """A process that runs nowhere yet."""
    return {
        "id": number,
        "requiredCpuPower": cpu,
        "requiredMemory": 2,
        "requiredNetworkBandwidth": 3,
        "computer": None,
    }


def test_everything_in_the_file_is_in_the_problem(tmp_path: Path) -> None:
    path = tmp_path / "cloud.json"
    computers, processes = [computer(7, 24, 4800), computer(3, 6, 660)], [process(5, 20), process(1, 5)]
    path.write_text(json.dumps({"id": 0, "computerList": computers, "processList": processes}))
    cloud = read_cloud(path)
    assert (cloud.computers, cloud.processes) == ((7, 3), (5, 1))
    assert cloud.problem.capacity.tolist() == [[24, 100, 50], [6, 100, 50]]
    assert cloud.problem.demand[:-1].tolist() == [[20, 2, 3], [5, 2, 3]]
    assert cloud.problem.home.tolist() == [-1, -1, -1]
    apart, together = (score(cloud.problem, np.array(placed)) for placed in ([0, 1], [0, 0]))
    assert (apart.cost, apart.violations) == (4800 + 660, ())
    assert (together.cost, together.violations) == (4800, ("host 0 is over its capacity in cell 0 by 1",))


def test_the_planner_places_processes_as_containers_on_hosts_that_cost(tmp_path: Path) -> None:
    path, out = tmp_path / "cloud.json", tmp_path / "answer.csv"
    computers, processes = [computer(7, 24, 4800), computer(3, 6, 660)], [process(5, 20), process(1, 5)]
    path.write_text(json.dumps({"id": 0, "computerList": computers, "processList": processes}))
    outcome = plan(path, 1, out)
    assert (outcome.objective, outcome.bound) == (5460, 5460)
    assert out.read_text() == "5,7\n1,3\n"


@pytest.mark.data
def test_every_public_file_has_as_many_computers_and_processes_as_its_name_says(data: Path) -> None:
    files = sorted((data / "cloudbalancing").glob("*.json"))
    assert len(files) == 8
    for path in files:
        named = re.fullmatch(r"(\d+)computers-(\d+)processes", path.stem)
        assert named is not None
        problem = read_cloud(path).problem
        assert (problem.hosts, problem.items) == tuple(map(int, named.groups())), path.name
        assert (problem.opening > 0).all()
