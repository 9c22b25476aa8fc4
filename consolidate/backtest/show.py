"""A back-test's verdicts, as a table or as JSON."""

from __future__ import annotations

import io
import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from consolidate.backtest.judge import BackTest, Judged

_COLUMNS = ("Plan", "Hosts", "Expected", "At most", "Over %", "95 % between", "Min/week")
_WIDE = 120
"""From this width on there is room for the excess, for days of hosts, and for the worst host."""
_WIDE_WORDS = (
    " Excess: by how much a host was over, on average. Host-days: share of the days of hosts on which that host kept "
    "the policy's risk, and what blocks told of it."
)


def backtest_text(test: BackTest, curve: list[tuple[float, Judged]], width: int) -> str:
    """Hosts and violations of every way to plan; the clairvoyant's hosts are the least that could have done."""
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    wide = width >= _WIDE
    for name in (*_COLUMNS, *(["Excess", "Host-days", "Worst host"] if wide else [])):
        table.add_column(name, justify="left" if name in ("Plan", "Worst host") else "right", no_wrap=True)
    for one in test.judged:
        table.add_row(*_row(one), *(_more(one) if wide else ()))
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False, emoji=False)
    console.print(
        f"Planned on {test.train_days:g} days, judged on the {test.judged_days:.1f} that followed.\n", markup=False
    )
    if test.left_out:
        console.print(
            f"{len(test.left_out)} workloads ran on one side of the split only and are left out.\n", markup=False
        )
    console.print(table)
    console.print(
        "\nOver: share of the host-intervals in which a host lacked something. Expected: what blocks of the days "
        "planned on tell of it, each judged by a plan without it. At most: the promise, which is the policy's risk, or "
        "what so many days can vouch for. The clairvoyant plan was made from the judged days themselves."
        + (_WIDE_WORDS if wide else ""),
        markup=False,
    )
    if test.promises_kept is not None:
        share = f"{test.promises_kept:.0%} of {len(test.halves)} random halves of the workloads"
        console.print(f"\nThe configured policy kept its promise in {share}.", markup=False)
    if curve:
        console.print("\nThe price of risk\n")
        console.print(_curve(curve))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def backtest_json(test: BackTest, curve: list[tuple[float, Judged]]) -> str:
    """The same for programs, with the regret against the clairvoyant plan."""
    judged = [_document(one) | {"regret_hosts": test.regret(one)} for one in test.judged]
    points = [{"cpu_quantile": quantile} | _document(one) for quantile, one in curve]
    document = {
        "train_days": test.train_days,
        "judged_days": test.judged_days,
        "left_out": test.left_out,
        "judged": judged,
        "curve": points,
        "halves": [_document(one) for one in test.halves],
    }
    return json.dumps(document, indent=1) + "\n"


def _document(one: Judged) -> dict[str, object]:
    promised = {} if one.promise is None else {"at_most": one.promise.at_most, "within": one.promise.within}
    promise = None if one.promise is None else asdict(one.promise) | promised
    return asdict(one) | {"promise": promise, "kept": one.kept, "expected": one.expected}


def _row(one: Judged) -> tuple[Text | str, ...]:
    if one.hosts is None:
        return (Text(one.name), "–", "–", "–", "–", "no plan fits", "–")
    return (
        Text(one.name),
        str(one.hosts),
        *(
            ("–", "–")
            if one.promise is None
            else (f"{one.promise.usual * 100:.3f}", f"{one.promise.at_most * 100:.3f}")
        ),
        f"{one.violation_rate * 100:.3f}",
        f"{one.low * 100:.3f}–{one.high * 100:.3f}",
        f"{one.minutes_per_week:.0f}",
    )


def _more(one: Judged) -> tuple[Text | str, ...]:
    """What only a wide table has room for."""
    days = "–" if one.promise is None else f"{one.within:.1%}, told {one.promise.within:.1%}"
    return (f"{one.severity:.0%}", days, _worst(one))


def _worst(one: Judged) -> Text:
    if not one.worst_host_rate:
        return Text("–")
    return Text(f"{one.worst_host} {one.worst_host_rate:.2%}, {one.longest_minutes:.0f} min on end")


def _curve(curve: list[tuple[float, Judged]]) -> Table:
    """One line a point: the bar is the hosts, the figure the violations."""
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    for name in ("CPU quantile", "Hosts", "", "Over"):
        table.add_column(name, justify="right" if name in ("Hosts", "Over") else "left", no_wrap=True)
    most = max((one.hosts or 0 for _, one in curve), default=0)
    for quantile, one in curve:
        bar = "█" * round(30 * (one.hosts or 0) / max(most, 1))
        table.add_row(f"{quantile:.0%}", str(one.hosts or "–"), bar, f"{one.violation_rate:.3%}")
    return table
