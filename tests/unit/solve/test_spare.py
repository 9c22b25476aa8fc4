"""Room for a failed host's workloads on hosts that are on anyway."""

from __future__ import annotations

import numpy as np
import pytest

from consolidate.model.placement import current_placement
from consolidate.model.rules import FailureReserve
from consolidate.solve.failover import unrecovered
from consolidate.solve.loads import Needs
from consolidate.solve.problem import compile_problem
from consolidate.solve.shortage import ConflictError
from consolidate.solve.solve import solve
from consolidate.solve.spare import keep_spare
from tests.support.fleets import demands, fleet, host, workload

HOSTS = [host(f"h{index}") for index in range(4)]
NO_WALLS = np.zeros(len(HOSTS), dtype=np.bool_)
SURVIVES = FailureReserve("db-survives", ("db0", "db1"))
FULL = {f"w{index}": (180, 1) for index in range(9)}
"""With the two of the rule they fill two hosts to the last, or three with room for one of the rule's."""


def test_no_further_host_is_kept_on_where_those_that_are_on_have_room_in_another_order() -> None:
    amounts = demands(db0=(190, 1), db1=(190, 1), **FULL)
    estate = fleet(HOSTS, [workload(name, "h0") for name in amounts], SURVIVES)
    found = solve(estate, amounts)
    assert found.hosts_used == 3
    assert found.placement.standby == frozenset()
    assert not list(unrecovered(SURVIVES, Needs(estate, amounts), found.placement))


def test_every_loss_fits_on_the_host_that_keeps_room() -> None:
    amounts = demands(db0=(190, 1), db1=(190, 1), **FULL)
    estate = fleet(HOSTS, [workload(name, "h0") for name in amounts], SURVIVES)
    needs = Needs(estate, amounts)
    problem = compile_problem(needs)
    crowded = problem.arrays.home.copy()
    crowded[:] = [0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 2]  # full, full, and one
    host_of = keep_spare(problem, [SURVIVES], crowded, NO_WALLS, 200, 1)
    assert host_of is not None
    assert set(host_of.tolist()) == {0, 1, 2}
    assert not list(unrecovered(SURVIVES, needs, problem.placement(host_of)))


def test_none_is_found_where_the_hosts_that_are_on_are_full() -> None:
    amounts = demands(db0=(500, 1), db1=(500, 1), w0=(500, 1), w1=(500, 1))
    estate = fleet(HOSTS, [workload(name, "h0") for name in amounts], SURVIVES)
    problem = compile_problem(Needs(estate, amounts))
    packed = problem.arrays.home.copy()
    packed[:] = [0, 1, 0, 1]
    assert keep_spare(problem, [SURVIVES], packed, NO_WALLS, 20, 1) is None


def test_a_rule_about_nothing_but_unknown_demand_keeps_no_room() -> None:
    amounts = demands(db0=(190, 1), db1=(190, 1), new=None, **FULL)
    running = [workload(name, "h0" if name != "new" else None) for name in amounts]
    found = solve(fleet(HOSTS, running, SURVIVES, FailureReserve("new-survives", ("new",))), amounts)
    assert found.score.feasible
    assert found.hosts_used == 3


def test_a_further_host_is_kept_on_that_can_give_what_one_of_equal_size_cannot() -> None:
    hosts = [host("h1"), host("s1", headroom_permille=900), host("s2")]
    found = solve(fleet(hosts, [workload("a", "h1")], FailureReserve("r", ("a",))), demands(a=(500, 500)))
    assert found.placement.powered == frozenset({"h1", "s2"})


def test_nothing_is_restarted_beside_what_is_of_unknown_demand() -> None:
    estate = fleet(HOSTS[:2], [workload("a", "h0"), workload("u", "h1")], FailureReserve("r", ("a",)))
    amounts = demands(a=(500, 500), u=None)
    assert list(unrecovered(estate.rules[0], Needs(estate, amounts), current_placement(estate))) == [("a", "h0")]
    with pytest.raises(ConflictError, match="'r' wants room for a where any host fails, u keeps h1 to itself"):
        solve(estate, amounts)
