"""Metrics of a small plan; what a failing reading, a hostile name and a taken port become."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from consolidate.errors import InputError
from consolidate.observe.exporter import METRICS, Enforcement, PlanCollector, Snapshot, render_metrics, serve_metrics
from consolidate.plan.plan import Limits, plan_digest
from tests.unit.observe.observe_examples import HOSTILE, PLAN, SNAPSHOT


def ignore(reason: str) -> None:
    """Somebody else asserts that failures are reported."""


def registry_of(read: Callable[[], Snapshot], report: Callable[[str], None] = ignore) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(PlanCollector(read, report))
    return registry


REGISTRY = registry_of(lambda: SNAPSHOT)


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("consolidate_up", {}, 1),
        ("consolidate_read_failures_total", {}, 0),
        ("consolidate_plan_measured_timestamp_seconds", {}, 1_750_000_000),
        ("consolidate_plan_unmeasured_info", {"dimension": "disk_iops"}, 1),
        ("consolidate_plan_refusals", {}, 1),
        ("consolidate_objective_cost", {"unit": "hosts"}, 2),
        ("consolidate_objective_lower_bound", {"unit": "hosts"}, 1),
        ("consolidate_objective_gap", {"unit": "hosts"}, 1),
        ("consolidate_fleet_hosts", {"state": "before"}, 3),
        ("consolidate_fleet_hosts", {"state": "after"}, 2),
        ("consolidate_fleet_cpu_ratio", {"state": "before"}, 0.125),
        ("consolidate_fleet_cpu_ratio", {"state": "after"}, 0.188),
        ("consolidate_fleet_power_watts", {"state": "before"}, 450.5),
        ("consolidate_fleet_power_watts", {"state": "after"}, 310),
        ("consolidate_fleet_cost_per_month", {"state": "before", "currency": "EUR"}, 300.25),
        ("consolidate_fleet_cost_per_month", {"state": "after", "currency": "EUR"}, 200.5),
        ("consolidate_plan_moves", {}, 3),
        ("consolidate_plan_waves", {}, 2),
        ("consolidate_plan_copy_bytes", {}, 7_000),
        ("consolidate_plan_workloads", {"isolation": "container"}, 3),
        ("consolidate_plan_workloads", {"isolation": "vm"}, 1),
        ("consolidate_host_info", {"host": "h2", "os": "debian", "action": "free"}, 1),
        ("consolidate_host_on", {"host": "h2", "state": "before"}, 1),
        ("consolidate_host_on", {"host": "h2", "state": "after"}, 0),
        ("consolidate_host_workloads", {"host": "h1", "state": "after"}, 3),
        ("consolidate_host_power_watts", {"host": "h1", "state": "before"}, 150.5),
        ("consolidate_host_reserved_peak_ratio", {"host": "h1", "state": "before", "resource": "cpu"}, 0.3),
        ("consolidate_host_reserved_peak_ratio", {"host": "h1", "state": "after", "resource": "memory"}, 0.9),
        ("consolidate_host_reserved_peak_ratio", {"host": "h2", "state": "after", "resource": "cpu"}, 0),
        ("consolidate_partition_cpu_limit_cores", {"host": HOSTILE, "workload": "web", "isolation": "container"}, 1.5),
        ("consolidate_partition_memory_limit_bytes", {"host": "h1", "workload": "mail", "isolation": "vm"}, 1024**3),
        ("consolidate_partition_cpu_weight", {"host": "h1", "workload": "db", "isolation": "container"}, 25),
        ("consolidate_enforced_keys", {"host": "h1"}, 5),
        ("consolidate_drift_keys", {"host": "h1"}, 0),
        ("consolidate_drift_keys", {"host": HOSTILE}, 1),
    ],
)
def test_the_numbers_of_the_plan(name: str, labels: dict[str, str], value: float) -> None:
    assert REGISTRY.get_sample_value(name, labels) == value


def test_the_plan_is_named_by_its_digests() -> None:
    labels = {
        "tool": "consolidate 0.1.0",
        "plan_digest": plan_digest(PLAN),
        "fleet_digest": "sha256:f1ee7",
        "seed": "7",
        "objective": "hosts",
        "currency": "EUR",
        "bound": "fluid",
    }
    assert REGISTRY.get_sample_value("consolidate_plan_info", labels) == 1


@pytest.mark.parametrize(
    ("objective", "unit", "value"),
    [("hosts", "hosts", 1234), ("cost", "EUR per month", 12.34), ("watts", "watts", 1.234), ("new", "new", 1234)],
)
def test_the_objective_is_told_in_the_unit_that_people_use(objective: str, unit: str, value: float) -> None:
    proof = replace(PLAN.proof, objective=objective, cost=1234, lower_bound=1234)
    registry = registry_of(lambda: Snapshot(replace(PLAN, proof=proof)))
    assert registry.get_sample_value("consolidate_objective_cost", {"unit": unit}) == value
    assert registry.get_sample_value("consolidate_objective_lower_bound", {"unit": unit}) == value
    assert registry.get_sample_value("consolidate_objective_gap", {"unit": unit}) == 0


def test_what_is_unknown_or_unlimited_is_absent_and_not_zero() -> None:
    unlimited = replace(PLAN.partitions[0], after=Limits())
    plan = replace(PLAN, as_of_s=None, partitions=(unlimited,), unmeasured=())
    samples = {sample.name for family in registry_of(lambda: Snapshot(plan)).collect() for sample in family.samples}
    everything = {metric.name for metric in METRICS}
    assert everything - samples == {
        "consolidate_plan_measured_timestamp_seconds",
        "consolidate_plan_unmeasured_info",
        "consolidate_partition_cpu_limit_cores",
        "consolidate_partition_memory_limit_bytes",
        "consolidate_enforced_keys",
        "consolidate_drift_keys",
    }


def test_everything_in_the_table_is_exported_and_nothing_else() -> None:
    exported = {(s.name, frozenset(s.labels)) for family in REGISTRY.collect() for s in family.samples}
    assert exported == {(metric.name, frozenset(metric.labels)) for metric in METRICS}
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_names_tell_their_unit_and_help_is_a_sentence() -> None:
    for metric in METRICS:
        assert metric.name.startswith("consolidate_")
        assert not metric.unit or metric.name.endswith(f"_{metric.unit}"), metric.name
        assert metric.help.endswith("."), metric.name


def test_a_registry_refuses_the_same_names_twice() -> None:
    registry = registry_of(lambda: SNAPSHOT)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry.register(PlanCollector(lambda: SNAPSHOT))


@pytest.mark.parametrize(
    ("name", "read_back"),
    [
        (HOSTILE, HOSTILE),
        ('"', '"'),
        ("a\\", "a\\"),
        ("\\n", "\\n"),
        ("ünïcode ☃ host", "ünïcode ☃ host"),
        ("", ""),
        ("lone \ud800 surrogate", "lone ? surrogate"),
        ("nul\0", "nul\0"),
    ],
)
def test_hostile_names_survive_the_text_format(name: str, read_back: str) -> None:
    text = render_metrics(Snapshot(PLAN, (Enforcement(name, 2, 1),))).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert [sample.labels for sample in families["consolidate_drift_keys"].samples] == [{"host": read_back}]
    assert [sample.value for sample in families["consolidate_up"].samples] == [1.0]


def test_the_textfile_holds_what_a_scrape_holds() -> None:
    text = render_metrics(SNAPSHOT).decode()
    rendered = {
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    scraped = {
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in REGISTRY.collect()
        for sample in family.samples
    }
    assert rendered == scraped
    assert text.endswith("\n")


def test_every_scrape_reads_again() -> None:
    hosts = iter((3, 2))
    registry = registry_of(lambda: Snapshot(replace(PLAN, after=replace(PLAN.after, hosts=next(hosts)))))
    assert registry.get_sample_value("consolidate_fleet_hosts", {"state": "after"}) == 3
    assert registry.get_sample_value("consolidate_fleet_hosts", {"state": "after"}) == 2


def test_a_failing_reading_is_told_and_a_good_one_after_it_too() -> None:
    answers: Iterator[Snapshot | Exception] = iter(
        (OSError("gone"), OSError("gone"), InputError("altered"), SNAPSHOT, OSError("gone"))
    )
    reasons: list[str] = []

    def read() -> Snapshot:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    registry = registry_of(read, reasons.append)
    scrapes = [{s.name: s.value for family in registry.collect() for s in family.samples} for _ in range(5)]
    assert [scrape["consolidate_up"] for scrape in scrapes] == [0, 0, 0, 1, 0]
    assert [scrape["consolidate_read_failures_total"] for scrape in scrapes] == [1, 2, 3, 3, 4]
    assert [len(scrape) for scrape in scrapes] == [2, 2, 2, len(METRICS), 2], "nothing of a plan that was not read"
    assert reasons == [
        "metrics: the plan cannot be read: OSError: gone",
        "metrics: the plan cannot be read: InputError: altered",
        "metrics: the plan cannot be read: OSError: gone",
    ], "each reason once, until it changes or is over"


def test_numbers_that_are_none_fail_the_reading_as_a_whole() -> None:
    broken = replace(PLAN, before=replace(PLAN.before, watts=None))  # type: ignore[arg-type]
    registry = registry_of(lambda: Snapshot(broken))
    samples = [(s.name, s.value) for family in registry.collect() for s in family.samples]
    assert samples == [("consolidate_up", 0), ("consolidate_read_failures_total", 1)]


@contextmanager
def serving(read: Callable[[], Snapshot], report: Callable[[str], None] = ignore) -> Iterator[str]:
    """The exporter on a free port, in a thread that has ended afterwards."""
    stop, bound, ports = threading.Event(), threading.Event(), list[int]()

    def ready(address: str, port: int) -> None:
        assert address == "127.0.0.1"
        ports.append(port)
        bound.set()

    thread = threading.Thread(
        target=lambda: serve_metrics(read, port=0, stop=stop, ready=ready, report=report), daemon=True
    )
    thread.start()
    try:
        assert bound.wait(30)
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def fetch(url: str, accept: str = "*/*") -> str:
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())


def test_metrics_are_served_until_stopped() -> None:
    with serving(lambda: SNAPSHOT) as url:
        assert fetch(f"{url}/metrics") == render_metrics(SNAPSHOT).decode()
        assert fetch(f"{url}/metrics", "application/openmetrics-text; version=1.0.0").endswith("# EOF\n")
        only = fetch(f"{url}/metrics?name[]=consolidate_plan_waves")
        assert [line for line in only.splitlines() if line[0] != "#"] == ["consolidate_plan_waves 2.0"]
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            fetch(f"{url}/")
        assert refused.value.read() == b"metrics are at /metrics\n"
        refused.value.close()
    with pytest.raises(urllib.error.URLError, match="refused"):
        fetch(f"{url}/metrics")


def test_a_failing_reading_answers_a_scrape() -> None:
    reasons: list[str] = []

    def read() -> Snapshot:
        raise InputError("plan.json: no such file")

    with serving(read, reasons.append) as url:
        text = fetch(f"{url}/metrics")
    assert "\nconsolidate_up 0.0\n" in text
    assert "\nconsolidate_read_failures_total 1.0\n" in text
    assert reasons == ["metrics: the plan cannot be read: InputError: plan.json: no such file"]


def test_a_client_that_says_nothing_holds_nobody_up() -> None:
    with serving(lambda: SNAPSHOT) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30):
            assert "consolidate_up 1.0" in fetch(f"{url}/metrics")


def test_a_taken_port_is_an_error_with_a_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError) as error:
            serve_metrics(lambda: SNAPSHOT, "127.0.0.1", port, threading.Event())
    assert str(error.value) == (
        f"metrics cannot be served on 127.0.0.1 port {port}: another program listens there; give another port"
    )


@pytest.mark.parametrize(("address", "port"), [("127.0.0.1", 65536), ("192.0.2.1", 0)])
def test_an_address_that_is_not_ours_is_an_error_with_a_remedy(address: str, port: int) -> None:
    with pytest.raises(InputError, match=r"give an address of this machine and a port that you may use$"):
        serve_metrics(lambda: SNAPSHOT, address, port, threading.Event())
