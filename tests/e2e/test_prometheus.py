"""A real Prometheus scrapes the exporter, evaluates the shipped rules and answers every expression of the dashboard."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from consolidate.observe.exporter import METRICS, render_metrics, serve_metrics
from tests.support.backends.process import ATTEMPTS, DEADLINE_S, eventually, free_port, program
from tests.unit.observe.observe_examples import (
    DASHBOARDS,
    HOSTILE,
    PLAN,
    SNAPSHOT,
    Query,
    panel_queries,
    recorded,
    rule_queries,
    rules,
    variable_queries,
)


@dataclass(frozen=True)
class Prometheus:
    """The HTTP API of a running Prometheus, and what it scrapes."""

    url: str
    instance: str

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """The data of a successful answer.

        An error's own words become the failure of the test.
        """
        try:
            with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:
                document = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                pytest.fail(f"{path} {parameters}: {error.read().decode()}")
        assert document["status"] == "success", document
        assert not document.get("warnings"), document
        return dict(document["data"])

    def query(self, text: str) -> list[dict[str, Any]]:
        """Series of an instant query."""
        data = self.get("/api/v1/query", query=text)
        assert data["resultType"] == "vector", text
        return list(data["result"])


@contextmanager
def exporter() -> Iterator[str]:
    """The example's metrics on a free loopback port; its address."""
    stop, bound, ports = threading.Event(), threading.Event(), list[int]()

    def ready(_: str, port: int) -> None:
        ports.append(port)
        bound.set()

    thread = threading.Thread(
        target=lambda: serve_metrics(lambda: SNAPSHOT, port=0, stop=stop, ready=ready), daemon=True
    )
    thread.start()
    try:
        assert bound.wait(DEADLINE_S)
        yield f"127.0.0.1:{ports[0]}"
    finally:
        stop.set()
        thread.join(DEADLINE_S)
    assert not thread.is_alive()


def write_config(directory: Path, instance: str) -> Path:
    """The scrape configuration of the README, faster and with this test's addresses."""
    readme = (DASHBOARDS / "README.md").read_text()
    config = yaml.safe_load(readme.split("```yaml\n")[1].split("```")[0])
    (job,) = config["scrape_configs"]
    job["scrape_interval"] = "1s"
    job["static_configs"] = [{"targets": [instance]}]
    config["rule_files"] = [str(DASHBOARDS / name) for name in config["rule_files"]]
    config["global"] = {"evaluation_interval": "1s"}
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def process(directory: Path, config: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Prometheus on a loopback port, ended whatever happens."""
    command = [
        program("prometheus", "prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (directory / "log").open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as running:
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(30)
            except subprocess.TimeoutExpired:
                running.kill()


def settled(running: subprocess.Popen[bytes], url: str) -> str | None:
    """``ready``, ``ended`` where it gave up (somebody else may have taken the port), or None while it starts."""
    if running.poll() is not None:
        return "ended"
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=30):
            return "ready"
    except OSError:  # refused while it starts, 503 while it loads
        return None


def start(stack: ExitStack, directory: Path, instance: str) -> Prometheus:
    """Prometheus that is ready; another port is tried where one was taken in between."""
    config = write_config(directory, instance)
    for _ in range(ATTEMPTS):
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        running = stack.enter_context(process(directory, config, port))
        if eventually(partial(settled, running, url), "Prometheus to start") == "ready":
            return Prometheus(url, instance)
    pytest.fail(f"Prometheus does not start: {(directory / 'log').read_text()}")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus that has scraped the example and evaluated every rule on it."""
    program("prometheus", "prometheus")
    with ExitStack() as stack:
        running = start(stack, tmp_path_factory.mktemp("prometheus"), stack.enter_context(exporter()))
        eventually(lambda: running.query("up == 1 and consolidate_up == 1"), "the target to be up")
        for name in sorted(recorded()):
            eventually(partial(running.query, name), f"the rule {name} to be evaluated")
        # A second scrape, since the increase of a counter takes two.
        eventually(lambda: running.query("count_over_time(consolidate_read_failures_total[1h]) > 1"), "another scrape")
        yield running


def test_the_target_is_up_and_every_metric_has_arrived(prometheus: Prometheus) -> None:
    (target,) = prometheus.get("/api/v1/targets")["activeTargets"]
    assert (target["health"], target["lastError"], target["labels"]["job"]) == ("up", "", "consolidate")
    missing = [metric.name for metric in METRICS if not prometheus.query(metric.name)]
    assert missing == []


def test_every_rule_is_healthy_and_drift_is_pending(prometheus: Prometheus) -> None:
    loaded = [rule for group in prometheus.get("/api/v1/rules")["groups"] for rule in group["rules"]]
    assert len(loaded) == len(rule_queries())
    assert [(rule["name"], rule.get("lastError")) for rule in loaded if rule["health"] != "ok"] == []
    states = {rule["name"]: rule["state"] for rule in loaded if rule["type"] == "alerting"}
    assert states == {
        "ConsolidateDrift": "pending",
        "ConsolidatePlanOld": "pending",  # the example was measured in 2025
        "ConsolidateExporterDown": "inactive",
        "ConsolidatePlanUnreadable": "inactive",
        "ConsolidateGapLarge": "pending",
    }


@pytest.mark.parametrize("query", panel_queries(), ids=lambda query: query.place)
def test_every_panel_shows_something(prometheus: Prometheus, query: Query) -> None:
    assert prometheus.query(query.filled(prometheus.instance))


@pytest.mark.parametrize("query", variable_queries(), ids=lambda query: query.place)
def test_every_variable_offers_a_choice(prometheus: Prometheus, query: Query) -> None:
    assert prometheus.query(query.filled(prometheus.instance))


@pytest.mark.parametrize("query", rule_queries(), ids=lambda query: query.place)
def test_every_rule_expression_is_answered(prometheus: Prometheus, query: Query) -> None:
    found = prometheus.query(query.text)
    quiet = query.place in ("rule ConsolidateExporterDown", "rule ConsolidatePlanUnreadable")
    assert bool(found) is not quiet


def test_recorded_numbers_are_those_of_the_plan(prometheus: Prometheus) -> None:
    def value(name: str) -> float:
        (one,) = prometheus.query(name)
        return float(one["value"][1])

    assert value("instance:consolidate_hosts_saved:ratio") == pytest.approx(1 / 3)
    assert value("instance:consolidate_power_saved_watts:sum") == 140.5
    assert value("instance:consolidate_cost_saved_per_month:sum") == 99.75
    assert value("instance:consolidate_objective_gap:ratio") == 0.5
    assert value("instance:consolidate_drift:ratio") == 1 / 8
    assert value('instance_host:consolidate_reserved_peak:max{host="h1"}') == 0.9
    assert PLAN.as_of_s is not None
    assert value("instance:consolidate_plan_age_seconds:max + 0") == pytest.approx(time.time() - PLAN.as_of_s, abs=300)


def test_a_hostile_host_name_arrives_as_it_is(prometheus: Prometheus) -> None:
    (drift,) = prometheus.query("consolidate_drift_keys > 0")
    assert drift["metric"]["host"] == HOSTILE
    assert [float(one["value"][1]) for one in prometheus.query("consolidate_up")] == [1.0], "nothing was forged"


def promtool(*arguments: str, stdin: bytes = b"") -> tuple[int, str]:
    """Its exit code and all it says."""
    command = [program("promtool", "prometheus"), *arguments]
    done = subprocess.run(
        command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False
    )
    return done.returncode, done.stdout.decode()


def test_promtool_finds_nothing_to_complain_about() -> None:
    checks = ((("rules", str(DASHBOARDS / "rules.yml")), b""), (("metrics",), render_metrics(SNAPSHOT)))
    for arguments, stdin in checks:
        code, text = promtool("check", *arguments, stdin=stdin)
        assert code == 0, text
        assert not re.search("warn|lint|should", text), text


@dataclass(frozen=True)
class Alarm:
    """Series that last from the first minute on, and the alert they lead to."""

    alert: str
    minutes: int
    series: dict[str, str]
    labels: dict[str, str]
    summary: str
    description: str

    def unit_test(self) -> dict[str, Any]:
        """In promtool's words: silent a minute before, firing at its time."""
        expected = {
            "exp_labels": self.labels,
            "exp_annotations": {"summary": self.summary, "description": self.description},
        }
        return {
            "rule_files": [str(DASHBOARDS / "rules.yml")],
            "evaluation_interval": "1m",
            "tests": [
                {
                    "interval": "1m",
                    "input_series": [{"series": name, "values": values} for name, values in self.series.items()],
                    "alert_rule_test": [
                        {"eval_time": f"{self.minutes - 1}m", "alertname": self.alert, "exp_alerts": []},
                        {"eval_time": f"{self.minutes}m", "alertname": self.alert, "exp_alerts": [expected]},
                    ],
                }
            ],
        }


TARGET = {"job": "consolidate", "instance": "i"}
ALARMS = (
    Alarm(
        "ConsolidateDrift",
        10,
        {'consolidate_drift_keys{job="consolidate", instance="i", host="h1"}': "2x90"},
        {**TARGET, "host": "h1", "severity": "warning"},
        "Limits on h1 differ from the plan",
        "2 limits or weights on h1 have differed from the plan for 10 minutes, so neighbours there "
        "are no longer kept apart as planned. Find out who wrote them, then apply the plan again or roll it back.",
    ),
    Alarm(
        "ConsolidatePlanOld",
        60,
        {'consolidate_plan_measured_timestamp_seconds{job="consolidate", instance="i"}': f"-{14 * 86400 + 1}x90"},
        {**TARGET, "severity": "info"},
        "The plan of i rests on old measurements",
        "The newest measurement behind the plan is 14d 1h 0m 1s old. Collect and plan again; the "
        "result is an empty plan where nothing has changed.",
    ),
    Alarm(
        "ConsolidateExporterDown",
        5,
        {'up{job="consolidate", instance="i"}': "0x90"},
        {**TARGET, "severity": "warning"},
        "No metrics of the plan from i",
        "Prometheus has not scraped `consolidate` for 5 minutes, so drift from the plan goes unseen. "
        "Start the exporter again, or correct the target of the scrape job.",
    ),
    Alarm(
        "ConsolidateExporterDown",
        5,
        {'up{job="other", instance="i"}': "1x90"},
        {"job": "consolidate", "severity": "warning"},
        "No metrics of the plan from any instance",
        "Prometheus has not scraped `consolidate` for 5 minutes, so drift from the plan goes unseen. "
        "Start the exporter again, or correct the target of the scrape job.",
    ),
    Alarm(
        "ConsolidatePlanUnreadable",
        10,
        {'consolidate_up{job="consolidate", instance="i"}': "0x90"},
        {**TARGET, "severity": "warning"},
        "The plan of i cannot be read",
        "The exporter has failed to read the plan or its enforcement for 10 minutes. Its log tells "
        "the reason; a plan that was altered since it was written has to be made again.",
    ),
    Alarm(
        "ConsolidateGapLarge",
        60,
        {
            'consolidate_objective_gap{job="consolidate", instance="i", unit="hosts"}': "4x90",
            'consolidate_objective_cost{job="consolidate", instance="i", unit="hosts"}': "10x90",
        },
        {**TARGET, "unit": "hosts", "severity": "info"},
        "The plan of i may be far from the best",
        "40% of the plan's cost in hosts is above the proven lower bound. Plan again with more "
        "effort, or look for the rules that keep hosts on.",
    ),
)


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: f"{alarm.alert}-{alarm.summary}")
def test_alerts_fire_when_they_should_and_no_earlier(tmp_path: Path, alarm: Alarm) -> None:
    path = tmp_path / "case.yml"
    path.write_text(yaml.safe_dump(alarm.unit_test()))
    code, text = promtool("test", "rules", str(path))
    assert code == 0, text
    assert "SUCCESS" in text


def test_a_sound_plan_raises_no_alert(tmp_path: Path) -> None:
    now = 100 * 60
    series = {
        'up{job="consolidate", instance="i"}': "1x100",
        'consolidate_up{job="consolidate", instance="i"}': "1x100",
        'consolidate_drift_keys{job="consolidate", instance="i", host="h1"}': "0x100",
        'consolidate_plan_measured_timestamp_seconds{job="consolidate", instance="i"}': f"{now - 13 * 86400}x100",
        'consolidate_objective_gap{job="consolidate", instance="i", unit="hosts"}': "3x100",
        'consolidate_objective_cost{job="consolidate", instance="i", unit="hosts"}': "10x100",
    }
    quiet = [{"eval_time": "100m", "alertname": rule["alert"], "exp_alerts": []} for rule in rules() if "alert" in rule]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": quiet,
    }
    path = tmp_path / "case.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(DASHBOARDS / "rules.yml")], "tests": [test]}))
    code, text = promtool("test", "rules", str(path))
    assert len(quiet) == 5
    assert code == 0, text
