"""The plan for a ticket or a wiki: GitHub's tables, nothing left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from consolidate.plan.plan import Plan, plan_digest
from consolidate.report import savings, summary
from consolidate.report.proof import proof_basis, proof_sentence
from consolidate.report.words import count, format_isolation, format_watts, printable, sentence
from consolidate.units import format_bytes

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&])")


def render_markdown(plan: Plan) -> str:
    """The report in Markdown."""
    sections = [
        [f"# {summary.headline(plan)}"],
        _totals(plan),
        _placed(plan),
        _by_os(plan),
        _kept(plan),
        _freed(plan),
        _moves(plan),
        _refusals(plan),
        ["## What it rests on", "\n".join(f"- {escape(line)}" for line in summary.basis(plan))],
        ["## Where this plan comes from", table(("", ""), summary.provenance(plan, plan_digest(plan)))],
    ]
    return "\n\n".join(block for section in sections for block in section) + "\n"


def escape(text: str) -> str:
    """Text in which Markdown finds nothing to interpret, safe in a table's cell."""
    return _SPECIAL.sub(r"\\\1", printable(text))


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table of escaped cells; ``numbers`` are the columns aligned to the right."""
    rule = ("---:" if column in numbers else "---" for column in range(len(header)))
    lines = [header, tuple(rule), *([escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _totals(plan: Plan) -> list[str]:
    rows = [(change.name, change.before, change.after, change.saved) for change in savings.changes(plan)]
    before, after = summary.average_use(plan)
    rows.append(("CPU use, average of the hosts that are on", before, after, ""))
    return [
        table(("", "before", "after", "saved"), rows, (1, 2)),
        f"**Proof:** {escape(proof_sentence(plan))} ({escape(proof_basis(plan))}).",
        f"**Work:** {summary.work_sentence(plan)}; {summary.limits_sentence(plan)}.",
    ]


def _placed(plan: Plan) -> list[str]:
    rows = [
        (f"{row.workloads:,}", format_isolation(row.isolation, row.workloads), summary.reasons_sentence(row))
        for row in summary.placed(plan)
    ]
    return ["## Containers and virtual machines", table(("Workloads", "as", "since"), rows, (0,))] if rows else []


def _by_os(plan: Plan) -> list[str]:
    rows = [
        (
            row.os,
            f"{row.before:,}",
            f"{row.after:,}",
            format_watts(row.watts_before),
            format_watts(row.watts_after),
        )
        for row in summary.by_os(plan)
    ]
    header = ("OS", "hosts on before", "after", "power before", "after")
    return ["## Hosts by operating system", table(header, rows, (1, 2, 3, 4))] if rows else []


def _kept(plan: Plan) -> list[str]:
    rows = [
        (
            host.name,
            host.os,
            summary.use_after(host.after, "cpu"),
            summary.use_after(host.after, "memory"),
            f"{host.after.workloads:,}",
            summary.reason_on(host),
        )
        for group in summary.by_os(plan)
        for host in group.kept
    ]
    if not rows:
        return []
    header = ("Host", "OS", "CPU", "Memory", "Runs", "Why it stays")
    return [f"## Hosts that stay on ({len(rows):,})", summary.SHARES_NOTE, table(header, rows, (2, 3, 4))]


def _freed(plan: Plan) -> list[str]:
    groups = [group for group in summary.by_os(plan) if group.freed]
    rows = [
        (
            group.os,
            f"{len(group.freed):,}",
            ", ".join(host.name for host in group.freed),
            summary.reasons_freed(group),
        )
        for group in groups
    ]
    total = summary.freed_hosts(plan)
    return [f"## Hosts freed ({total:,})", table(("OS", "Hosts", "Which", "Why"), rows, (1,))] if rows else []


def _moves(plan: Plan) -> list[str]:
    blocks = [
        "## Moves",
        f"{sentence(summary.work_sentence(plan))}. A wave starts when the one before is done.",
    ]
    for wave in summary.waves(plan):
        rows = [
            (
                move.workload,
                summary.move_source(move),
                move.target,
                summary.move_isolation(move),
                format_bytes(move.copy_bytes),
                move.reason,
            )
            for move in wave.moves
        ]
        title = f"### Wave {wave.number}: {count(len(rows), 'move')}, {format_bytes(wave.copy_bytes)}"
        blocks += [title, table(("Workload", "from", "to", "as", "copies", "why"), rows, (4,))]
    return blocks if plan.moves else []


def _refusals(plan: Plan) -> list[str]:
    rows = [(refusal.subject, refusal.reason) for refusal in plan.refusals]
    return [f"## Left alone ({len(rows):,})", table(("Workload", "Why"), rows)] if rows else []
