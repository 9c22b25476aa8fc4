"""Exports become files in a folder, or one text; the doctor's report comes with a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from consolidate.apply.local import LocalMachine
from consolidate.errors import InputError, StalePlanError
from consolidate.verbs.doctor import diagnose
from consolidate.verbs.export import as_text, make_export, write_files
from tests.support.hosts import make_host, partition, plan_of

MIB = 1 << 20
PLAN = plan_of(partition("here:db", "db", 1500, 64 * MIB), partition("here:web", "web", 500, 64 * MIB))


def test_files_are_written_below_the_folder(tmp_path: Path) -> None:
    export = make_export(PLAN, "shell", "here")
    write_files(export, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out/here").iterdir()) == ["apply.sh", "rollback.sh"]
    assert (tmp_path / "out/here/apply.sh").read_text() == export.files["here/apply.sh"]


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match=r"cannot be made .*; name another folder"):
        write_files(make_export(PLAN, "kubernetes", None), tmp_path / "out/below")


def test_one_file_is_itself_and_several_stand_below_their_names() -> None:
    assert as_text(make_export(PLAN, "compose", None)).startswith("# Override for the services on here")
    several = as_text(make_export(PLAN, "kubernetes", None))
    assert several.count("# ---- here-") == 2


def test_a_format_that_there_is_not_is_a_sentence() -> None:
    with pytest.raises(InputError, match="no format 'helm' to export to; name one of ansible, compose, kubernetes"):
        make_export(PLAN, "helm", None)


def test_the_doctor_judges_a_host_of_the_plan_and_no_other(tmp_path: Path) -> None:
    root = make_host(tmp_path / "root", 2, {"db": {}, "web": {}})
    (root / "sys/fs/cgroup/cgroup.controllers").write_text("cpu memory\n")
    text, unfit = diagnose(PLAN, LocalMachine("here", root), as_json=False)
    assert "+ memory limit  effective       2 workloads: here:db, here:web" in text
    assert unfit, "there is no pressure to watch"
    document = json.loads(diagnose(PLAN, LocalMachine("here", root), as_json=True)[0])
    assert document["host"] == "here"
    with pytest.raises(StalePlanError, match=r"the plan has no host 'there' \(it has here, …\)"):
        diagnose(PLAN, LocalMachine("there", root), as_json=False)
