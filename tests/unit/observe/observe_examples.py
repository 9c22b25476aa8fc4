"""A small plan with all that metrics can tell, and what the shipped dashboard and rules ask of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from consolidate.observe.exporter import Enforcement, Snapshot
from consolidate.plan.plan import HostPlan, HostState, Limits, Move, Partition, Plan, Proof, Refusal, Totals

DASHBOARDS = Path(__file__).parents[3] / "dashboards"
HOSTILE = 'h"3\\n\n{x="1"} #\t} 1\nconsolidate_up 7'
"""A host name that would end its label, start a new line and forge a metric if it were not escaped."""

OFF = HostState(on=False, workloads=0, cpu_permille=(0,), memory_permille=(0,), watts=0.0)
H1_BEFORE = HostState(on=True, workloads=2, cpu_permille=(100, 300), memory_permille=(500,), watts=150.5)
H1_AFTER = HostState(on=True, workloads=3, cpu_permille=(600,), memory_permille=(700, 900), watts=160.0)
H3_BEFORE = HostState(on=True, workloads=1, cpu_permille=(450,), memory_permille=(310,), watts=149.5)
PLAN = Plan(
    version=1,
    tool="consolidate 0.1.0",
    fleet_digest="sha256:f1ee7",
    seed=7,
    as_of_s=1_750_000_000,
    currency="EUR",
    before=Totals(hosts=3, watts=450.5, cost_per_month=300.25, cpu_permille=125),
    after=Totals(hosts=2, watts=310.0, cost_per_month=200.5, cpu_permille=188),
    proof=Proof("hosts", cost=2, lower_bound=1, kind="fluid", because="one host would hold a liquid"),
    placed={"container": {"it shares the kernel": 2, "it fits": 1}, "vm": {"it brings its own kernel": 1}},
    moves=(
        Move(1, "web", "h2", "h1", "container", 1_000, parking=True, reason="waits here"),
        Move(2, "web", "h1", HOSTILE, "container", 1_000, parking=False, reason="empties h2"),
        Move(2, "mail", "h2", "h1", "vm", 5_000, parking=False, reason="empties h2"),
    ),
    partitions=(
        Partition("web", HOSTILE, "container", "", Limits(), Limits(1500, 2 * 1024**3), 150, "measured"),
        Partition("mail", "h1", "vm", "", Limits(), Limits(None, 1024**3), 100, "sized by its limit"),
        Partition("db", "h1", "container", "db.service", Limits(4000, None), Limits(250, None), 25, "measured"),
    ),
    hosts=(
        HostPlan("h1", "debian", H1_BEFORE, H1_AFTER, "keep", "needed"),
        HostPlan("h2", "debian", replace(H1_BEFORE, watts=150.0), OFF, "free", "all of it fits elsewhere"),
        HostPlan(HOSTILE, "ubuntu", H3_BEFORE, replace(H3_BEFORE, workloads=2), "keep", "needed"),
    ),
    refusals=(Refusal("db", "left alone: declared immovable"),),
    basis=("Headroom: 10 % of every host is left free.",),
    unmeasured=("disk_iops", "net_tx_bytes_per_s"),
)
SNAPSHOT = Snapshot(PLAN, (Enforcement("h1", keys=5, drifted=0), Enforcement(HOSTILE, keys=3, drifted=1)))


@dataclass(frozen=True)
class Query:
    """One PromQL expression and where it stands."""

    place: str
    text: str

    def filled(self, instance: str) -> str:
        """With values in place of Grafana's variables."""
        values = {"$instance": instance, "$host": every_host(), "$__range": "1h"}
        text = re.sub(r"\$\w+", lambda match: values[match[0]], self.text)
        assert "$" not in text
        return text

    def selected(self) -> set[str]:
        """Names of the metrics it selects."""
        names: set[str | None] = set()

        def visit(node: object) -> None:
            if isinstance(node, promql_parser.MatrixSelector):
                node = node.vector_selector
            if isinstance(node, promql_parser.VectorSelector):
                names.add(node.name)

        promql_parser.walk(promql_parser.parse(self.filled("i:1")), visit)
        assert None not in names, f"{self.place} selects by other than a name"
        return {name for name in names if name}


def dashboard() -> dict[str, Any]:
    """The shipped dashboard."""
    return dict(json.loads((DASHBOARDS / "consolidate.json").read_text()))


def every_host() -> str:
    """What the dashboard asks for when no host is chosen."""
    return next(str(one["allValue"]) for one in dashboard()["templating"]["list"] if one["name"] == "host")


def panels() -> list[dict[str, Any]]:
    """All panels but the titles of rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def panel_queries() -> list[Query]:
    """Every target of every panel."""
    return [
        Query(f"panel {panel['title']!r} {target['refId']}", target["expr"])
        for panel in panels()
        for target in panel["targets"]
    ]


def variable_queries() -> list[Query]:
    """What the choices at the top of the dashboard are made of."""
    found = []
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert match, variable["name"]
            found.append(Query(f"variable {variable['name']}", match[1]))
    return found


def rules() -> Iterator[dict[str, Any]]:
    """All recording and alerting rules."""
    for group in yaml.safe_load((DASHBOARDS / "rules.yml").read_text())["groups"]:
        yield from group["rules"]


def rule_queries() -> list[Query]:
    """Every expression of the rules."""
    return [Query(f"rule {rule.get('record') or rule['alert']}", rule["expr"]) for rule in rules()]


def recorded() -> set[str]:
    """Names that the recording rules make."""
    return {rule["record"] for rule in rules() if "record" in rule}
