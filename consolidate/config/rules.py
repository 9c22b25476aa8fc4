"""The fleet file's rules: patterns over workloads and hosts become names."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence

from consolidate.config.schema import (
    AffinitySection,
    AntiAffinitySection,
    BanSection,
    FailureReserveSection,
    LicenceSection,
    PinSection,
    RuleEntry,
    RuleSection,
    SpreadSection,
)
from consolidate.errors import InputError
from consolidate.model.fleet import Host, Workload
from consolidate.model.rules import Affinity, AntiAffinity, Ban, FailureReserve, Licence, Pin, Rule, Spread

Path = Sequence[str | int]
"""Where in the document something stands: keys and indices from the root."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The remedy for a name that is not known: the nearest that is."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else "mend the name or remove it"


class RuleReader:
    """Turns entries of the document into rules; ``fail`` makes the error for what stands at a path."""

    def __init__(
        self, hosts: Mapping[str, Host], workloads: Mapping[str, Workload], fail: Callable[[Path, str], InputError]
    ) -> None:
        """Read for these hosts and workloads."""
        self.hosts, self.workloads, self.fail = hosts, workloads, fail

    def read(self, entry: RuleEntry, path: tuple[str | int, ...]) -> Rule:
        """One rule, which stands at a path of the document.

        Raises:
            InputError: where its patterns match nothing.

        """
        subjects = self._subjects(entry, path)
        rule: Rule
        match entry:
            case AffinitySection():
                rule = Affinity(entry.name, subjects)
            case AntiAffinitySection():
                rule = AntiAffinity(entry.name, subjects, entry.max_per_host)
            case SpreadSection():
                rule = Spread(entry.name, subjects, entry.domains)
            case LicenceSection():
                rule = Licence(entry.name, subjects, entry.max_hosts)
            case PinSection():
                rule = Pin(entry.name, subjects, self._host_subjects(entry.hosts, path))
            case BanSection():
                rule = Ban(entry.name, subjects, self._host_subjects(entry.hosts, path))
            case FailureReserveSection():
                rule = FailureReserve(entry.name, subjects)
        return rule

    def _subjects(self, entry: RuleSection, path: tuple[str | int, ...]) -> tuple[str, ...]:
        return self.workloads_of(entry.workloads, (*path, "workloads"), f"rule {entry.name!r}: ")

    def workloads_of(self, patterns: Sequence[str], path: tuple[str | int, ...], whose: str = "") -> tuple[str, ...]:
        """Names of the workloads that a list of patterns means, which stands at a path of the document.

        Raises:
            InputError: where a pattern matches nothing.

        """
        found: dict[str, None] = {}
        for number, pattern in enumerate(patterns):
            matched = _select_workloads(pattern, self.workloads)
            if not matched:
                hint = did_you_mean(pattern, self.workloads)
                raise self.fail([*path, number], f"{whose}no workload matches {pattern!r}; {hint}")
            found |= dict.fromkeys(matched)
        return tuple(found)

    def _host_subjects(self, patterns: Sequence[str], path: tuple[str | int, ...]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for number, pattern in enumerate(patterns):
            key, _, value = pattern.partition(":")
            by = {
                "os": lambda host: host.os,
                "domain": lambda host: host.domain,
                "vendor": lambda host: host.vendor,
            }
            if value and key in by:
                matched = [name for name, host in self.hosts.items() if by[key](host) == value]
            else:
                matched = fnmatch.filter(self.hosts, pattern)
            if not matched:
                problem = f"no host matches {pattern!r}; {did_you_mean(pattern, self.hosts)}"
                raise self.fail([*path, "hosts", number], problem)
            found |= dict.fromkeys(matched)
        return tuple(found)


def _select_workloads(pattern: str, workloads: Mapping[str, Workload]) -> list[str]:
    """Names that match a pattern, or ``group:``, ``owner:`` or ``os:`` and a value."""
    key, _, value = pattern.partition(":")
    by: Mapping[str, Callable[[Workload], str]] = {
        "group": lambda it: it.group,
        "owner": lambda it: it.owner,
        "os": lambda it: it.os,
    }
    if value and key in by:
        return [name for name, workload in workloads.items() if by[key](workload) == value]
    return fnmatch.filter(workloads, pattern)
