"""The command line's manners: one sentence, the right exit code, nothing half-written."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.cli import consolidate
from tests.support.hosts import contents, make_host

FLEET = """\
hosts:
  - {name: "h{n}", count: 2, os: debian, cpu: 4, memory: 8GiB}
workloads:
  - {name: one, host: h1, demand: {cpu: 1, memory: 1GiB}}
  - {name: two, host: h2, demand: {cpu: 1, memory: 1GiB}}
"""


def one_sentence(err: str) -> bool:
    lines = [line for line in err.splitlines() if line.startswith("consolidate: ")]
    return len(lines) == 1 and "Traceback" not in err


@pytest.mark.parametrize(
    ("name", "text", "code", "says"),
    [
        ("fleet.yaml", FLEET.replace("8GiB", "8Gibs"), 1, "fleet.yaml:2: hosts[0].memory: '8Gibs' is not a size"),
        ("fleet.yaml", FLEET.replace("cpu: 4", "cpu: 0"), 1, "host 'h1' has no cpu left to give"),
        (
            "fleet.yaml",
            FLEET + "rules: [{kind: pin, name: p, workloads: [three], hosts: [h1]}]",
            1,
            "no workload matches 'three'",
        ),
        ("fleet.yaml", FLEET.replace("memory: 1GiB", "memory: 9GiB"), 3, "even when that host is empty"),
    ],
)
def test_a_bad_fleet_file(tmp_path: Path, name: str, text: str, code: int, says: str) -> None:
    (tmp_path / name).write_text(text)
    ran = consolidate("plan", "--fleet", name, "--out", "plan.json", cwd=tmp_path)
    assert (ran.code, ran.out) == (code, ""), ran.err
    assert says in ran.err
    assert one_sentence(ran.err)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_a_malformed_trace_row_leaves_no_samples(tmp_path: Path) -> None:
    header = "Timestamp [ms];" + ";".join("abcdefghij")
    row = "1375308176;2;5851;747;12.7;8388608;1308620;0;1;11;27\n"
    (tmp_path / "trace").mkdir()
    (tmp_path / "trace/1.csv").write_text(f"{header}\n{row}{row.replace('747', '7x7')}")
    ran = consolidate("import", "bitbrains", "trace", "--store", "store", cwd=tmp_path)
    assert ran.code == 1
    assert "trace/1.csv:3: '7x7'" in ran.err
    assert one_sentence(ran.err)
    assert not (tmp_path / "store").exists()


def test_a_trace_whose_clock_jumps_back(tmp_path: Path) -> None:
    header = "Timestamp [ms];" + ";".join("abcdefghij")
    rows = [f"{at};2;5851;747;12.7;8388608;1308620;0;1;11;27" for at in (1375308176, 1375308476, 1375308176)]
    (tmp_path / "trace").mkdir()
    (tmp_path / "trace/1.csv").write_text("\n".join([header, *rows]))
    ran = consolidate("import", "bitbrains", "trace", "--store", "store", cwd=tmp_path)
    assert (ran.code, "trace/1.csv:4" in ran.err) == (1, True), ran.err
    assert one_sentence(ran.err)


def test_a_truncated_store(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, {"web": {}})
    (root / "sys/fs/cgroup/web/cpu.stat").write_text("usage_usec 5\nuser_usec 5\nsystem_usec 0\n")
    ran = consolidate("collect", "--root", root, "--host", "h", "--store", tmp_path / "store", "--count", 1)
    assert ran.code == 0, ran.err
    (parquet,) = (tmp_path / "store").glob("segment-*/samples.parquet")
    parquet.write_bytes(parquet.read_bytes()[:40])
    ran = consolidate("demand", "--store", tmp_path / "store", "--fleet", "/dev/null")
    assert ran.code == 1
    assert one_sentence(ran.err)


def test_a_plan_for_another_host_and_an_altered_plan(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(FLEET)
    ran = consolidate("plan", "--fleet", "fleet.yaml", "--out", "plan.json", cwd=tmp_path)
    assert ran.code == 2, ran.err
    root = make_host(tmp_path / "root", 2, {})
    other = consolidate("apply", "plan.json", "--host", "stranger", "--root", root, cwd=tmp_path)
    assert (other.code, one_sentence(other.err)) == (4, True)
    assert "no partition for host 'stranger'" in other.err
    plan = tmp_path / "plan.json"
    plan.write_text(plan.read_text().replace('"seed": 0', '"seed": 1'))
    altered = consolidate("report", "plan.json", cwd=tmp_path)
    assert (altered.code, "altered since it was written" in altered.err) == (4, True)


def test_apply_is_dry_until_told_otherwise_and_rollback_takes_it_back(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 1, {"web": {}})
    (tmp_path / "fleet.yaml").write_text(
        "hosts: [{name: here, os: debian, cpu: 4, memory: 8GiB}]\n"
        "workloads: [{name: web, host: here, cgroup: web, demand: {cpu: 500m, memory: 64MiB}}]\n"
    )
    before = contents(root)
    assert consolidate("plan", "--fleet", "fleet.yaml", "--out", "plan.json", cwd=tmp_path).code == 2
    here = ("--host", "here", "--root", root)
    dry = consolidate("apply", "plan.json", *here, cwd=tmp_path)
    assert (dry.code, "-1 → 50000" in dry.out, contents(root) == before) == (2, True, True), dry.err
    assert consolidate("status", "plan.json", *here, cwd=tmp_path).code == 2
    state = ("--state", tmp_path / "state")
    wet = consolidate("apply", "plan.json", *here, *state, "--yes", "--json", cwd=tmp_path)
    assert wet.code == 0, wet.err
    assert {outcome["status"] for outcome in json.loads(wet.out)} == {"done"}
    assert consolidate("apply", "plan.json", *here, *state, cwd=tmp_path).out.startswith("No changes")
    assert consolidate("status", "plan.json", *here, cwd=tmp_path).code == 0
    back = consolidate("rollback", "--root", root, *state, cwd=tmp_path)
    assert back.code == 0, back.err
    stripped = {path: text.strip() for path, text in before.items()}
    assert {path: text.strip() for path, text in contents(root).items()} == stripped


@pytest.mark.parametrize(
    "arguments",
    [("plan", "--stor", "x"), ("plan", "--seed", "-1"), ("nonsense",), ("report",), ("serve", "p", "--json")],
)
def test_a_wrong_option_is_an_error_and_not_a_change(arguments: tuple[str, ...]) -> None:
    ran = consolidate(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert one_sentence(ran.err)
    assert ran.err.rstrip().endswith("; see consolidate --help")


def test_the_command_starts_without_the_packages_that_only_development_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {re.split(r"[<>=\[ ]", one)[0].replace("-", "_") for one in project["dependencies"]}
    imported = set()
    for path in [*ROOT.glob("consolidate/**/*.py"), *ROOT.glob("collectors/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    ours = {"consolidate", "collectors"}
    assert {n for n in imported if n not in sys.stdlib_module_names} - ours - {"yaml"} <= named | {"prometheus_client"}


def test_help_lists_the_verbs() -> None:
    ran = consolidate("--help")
    assert ran.code == 0
    for verb in ("collect", "import", "demand", "plan", "report", "apply", "status", "rollback", "serve", "demo"):
        assert verb in ran.out
        assert consolidate(verb, "--help").code == 0
