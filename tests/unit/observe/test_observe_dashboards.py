"""The shipped dashboard, rules and provisioning: sound in form, and asking for nothing that is not exported."""

from __future__ import annotations

import json
import os
from itertools import combinations
from pathlib import Path
from typing import Any

import jsonschema
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from consolidate.observe.exporter import DEFAULT_ADDRESS, DEFAULT_PORT, METRICS, render_metrics
from tests.unit.observe.observe_examples import (
    DASHBOARDS,
    SNAPSHOT,
    Query,
    dashboard,
    panel_queries,
    panels,
    recorded,
    rule_queries,
    rules,
    variable_queries,
)

QUERIES = [*panel_queries(), *variable_queries(), *rule_queries()]
EXPORTED = {
    sample.name
    for family in text_string_to_metric_families(render_metrics(SNAPSHOT).decode())
    for sample in family.samples
}
TESTBED = Path(os.environ.get("CONSOLIDATE_TESTBED") or Path(__file__).parents[3] / "../shared/testbed")
SCHEMA = TESTBED / "grafana-dashboard-11.6.schema.json"


def place(query: Query) -> str:
    return query.place


@pytest.mark.parametrize("query", QUERIES, ids=place)
def test_expressions_parse_and_select_only_what_is_exported(query: Query) -> None:
    known = EXPORTED | recorded() | {"up"}  # Prometheus itself makes `up`
    assert query.selected()
    assert query.selected() <= known


def test_names_are_found_wherever_they_stand() -> None:
    query = Query(
        "here", 'topk(3, a) / on (x) group_left max(rate(b{x="$host"}[5m])) unless -(c offset 1h) or vector(1)'
    )
    assert query.selected() == {"a", "b", "c"}


def test_the_dashboard_shows_every_metric_of_a_plan() -> None:
    shown: set[str] = set().union(*(query.selected() for query in QUERIES))
    assert {metric.name for metric in METRICS} <= shown


def test_panels_have_an_id_of_their_own() -> None:
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))
    assert min(ids) > 0


def test_panels_lie_within_the_grid_and_never_on_each_other() -> None:
    places = [(panel["title"], panel["gridPos"]) for panel in dashboard()["panels"]]
    for title, at in places:
        assert at["x"] >= 0 and at["y"] >= 0 and at["w"] > 0 and at["h"] > 0, title
        assert at["x"] + at["w"] <= 24, title
    for (one, a), (other, b) in combinations(places, 2):
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert apart, (one, other)


def test_rows_stand_in_the_order_in_which_people_ask() -> None:
    rows = [panel["title"] for panel in dashboard()["panels"] if panel["type"] == "row"]
    assert rows == ["Outcome", "Hosts", "Partitions", "Enforcement", "Plan provenance"]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_panels_explain_themselves_and_use_the_chosen_data_source(panel: dict[str, Any]) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == chosen
    assert panel["targets"]
    assert [target["datasource"] for target in panel["targets"]] == [chosen] * len(panel["targets"])
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("panel", [panel for panel in panels() if panel["type"] == "table"], ids=lambda p: p["title"])
def test_overrides_of_tables_name_columns_that_exist(panel: dict[str, Any]) -> None:
    organize = panel["transformations"][-1]["options"]
    columns = set(organize["renameByName"].values())
    assert {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]} <= columns
    assert {sort["displayName"] for sort in panel["options"]["sortBy"]} <= columns
    assert set(organize["indexByName"]) == set(organize["renameByName"])
    expressions = " ".join(target["expr"] for target in panel["targets"])
    assert [one for one in organize["renameByName"] if not one.startswith("Value") and one not in expressions] == []


def test_variables_are_used_and_none_is_missing() -> None:
    names = {variable["name"] for variable in dashboard()["templating"]["list"]}
    assert names == {"datasource", "instance", "host"}
    for query in [*panel_queries(), *variable_queries()]:
        assert "$" not in query.filled("127.0.0.1:9753")
        assert 'instance="$instance"' in query.text or query.place == "variable instance", query.place


def test_the_dashboard_is_of_grafana_11() -> None:
    document = dashboard()
    assert document["schemaVersion"] >= 39
    assert document["uid"] == "consolidate"
    assert "id" not in document, "Grafana gives a number of its own"
    if not SCHEMA.exists():
        pytest.skip(
            f"no {SCHEMA.name}: name its directory in CONSOLIDATE_TESTBED to check against Grafana's own schema"
        )
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).validate(document)


def test_alerts_are_evaluated_after_what_they_are_made_of() -> None:
    (group,) = yaml.safe_load((DASHBOARDS / "rules.yml").read_text())["groups"]
    kinds = ["record" if "record" in rule else "alert" for rule in group["rules"]]
    assert kinds == ["record"] * 7 + ["alert"] * 5


def test_rules_say_what_happened_and_what_to_do() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert [alert["alert"] for alert in alerts] == [
        "ConsolidateDrift",
        "ConsolidatePlanOld",
        "ConsolidateExporterDown",
        "ConsolidatePlanUnreadable",
        "ConsolidateGapLarge",
    ]
    for alert in alerts:
        assert alert["for"], "nobody is woken by one scrape"
        assert alert["labels"]["severity"] in ("info", "warning")
        assert set(alert["annotations"]) == {"summary", "description"}
        assert alert["annotations"]["description"].endswith(".")


def test_recorded_names_follow_the_level_metric_operation_style() -> None:
    assert len(recorded()) == 7
    for name in recorded():
        level, metric, operation = name.split(":")
        assert level in ("instance", "instance_host")
        assert metric.startswith("consolidate_")
        assert operation in ("ratio", "sum", "max")
        assert promql_parser.parse(name)


def test_provisioning_is_yaml_and_bound_to_no_machine() -> None:
    datasource = yaml.safe_load((DASHBOARDS / "provisioning/datasources/prometheus.yml").read_text())
    provider = yaml.safe_load((DASHBOARDS / "provisioning/dashboards/consolidate.yml").read_text())
    assert [(one["type"], one["url"]) for one in datasource["datasources"]] == [("prometheus", "${PROMETHEUS_URL}")]
    assert [one["options"]["path"] for one in provider["providers"]] == ["${CONSOLIDATE_DASHBOARDS}"]


def test_the_scrape_configuration_of_the_readme_is_the_one_the_alerts_expect() -> None:
    text = (DASHBOARDS / "README.md").read_text()
    config = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert config["rule_files"] == ["rules.yml"]
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "consolidate"
    assert job["static_configs"] == [{"targets": [f"{DEFAULT_ADDRESS}:{DEFAULT_PORT}"]}]
    down = next(rule["expr"] for rule in rules() if rule.get("alert") == "ConsolidateExporterDown")
    assert down.count('job="consolidate"') == 2
