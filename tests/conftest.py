"""What every test may need: the public traces, and word that something is missing."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the public traces. They are not part of the project, so tests that need them may be skipped."""
    folder = Path(os.environ.get("CONSOLIDATE_DATA", ROOT / "../shared/data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"the public traces are not at {folder}; name their folder in CONSOLIDATE_DATA")
    return folder


ALLOWED_SKIPS = {
    "CONSOLIDATE_DATA": "the public traces may not be passed on, so a CI without them says CONSOLIDATE_DATA=none",
    "CONSOLIDATE_TESTBED": "Grafana's schema is generated elsewhere; a CI without it says CONSOLIDATE_TESTBED=none",
}
"""Skips that CI may make, by the variable that their message names; everything else that is skipped there fails."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI=true, turn a skip that is not on the list into a failure."""
    report = yield
    message = str(report.longrepr)
    allowed = any(name in message and os.environ.get(name) == "none" for name in ALLOWED_SKIPS)
    if report.skipped and os.environ.get("CI") == "true" and not allowed:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} is skipped in CI and not on the list of allowed skips: {message}"
    return report


settings.register_profile("no deadline", deadline=None)  # correctness never depends on wall time
settings.load_profile("no deadline")
