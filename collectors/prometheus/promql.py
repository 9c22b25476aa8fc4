"""Expressions of PromQL from the entries of a mapping: text in, text out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\')\s*')
_METACHARACTERS = re.compile(r"([\\.+*?()|\[\]{}^$])")


@dataclass(frozen=True)
class Source:
    """Where the values of one metric come from; matchers are regular expressions of whole label values."""

    combine: str = ""
    """How several series of one host or workload become one: ``sum``, ``max`` or ``count``; empty for an expression."""
    metric: str = ""
    less: str = ""
    """A second metric, which is subtracted."""
    expression: str = ""
    """PromQL with ``$match``, ``$by`` and ``$window``, where a sum or difference does not do."""
    where: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)
    factor: float = 1.0
    above: float | None = None
    """Values of this or less mean that there is none."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that have to be there."""
        if self.expression:
            names = re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{", self.expression)
            return tuple(dict.fromkeys(names))
        return tuple(name for name in (self.metric, self.less) if name)


@dataclass(frozen=True)
class Scope:
    """What all expressions of one request share."""

    by: tuple[str, ...]
    """Labels that tell hosts and workloads apart."""
    matchers: tuple[str, ...] = ()
    window_s: int = 300

    def within(self, *further: str) -> Scope:
        """The same scope with further matchers."""
        return Scope(self.by, (*self.matchers, *further), self.window_s)


def quoted(text: str) -> str:
    """A string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def one_of(label: str, values: Iterable[str]) -> str:
    r"""A matcher of exactly these values, which may contain anything.

    >>> one_of("instance", ["a.b:9100", ""])
    'instance=~"a\\\\.b:9100|"'
    """
    return f"{label}=~{quoted('|'.join(map(_literally, values)))}"


def _literally(value: str) -> str:
    """A regular expression of RE2 that matches a value alone."""
    return _METACHARACTERS.sub(r"\\\1", value)


def matchers(where: Mapping[str, str], without: Mapping[str, str]) -> tuple[str, ...]:
    """Matchers of regular expressions that hold, and of others that do not."""
    return (
        *(f"{label}=~{quoted(pattern)}" for label, pattern in where.items()),
        *(f"{label}!~{quoted(pattern)}" for label, pattern in without.items()),
    )


def parse_selector(text: str) -> tuple[str, ...]:
    """Matchers of ``{job="node", env!="test"}``, with or without the braces.

    Raises:
        ValueError: naming what is no matcher.

    """
    rest, found = text.strip(), []
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1]
    while rest.strip():
        match = _MATCHER.match(rest)
        if not match or not (match.end() == len(rest) or rest[match.end()] == ","):
            raise ValueError(f'{rest.strip()!r} is no matcher of labels; write for example cluster="eu",job=~"node.*"')
        found.append(f"{match[1]}{match[2]}{match[3]}")
        rest = rest[match.end() + 1 :]
    return tuple(found)


def matched_labels(found: Iterable[str]) -> tuple[str, ...]:
    """Names of the labels that matchers look at."""
    return tuple(re.split(r"[=!]", matcher, maxsplit=1)[0] for matcher in found)


def select(metric: str, source: Source, scope: Scope) -> str:
    """A selector of one metric's series."""
    return f"{metric}{{{','.join((*matchers(source.where, source.without), *scope.matchers))}}}"


def raw(source: Source, scope: Scope) -> str:
    """Values as they are at one time."""
    return _whole(source, scope, "{}", "{}")


def level(source: Source, scope: Scope) -> str:
    """The highest value within each window: a peak between two steps is not lost."""
    window = f"[{scope.window_s}s]"
    return _whole(source, scope, f"max_over_time({{}}{window})", f"min_over_time({{}}{window})")


def rate(source: Source, scope: Scope) -> str:
    """The rate over each window, of each series before they are added: a sum of counters hides when one starts anew."""
    return _whole(source, scope, f"rate({{}}[{scope.window_s}s])", "{}")


def peak_rate(source: Source, scope: Scope, within_s: int) -> str:
    """The highest rate over shorter windows that lie within each window."""
    inner = rate(source, Scope(scope.by, scope.matchers, within_s))
    return f"max_over_time(({inner})[{scope.window_s}s:{within_s}s])"


def resets(source: Source, scope: Scope) -> str:
    """How often a counter started anew within each window."""
    return f"max by ({', '.join(scope.by)}) (resets({select(source.metric, source, scope)}[{scope.window_s}s]))"


def _whole(source: Source, scope: Scope, gained: str, lost: str) -> str:
    by = f"{source.combine} by ({', '.join(scope.by)})"
    if source.expression:
        text = _fill(source, scope)
    else:
        text = f"{by} ({gained.format(select(source.metric, source, scope))})"
    if source.less:
        text += f" - {by} ({lost.format(select(source.less, source, scope))})"
    if source.factor != 1.0:
        text = f"({text}) * {source.factor!r}"
    return text if source.above is None else f"({text}) > {source.above!r}"


def _fill(source: Source, scope: Scope) -> str:
    found = ",".join((*matchers(source.where, source.without), *scope.matchers))
    text = source.expression
    for written in (",$match", ", $match"):
        text = text.replace(written, f",{found}" if found else "")
    values = {"$match": found, "$by": ", ".join(scope.by), "$window": f"{scope.window_s}s"}
    for name, value in values.items():
        text = text.replace(name, value)
    return text
