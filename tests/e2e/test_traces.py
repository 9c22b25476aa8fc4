"""The published traces, end to end: a month of Bitbrains and a day of PlanetLab."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli import consolidate
from tests.support.traces import unpack

pytestmark = pytest.mark.data

BITBRAINS_HOSTS = """\
models:
  r740: {cpu: 32, memory: 256GiB, hypervisor: native, watts: [110, 190, 240, 300, 380], cost_per_month: 210}
hosts:
  - {name: "r740-{n}", count: 40, model: r740, os: debian}
policy: {headroom: 10%}
"""
# The hosts of Beloglazov and Buyya (2012): two cores of 1,860 or 2,660 MIPS, 4 GB, and their measured watts.
PLANETLAB_HOSTS = """\
models:
  g4: {cpu: 2, cpu_rating: 1.86, memory: 4GB, watts: [86, 89.4, 92.6, 96, 99.5, 102, 106, 108, 112, 114, 117]}
  g5: {cpu: 2, cpu_rating: 2.66, memory: 4GB, watts: [93.7, 97, 101, 105, 110, 116, 121, 125, 129, 133, 135]}
hosts:
  - {name: "g4-{n}", count: 400, model: g4, os: debian, hypervisor: native}
  - {name: "g5-{n}", count: 400, model: g5, os: debian, hypervisor: native}
policy: {headroom: 0%, memory_margin: 0%}
"""


def planned(tmp_path: Path, kind: str, folder: Path, hosts: str) -> tuple[dict[str, object], dict[str, object]]:
    store, fleet = tmp_path / "store", tmp_path / "fleet.yaml"
    fleet.write_text(hosts)
    imported = consolidate("import", kind, folder, "--store", store, "--json")
    assert imported.code == 0, imported.err
    again = consolidate("import", kind, folder, "--store", store)
    assert again.code == 1
    assert "goes back in time; correct the clock, or import into a new store" in again.err
    ran = consolidate("plan", "--store", store, "--fleet", fleet, "--json")
    assert ran.code == 2, ran.err
    return json.loads(imported.out), json.loads(ran.out)


def test_a_month_of_bitbrains(tmp_path: Path, data: Path) -> None:
    unpack(data / "bitbrains/rnd-2013-8-vm001-150.tar.xz", tmp_path / "trace")
    imported, plan = planned(tmp_path, "bitbrains", tmp_path / "trace", BITBRAINS_HOSTS)
    assert imported["samples"] == 7_594_404
    [note] = imported["notes"]
    assert note.startswith("52,902 of 1,318,636 rows left out: no CPU was provisioned then to vm-122, vm-123")
    assert note in " ".join(plan["basis"])
    assert len(plan["moves"]) == 150
    proof = plan["proof"]
    assert proof["lower_bound"] <= proof["cost"] == plan["after"]["hosts"] < 40


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory, data: Path) -> tuple[Path, Path]:
    """(store, fleet file) of the Bitbrains month; memory enough for every virtual machine's limit."""
    folder = tmp_path_factory.mktemp("month")
    unpack(data / "bitbrains/rnd-2013-8-vm001-150.tar.xz", folder / "trace")
    assert consolidate("import", "bitbrains", folder / "trace", "--store", folder / "store").code == 0
    fleet = folder / "fleet.yaml"
    fleet.write_text(BITBRAINS_HOSTS.replace("256GiB", "512GiB").replace("count: 40", "count: 60"))
    return folder / "store", fleet


def test_plans_made_on_three_weeks_hold_on_the_rest(month: tuple[Path, Path]) -> None:
    store, fleet = month
    ran = consolidate("backtest", "--store", store, "--fleet", fleet, "--train", "21d", "--json")
    assert ran.code == 0, ran.err
    judged = {one["name"]: one for one in json.loads(ran.out)["judged"]}
    balanced, clairvoyant = judged["balanced"], judged["clairvoyant"]
    assert balanced["hosts"] <= 1.15 * clairvoyant["hosts"]
    assert balanced["violation_rate"] <= balanced["high"] <= 0.01
    assert clairvoyant["violation_rate"] == 0
    assert all(judged[name]["kept"] for name in ("conservative", "balanced", "aggressive"))
    assert judged["sum of limits"]["hosts"] > balanced["hosts"]


def test_what_the_month_says_of_itself(month: tuple[Path, Path]) -> None:
    store, fleet = month
    where = ("--store", store, "--fleet", fleet)
    explained = consolidate("explain", "vm-1", *where)
    assert (explained.code, "168, one for each hour of the week" in explained.out) == (0, True), explained.err
    runway = consolidate("runway", *where, "--json")
    assert runway.code == 0, runway.err
    assert json.loads(runway.out)
    found = consolidate("quality", *where)
    assert (found.code, "vm-24 memory_bytes" in found.out) == (2, True), found.err
    insight = consolidate("insight", *where)
    assert (insight.code, "peak together" in insight.out) == (0, True), insight.err
    for ran in (explained, found, insight):
        assert all(len(line) <= 80 for line in ran.out.splitlines())


def test_a_day_of_planetlab(tmp_path: Path, data: Path) -> None:
    unpack(data / "planetlab/planetlab-2011-03.tar.xz", tmp_path / "trace", lambda name: "20110303" in name)
    imported, plan = planned(tmp_path, "planetlab", tmp_path / "trace/20110303", PLANETLAB_HOSTS)
    assert imported["samples"] == 1052 * 288 * 2
    assert len(plan["moves"]) == 1052
    proof = plan["proof"]
    assert proof["lower_bound"] <= proof["cost"] == plan["after"]["hosts"] < 800
