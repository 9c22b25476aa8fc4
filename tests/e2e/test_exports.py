"""Exports of inventories, end to end: a real RVTools workbook to a plan and a report, and lists with a fleet file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from consolidate.console import effort_of
from consolidate.errors import InputError
from consolidate.pipeline import Stages
from consolidate.plan.plan import Plan, plan_digest
from consolidate.report import RENDERERS
from consolidate.report.text import render_text
from consolidate.verbs.plan_export import plan_export
from tests.support.cli import consolidate
from tests.support.workbooks import write

MISSING = "disk_read_bytes_per_s, disk_write_bytes_per_s, disk_iops, net_rx_bytes_per_s, net_tx_bytes_per_s"
HOSTS = "hosts: [{name: 'new-{n}', count: 4, cpu: 32, memory: 256GiB, hypervisor: native, os: debian}]\n"


def planned(kind: str, place: Path, fleet: Path | None = None) -> Plan:
    return plan_export(kind, place, fleet, 0, effort_of(1), Stages(lambda text: None))


@pytest.fixture(scope="module")
def workbook(data: Path) -> Path:
    return data / "exports/rvtools_example1.xlsx"


@pytest.fixture(scope="module")
def plan(workbook: Path) -> Plan:
    return planned("rvtools", workbook)


@pytest.mark.data
def test_an_rvtools_workbook_becomes_a_plan_in_one_command(plan: Plan) -> None:
    assert (plan.before.hosts, len(plan.hosts)) == (7, 7)
    assert plan.proof.lower_bound <= plan.after.hosts <= 7
    # Two of its machines run, have a size, and ran on hosts that the workbook does not list.
    assert {move.workload for move in plan.moves} >= {"vm-3", "vm-8"}
    assert ("vm-9", "left alone: its demand is unknown (no cpu was measured)") in {
        (one.subject, one.reason) for one in plan.refusals
    }


@pytest.mark.data
def test_what_the_workbook_does_not_hold_is_in_every_report(plan: Plan) -> None:
    told = (
        f"not planned for: {MISSING}.",
        "Sheets that the export does not have: vCluster, vMetaData.",
        "The hosts run 77 virtual machines that vInfo does not list.",
        "6 workloads are powered off and are not placed (vm-1, vm-2, vm-4 and 3 more)",
        "4 virtual CPUs count as one core for 9 virtual machines",
    )
    text = render_text(plan, 80)
    assert max(map(len, text.splitlines())) <= 80
    for shown in (" ".join(text.split()), RENDERERS["html"](plan), RENDERERS["markdown"](plan).replace("\\", "")):
        for sentence in told:
            assert sentence in shown


@pytest.mark.data
def test_a_store_between_the_two_changes_nothing(tmp_path: Path, workbook: Path, plan: Plan) -> None:
    store, out = tmp_path / "store", tmp_path / "plan.json"
    assert consolidate("import", "rvtools", workbook, "--store", store).code == 0
    ran = consolidate("plan", "--store", store, "--out", out)
    assert ran.code == 2, ran.err
    assert json.loads(out.read_text())["digest"] == plan_digest(plan)


@pytest.mark.data
def test_a_half_copied_workbook_is_one_sentence(tmp_path: Path, workbook: Path) -> None:
    half = write(tmp_path / "half.xlsx", workbook.read_bytes()[:200_000])
    ran = consolidate("import", "rvtools", half, "--store", tmp_path / "store")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"consolidate: {half}: not a whole workbook; export or copy it again\n"


def test_a_list_of_servers_is_planned_onto_the_fleet_files_hosts(tmp_path: Path) -> None:
    rows = "".join(f"srv-{number},4,16384,Windows Server 2019,25,50\n" for number in range(40))
    head = "Server name,Cores,Memory (In MB),OS name,CPU utilization percentage,Memory utilization percentage\n"
    servers = write(tmp_path / "servers.csv", head + rows)
    plan = planned("azure-migrate", servers, write(tmp_path / "fleet.yaml", HOSTS))
    # 40 times 1.1 cores and 8.8 GiB, on hosts that have 28.8 cores and 230.4 GiB to give.
    assert plan.after.hosts == 2
    assert len(plan.moves) == 40
    assert any("sized by the greatest use that their source sums up" in line for line in plan.basis)


def test_what_a_size_rests_on_is_explained(tmp_path: Path) -> None:
    head = "Server name,Cores,Memory (In MB),OS name,CPU utilization percentage,Memory utilization percentage\n"
    servers = write(tmp_path / "servers.csv", f"{head}web,4,8192,Ubuntu,25,50\ndb,4,8192,Ubuntu,,\n")
    fleet, store = write(tmp_path / "fleet.yaml", HOSTS), tmp_path / "store"
    assert consolidate("import", "azure-migrate", servers, "--store", store).code == 0
    for name, lines in (
        ("web", ("sized by the greatest use that its source sums up", "1.100 cores", "4.400 GiB")),
        ("db", ("so it is sized by its limit", "4 virtual CPUs share a core", "1.000 cores", "8.000 GiB")),
    ):
        ran = consolidate("explain", name, "--store", store, "--fleet", fleet)
        assert ran.code == 0, ran.err
        for line in lines:
            assert line in ran.out


def test_a_format_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no format 'rvtoolz' to plan from; name one of "):
        planned("rvtoolz", tmp_path)


@pytest.mark.data
def test_the_command_itself(workbook: Path) -> None:
    ran = consolidate("plan", "--from", "rvtools", workbook)
    assert (ran.code, "7 hosts become" in ran.out) == (2, True), ran.err
