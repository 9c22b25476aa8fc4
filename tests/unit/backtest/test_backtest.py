"""Judged on days that the plan has not seen, next to those who add up peaks and one who knew."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from consolidate.backtest import backtest, risk_curve
from consolidate.backtest.show import backtest_json, backtest_text
from consolidate.demand import History, estimate, in_memory
from consolidate.demand.history import SOURCES
from consolidate.demand.rates import Amounts
from consolidate.errors import InputError
from consolidate.model.demand import Demand
from consolidate.model.fleet import Fleet
from consolidate.model.policy import Policy, SizingPolicy
from consolidate.risk import ANEW, hosts_over, solve_within_risk, told
from consolidate.solve import Effort
from consolidate.solve.evaluate import evaluate
from tests.support.fleets import GIB, fleet, host, workload

MONDAY_S = 1_780_272_000
NAMES = [f"w{index}" for index in range(8)]
FLEET = fleet(
    [host(f"h{index}", cpu=4000, memory=GIB, headroom_permille=100) for index in range(8)],
    [workload(name, f"h{index}") for index, name in enumerate(NAMES)],
)


def history(days: int, burst: float = 0.0) -> History:
    """Half of the workloads work by day, half by night; a burst now and then is in no quantile."""
    at_s = MONDAY_S + 300 * np.arange(days * 288)
    by_day = (at_s // 3600 % 24 >= 8) & (at_s // 3600 % 24 < 20)
    random = np.random.default_rng(5)
    loads = []
    for index in range(len(NAMES)):
        load = np.where(by_day == (index % 2 == 0), 1000.0, 100.0) * random.uniform(0.9, 1.1, len(at_s))
        loads.append(load + 2000 * (random.random(len(at_s)) < burst))
    owner, times = np.repeat(np.arange(len(NAMES)), len(at_s)), np.tile(at_s, len(NAMES))
    nothing = Amounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    amounts = {
        "cpu_milli": Amounts(owner, times, np.concatenate(loads)),
        "memory_bytes": Amounts(owner, times, np.full(len(owner), 1e6)),
    }
    return in_memory(dict.fromkeys(SOURCES, nothing) | amounts, len(NAMES))


def test_policies_baselines_and_the_clairvoyant_side_by_side() -> None:
    verdicts = backtest(history(10), FLEET, Policy(), train_days=7)
    hosts = {one.name: one.hosts for one in verdicts.judged}
    assert set(hosts) == {
        "conservative",
        "balanced",
        "aggressive",
        "balanced, flat",
        "sum of maxima",
        "sum of 95 %",
        "sum of limits",
        "clairvoyant",
    }
    assert hosts["clairvoyant"] <= hosts["balanced"] <= hosts["conservative"] < hosts["sum of maxima"]
    assert hosts["balanced"] < hosts["balanced, flat"], "peaks that meet valleys need fewer hosts"
    assert hosts["sum of limits"] == 8, "nobody's limits are known, so all stay where they are"
    assert all(one.violation_rate == 0 for one in verdicts.judged if one.name in ("conservative", "clairvoyant"))
    balanced = next(one for one in verdicts.judged if one.name == "balanced")
    assert verdicts.regret(balanced) == balanced.hosts - hosts["clairvoyant"]
    text = backtest_text(verdicts, [], 80)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "clairvoyant" in text
    assert json.loads(backtest_json(verdicts, []))["judged"][0]["regret_hosts"] is not None


def test_more_risk_is_never_more_hosts() -> None:
    points = risk_curve(history(10), FLEET, Policy(), 7, (0.25, 0.75, 1.0))
    hosts = [one.hosts for _, one in points]
    assert hosts == sorted(hosts)
    rates = [one.violation_rate for _, one in points]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("days", [0.5, 9.5, 30])
def test_a_history_that_cannot_be_split_is_refused(days: float) -> None:
    if days < 9:
        assert backtest(history(10), FLEET, Policy(), days).judged
        return
    with pytest.raises(InputError, match=f"cannot be split after {days:g}"):
        backtest(history(10), FLEET, Policy(), days)


def test_a_host_over_its_risk_is_repaired_and_not_reported_away() -> None:
    bursty = history(7, burst=0.03)
    policy = Policy(SizingPolicy(cpu_quantile=0.9, cpu_margin_permille=0, risk=0.02))
    sizes = estimate(bursty, FLEET, policy.sizing, {})
    careless = Policy(SizingPolicy(cpu_quantile=0.9, cpu_margin_permille=0, risk=0.99))
    loose = solve_within_risk(bursty, FLEET, sizes, careless, 0, Effort(), lambda what, cost: None)
    assert hosts_over(loose.replay, 0.02), "the example must need a repair, or it shows nothing"
    repaired = solve_within_risk(bursty, FLEET, sizes, policy, 0, Effort(), lambda what, cost: None)
    assert repaired.repairs > 0
    assert not hosts_over(repaired.replay, 0.02)
    assert repaired.result.hosts_used > loose.result.hosts_used
    assert f"after {repaired.repairs} rounds of repair" in told(repaired)


def together(hosts: int) -> tuple[History, Fleet]:
    """Eight workloads that all take a core in the same 3 % of the time, and a tenth otherwise."""
    at_s = MONDAY_S + 300 * np.arange(2 * 288)
    load = np.where(np.arange(len(at_s)) % 33 == 0, 1000.0, 100.0)
    owner, times = np.repeat(np.arange(len(NAMES)), len(at_s)), np.tile(at_s, len(NAMES))
    nothing = Amounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    amounts = {
        "cpu_milli": Amounts(owner, times, np.tile(load, len(NAMES))),
        "memory_bytes": Amounts(owner, times, np.full(len(owner), 1e6)),
    }
    case = fleet(
        [host(f"h{index}", cpu=2000, memory=GIB) for index in range(hosts)], [workload(name, "h0") for name in NAMES]
    )
    return in_memory(dict.fromkeys(SOURCES, nothing) | amounts, len(NAMES)), case


def by_chance() -> tuple[History, Fleet]:
    """Two dozen workloads with bursts of their own, which meet in whatever way they are packed."""
    random, at_s = np.random.default_rng(1), MONDAY_S + 300 * np.arange(2 * 288)
    names = [f"w{index}" for index in range(24)]
    loads = [
        np.where(random.random(len(at_s)) < 0.06, random.uniform(300, 1500), 100 * random.uniform(0.8, 1.2, len(at_s)))
        for _ in names
    ]
    owner, times = np.repeat(np.arange(len(names)), len(at_s)), np.tile(at_s, len(names))
    nothing = Amounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    amounts = {
        "cpu_milli": Amounts(owner, times, np.concatenate(loads)),
        "memory_bytes": Amounts(owner, times, np.full(len(owner), 1e6)),
    }
    hosts = [host(f"h{index}", cpu=2000, memory=GIB) for index in range(len(names))]
    case = fleet(hosts, [workload(name, f"h{index}") for index, name in enumerate(names)])
    return in_memory(dict.fromkeys(SOURCES, nothing) | amounts, len(names)), case


DARING = Policy(SizingPolicy(cpu_quantile=0.9, cpu_margin_permille=0, time_aligned=False, risk=0.01))


def test_a_host_is_raised_by_its_own_excess_and_so_in_one_round() -> None:
    measured, case = together(hosts=8)
    sizes = estimate(measured, case, DARING.sizing, {})
    checked = solve_within_risk(measured, case, sizes, DARING, 0, Effort(), lambda what, cost: None)
    assert (checked.repairs, checked.result.hosts_used, checked.over) == (1, 4, {})
    assert {one.peak.get("cpu_milli") for one in checked.demands.values() if isinstance(one, Demand)} == {1000}


def test_repairs_come_to_an_end_where_every_packing_brings_others_together() -> None:
    measured, case = by_chance()
    policy = Policy(replace(DARING.sizing, risk=0.001))
    sizes = estimate(measured, case, policy.sizing, {})
    checked = solve_within_risk(measured, case, sizes, policy, 0, Effort(), lambda what, cost: None)
    assert (checked.repairs > ANEW, checked.over) == (True, {})
    result = checked.result
    assert result.score == evaluate(case, checked.demands, result.placement, policy.objective), "no tie is a rule"
    assert result.score.feasible
    assert result.bound.cost <= result.score.cost


def test_a_repair_for_which_there_are_no_hosts_is_taken_back_and_told() -> None:
    measured, case = together(hosts=1)
    sizes = estimate(measured, case, DARING.sizing, {})
    checked = solve_within_risk(measured, case, sizes, DARING, 0, Effort(), lambda what, cost: None)
    assert (checked.repairs, checked.over) == (0, {"h0": {"cpu_milli": 4.0}})
    assert checked.demands is sizes
    assert "Over the policy's risk, for all repairs: 1 of the hosts in use." in told(checked)
