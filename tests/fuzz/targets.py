"""What is fed: every registered importer, and every function of ``collectors`` whose name begins with ``parse``."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import collectors
from collectors.importers import IMPORTERS
from collectors.records import TraceError
from tests.fuzz import seeds

NOT_OF_FILES = ("collectors.agent.command", "collectors.agent.push")
"""They parse a command line."""
_EXAMPLES: Mapping[str, object] = {"str": "f", "int": 1_700_000_000, "Sequence[str]": ()}
"""Further arguments of a parser, by annotation."""


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote."""

    name: str
    seeds: tuple[bytes, ...]
    feed: Callable[[bytes], None]
    """Raises what must not happen, and nothing where the input was read or refused."""


def targets() -> dict[str, Target]:
    """All of them, by name."""
    return {target.name: target for target in (*_importers(), *_parsers())}


def _importers() -> Iterator[Target]:
    for name, variants in seeds.FORMATS.items():
        for number, files in enumerate(variants, start=1):
            yield Target(f"import {name} {number}", files.contents, functools.partial(_import, name, files))


def _import(name: str, files: seeds.Files, content: bytes) -> None:
    with files.written(content) as place:
        try:
            for _ in IMPORTERS[name].read(place):
                pass
        except TraceError as error:
            sentence = str(error)
            assert sentence.startswith(str(place.parent)), f"no file is named: {sentence!r}"
            assert len(sentence) < 1500 and "Traceback" not in sentence, f"no sentence: {sentence[:3000]!r}"


def _parsers() -> Iterator[Target]:
    texts = (
        *seeds.kernel_texts(),
        *(content for files in seeds.FORMATS.values() for one in files for content in one.contents),
    )
    for module in pkgutil.walk_packages(collectors.__path__, "collectors."):
        if module.name.endswith("__main__") or module.name in NOT_OF_FILES:
            continue
        loaded = importlib.import_module(module.name)
        for name, function in inspect.getmembers(loaded, inspect.isfunction):
            if name.startswith("parse") and function.__module__ == module.name:
                arguments = _arguments(function)
                if arguments is not None:
                    feed = functools.partial(_parse, function, arguments)
                    yield Target(f"{module.name}.{name}", texts, feed)


def _arguments(function: Callable[..., Any]) -> tuple[str, list[object]] | None:
    """Kind of the first argument, and examples of the further ones; None for what takes anything else."""
    kinds = [str(one.annotation) for one in inspect.signature(function).parameters.values()]
    if not kinds or kinds[0] not in ("str", "bytes", "object") or any(kind not in _EXAMPLES for kind in kinds[1:]):
        return None
    return kinds[0], [_EXAMPLES[kind] for kind in kinds[1:]]


def _parse(function: Callable[..., Any], arguments: tuple[str, list[object]], content: bytes) -> None:
    kind, further = arguments
    first: object = content
    if kind == "str":
        first = content.decode(errors="replace")
    elif kind == "object":
        try:
            first = json.loads(content)
        except (ValueError, RecursionError):
            return
    try:
        result = function(first, *further)
        if isinstance(result, Iterator):
            list(result)
    except Exception as error:  # what counts as a refusal is asked here
        if not isinstance(error, ValueError) and not type(error).__module__.startswith("collectors"):
            raise
