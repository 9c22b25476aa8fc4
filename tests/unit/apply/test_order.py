"""Writes come in an order in which no parent is ever below its child, whatever the plan and the canary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consolidate.apply.backends.backend import Change
from consolidate.apply.order import in_order, least_important
from tests.support.hosts import partition

TREE = {"a": "a", "ab": "a/b", "abc": "a/b/c", "ad": "a/d", "e": "e"}
PARENT = {"ab": "a", "abc": "ab", "ad": "a"}


def limit(change: Change, text: str) -> tuple[str, int | str | None]:
    return ("cpus", text) if change.key == "cpuset.cpus" else ("cpu_milli", None if text == "-1" else int(text))


def change(workload: str, key: str, now: str, wanted: str) -> Change:
    return Change(workload, "cgroup", TREE[workload], "1", key, key, now, wanted)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, int]:
    """A quota for each group, none above its parent's."""
    quotas: dict[str, int] = {}
    for name in TREE:
        most = quotas.get(PARENT.get(name, ""), 1000)
        quotas[name] = draw(st.integers(1, most))
    return quotas


@given(trees(), trees(), st.sampled_from([*TREE, None]))
def test_a_quota_is_never_above_its_parents_on_the_way(now, wanted, canary) -> None:
    changes = [change(name, "cpu.cfs_quota_us", str(now[name]), str(wanted[name])) for name in TREE]
    held = dict(now)
    for one in in_order(changes, TREE, canary, limit):
        held[one.workload] = int(one.wanted)
        assert all(held[child] <= held[parent] for child, parent in PARENT.items())
    assert held == wanted


def test_cpus_are_widened_to_the_union_above_before_they_move_below() -> None:
    steps = [("a", "0-1", "0-3"), ("a", "0-3", "2-3"), ("ab", "0", "0,2"), ("ab", "0,2", "2")]
    ordered = in_order([change(name, "cpuset.cpus", now, then) for name, now, then in steps], TREE, "ab", limit)
    assert [(one.workload, one.wanted) for one in ordered] == [("a", "0-3"), ("ab", "0,2"), ("ab", "2"), ("a", "2-3")]


def test_the_canary_comes_first_and_what_must_come_before_it() -> None:
    changes = [change("e", "cpu.cfs_quota_us", "-1", "5"), change("a", "cpu.cfs_quota_us", "10", "20")]
    changes.append(change("ab", "cpu.cfs_quota_us", "5", "15"))
    assert [one.workload for one in in_order(changes, TREE, "ab", limit)] == ["a", "ab", "e"]


def test_the_least_important_workload_is_the_canary() -> None:
    weights = {"web": 100, "batch": 10, "db": 200}
    partitions = [partition(name, name, 1, None, cpu_weight=weight) for name, weight in weights.items()]
    assert least_important(partitions) == "batch"
    assert least_important([]) is None
