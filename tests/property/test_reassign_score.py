"""The scorer of a reassignment against its definition in loops, and the lower bound against every placement."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from consolidate.solve.reassign.bounds import lower_bound
from consolidate.solve.reassign.problem import Costs, Grouping, Hosts, Items, Reassignment, reassignment
from consolidate.solve.reassign.score import score

MOST_DEMAND = 12
KNOTS = 24
LEAST_SHIFT = 2
"""Curves reach as far as all items together on one host, so that an overloaded one has a penalty too."""
MOST_ITEMS = (KNOTS << LEAST_SHIFT) // MOST_DEMAND - 1


@dataclass(frozen=True, eq=False)
class Case:
    """What a problem is made of, and a placement that keeps all of its rules."""

    hosts: Hosts
    items: Items
    costs: Costs
    start: NDArray[np.int64]

    @cached_property
    def problem(self) -> Reassignment:
        """The arrays under test."""
        return reassignment(self.hosts, self.items, self.costs)

    def row(self, item: int, host: int) -> list[int]:
        """Demand of an item on a host; nothing where it cannot run."""
        variant = int(self.items.variant[item, self.hosts.kind[host]])
        return [int(amount) for amount in self.items.demand[variant]] if variant >= 0 else [0] * self.cells

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.hosts.capacity.shape[1]

    def load(self, host: int, members: Iterable[int]) -> list[int]:
        """Load of a host that runs so many items."""
        return [sum(amounts) for amounts in zip([0] * self.cells, *(self.row(i, host) for i in members), strict=True)]

    def charged(self, host: int, members: list[int]) -> list[int]:
        """Load, and in transient cells also what has left its home."""
        left = [i for i, home in enumerate(self.items.home.tolist()) if home == host and i not in members]
        stays, leaves = self.load(host, members), self.load(host, left)
        return [stays[c] + (leaves[c] if c in self.items.transient else 0) for c in range(self.cells)]

    def host_cost(self, host: int, members: list[int]) -> dict[str, int]:
        """Each part of one host's own cost."""
        load, costs = self.load(host, members), self.costs
        hard, soft = self.hosts.capacity[host].tolist(), costs.soft_capacity[host].tolist()
        return {
            "opening": int(costs.opening[host]) if members else 0,
            "soft": sum(w * max(0, x - s) for w, x, s in zip(costs.soft_weight.tolist(), load, soft, strict=True)),
            "balance": sum(
                weight * max(0, target * (hard[a] - load[a]) - (hard[b] - load[b]))
                for a, b, target, weight in costs.balance
            ),
            "curve": sum(self.penalty(host, load[cell]) for cell in range(costs.curve_cells)),
        }

    def penalty(self, host: int, load: int) -> int:
        """The curve at a load: linear between its knots, rounded down."""
        kind = int(self.hosts.kind[host])
        step = 2 ** self.costs.curve_shift[kind]
        knot, rest = divmod(load, step)
        low, high = (int(self.costs.curve[kind, k]) for k in (knot, knot + 1))
        return low + (high - low) * rest // step


def members_of(host_of: NDArray[np.int64], host: int) -> list[int]:
    """Items on a host."""
    return [item for item, at in enumerate(host_of.tolist()) if at == host]


def parts(case: Case, host_of: NDArray[np.int64]) -> dict[str, int]:
    """Each part of the cost, from its definition."""
    total: Counter[str] = Counter()
    for host in range(len(case.hosts.capacity)):
        total.update(case.host_cost(host, members_of(host_of, host)))
    moved = [i for i, home in enumerate(case.items.home.tolist()) if home >= 0 and home != host_of[i]]
    route, of_group = case.costs.route, Counter(group for item in moved for group in case.items.grouping.of_item[item])
    return dict(total) | {
        "moves": sum(int(case.costs.move_cost[item]) for item in moved),
        "routes": 0 if route is None else sum(int(route[case.items.home[item], host_of[item]]) for item in moved),
        "group moves": case.costs.group_move_weight * max(of_group.values(), default=0),
    }


def violations(case: Case, host_of: NDArray[np.int64]) -> Counter[str]:
    """How often each kind of rule is broken, from its definition; what is on host -1 runs nowhere."""
    broken: Counter[str] = Counter()
    grouping, hosts = case.items.grouping, range(len(case.hosts.capacity))
    broken["cannot run"] = sum(
        host >= 0 and case.items.variant[item, case.hosts.kind[host]] < 0 for item, host in enumerate(host_of.tolist())
    )
    found: dict[int, list[int]] = {
        group: [int(host_of[i]) for i, of in enumerate(grouping.of_item) if group in of]
        for group in range(len(grouping.host_limit))
    }
    for host in hosts:
        members, hard = members_of(host_of, host), case.hosts.capacity[host].tolist()
        broken["over"] += sum(x > most for x, most in zip(case.load(host, members), hard, strict=True))
        charged = case.charged(host, members)
        broken["while items move"] += sum(charged[c] > hard[c] for c in case.items.transient)
        broken["limit"] += sum(found[g].count(host) > most for g, most in enumerate(grouping.host_limit))
        broken["beside"] += sum(host in found[a] and found[b].count(host) > most for a, b, most in grouping.beside)
    for group, least in enumerate(grouping.least_locations):
        broken["locations"] += len({case.hosts.location[host] for host in found[group]}) < least
    for group, others in enumerate(grouping.needs):
        for other in others:
            mine, theirs = ({int(case.hosts.neighbourhood[h]) for h in found[g]} for g in (group, other))
            broken["misses"] += not mine <= theirs
    return +broken


KINDS = {"cannot run", "while items move", "beside", "locations", "misses"}


def kind_of(violation: str) -> str:
    """The kind of a violation, by a word that its sentence has."""
    named = [kind for kind in KINDS if kind in violation]
    return named[0] if named else "over" if "over its capacity" in violation else "limit"


@st.composite
def cases(draw: st.DrawFn, max_hosts: int = 4, max_items: int = 6) -> Case:
    """A small problem with everything that a problem may have, made so that its start keeps all rules."""
    assert max_items <= MOST_ITEMS

    def numbers(least: int, most: int, *shape: int) -> NDArray[np.int64]:
        return draw(arrays(np.int64, shape, elements=st.integers(least, most)))

    hosts, items = draw(st.integers(1, max_hosts)), draw(st.integers(1, max_items))
    cells, rows = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    kind = numbers(0, 1, hosts)
    kinds = int(kind.max()) + 1
    start, everyone = numbers(0, hosts - 1, items), np.arange(items)
    variant = numbers(-1, rows - 1, items, kinds)
    variant[everyone, kind[start]] = np.maximum(variant[everyone, kind[start]], 0)
    transient = np.flatnonzero(numbers(0, 1, cells)).tolist()
    partition = Hosts(np.zeros((hosts, cells), dtype=np.int64), kind, numbers(0, 2, hosts), numbers(0, 1, hosts))
    group_lists = st.lists(st.integers(0, 2), max_size=2, unique=True)
    of_item = [draw(group_lists) for _ in range(items)]
    home = np.where(numbers(0, 2, items) > 0, start, numbers(-1, hosts - 1, items))
    grouping = draw(_groupings(of_item, partition, start))
    workloads = Items(numbers(0, MOST_DEMAND, rows, cells), home, variant, transient, grouping)
    empty = Case(partition, workloads, Costs(), start)
    needed = np.array([empty.charged(host, members_of(start, host)) for host in range(hosts)])
    route = numbers(0, 9, hosts, hosts)
    np.fill_diagonal(route, 0)
    rises = np.sort(numbers(0, 30, kinds, KNOTS), axis=1)
    pairs = st.tuples(*[st.integers(0, cells - 1)] * 2, st.integers(0, 3), st.integers(0, 5))
    costs = Costs(
        opening=numbers(0, 50, hosts),
        soft_weight=numbers(0, 9, cells),
        soft_capacity=numbers(0, 3 * MOST_DEMAND, hosts, cells),
        balance=draw(st.lists(pairs, max_size=2)),
        curve_cells=draw(st.integers(0, cells)),
        curve=np.cumsum(np.pad(rises, ((0, 0), (1, 0))), axis=1),
        curve_shift=numbers(LEAST_SHIFT, LEAST_SHIFT + 1, kinds).tolist(),
        move_cost=numbers(0, 9, items),
        route=draw(st.sampled_from([route, None])),
        group_move_weight=draw(st.integers(0, 9)),
    )
    capacity = needed + numbers(0, 2 * MOST_DEMAND, hosts, cells)
    return Case(Hosts(capacity, kind, partition.location, partition.neighbourhood), workloads, costs, start)


@st.composite
def _groupings(draw: st.DrawFn, of_item: list[list[int]], hosts: Hosts, start: NDArray[np.int64]) -> Grouping:
    """Rules of three groups that hold at the start, some of them tightly."""
    slack = st.integers(0, 2)
    on = [Counter(int(start[i]) for i, groups in enumerate(of_item) if group in groups) for group in range(3)]
    beside, needs = [], []
    for a, b in itertools.permutations(range(3), 2):
        if draw(st.booleans()):
            beside.append((a, b, max((on[b][host] for host in on[a]), default=0) + draw(slack)))
    for group in range(3):
        around = {int(hosts.neighbourhood[host]) for host in on[group]}
        others = [b for b in range(3) if b != group and around <= {int(hosts.neighbourhood[host]) for host in on[b]}]
        needs.append([other for other in others if draw(st.booleans())])
    return Grouping(
        of_item=of_item,
        host_limit=[max(on[group].values(), default=0) + draw(slack) for group in range(3)],
        beside=beside,
        least_locations=[max(0, len({int(hosts.location[h]) for h in on[g]}) - draw(slack)) for g in range(3)],
        needs=needs,
    )


def placements(case: Case) -> Iterator[NDArray[np.int64]]:
    """Every placement."""
    for chosen in itertools.product(range(len(case.hosts.capacity)), repeat=len(case.start)):
        yield np.array(chosen)


@given(cases(), st.data())
@settings(max_examples=200)
def test_the_scorer_agrees_with_the_definitions(case: Case, data: st.DataObject) -> None:
    hosts = st.integers(0, len(case.hosts.capacity) - 1)
    host_of = data.draw(arrays(np.int64, case.start.shape, elements=hosts))
    found = score(case.problem, host_of)
    assert found.parts == parts(case, host_of)
    assert found.cost == sum(found.parts.values())
    assert Counter(kind_of(violation) for violation in found.violations) == violations(case, host_of)


@given(cases())
def test_what_the_strategy_draws_keeps_all_rules_at_its_start(case: Case) -> None:
    assert not violations(case, case.start)


@given(cases(max_hosts=3, max_items=4))
@settings(max_examples=150)
def test_no_feasible_placement_costs_less_than_the_lower_bound(case: Case) -> None:
    feasible = (
        one for one in map(lambda host_of: score(case.problem, host_of), placements(case)) if not one.violations
    )
    assert lower_bound(case.problem) <= min(one.cost for one in feasible)


@given(st.lists(st.integers(1, 99), min_size=1, max_size=3), st.integers(0, 9), st.data())
@settings(max_examples=100)
def test_the_bound_is_none_the_higher_for_a_host_that_is_far_dearer(
    cheap: list[int], digits: int, data: st.DataObject
) -> None:
    opening = np.array([*cheap, 10**digits])
    capacity = data.draw(arrays(np.int64, (len(opening), 1), elements=st.integers(5, 19)))
    sizes = data.draw(arrays(np.int64, (data.draw(st.integers(1, 4)), 1), elements=st.integers(1, 7)))
    problem = reassignment(Hosts(capacity), Items(sizes, np.full(len(sizes), -1)), Costs(opening=opening))
    every = itertools.product(range(len(opening)), repeat=len(sizes))
    feasible = [one.cost for one in (score(problem, np.array(host_of)) for host_of in every) if not one.violations]
    assume(feasible)
    assert lower_bound(problem) <= min(feasible)
