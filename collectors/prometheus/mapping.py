"""Which series mean what: shipped tables of exporters, and a user's own that change or add to them.

A table says of one kind of thing (hosts, virtual machines, containers) what its metrics are called, which labels tell
it apart, and how its name comes about. Tables are data, ``tables/*.toml``; docs/prometheus.md explains the keys.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from collectors.prometheus.promql import Source
from collectors.prometheus.table import Info, Mapped, Table
from collectors.records import METRICS, TraceError
from collectors.traces.files import load

SHIPPED = Path(__file__).parent / "tables"
SUBJECTS = ("host", "vm", "container", "service")
FACTS = {
    "host": ("os", "kernel", "cpu_model", "vendor", "hypervisor", "cluster", "machine_id"),
    "workload": ("os", "cgroup", "group", "owner", "machine_id", "cluster"),
}
TABLE_KEYS = {
    "use", "subject", "level", "split", "host", "name", "aliases", "where", "without", "start", "resets", "info",
    "facts", "amounts", "filters", "metrics",
}  # fmt: skip
_SOURCE_KEYS = {"sum", "max", "count", "less", "expr", "where", "without", "filter", "factor", "above"}
_COMBINE = ("sum", "max", "count")


def load_mapping(path: Path | None = None) -> Mapped:
    """The shipped tables, changed by those of a file where one is given.

    Raises:
        TraceError: with the file, the table and key, the value and the remedy.

    """
    documents: dict[str, Any] = {}
    for shipped in sorted(SHIPPED.glob("*.toml")):
        documents |= tomllib.loads(shipped.read_text(encoding="utf-8"))
    if path is None:
        return parse(documents, str(SHIPPED))
    try:
        own = tomllib.loads(load(path))
    except tomllib.TOMLDecodeError as error:
        raise TraceError(f"{path}: not TOML ({error}); correct it there") from None
    return parse(_merged(documents, own), str(path))


def parse(documents: Mapping[str, Any], name: str) -> Mapped:
    """Tables of a parsed document; ``name`` is the file that errors refer to."""
    hosts = _texts(documents.get("hosts", {}), f"{name}: hosts")
    tables = []
    for key, entry in documents.items():
        if key in ("hosts", "access"):
            continue
        if not isinstance(entry, dict):
            raise TraceError(f"{name}: {key}: {entry!r} is no table; write [{key}] and its keys below")
        if entry.get("use", True):
            tables.append(_table(key, entry, f"{name}: {key}"))
    return Mapped(tuple(tables), hosts, _dict(documents.get("access", {}), f"{name}: access"))


def _merged(below: Any, above: Any) -> dict[str, Any]:
    """Tables joined key by key, except that a source replaces another whole."""
    merged = dict(below)
    for key, value in above.items():
        before = merged.get(key)
        is_source = isinstance(value, dict) and {*_COMBINE, "expr"} & value.keys()
        joined = isinstance(before, dict) and isinstance(value, dict) and not is_source
        merged[key] = _merged(before, value) if joined else value
    return merged


def _table(key: str, entry: Mapping[str, Any], place: str) -> Table:
    _known(entry, TABLE_KEYS, place)
    subject = entry.get("subject")
    if subject not in SUBJECTS:
        raise TraceError(f"{place}: subject: {subject!r} is none of {', '.join(SUBJECTS)}; write what it measures")
    where, without = (
        _texts(entry.get("where", {}), f"{place}.where"),
        _texts(entry.get("without", {}), f"{place}.without"),
    )
    filters = {
        name: [_patterns(_dict(one, at).get(key, {}), f"{at}.{key}") for key in ("where", "without")]
        for name, at, one in _entries(entry, "filters", place)
    }

    def source(value: object, at: str) -> Source:
        return _source(value, at, filters, where, without)

    table = Table(
        key,
        subject,
        _text(entry.get("split", "instance"), f"{place}.split"),
        _templates(entry.get("host"), f"{place}.host"),
        _templates(entry.get("name", []), f"{place}.name"),
        _templates(entry.get("aliases", []), f"{place}.aliases"),
        _text(entry.get("level", subject), f"{place}.level"),
        source(entry["start"], f"{place}.start") if "start" in entry else None,
        source(entry["resets"], f"{place}.resets") if "resets" in entry else None,
        tuple(_info(one, f"{place}.info") for one in _list(entry.get("info", []), f"{place}.info")),
        {name: _templates(one, at) for name, at, one in _entries(entry, "facts", place)},
        {name: source(one, at) for name, at, one in _entries(entry, "amounts", place)},
        {name: source(one, at) for name, at, one in _entries(entry, "metrics", place)},
    )
    _check(table, place)
    return table


def _check(table: Table, place: str) -> None:
    if (table.subject == "host") == bool(table.workload):
        remedy = "leave it out for hosts" if table.workload else "say how a workload's name comes about"
        raise TraceError(f"{place}: name: {list(table.workload)} does not fit the subject {table.subject!r}; {remedy}")
    for name in table.metrics:
        if name not in METRICS:
            raise TraceError(f"{place}.metrics: {name!r} is no metric of the store; docs/prometheus.md lists them")
    for name in table.facts:
        if name not in FACTS[table.record]:
            known = ", ".join(FACTS[table.record])
            raise TraceError(f"{place}.facts: {name!r} is no fact of a {table.record}; name one of {known}")


def _source(
    value: object,
    place: str,
    filters: Mapping[str, list[dict[str, str]]],
    where: Mapping[str, str],
    without: Mapping[str, str],
) -> Source:
    entry = _dict(value, place)
    _known(entry, _SOURCE_KEYS, place)
    ways = [way for way in (*_COMBINE, "expr") if way in entry]
    if len(ways) != 1:
        raise TraceError(f"{place}: {value!r} does not say once where values come from; give one of sum, max, expr")
    if "filter" in entry and _text(entry["filter"], f"{place}.filter") not in filters:
        raise TraceError(f"{place}: filter: {entry['filter']!r} is not among the table's filters; add it or correct it")
    named_where, named_without = filters[entry["filter"]] if "filter" in entry else ({}, {})
    expression = _text(entry.get("expr", ""), f"{place}.expr")
    if expression and "$match" not in expression:
        raise TraceError(
            f"{place}: expr: {expression!r} has no $match; write metric{{$match}} so that it can be divided"
        )
    return Source(
        "" if expression else ways[0],
        "" if expression else _text(entry[ways[0]], f"{place}.{ways[0]}"),
        _text(entry.get("less", ""), f"{place}.less"),
        expression,
        {**where, **named_where, **_patterns(entry.get("where", {}), f"{place}.where")},
        {**without, **named_without, **_patterns(entry.get("without", {}), f"{place}.without")},
        _number(entry.get("factor", 1.0), f"{place}.factor"),
        _number(entry["above"], f"{place}.above") if "above" in entry else None,
    )


def _info(value: object, place: str) -> Info:
    entry = _dict(value, place)
    _known(entry, {"series", "on", "take"}, place)
    on = entry.get("on", {})
    on = {_text(label, f"{place}.on"): label for label in on} if isinstance(on, list) else on
    return Info(
        _text(entry.get("series"), f"{place}.series"), _texts(on, f"{place}.on"), _texts(entry.get("take"), place)
    )


def _known(entry: Mapping[str, Any], keys: set[str], place: str) -> None:
    for key in entry.keys() - keys:
        raise TraceError(f"{place}: {key!r} is not a key here; use {', '.join(sorted(keys))}")


def _dict(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TraceError(f"{place}: {value!r} is no table; write {{ key = value }}")
    return value


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise TraceError(f"{place}: {value!r} is no text; write it in quotes")
    return value


def _number(value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TraceError(f"{place}: {value!r} is no number; write it without quotes")
    return float(value)


def _texts(value: object, place: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TraceError(f'{place}: {value!r} is no table of texts; write {{ key = "value" }}')
    return {key: _text(one, f"{place}.{key}") for key, one in value.items()}


def _patterns(value: object, place: str) -> dict[str, str]:
    patterns = _texts(value, place)
    for key, pattern in patterns.items():
        try:
            re.compile(pattern)
        except re.error as error:
            raise TraceError(f"{place}.{key}: {pattern!r} is no regular expression ({error}); correct it") from None
    return patterns


def _entries(entry: Mapping[str, Any], key: str, place: str) -> Iterator[tuple[str, str, object]]:
    """Name, place and value of everything below a key; what is ``false`` was taken out."""
    value = entry.get(key, {})
    if not isinstance(value, dict):
        raise TraceError(f"{place}.{key}: {value!r} is no table; write [{place.rpartition(' ')[2]}.{key}]")
    for name, one in value.items():
        if one is not False:
            yield name, f"{place}.{key}.{name}", one


def _list(value: object, place: str) -> list[object]:
    if not isinstance(value, list):
        raise TraceError(f"{place}: {value!r} is no list; write [[{place.rpartition(' ')[2]}]]")
    return value


def _templates(value: object, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TraceError(f'{place}: {value!r} is no list of templates; write for example ["{{node}}", "{{instance}}"]')
    return tuple(value)
