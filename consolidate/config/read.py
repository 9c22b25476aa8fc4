"""Reads the fleet file; every error names the file, the line, the value and the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from collectors.records import HostRecord, NoteRecord, RuleRecord, WorkloadRecord
from consolidate.config.build import FleetBuilder, Inputs
from consolidate.config.measured import Records
from consolidate.config.schema import FleetFile
from consolidate.errors import InputError

NO_WORKLOADS: Mapping[str, WorkloadRecord] = {}


class _Place:
    """Turns a path inside the document into ``file:line: path``."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.root = yaml.compose(text, Loader=yaml.SafeLoader)

    def __call__(self, path: Sequence[str | int]) -> str:
        node, shown, line = self.root, "", 1
        for step in path:
            child = _child(node, step)
            if child is None:  # a union's branch, or a key that is missing
                continue
            node, line = child, child.start_mark.line + 1
            shown += f"[{step}]" if isinstance(step, int) else f".{step}" if shown else str(step)
        return f"{self.file}:{line}: {shown}" if shown else self.file


def _child(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item: yaml.Node = node.value[step]
        return item
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                found: yaml.Node = value
                return found
    return None


def _key_given_twice(node: yaml.Node | None) -> yaml.ScalarNode | None:
    """The second of two equal keys of one mapping, of which YAML would silently drop the first."""
    pending = [node] if node is not None else []
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        if id(one) in seen:  # an alias
            continue
        seen.add(id(one))
        if isinstance(one, yaml.SequenceNode):
            pending += one.value
        elif isinstance(one, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in one.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in keys:
                        return key
                    keys.add(key.value)
                pending.append(value)
    return None


def read_inputs(
    text: str,
    file: str,
    hosts: Iterable[HostRecord] = (),
    workloads: Mapping[str, WorkloadRecord] = NO_WORKLOADS,
    rules: Iterable[RuleRecord] = (),
    notes: Iterable[NoteRecord] = (),
) -> Inputs:
    """Read a fleet file and join it with what was measured.

    Args:
        text: The file's.
        file: Its name, for errors.
        hosts: That were measured.
        workloads: That were measured, by their name in the fleet.
        rules: That managers keep for them.
        notes: What their sources say of themselves.

    Raises:
        InputError: with the file, the line, the value and the remedy.

    """
    try:
        place = _Place(file, text)
        twice = _key_given_twice(place.root)
        if twice is not None:
            line = twice.start_mark.line + 1
            raise InputError(f"{file}:{line}: the key {twice.value!r} stands here a second time; join the two")
        document = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else file
        raise InputError(
            f"{where}: not YAML ({getattr(error, 'problem', error)}); mend the indentation there"
        ) from None
    try:
        parsed = FleetFile.model_validate({} if document is None else document)
    except ValidationError as error:
        raise InputError(_sentence(error, place)) from None
    return FleetBuilder(parsed, place).build(Records(list(hosts), workloads, list(rules), list(notes)))


def load_inputs(
    path: Path,
    hosts: Iterable[HostRecord] = (),
    workloads: Mapping[str, WorkloadRecord] = NO_WORKLOADS,
    rules: Iterable[RuleRecord] = (),
    notes: Iterable[NoteRecord] = (),
) -> Inputs:
    """Read a fleet file from disk; see `read_inputs`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}); give the fleet's YAML file") from None
    return read_inputs(text, str(path), hosts, workloads, rules, notes)


def _sentence(error: ValidationError, place: _Place) -> str:
    first = error.errors()[0]
    where = place(first["loc"])
    if first["type"] == "value_error":
        return f"{where}: {first['ctx']['error']}"
    if first["type"] == "extra_forbidden":
        return f"{where}: there is no such key; remove it or mend its spelling (docs/fleet-file.md lists the keys)"
    if first["type"] == "missing":
        return f"{where}: the key {first['loc'][-1]!r} is missing; add it"
    message = first["msg"][0].lower() + first["msg"][1:]
    value = "" if isinstance(first["input"], (dict, list)) else f"{first['input']!r}: "
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{where}: {value}{message}; docs/fleet-file.md shows what belongs here{more}"
