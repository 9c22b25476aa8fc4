"""Runways in words and as a table, or as JSON."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from consolidate.growth.runway import YEAR_DAYS, Runway
from consolidate.growth.trend import Direction, Kind, NoTrend, Trend
from consolidate.units import format_amount

MOST_URGENT = 15
MONTH_DAYS = YEAR_DAYS / 12
_RESOURCES = {
    "cpu_milli": ("cpu", "cores", " cores"),
    "memory_bytes": ("memory", "", ""),
    "disk_read_bytes_per_s": ("disk read", "/s", "/s"),
    "disk_write_bytes_per_s": ("disk write", "/s", "/s"),
    "disk_iops": ("disk", "iops", " disk_iops"),
    "net_rx_bytes_per_s": ("net in", "/s", "/s"),
    "net_tx_bytes_per_s": ("net out", "/s", "/s"),
}
"""What a dimension is called, the unit its column names once, and how that unit ends an amount."""
_COLUMNS = ("Now", "Limit", "Per month", "Full in", "Between")
_WIDE = 100
"""From this width on there is room for the headroom."""


def growth_text(runways: Sequence[Runway], width: int) -> str:
    """What fills up first, the most urgent as a table, and the rest counted."""
    told = _without_only_pool(runways)
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False, emoji=False)
    if not told:
        console.print("Nothing was measured that a host limits; there is nothing to extrapolate.", markup=False)
    else:
        filling = [one for one in told if one.days is not None]
        console.print(_verdict(told, filling), markup=False)
        if filling:
            console.print()
            console.print(_table(filling[:MOST_URGENT], width >= _WIDE))
        console.print("\n" + "\n".join(_rest(told, filling)), markup=False)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def growth_json(runways: Sequence[Runway]) -> str:
    """The same for programs; amounts in the dimension's unit, times in days from the end of the history."""
    return json.dumps({"runways": [_document(one) for one in runways]}, indent=1, allow_nan=False) + "\n"


def _without_only_pool(runways: Sequence[Runway]) -> list[Runway]:
    """A pool that is the whole fleet says nothing new."""
    pools = {one.subject for one in runways if one.subject.kind is Kind.POOL}
    return [one for one in runways if len(pools) > 1 or one.subject.kind is not Kind.POOL]


def _verdict(told: Sequence[Runway], filling: Sequence[Runway]) -> str:
    if not filling:
        return "Nothing is full, and nothing is seen to grow towards its limit."
    full = [one for one in filling if one.days == 0]
    ahead = [one for one in filling if one.days]
    sentences = []
    if full:
        names = ", ".join(f"{one.subject} ({_resource(one)})" for one in full[:3])
        more = f" and {len(full) - 3} more" if len(full) > 3 else ""
        sentences.append(f"Full already: {names}{more}.")
    if ahead:
        first = ahead[0]
        sentences.append(
            f"{'Next' if full else 'First'} is {first.subject}: its {_resource(first)} is full in "
            f"{_time(first.days)} ({_between(first)} by the 95 % interval of its slope)."
        )
    used = sum(one.comfortable_days == 0 and one.days != 0 for one in told)
    if used:
        sentences.append(f"Headroom is in use in {used} case{'s' if used != 1 else ''}.")
    return " ".join(sentences)


def _table(rows: Sequence[Runway], wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1) if wide else (0, 1, 0, 0))
    table.add_column("Subject", overflow="fold", min_width=12)  # hosts are told apart by the ends of their names
    table.add_column("Resource", no_wrap=True)
    for name in (*_COLUMNS, *(["Headroom in"] if wide else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for one in rows:
        headroom = [_time(one.comfortable_days)] if wide else []
        table.add_row(
            Text(str(one.subject)),
            _column_resource(one),
            _amount(one.dimension, one.level),
            _amount(one.dimension, one.limit),
            _per_month(one),
            "full" if one.days == 0 else _time(one.days),
            "" if one.days == 0 else _between(one),
            *headroom,
        )
    return table


def _rest(told: Sequence[Runway], filling: Sequence[Runway]) -> list[str]:
    """What the table leaves out, counted, and what the figures mean."""
    lines = []
    if len(filling) > MOST_URGENT:
        lines.append(
            f"{len(filling) - MOST_URGENT} more fill{'s' if len(filling) == MOST_URGENT + 1 else ''} up later."
        )
    others = [one for one in told if one.days is None]
    counts = Counter(one.trend.direction for one in others if isinstance(one.trend, Trend))
    words = {
        Direction.GROWS: "growing too slowly to matter in a century",
        Direction.STEADY: "steady (the 95 % interval of the slope holds 0)",
        Direction.SHRINKS: "shrinking",
    }
    counted = [f"{counts[direction]} {words[direction]}" for direction in Direction if counts[direction]]
    if counted:
        lines.append(f"Not filling up: {', '.join(counted)}.")
    reasons = Counter(one.trend.reason for one in others if isinstance(one.trend, NoTrend))
    lines += [f"The trend of {count} is unknown: {reason}." for reason, count in sorted(reasons.items())]
    days = [one.trend.days for one in told if isinstance(one.trend, Trend)]
    if days:
        lines.append(
            f"Slopes rest on up to {max(days)} days (Theil–Sen), and times count from the last of them; the further "
            "beyond as many days again, the less they say."
        )
    return lines


def _resource(one: Runway) -> str:
    return _RESOURCES[one.dimension][0]


def _column_resource(one: Runway) -> str:
    name, unit, _ = _RESOURCES[one.dimension]
    return name + unit if unit == "/s" else f"{name} {unit}".rstrip()


def _amount(dimension: str, amount: float | None) -> str:
    """Without the unit that the column of resources names."""
    if amount is None:
        return "–"
    return format_amount(dimension, math.ceil(amount)).removesuffix(_RESOURCES[dimension][2])


def _per_month(one: Runway) -> str:
    if not isinstance(one.trend, Trend):
        return "–"
    amount = round(one.trend.slope_per_day * MONTH_DAYS)
    return ("+" if amount > 0 else "") + _signed(one.dimension, amount)


def _signed(dimension: str, amount: int) -> str:
    return ("-" if amount < 0 else "") + _amount(dimension, abs(amount))


def _between(one: Runway) -> str:
    """Of what is filling up; where the slope's lower end leads nowhere within a century, it may be never."""
    return f"{_time(one.earliest)}–{_time(one.latest) if one.latest is not None else 'never'}"


def _time(days: float | None) -> str:
    """Days up to a quarter, then months up to two years, then years; rounded down, since late is worse than early."""
    if days is None:
        return "–"
    if days < 1:
        return "now" if days == 0 else "<1 d"
    if days < 90:
        return f"{int(days)} d"
    if days < 2 * YEAR_DAYS:
        return f"{int(days / MONTH_DAYS)} mo"
    return f"{int(days / YEAR_DAYS)} y"


def _document(one: Runway) -> dict[str, object]:
    trend: dict[str, object]
    if isinstance(one.trend, Trend):
        trend = {
            "direction": one.trend.direction.value,
            "slope_per_day": one.trend.slope_per_day,
            "low_per_day": one.trend.low,
            "high_per_day": one.trend.high,
            "days": one.trend.days,
        }
    else:
        trend = {"direction": "unknown", "reason": one.trend.reason}
    return {
        "kind": one.subject.kind.value,
        "subject": one.subject.name or one.subject.kind.value,
        "dimension": one.dimension,
        "level": one.level,
        "limit": one.limit,
        "days": one.days,
        "earliest": one.earliest,
        "latest": one.latest,
        "comfortable_limit": one.comfortable_limit,
        "comfortable_days": one.comfortable_days,
        "trend": trend,
    }
