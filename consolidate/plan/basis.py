"""What a plan rests on, in sentences that a reader can check."""

from __future__ import annotations

import statistics

from consolidate.model.demand import Demand, Demands
from consolidate.model.fleet import Fleet
from consolidate.model.policy import Policy, Predictor, SizingPolicy
from consolidate.units import count


def basis(fleet: Fleet, demands: Demands, policy: Policy) -> tuple[str, ...]:
    """Sizing, history, ratings, headroom and prices."""
    known = [demand for demand in demands.values() if isinstance(demand, Demand)]
    return (*_sizing(known, policy), *_history(known), _ratings(fleet), _headroom(fleet), _prices(policy))


def _sizing(known: list[Demand], policy: Policy) -> list[str]:
    if not any(demand.source == "measured" for demand in known):
        return []
    sizing = policy.sizing
    return [
        f"CPU is sized at the {sizing.cpu_quantile:.0%} quantile of each hour and "
        f"{sizing.cpu_margin_permille / 10:g} % more, memory at the highest ever seen and "
        f"{sizing.memory_margin_permille / 10:g} % more, disk and network at the {sizing.io_quantile:.0%} quantile and "
        f"{sizing.io_margin_permille / 10:g} % more.",
        *_unusual(sizing),
    ]


def _unusual(sizing: SizingPolicy) -> list[str]:
    """What of the sizing is not the default."""
    lines = []
    if sizing.predictors != (Predictor.QUANTILE,):
        names = ", ".join(one.value for one in sizing.predictors)
        most = ", of which the largest counts" if len(sizing.predictors) > 1 else ""
        lines.append(f"CPU, disk and network are predicted by {names}{most}, not by the quantile alone.")
    if sizing.half_life_days is not None:
        lines.append(f"A sample counts half after {sizing.half_life_days:g} days.")
    if sizing.skip_quiet_days:
        lines.append("Days far quieter than others of their weekday are left out.")
    if sizing.time_zone != "UTC":
        lines.append(f"Hours are those of {sizing.time_zone}.")
    if sizing.counted_permille and min(sizing.counted_permille) < 1000:
        off = sum(share < 1000 for share in sizing.counted_permille)
        least = min(sizing.counted_permille) / 10
        lines.append(
            f"{off} of the week's 168 hours are off-hours; of CPU, disk and network as little as {least:g} % counts."
        )
    return lines


def _history(known: list[Demand]) -> list[str]:
    measured = [demand for demand in known if demand.source == "measured"]
    lines = []
    if measured:
        days = statistics.median(demand.days for demand in measured)
        coverage = statistics.median(demand.coverage for demand in measured)
        least = min(measured, key=lambda demand: (demand.days, demand.workload))
        lines.append(
            f"History: {days:.1f} days (median), {coverage:.0%} of them measured; the shortest is {least.workload} "
            f"with {least.days:.1f} days."
        )
    for source, words in (("limit", "sized by their limit"), ("stated", "as stated in the fleet file")):
        number = sum(demand.source == source for demand in known)
        if number:
            lines.append(f"Demand of {count(number, 'workload')} is {words}.")
    return lines


def _ratings(fleet: Fleet) -> str:
    ratings = {host.cpu_rating for host in fleet.hosts}
    if ratings == {1.0}:
        return "All hosts' cores are taken to be equally fast: no CPU ratings are stated in the fleet file."
    return (
        f"CPU is compared in reference cores, by the ratings stated in the fleet file ({min(ratings):g} to "
        f"{max(ratings):g})."
    )


def _headroom(fleet: Fleet) -> str:
    shares = sorted({host.headroom_permille for host in fleet.hosts})
    share = f"{shares[0] / 10:g}" if len(shares) == 1 else f"{shares[0] / 10:g} to {shares[-1] / 10:g}"
    return f"Headroom: {share} % of every host is left free."


def _prices(policy: Policy) -> str:
    return f"Electricity costs {policy.electricity_per_kwh:g} {policy.currency} per kWh."
