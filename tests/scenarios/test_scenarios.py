"""Every YAML file here is a fleet and what is expected of its plan: a demo, a regression and a test in one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from consolidate.config import read_inputs
from consolidate.errors import InfeasibleError
from consolidate.model.demand import Unknown
from consolidate.model.placement import carry_out
from consolidate.plan.build import build_plan
from consolidate.solve import solve

FILES = sorted(Path(__file__).parent.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path) -> None:
    scenario = yaml.safe_load(path.read_text())
    expect: dict[str, Any] = scenario["expect"]
    inputs = read_inputs(yaml.safe_dump(scenario["fleet"], sort_keys=False), path.name)
    if "infeasible" in expect:
        with pytest.raises(InfeasibleError) as caught:
            solve(inputs.fleet, inputs.stated, inputs.policy.objective)
        assert expect["infeasible"] in str(caught.value)
        return
    demands = {w.name: inputs.stated.get(w.name, Unknown(w.name, "not measured")) for w in inputs.fleet.workloads}
    result = solve(inputs.fleet, demands, inputs.policy.objective)
    plan = build_plan(inputs.fleet, demands, inputs.policy, result, "test", None)
    found = {
        "hosts": result.hosts_used,
        "gap": result.gap,
        "bound": result.bound.kind,
        "moves": result.score.moves,
        "cost": result.score.cost,
        "changes": plan.changes,
        "standby": len(result.placement.standby),
        "placement": {
            name: [assignment.host, assignment.isolation.value]
            for name, assignment in result.placement.assignments.items()
        },
    }
    assert {key: found[key] for key in expect} == expect
    assert plan.after.hosts == expect["hosts"]
    again = solve(*carry_out(inputs.fleet, demands, result.placement), inputs.policy.objective)
    assert again.score.moves == 0, "planning again on the result changes nothing"
