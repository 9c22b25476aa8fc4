"""What the doctor found, in words: a table by key, for people and for programs."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from consolidate.apply.facts import Facts
from consolidate.apply.fitness import Finding, Verdict
from consolidate.units import count, format_bytes

WIDTH = 80
NAMED = 3
"""Workloads that are named of those that share a verdict."""
_SIGNS = {Verdict.EFFECTIVE: "+", Verdict.WITHOUT_EFFECT: "o", Verdict.DANGEROUS: "!", Verdict.IMPOSSIBLE: "x"}


def fitness_text(host: str, facts: Facts, findings: Sequence[Finding]) -> str:
    """A line for each key and verdict with its workloads; below it why, and what to do."""
    lines = [*textwrap.wrap(f"{_printable(host)}: {'; '.join(_told(facts))}", WIDTH, subsequent_indent="  "), ""]
    alike: dict[tuple[str, Verdict, str, str], list[str]] = {}
    for one in findings:
        alike.setdefault((one.key, one.verdict, one.reason, one.remedy), []).append(one.workload)
    for (key, verdict, reason, remedy), workloads in alike.items():
        lines.append(_shortened(f"{_SIGNS[verdict]} {key:<13} {verdict.value:<15} {_named(workloads)}"))
        for text in filter(None, (reason, f"→ {remedy}" if remedy else "")):
            lines += textwrap.wrap(_printable(text), WIDTH, initial_indent="    ", subsequent_indent="    ")
    counts = Counter(one.verdict for one in findings)
    lines += ["", ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict])]
    return "\n".join(lines) + "\n"


def fitness_json(host: str, facts: Facts, findings: Sequence[Finding]) -> str:
    """The same for programs."""
    seen = asdict(facts) | {
        "v1": sorted(facts.v1),
        "v2": sorted(facts.v2),
        "cpus": sorted(facts.cpus),
        "nodes": sorted(facts.nodes),
        "groups": {path: asdict(group) | {"files": sorted(group.files)} for path, group in facts.groups.items()},
    }
    return json.dumps({"host": host, "facts": seen, "findings": [asdict(one) for one in findings]}, indent=1) + "\n"


def unfit(findings: Sequence[Finding]) -> bool:
    """Whether anything will not do what the plan wants of it."""
    return any(finding.verdict is not Verdict.EFFECTIVE for finding in findings)


def _told(facts: Facts) -> list[str]:
    hierarchies = "hybrid" if facts.v1 and facts.v2 else "v1" if facts.v1 else "v2" if facts.v2 else "none"
    disks = [f"{disk} {scheduler}" for disk, scheduler in sorted(facts.schedulers.items())]
    manager = "no systemd" if facts.systemd is None else f"systemd {facts.systemd or 'of unknown version'}"
    return [
        f"Linux {_printable(facts.kernel) or 'of unknown version'}",
        f"control groups {hierarchies}",
        manager,
        f"swap {format_bytes(facts.swap_bytes)}" if facts.swap_bytes else "no swap",
        f"disks {', '.join(disks[:NAMED]) or 'unknown'}" + (" …" if len(disks) > NAMED else ""),
        *(["io.cost shares them out"] if facts.io_cost else []),
    ]


def _named(workloads: Sequence[str]) -> str:
    if workloads == [""]:
        return "this host"
    names = ", ".join(map(_printable, workloads[:NAMED])) + (", …" if len(workloads) > NAMED else "")
    return f"{count(len(workloads), 'workload')}: {names}"


def _shortened(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def _printable(text: str) -> str:
    """A name as it is, unless it would speak to the terminal."""
    return text if text.isprintable() else repr(text)[1:-1]
