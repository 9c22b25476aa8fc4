"""The whole pipeline on the demo estate, as a stranger runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from consolidate.model.placement import carry_out
from consolidate.pipeline import Outcome, Stages, run_once
from consolidate.plan.plan import parse_plan
from consolidate.solve import Effort, solve
from tests.support.cli import Ran, consolidate


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, consolidate("demo", "--out", folder, "--seed", 1)


def test_the_demo_ends_with_a_plan_and_its_reports(demo: tuple[Path, Ran]) -> None:
    folder, ran = demo
    assert ran.code == 0, ran.err
    assert "hosts become" in ran.out
    assert all(len(line) <= 80 for line in ran.out.splitlines())
    plan = parse_plan((folder / "plan.json").read_text(), "plan.json")
    assert plan.before.hosts == 300
    assert plan.proof.lower_bound <= plan.after.hosts < 100
    assert set(plan.placed) == {"container", "hosted-vm", "native", "vm"}
    assert plan.after.watts < plan.before.watts
    assert plan.after.cost_per_month < plan.before.cost_per_month
    for name in ("report.html", "report.md"):
        assert "ubu-001" in (folder / name).read_text()


def test_the_same_seed_gives_the_same_plan(demo: tuple[Path, Ran]) -> None:
    folder, _ = demo
    again = consolidate("plan", "--store", folder / "store", "--fleet", folder / "fleet.yaml", "--seed", 1, "--json")
    assert again.code == 2, again.err
    assert json.loads(again.out) == json.loads((folder / "plan.json").read_text())


def test_planning_again_on_the_result_gives_an_empty_plan(demo: tuple[Path, Ran]) -> None:
    folder, _ = demo
    stages = Stages(lambda text: None)
    first: Outcome = run_once(folder / "store", folder / "fleet.yaml", 1, Effort(), stages)
    assert set(stages.took_s) == {"config", "demand", "solve", "plan"}
    again = solve(*carry_out(first.inputs.fleet, first.demands, first.result.placement), seed=1)
    assert again.score.moves == 0
    assert again.placement.powered == first.result.placement.powered


def test_every_report_of_a_plan_file(demo: tuple[Path, Ran]) -> None:
    folder, _ = demo
    for kind, starts in (("text", "300 hosts become"), ("markdown", "# "), ("html", "<!"), ("json", "{")):
        ran = consolidate("report", folder / "plan.json", "--format", kind)
        assert (ran.code, ran.out.lower().startswith(starts.lower())) == (0, True), ran.err
    metrics = consolidate("serve", folder / "plan.json", "--once")
    assert metrics.code == 0
    assert 'consolidate_fleet_hosts{state="before"} 300.0' in metrics.out


def test_demand_of_the_estate(demo: tuple[Path, Ran]) -> None:
    folder, _ = demo
    ran = consolidate("demand", "--store", folder / "store", "--fleet", folder / "fleet.yaml")
    assert ran.code == 0
    assert "deb-001:" in ran.out
    as_json = consolidate("demand", "--store", folder / "store", "--fleet", folder / "fleet.yaml", "--json")
    sizes = json.loads(as_json.out)
    assert all(len(one["slots"]["cpu_milli"]) == 168 for one in sizes.values())
