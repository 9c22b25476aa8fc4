"""The plan for a terminal: the first screen answers, tables follow."""

from __future__ import annotations

from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from consolidate.plan.plan import HostPlan, Plan, plan_digest
from consolidate.report import savings, summary
from consolidate.report.proof import proof_basis, proof_sentence
from consolidate.report.summary import OsRow
from consolidate.report.words import count, format_isolation, format_watts, from_to, printable, short_digest
from consolidate.units import format_bytes

HOSTS_PER_OS = 8
"""Kept hosts shown of each operating system."""
NAMES = 3
"""Freed hosts named of each operating system."""
REFUSALS = 15
WAVES = 5
_NAME_SHARE = 3
"""A column of names takes at most this part of the width; longer names are folded."""
_EIGHTHS = " ▏▎▍▌▋▊▉"
_LABEL = "bold"
_FAINT = "dim"
_GOOD = "green"


def render_text(plan: Plan, width: int = 80, colour: bool = False) -> str:
    """The report as text of at most ``width`` columns; ``colour`` adds terminal codes."""
    screen = StringIO()
    console = Console(
        file=screen,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ={},
    )
    for part in (*_first_screen(plan, width), *_details(plan, width)):
        console.print(part)
    return "\n".join(line.rstrip() for line in screen.getvalue().splitlines()) + "\n"


def _first_screen(plan: Plan, width: int) -> list[RenderableType]:
    return [
        Text(summary.headline(plan), style=_LABEL),
        Text(""),
        _facts(plan),
        *_bars(plan, width),
    ]


def _details(plan: Plan, width: int) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if plan.changes:
        parts += [*_waves(plan), *_freed(plan, width)]
    parts += [*_kept(plan, width), *_refusals(plan, width), *_checked(plan), *_hints(plan)]
    return parts


def _facts(plan: Plan) -> Table:
    """Name and value, wrapped beside the name."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=_LABEL, no_wrap=True)
    grid.add_column(overflow="fold")
    for change in savings.changes(plan):
        value = Text(" → ".join(from_to(change.before, change.after)))
        value.append(f"   {change.saved}", style=_GOOD if change.after_amount < change.before_amount else "")
        grid.add_row(change.name, value)
    grid.add_row("CPU, average", f"{' → '.join(summary.average_use(plan))} of the hosts that are on")
    proof = Text(proof_sentence(plan), style=_GOOD if plan.proof.gap == 0 else "")
    grid.add_row("Proof", proof)
    grid.add_row("", _text(proof_basis(plan), _FAINT))
    grid.add_row("Work", f"{summary.work_sentence(plan)}; {summary.limits_sentence(plan)}")
    for position, row in enumerate(summary.placed(plan)):
        noun = format_isolation(row.isolation, row.workloads)
        value = _text(f"{row.workloads:,} {noun}: {summary.reasons_sentence(row)}")
        grid.add_row("Workloads" if position == 0 else "", value)
    return grid


def _text(value: str, style: str = "") -> Text:
    """Text of others, in which nothing is interpreted."""
    return Text(printable(value), style=style)


def _table(title: str, width: int, *columns: str) -> Table:
    """A table as wide as the page; the first column holds names."""
    table = Table(
        title=Text(title, style=_LABEL), title_justify="left", title_style="", box=SIMPLE_HEAD, pad_edge=False
    )
    table.add_column(columns[0], overflow="fold", max_width=width // _NAME_SHARE)
    for column in columns[1:]:
        table.add_column(column)
    return table


def bar(share: float, width: int) -> str:
    """A bar of block characters, an eighth of a column exact; something is never drawn as nothing."""
    eighths = min(max(round(share * width * 8), 1 if share > 0 else 0), width * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _bars(plan: Plan, width: int) -> list[RenderableType]:
    rows = summary.by_os(plan)
    most = max((max(row.before, row.after) for row in rows), default=0)
    if not most:
        return []
    room = max((width - width // _NAME_SHARE // 2 - 20) // 2, 8)
    table = _table("Hosts on", width, "OS", "", "before", "", "after")
    for column in (1, 3):
        table.columns[column].justify = "right"
    for row in rows:
        before, after = Text(bar(row.before / most, room), style=_FAINT), Text(bar(row.after / most, room), style=_GOOD)
        table.add_row(_text(row.os), f"{row.before:,}", before, f"{row.after:,}", after)
    return [Text(""), table]


def _kept(plan: Plan, width: int) -> list[RenderableType]:
    rows = [row for row in summary.by_os(plan) if row.kept]
    table = _table(f"Hosts that stay on ({plan.after.hosts:,})", width, "Host", "CPU", "Memory", "Runs", "Why it stays")
    for column in table.columns[1:4]:
        column.justify, column.no_wrap = "right", True
    table.columns[4].overflow = "fold"
    for row in rows:
        for host in row.kept[:HOSTS_PER_OS]:
            _add_host(table, host)
        if len(row.kept) > HOSTS_PER_OS:
            table.add_row("", "", "", "", _more(len(row.kept) - HOSTS_PER_OS, row))
    return [table, Text(summary.SHARES_NOTE, style=_FAINT), Text("")] if rows else []


def _add_host(table: Table, host: HostPlan) -> None:
    uses = (summary.use_after(host.after, resource) for resource in ("cpu", "memory"))
    table.add_row(_text(host.name), *uses, f"{host.after.workloads:,}", _text(summary.reason_on(host)))


def _more(number: int, row: OsRow | None = None) -> Text:
    of = f" {row.os} hosts" if row else ""
    return _text(f"… and {number:,} more{of} (--json has all)", _FAINT)


def _freed(plan: Plan, width: int) -> list[RenderableType]:
    rows = [row for row in summary.by_os(plan) if row.freed]
    total = summary.freed_hosts(plan)
    table = _table(f"Hosts freed ({total:,})", width, "OS", "Hosts", "Drew", "Which, and why")
    for column in table.columns[1:3]:
        column.justify, column.no_wrap = "right", True
    table.columns[3].overflow = "fold"
    for row in rows:
        watts = format_watts(row.watts_freed)
        names = ", ".join(host.name for host in row.freed[:NAMES])
        rest = f" … and {len(row.freed) - NAMES:,} more" if len(row.freed) > NAMES else ""
        table.add_row(
            _text(row.os), f"{len(row.freed):,}", watts, _text(f"{names}{rest}: {summary.reasons_freed(row)}")
        )
    return [table] if rows else []


def _waves(plan: Plan) -> list[RenderableType]:
    waves = summary.waves(plan)
    if not waves:
        return []
    widest = max(len(wave.moves) for wave in waves)
    table = _table("Moves by wave", 0, "Wave", "Moves", "", "Copies")
    table.columns[0].max_width = None
    for column in (0, 1, 3):
        table.columns[column].justify = "right"
    for wave in waves[:WAVES]:
        blocks = Text(bar(len(wave.moves) / widest, 24), style=_GOOD)
        table.add_row(f"{wave.number}", f"{len(wave.moves):,}", blocks, format_bytes(wave.copy_bytes))
    rest = len(waves) - WAVES
    more = [_text(f"… and {count(rest, 'more wave')} (--json has all)", _FAINT), Text("")] if rest > 0 else []
    return [table, *more]


def _refusals(plan: Plan, width: int) -> list[RenderableType]:
    if not plan.refusals:
        return []
    table = _table(f"Left alone ({len(plan.refusals):,})", width, "Workload", "Why")
    table.columns[1].overflow = "fold"
    for refusal in plan.refusals[:REFUSALS]:
        table.add_row(_text(refusal.subject), _text(refusal.reason))
    if len(plan.refusals) > REFUSALS:
        table.add_row("", _more(len(plan.refusals) - REFUSALS))
    return [table]


def _checked(plan: Plan) -> list[RenderableType]:
    grid = Table.grid(padding=(0, 1))
    for line in summary.basis(plan):
        grid.add_row("-", _text(line))
    return [Text("What it rests on", style="bold"), Text(""), grid, Text("")]


def _hints(plan: Plan) -> list[RenderableType]:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=_FAINT, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("Plan", Text(short_digest(plan_digest(plan))))
    grid.add_row("All of it", Text(summary.HOW_TO_SEE_ALL))
    if plan.changes or plan.partitions:
        grid.add_row("Enforce it", Text(summary.HOW_TO_APPLY))
    return [Rule(style=_FAINT), grid]
