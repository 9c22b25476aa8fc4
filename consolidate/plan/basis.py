"""What a plan rests on, in sentences that a reader can check."""

from __future__ import annotations

import statistics
from collections import Counter

from consolidate.model.demand import Demand, Demands
from consolidate.model.fleet import Fleet
from consolidate.model.isolation import VIRTUAL
from consolidate.model.policy import Policy, Predictor, SizingPolicy
from consolidate.units import count

NAMED = 3
"""Unrated CPU models that are named."""


def basis(fleet: Fleet, demands: Demands, policy: Policy) -> tuple[str, ...]:
    """Sizing, history, ratings, headroom and prices."""
    known = [demand for demand in demands.values() if isinstance(demand, Demand)]
    return (
        *_sizing(known, policy),
        *_peaks(known, policy.sizing),
        *_history(known),
        *_shared_cores(fleet, demands, policy),
        _ratings(fleet),
        _headroom(fleet),
        _prices(policy),
    )


def _sizing(known: list[Demand], policy: Policy) -> list[str]:
    if not any(demand.source == "measured" for demand in known):
        return []
    sizing = policy.sizing
    memory = "in each hour" if sizing.memory_time_aligned else "seen"
    return [
        f"CPU is sized at the {sizing.cpu_quantile:.0%} quantile of each hour and "
        f"{sizing.cpu_margin_permille / 10:g} % more, memory at the highest ever {memory} and "
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


def _peaks(known: list[Demand], sizing: SizingPolicy) -> list[str]:
    """Whether peaks within intervals are known, and what of them counts."""
    number = sum(demand.peak_coverage > 0 for demand in known)
    if not number:
        return []
    share = f"{sizing.peak_permille / 10:g} % of what it is above the mean of the interval counts"
    return [f"CPU of {count(number, 'workload')} comes with the peak within each interval; {share}."]


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
    for source, words in (
        ("summary", "sized by the greatest use that their source sums up, and the margins"),
        ("limit", "sized by their limit"),
        ("stated", "as stated in the fleet file"),
    ):
        number = sum(demand.source == source for demand in known)
        if number:
            lines.append(f"Demand of {count(number, 'workload')} is {words}.")
    return lines


def _shared_cores(fleet: Fleet, demands: Demands, policy: Policy) -> list[str]:
    """How many virtual CPUs count as a core, where virtual machines are sized by them."""
    by_limit = {name for name, one in demands.items() if isinstance(one, Demand) and one.source == "limit"}
    number = sum(workload.name in by_limit and workload.isolation in VIRTUAL for workload in fleet.workloads)
    if not number:
        return []
    return [
        f"{policy.sizing.vcpus_per_core:g} virtual CPUs count as one core for {count(number, 'virtual machine')} of "
        "which only the configuration is known ('vcpus_per_core' in the fleet file's policy)."
    ]


def _ratings(fleet: Fleet) -> str:
    """Whose ratings make CPUs comparable, and which models nobody rates."""
    unrated = [host for host in fleet.hosts if not host.rated_by and host.cpu_rating == 1.0]
    models = sorted({host.cpu_model for host in unrated} - {""})
    named = f" ({', '.join(models[:NAMED])}{' and more' if len(models) > NAMED else ''})" if models else ""
    if len(unrated) == len(fleet.hosts):
        return f"All hosts' cores are taken to be equally fast: no CPU ratings are stated in the fleet file{named}."
    ratings = [host.cpu_rating for host in fleet.hosts]
    by = Counter(
        host.rated_by.partition(",")[0] or "the fleet"
        for host in fleet.hosts
        if host.rated_by or host.cpu_rating != 1.0
    )
    whose = ", ".join(f"{count(number, 'host')} by {origin}" for origin, number in sorted(by.items()))
    apart = f"{min(ratings):g}" if min(ratings) == max(ratings) else f"{min(ratings):g} to {max(ratings):g}"
    rest = f"; {count(len(unrated), 'host')} not rated{named}, taken as 1" if unrated else ""
    return f"CPU is compared in reference cores, by ratings of {apart} ({whose}){rest}."


def _headroom(fleet: Fleet) -> str:
    shares = sorted({host.headroom_permille for host in fleet.hosts})
    share = f"{shares[0] / 10:g}" if len(shares) == 1 else f"{shares[0] / 10:g} to {shares[-1] / 10:g}"
    return f"Headroom: {share} % of every host is left free."


def _prices(policy: Policy) -> str:
    return f"Electricity costs {policy.electricity_per_kwh:g} {policy.currency} per kWh."
