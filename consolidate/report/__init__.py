"""Renderings of one plan document: same content, one file a format, one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consolidate.plan.plan import Plan


def _later(module: str, function: str) -> Callable[[Plan], str]:
    """A renderer whose module, and the library it draws with, is loaded when it is first used."""

    def render(plan: Plan) -> str:
        text: str = getattr(import_module(module), function)(plan)
        return text

    return render


RENDERERS: Mapping[str, Callable[[Plan], str]] = {
    "text": _later("consolidate.report.text", "render_text"),
    "markdown": _later("consolidate.report.markdown", "render_markdown"),
    "html": _later("consolidate.report.html", "render_html"),
    "json": _later("consolidate.plan.plan", "dump_plan"),
}
