"""What the command line reads and prints: results on stdout, the rest on stderr, files whole or not at all."""

from __future__ import annotations

import enum
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from consolidate.errors import InputError

if TYPE_CHECKING:
    from consolidate.pipeline import Stages
    from consolidate.plan.plan import Plan
    from consolidate.solve.solve import Effort


class ReportFormat(enum.StrEnum):
    """How a plan is shown."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"


class Progress:
    """Stages on stderr: a spinner where somebody looks, plain lines elsewhere."""

    def __enter__(self) -> Stages:
        from consolidate.pipeline import Stages

        if not sys.stderr.isatty():
            return Stages(lambda text: None if text.startswith("solve: ") and "so far" in text else say(text))
        from rich.console import Console

        console = Console(stderr=True)
        self.spinner = console.status("starting")
        self.spinner.start()

        def tell(text: str) -> None:
            if text.endswith(" s)"):
                console.print(text, highlight=False, markup=False)
            else:
                self.spinner.update(text)

        return Stages(tell)

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "spinner"):
            self.spinner.stop()


def say(text: str) -> None:
    """Progress and notes, on stderr."""
    print(text, file=sys.stderr)


def result(values: dict[str, object], sentence: str, as_json: bool) -> None:
    """A verb's result, for people or for programs."""
    print(json.dumps(values) if as_json else sentence)


def width() -> int:
    """Columns of the terminal, 80 at least."""
    return max(80, shutil.get_terminal_size((80, 24)).columns)


def load_plan(path: Path) -> Plan:
    """Read a plan file.

    Raises:
        InputError: where it cannot be read or is no plan.
        StalePlanError: where it was altered.

    """
    from consolidate.plan.plan import parse_plan

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InputError(
            f"{path}: cannot be read ({reason}); give a file that `consolidate plan --out` wrote"
        ) from None
    return parse_plan(text, str(path))


def write_plan(document: Plan, path: Path) -> None:
    """Write a plan file."""
    from consolidate.plan.plan import dump_plan

    write(path, dump_plan(document))


def write(path: Path, text: str) -> None:
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); name another file") from None


def show(document: Plan, kind: ReportFormat, out: Path | None) -> None:
    """Render a plan to stdout or to a file."""
    from consolidate.report import RENDERERS
    from consolidate.report.text import render_text

    if kind is ReportFormat.TEXT:
        text = render_text(document, width(), out is None and sys.stdout.isatty())
    else:
        text = RENDERERS[kind.value](document)
    if out is None:
        print(text, end="")
    else:
        write(out, text)


def effort_of(level: int) -> Effort:
    """The search's budget for a level; 1 is usual."""
    from dataclasses import replace

    from consolidate.solve.solve import Effort

    usual = Effort()
    return replace(
        usual, perturbed_starts=usual.perturbed_starts * level, patience=usual.patience * level, searched_starts=level
    )
