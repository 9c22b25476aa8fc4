"""Text and Markdown against golden files, at every width, with hostile names, and what they claim."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from consolidate.plan.plan import HostPlan, Plan, Totals
from consolidate.report import RENDERERS
from consolidate.report.markdown import escape, render_markdown
from consolidate.report.text import HOSTS_PER_OS, bar, render_text

GOLDEN = Path(__file__).parents[2] / "golden/report"


def check_golden(name: str, text: str) -> None:
    """Compare; with REGENERATE_GOLDEN=1 in the environment, write first."""
    path = GOLDEN / name
    if os.environ.get("REGENERATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), (
        "if the change is meant: REGENERATE_GOLDEN=1 pytest tests/unit/report"
    )


def cells(line: str) -> list[str]:
    """Cells of a row of a Markdown table, as GitHub splits them."""
    return re.split(r"(?<!\\)\|", line)[1:-1]


def test_text_is_the_golden_text(small: Plan) -> None:
    check_golden("small.txt", render_text(small, 80))


def test_markdown_is_the_golden_markdown(small: Plan) -> None:
    check_golden("small.md", render_markdown(small))


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("name", ["small", "unchanged", "hostile", "large"])
def test_no_line_is_wider_than_the_page(name: str, width: int, request: pytest.FixtureRequest) -> None:
    text = render_text(request.getfixturevalue(name), width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert not [line for line in text.splitlines() if line != line.rstrip()], "no trailing spaces"


def test_the_first_screen_answers(large: Plan) -> None:
    top = "\n".join(render_text(large).splitlines()[:24])
    for answer in (
        "200 hosts become 100",
        "90 needed at least",
        "gap 10 hosts; fluid bound",
        "600 → 260 W",
        "202.55 a month",
        "2,431 a year",
        "100 moves in 20 waves",
        "1 container:",
        "1 virtual machine:",
    ):
        assert answer in top


def test_only_a_closed_gap_is_called_optimal(small: Plan) -> None:
    still_open = replace(small, proof=replace(small.proof, cost=5, lower_bound=3))
    for render in (RENDERERS["text"], RENDERERS["markdown"], RENDERERS["html"]):
        closed, opened = render(small), render(still_open)
        assert "1 host used, proven optimal" in closed and "needed at least" not in closed
        assert "optimal" not in opened.lower() and "5 hosts used, 3 needed at least" in opened


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("cost", "9,012 EUR a month used (hosts without electricity), 850.00 EUR a month needed at least"),
        ("watts", "901 W used (hosts when idle), 85 W needed at least"),
        ("hosts", "901,234 hosts used, 85,000 needed at least"),
        ("coffee", "901,234 coffee used, 85,000 coffee needed at least"),
    ],
)
def test_the_proof_counts_in_its_own_unit(small: Plan, objective: str, words: str) -> None:
    plan = replace(small, proof=replace(small.proof, objective=objective, cost=901_234, lower_bound=85_000))
    assert words in render_text(plan, 140)


def test_no_changes_says_so(unchanged: Plan) -> None:
    text = render_text(unchanged)
    assert text.startswith("No changes: 1 host stays as it is\n")
    assert "nothing to move" in text and "freed" not in text
    assert render_markdown(unchanged).startswith("# No changes: 1 host stays as it is\n")


def test_an_empty_fleet_is_no_error(unchanged: Plan) -> None:
    nothing = Totals(0, 0.0, 0.0, 0)
    plan = replace(unchanged, hosts=(), placed={}, before=nothing, after=nothing)
    for kind, render in RENDERERS.items():
        assert kind == "json" or "No changes: 0 hosts stay as they are" in render(plan)


def test_names_are_not_interpreted_in_text(hostile: Plan) -> None:
    text = render_text(hostile, 140, colour=False)
    assert "[red]red[/red]" in text and ":smile:" in text
    assert "\x1b" not in text and "\u202e" not in text
    assert "\x1b[31mescape" not in render_text(hostile, 140, colour=True)


def test_names_are_not_interpreted_in_markdown(hostile: Plan) -> None:
    text = render_markdown(hostile)
    assert "<script>" not in text.replace("\\<", "") and "a\\|b" in text and "\\`code\\`" in text
    table: list[str] = []
    for line in text.splitlines():
        table = [*table, line] if line.startswith("|") else []
        assert len({len(cells(row)) for row in table}) <= 1, line


def test_escape_leaves_plain_names_alone() -> None:
    assert escape("deb-1:web 3.2 (Tue 14:00)") == "deb-1:web 3.2 (Tue 14:00)"
    assert escape("a\\|b") == "a\\\\\\|b"


def test_long_lists_are_shortened_in_text_and_complete_in_markdown(large: Plan) -> None:
    text, markdown = render_text(large), render_markdown(large)
    assert f"… and {25 - HOSTS_PER_OS} more debian hosts (--json has all)" in " ".join(text.split())
    assert "… and 25 more (--json has all)" in text
    for host in large.hosts:
        assert f"| {host.name} |" in markdown or f"{host.name}," in markdown or f", {host.name} |" in markdown
    assert all(f"| {move.workload} |" in markdown for move in large.moves)


def test_colour_is_only_on_request_and_changes_no_word(small: Plan) -> None:
    plain, coloured = render_text(small), render_text(small, colour=True)
    assert "\x1b[" in coloured and "\x1b[" not in plain
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in bare.splitlines()] == plain.splitlines()


def test_a_host_that_must_be_started_says_so(small: Plan) -> None:
    host = small.hosts[1]
    started = HostPlan("deb-9", "debian", host.after, small.hosts[0].after, "start", "room is needed")
    plan = replace(small, hosts=(*small.hosts, started))
    for kind in ("text", "markdown"):
        assert "to be switched on: room is needed" in " ".join(RENDERERS[kind](plan).split())


def test_a_plan_that_costs_more_does_not_call_it_a_saving(small: Plan) -> None:
    text = render_text(replace(small, before=small.after, after=small.before))
    assert "1 host becomes 3" in text and "2 more" in text
    assert "takes 202.55 a month, 2,431 a year more" in text and "saves" not in text


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, ""), (0.001, "▏"), (0.5, "██"), (0.55, "██▎"), (1, "████"), (2, "████")]
)
def test_bars(share: float, drawn: str) -> None:
    assert bar(share, 4) == drawn
