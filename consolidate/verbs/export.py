"""A plan written out in the words of another tool, as files in a folder or as one text."""

from __future__ import annotations

from pathlib import Path

from consolidate.console import write
from consolidate.errors import InputError
from consolidate.export import EXPORTS, Export, on_host
from consolidate.plan.plan import Plan


def make_export(document: Plan, kind: str, host: str | None) -> Export:
    """Export a plan, or one host's part of it.

    Raises:
        InputError: for a format that there is not, or a host that the plan limits nothing on.

    """
    if kind not in EXPORTS:
        raise InputError(f"no format {kind!r} to export to; name one of {', '.join(EXPORTS)}")
    return EXPORTS[kind](document if host is None else on_host(document, host))


def write_files(export: Export, folder: Path) -> None:
    """Write an export's files, each whole or not at all.

    Raises:
        InputError: where the folder cannot be written to.

    """
    for name, text in export.files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path.parent}: cannot be made ({error.strerror}); name another folder") from None
        write(path, text)


def as_text(export: Export) -> str:
    """An export's files one after the other, each below its name."""
    if len(export.files) == 1:
        return next(iter(export.files.values()))
    return "\n".join(f"# ---- {name}\n{text}" for name, text in export.files.items())
