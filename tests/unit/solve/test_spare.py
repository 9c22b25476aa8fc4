"""Room for a failed host's workloads on hosts that are on anyway."""

from __future__ import annotations

import numpy as np

from consolidate.model.rules import FailureReserve
from consolidate.solve.failover import unrecovered
from consolidate.solve.loads import Needs
from consolidate.solve.problem import compile_problem
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
