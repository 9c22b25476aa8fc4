"""Judged on days that the plan has not seen, next to those who add up peaks and one who knew."""

from __future__ import annotations

import json

import numpy as np
import pytest

from consolidate.backtest import backtest, risk_curve
from consolidate.backtest.show import backtest_json, backtest_text
from consolidate.demand import History, estimate, in_memory
from consolidate.demand.history import SOURCES
from consolidate.demand.rates import Amounts
from consolidate.errors import InputError
from consolidate.model.policy import Policy, SizingPolicy
from consolidate.risk import hosts_over, solve_within_risk, told
from consolidate.solve import Effort
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
