"""Hosts, power and money before and after, and what is saved."""

from __future__ import annotations

from dataclasses import dataclass

from consolidate.plan.plan import Plan
from consolidate.report.words import format_energy, format_money, format_watts, percent

HOURS_PER_YEAR = 8760


@dataclass(frozen=True)
class Change:
    """One headline number before and after, as text, and what is saved."""

    name: str
    before: str
    after: str
    saved: str
    before_amount: float
    after_amount: float


@dataclass(frozen=True)
class Saving:
    """One line of the table of savings, as text."""

    name: str
    before: str
    after: str
    saved: str
    in_a_year: str


def changes(plan: Plan) -> tuple[Change, ...]:
    """Hosts, power and money: before, after, saved."""
    before, after = plan.before, plan.after
    share = percent(before.hosts, after.hosts)
    hosts, watts, money = before.hosts - after.hosts, before.watts - after.watts, saved_per_month(plan)
    return (
        Change(
            "Hosts on",
            f"{before.hosts:,}",
            f"{after.hosts:,}",
            _saved(hosts, f"{abs(hosts):,} fewer ({share})", f"{abs(hosts):,} more"),
            before.hosts,
            after.hosts,
        ),
        Change(
            "Power",
            format_watts(before.watts),
            format_watts(after.watts),
            _verdict(watts, format_watts(abs(watts)), f"{format_energy(abs(watts) * HOURS_PER_YEAR / 1000)} a year"),
            before.watts,
            after.watts,
        ),
        Change(
            "Cost a month",
            format_money(before.cost_per_month, plan.currency),
            format_money(after.cost_per_month, plan.currency),
            _verdict(
                money,
                f"{format_money(abs(money), '').strip()} a month",
                f"{format_money(abs(money) * 12, '').strip()} a year",
            ),
            before.cost_per_month,
            after.cost_per_month,
        ),
    )


def lines(plan: Plan) -> tuple[Saving, ...]:
    """Power, energy and money, a month and a year; a negative saving is a loss."""
    before, after, currency = plan.before, plan.after, plan.currency
    watts, money = before.watts - after.watts, saved_per_month(plan)
    kwh_before, kwh_after, kwh = (draw * HOURS_PER_YEAR / 12_000 for draw in (before.watts, after.watts, watts))
    return (
        Saving("Power", format_watts(before.watts), format_watts(after.watts), format_watts(watts), ""),
        Saving(
            "Energy a month",
            format_energy(kwh_before),
            format_energy(kwh_after),
            format_energy(kwh),
            format_energy(kwh * 12),
        ),
        Saving(
            "Cost a month",
            format_money(before.cost_per_month, currency),
            format_money(after.cost_per_month, currency),
            format_money(money, currency),
            format_money(money * 12, currency),
        ),
    )


def saved_per_month(plan: Plan) -> float:
    """Money saved a month; negative where the plan costs more."""
    return plan.before.cost_per_month - plan.after.cost_per_month


def _verdict(saved: float, now: str, over_a_year: str) -> str:
    both = f"{now}, {over_a_year}"
    return _saved(saved, f"saves {both}", f"takes {both} more")


def _saved(amount: float, less: str, more: str) -> str:
    return less if amount > 0 else more if amount < 0 else "no change"
