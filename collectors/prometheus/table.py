"""What a table of an exporter is, once it has been read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from collectors.prometheus.promql import Source

_PLACE = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)\}")


@dataclass(frozen=True)
class Info:
    """Series whose labels say more about others: those that agree with theirs on some labels."""

    series: str
    on: Mapping[str, str]
    """Its label to the label that has to be equal."""
    take: Mapping[str, str]
    """Its label to the name under which it is known from then on."""


@dataclass(frozen=True)
class Table:
    """One kind of thing that some exporter measures."""

    name: str
    subject: str
    split: str
    """Label by whose values a request can be divided."""
    host: tuple[str, ...]
    """Templates of its host's name; the first whose labels are all there counts."""
    workload: tuple[str, ...] = ()
    """Templates of a workload's name; none for hosts."""
    aliases: tuple[str, ...] = ()
    """Templates of names under which other tables may know the same host."""
    level: str = ""
    """First part of the names of its recording rules."""
    start: Source | None = None
    """Since when it runs, in Unix seconds."""
    resets: Source | None = None
    """A counter that starts anew when it does, where ``start`` is not known."""
    info: tuple[Info, ...] = ()
    facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Field of its record to templates of the text."""
    amounts: Mapping[str, Source] = field(default_factory=dict)
    """Dimension to capacity of a host or limit of a workload."""
    metrics: Mapping[str, Source] = field(default_factory=dict)

    @property
    def record(self) -> str:
        """Kind of record it becomes: ``host`` or ``workload``."""
        return "host" if self.subject == "host" else "workload"

    @cached_property
    def by(self) -> tuple[str, ...]:
        """Labels of its series that matter, but for those that only ``info`` adds."""
        templates = [*self.host, *self.workload, *self.aliases, *(one for own in self.facts.values() for one in own)]
        taken = {name for one in self.info for name in one.take.values()}
        named = [label for template in templates for label in _PLACE.findall(template)]
        joined = [label for one in self.info for label in one.on.values()]
        own = dict.fromkeys(label for label in (self.split, *named, *joined) if label not in taken)
        # A thing that two jobs scrape is told apart, or its sums would be twice what it uses.
        return (*own, *(["job"] if "job" not in own else []))

    @property
    def sources(self) -> Iterable[Source]:
        """Every source that it names."""
        yield from self.metrics.values()
        yield from self.amounts.values()
        yield from (one for one in (self.start, self.resets) if one is not None)


@dataclass(frozen=True)
class Mapped:
    """All tables in order of precedence, and names of hosts that the user has stated."""

    tables: tuple[Table, ...]
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Name or address as it is found to the host's name."""
    access: Mapping[str, object] = field(default_factory=dict)
    """Settings of how the monitoring system is reached, as they are written; `read_access` checks them."""


def fill(templates: Iterable[str], labels: Mapping[str, str]) -> str:
    """The first template whose labels are all there and not empty, filled in; empty where there is none.

    >>> fill(["{pod}/{container}", "{name}"], {"name": "web", "pod": "a"})
    'web'
    """
    for template in templates:
        if all(labels.get(label) for label in _PLACE.findall(template)):
            return _PLACE.sub(lambda match: labels[match[1]], template)
    return ""
