"""Hints: what one move is worth, and that it keeps every rule."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consolidate.demand import History, in_memory
from consolidate.demand.history import SOURCES
from consolidate.demand.rates import Amounts
from consolidate.demand.replay import replay
from consolidate.insight import Hint, copeak, swap_hints
from consolidate.insight.show import copeak_json, copeak_text, hint_sentence
from consolidate.model.demand import Demands, Unknown
from consolidate.model.fleet import Fleet, Hypervisor, Isolation
from consolidate.model.isolation import choose_isolation
from consolidate.model.placement import Assignment, Placement, current_placement
from consolidate.model.rules import AntiAffinity, Ban, Pin
from consolidate.solve import evaluate
from tests.support.fleets import demands, fleet, host, workload

MONDAY_S = 1_780_272_000
DAY = np.array([600.0, 600.0, 0.0, 0.0])
NIGHT = DAY[::-1]


def history(*series: Iterable[float]) -> History:
    """CPU of each workload every five minutes, and flat memory."""
    rows = [np.array(list(one), dtype=float) for one in series]
    owner = np.repeat(np.arange(len(rows)), [len(one) for one in rows])
    at_s = np.concatenate([MONDAY_S + 300 * np.arange(len(one)) for one in rows])
    nothing = Amounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    amounts = {
        "cpu_milli": Amounts(owner, at_s, np.concatenate(rows)),
        "memory_bytes": Amounts(owner, at_s, np.full(len(owner), 1.0)),
    }
    return in_memory(dict.fromkeys(SOURCES, nothing) | amounts, len(rows))


HOSTS = [host("h1", cpu=2000), host("h2", cpu=2000)]
SIZES = demands(a=(600, 1), b=(600, 1), c=(600, 1), d=(600, 1))
"""Three that work by day on one host, one of them little; one that works by night on the other."""
CASE = fleet(HOSTS, [workload("a", "h1"), workload("b", "h1"), workload("c", "h1"), workload("d", "h2")])
MEASURED = history(DAY, DAY, DAY / 5, NIGHT)


def hints_of(case: Fleet, measured: History = MEASURED, sizes: Demands = SIZES, most: int = 10) -> tuple[Hint, ...]:
    return swap_hints(measured, case, sizes, current_placement(case), most)


def changed(case: Fleet, placement: Placement, hints: Iterable[Hint]) -> Placement:
    """The placement after some hints were followed."""
    hosts = {one.name: one for one in case.hosts}
    workloads = {one.name: one for one in case.workloads}
    moves = {}
    for hint in hints:
        kind = choose_isolation(case, workloads[hint.workload], hosts[hint.target])
        assert kind is not None
        moves[hint.workload] = Assignment(hint.target, kind)
    return replace(placement, assignments={**placement.assignments, **moves})


def peaks(case: Fleet, measured: History, sizes: Demands, placement: Placement) -> dict[str, float]:
    fared = replay(measured, case, sizes, placement)
    row = fared.dimensions.index("cpu_milli")
    return {name: float(fared.share[index, row].max()) for index, name in enumerate(fared.hosts)}


def test_the_move_that_lowers_the_peak_most() -> None:
    assert hints_of(CASE) == (Hint("a", "h1", "h2", pytest.approx(0.66), pytest.approx(0.36), pytest.approx(0.3)),)
    assert hint_sentence(hints_of(CASE)[0]) == "a from h1 to h2: h1's peak −45 %"


def test_a_target_whose_peak_is_at_the_same_time_helps_nobody() -> None:
    assert hints_of(CASE, history(DAY, DAY, DAY / 5, DAY * 2)) == ()


@pytest.mark.parametrize(
    "rule",
    [
        Ban("no", ("a", "b", "c"), ("h2",)),
        Pin("here", ("a", "b", "c"), ("h1",)),
        AntiAffinity("apart", ("a", "b", "c", "d")),
    ],
)
def test_a_rule_forbids_it(rule: Ban | Pin | AntiAffinity) -> None:
    assert hints_of(replace(CASE, rules=(rule,))) == ()
    first = ("a", "d") if isinstance(rule, AntiAffinity) else ("a",)
    (hint,) = hints_of(replace(CASE, rules=(replace(rule, workloads=first),)))
    assert hint.workload == "b"


def test_what_reserves_too_much_does_not_fit() -> None:
    assert hints_of(CASE, sizes=demands(a=(9, 300), b=(9, 300), c=(9, 300), d=(9, 800))) == ()
    tight = hints_of(CASE, sizes=demands(a=(9, 300), b=(9, 200), c=(9, 300), d=(9, 800)))
    assert [hint.workload for hint in tight] == ["b"]


def test_a_host_of_another_system_without_a_hypervisor_is_none() -> None:
    windows = host("h2", cpu=2000, os="windows-10", hypervisor=Hypervisor.NONE)
    other = fleet([HOSTS[0], windows], [*CASE.workloads[:3], workload("d", "h2", os="windows-10")])
    assert hints_of(other) == ()


def test_a_new_isolation_is_paid_for() -> None:
    """Native at home, a container elsewhere: one percent more."""
    native = fleet(HOSTS, [workload("a", "h1", isolation=Isolation.NATIVE), *CASE.workloads[1:]])
    only = replace(native, rules=(Pin("here", ("b", "c"), ("h1",)),))
    roomy = replace(only, hosts=tuple(host(one.name, cpu=2000, memory=2**30) for one in HOSTS))
    (hint,) = hints_of(roomy)
    assert hint.workload == "a"
    assert hint.source_peak_after == pytest.approx(720 / 2000)
    assert hint.target_peak_after == pytest.approx(600 * 1.01 / 2000)


def test_what_cannot_move_or_is_unknown_stays() -> None:
    fixed = fleet(HOSTS, [*(workload(name, "h1", movable=False) for name in "abc"), CASE.workloads[3]])
    assert hints_of(fixed) == ()
    unknown = {name: Unknown(name, "?") for name in "abc"} | {"d": SIZES["d"]}
    assert hints_of(CASE, sizes=unknown) == ()
    beside = {**SIZES, "d": Unknown("d", "?")}
    assert hints_of(CASE, sizes=beside) == ()


def test_an_empty_host_is_not_in_use() -> None:
    empty = fleet(HOSTS, CASE.workloads[:2])
    assert hints_of(empty, history(DAY, DAY), demands(a=(1, 1), b=(1, 1))) == ()


def test_a_host_takes_part_in_one_hint_and_the_best_comes_first() -> None:
    hosts = [host(f"h{index}", cpu=2000) for index in range(4)]
    places = dict(zip("abcdefgh", ["h0", "h0", "h0", "h1", "h1", "h2", "h3", "h3"], strict=True))
    case = fleet(hosts, [workload(name, on) for name, on in places.items()])
    measured = history(DAY, DAY, DAY / 2, DAY, DAY, NIGHT, NIGHT / 2, NIGHT / 4)
    sizes = demands(**dict.fromkeys(places, (10, 1)))
    found = hints_of(case, measured, sizes)
    assert [(hint.workload, hint.source) for hint in found] == [("a", "h0"), ("d", "h1")]
    assert {hint.target for hint in found} == {"h2", "h3"}
    assert hints_of(case, measured, sizes, most=1) == found[:1]
    together = peaks(case, measured, sizes, changed(case, current_placement(case), found))
    for hint in found:
        assert together[hint.source] == pytest.approx(hint.source_peak_after)
        assert together[hint.target] == pytest.approx(hint.target_peak_after)


def test_without_a_history_or_the_dimension_there_is_nothing_to_say() -> None:
    empty = history([]).between(0, 1)
    assert hints_of(CASE, empty) == ()
    assert swap_hints(MEASURED, CASE, SIZES, current_placement(CASE), dimension="disk_iops") == ()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_every_hint_holds_when_the_changed_placement_is_replayed(seed: int) -> None:
    random = np.random.default_rng(seed)
    names = [f"w{index}" for index in range(9)]
    hosts = [host(f"h{index}", cpu=int(random.integers(1500, 4000)), memory=2**34) for index in range(3)]
    homes = [f"h{random.integers(3)}" for _ in names]
    kinds = [Isolation.NATIVE, Isolation.CONTAINER, Isolation.VM]
    workloads = [workload(name, on, isolation=kinds[random.integers(3)]) for name, on in zip(names, homes, strict=True)]
    rule = AntiAffinity("apart", tuple(random.choice(names, 3, replace=False).tolist()), 2)
    case = fleet(hosts, workloads, rule)
    measured = history(*random.uniform(0, 600, (len(names), 8)))
    sizes = demands(**dict.fromkeys(names, (400, 1)))
    placement = current_placement(case)
    before, feasible = peaks(case, measured, sizes, placement), evaluate(case, sizes, placement).feasible
    found = hints_of(case, measured, sizes)
    assert len({name for hint in found for name in (hint.source, hint.target)}) == 2 * len(found)
    for moves in [(hint,) for hint in found] + ([found] if found else []):
        after = changed(case, placement, moves)
        if feasible:
            assert evaluate(case, sizes, after).feasible
        now = peaks(case, measured, sizes, after)
        for hint in moves:
            assert before[hint.source] == pytest.approx(hint.source_peak_before)
            assert now.get(hint.source, 0.0) == pytest.approx(hint.source_peak_after)
            assert now[hint.target] == pytest.approx(hint.target_peak_after)
            assert hint.target_peak_after <= hint.source_peak_after + 1e-6 < hint.source_peak_before


def test_hints_are_shown() -> None:
    found, hints = copeak(MEASURED, CASE), hints_of(CASE)
    text = copeak_text(found, hints, 80)
    assert "1 move would flatten" in text
    assert "66% → 36%" in text
    assert "−45 %" in text
    (told,) = json.loads(copeak_json(found, hints))["hints"]
    assert (told["workload"], told["source_peak_after"]) == ("a", pytest.approx(0.36))
    assert told["text"].startswith("a from h1 to h2")
