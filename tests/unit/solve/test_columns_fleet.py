"""Captives: what few hosts can take is packed by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from consolidate.model.rules import AntiAffinity, Pin
from consolidate.solve.bounds import lower_bound
from consolidate.solve.certificate import proves
from consolidate.solve.columns import Instance, uniform_bins
from consolidate.solve.columns.fleet import Captives, find_captives, place_captives
from consolidate.solve.columns.instance import merge_identical
from consolidate.solve.loads import Needs
from consolidate.solve.problem import Problem, compile_problem
from tests.support.fleets import demands, fleet, host, workload

NAMES = [f"w{index}" for index in range(6)]


def pinned(cpu: int, *rules: AntiAffinity) -> Problem:
    """Six workloads that may use six of eight hosts of 1000, and one that may go anywhere."""
    hosts = [host(f"h{index}") for index in range(8)]
    rack = Pin("rack", tuple(NAMES), tuple(one.name for one in hosts[:6]))
    workloads = [workload(name) for name in [*NAMES, "free"]]
    needs = demands(**{name: (cpu, 100) for name in NAMES}, free=(100, 100))
    return compile_problem(Needs(fleet(hosts, workloads, rack, *rules), needs))


def in_rack(problem: Problem) -> Captives:
    """Those of the six hosts; a problem as small as this is also captive as a whole."""
    return next(one for one in find_captives(problem) if len(one.hosts) == 6)


def test_captives_are_bound_by_what_fits_beside_each_other() -> None:
    problem = pinned(400)
    captives = in_rack(problem)
    assert captives.items.tolist() == list(range(6))
    assert captives.hosts.tolist() == list(range(6))
    assert captives.cost == 3
    assert captives.host_of is not None
    assert len(np.unique(captives.host_of)) == 3
    assert lower_bound(problem, [captives]).cost == 3


def in_bins_of_1000(captives: Captives, cpu: int, apart: bool = False) -> Instance:
    """The captives of `pinned` as an instance of its own, made without the code that makes it from a fleet."""
    count = len(captives.items)
    plain = uniform_bins(np.repeat([[cpu, 100]], count, axis=0), np.array([1000, 1000]))
    together = np.ones((count, 1), dtype=np.int64)
    return replace(plain, group=together, group_bound=np.array([1])) if apart else plain


@pytest.mark.parametrize(("cpu", "apart", "cost"), [(400, False, 3), (300, False, 2), (600, False, 6), (100, True, 6)])
def test_what_captives_cost_is_proved_by_their_certificate(cpu: int, apart: bool, cost: int) -> None:
    rules = [AntiAffinity("apart", tuple(NAMES), 1)] if apart else []
    captives = in_rack(pinned(cpu, *rules))
    assert captives.cost == cost
    assert captives.certificate is not None
    merged, _ = merge_identical(in_bins_of_1000(captives, cpu, apart))
    assert proves(merged, captives.certificate, cost)
    assert not proves(merged, captives.certificate, cost + 1)


def test_a_rule_that_keeps_them_apart_is_kept() -> None:
    assert in_rack(pinned(100, AntiAffinity("apart", tuple(NAMES), 1))).cost == 6


def test_the_start_holds_the_captives_and_nothing_else() -> None:
    problem = pinned(400)
    state = place_captives(problem, [in_rack(problem)])
    assert (state.host_of[:6] >= 0).all()
    assert state.host_of[6] < 0


def test_many_small_workloads_are_left_to_the_fluid_bound() -> None:
    hosts = [host(f"h{index}") for index in range(3)]
    names = [f"w{index}" for index in range(20)]
    small = fleet(hosts, [workload(name) for name in names])
    amounts = demands(**{name: (50, 10) for name in names})
    assert find_captives(compile_problem(Needs(small, amounts))) == ()
