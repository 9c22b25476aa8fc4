"""What the documents say is true: every example parses, every verb is named, every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from collectors.importers import IMPORTERS
from collectors.records import HostRecord, WorkloadRecord
from consolidate.cli import app
from consolidate.cli.options import FORMATS
from consolidate.config import read_inputs
from consolidate.config.schema import FleetFile, HostSection, PolicySection, WorkloadSection

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("dashboards/*.md")])


def test_the_fleet_files_example_is_a_fleet_file() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/fleet-file.md").read_text(), re.DOTALL)
    hosts = [HostRecord(name, "debian", capacity={"cpu_milli": 8000, "memory_bytes": 1 << 36}) for name in OLD]
    workloads = {name: WorkloadRecord(name, "service", "old-1", "linux") for name in MEASURED}
    inputs = read_inputs(example, "docs/fleet-file.md", hosts, workloads)
    assert len(inputs.fleet.hosts) == 40 + len(OLD)
    assert len(inputs.fleet.rules) == 7
    for section in (FleetFile, HostSection, WorkloadSection, PolicySection):
        for key, field in section.model_fields.items():
            assert re.search(rf"\b{field.alias or key}:", example), f"docs/fleet-file.md says nothing of {key!r}"


OLD = ("old-1", "gpu-1", "door-1")
MEASURED = ("old-1:shop-1", "app", "cache", "ora-1", "ml-1", "pci-1")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text())
    for link in links:
        if not link.startswith("http"):
            assert (path.parent / link).exists(), f"{path.name} links to {link}"
    assert links or path != ROOT / "README.md"


def test_the_readme_names_every_verb() -> None:
    verbs = typer.main.get_command(app).commands
    text = (ROOT / "README.md").read_text()
    assert {verb for verb in verbs if f" {verb}" not in text} == set()


def test_the_help_names_every_format_that_can_be_imported() -> None:
    assert FORMATS.split(", ") == list(IMPORTERS)
