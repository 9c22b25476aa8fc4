"""How limits are chosen: rule by rule, with the half sentence that a partition gives for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from collectors.topology import Node, Topology, parse_topology
from consolidate.model.demand import Demand, Demands, Seen, Unknown
from consolidate.model.fleet import Host, Isolation, Workload
from consolidate.model.placement import Assignment, Placement
from consolidate.model.policy import PartitionPolicy
from consolidate.model.resources import Resources
from consolidate.plan.limits import PAGE_BYTES
from consolidate.plan.partition import choose_partitions
from consolidate.plan.plan import Partition
from tests.support.fleets import GIB, fleet, host, workload

MIB = 1 << 20
PAGES = 16 * PAGE_BYTES
"""A mebibyte, in whole pages."""
NOTHING, NOBODY = Seen(), PartitionPolicy()
LARGE = host("h", 16_000, 8 * GIB)


def a_demand(name: str, cpu: int, highest: int, memory: int = 100 * MIB, seen: Seen = NOTHING, **disk: int) -> Demand:
    amounts = {"cpu_milli": cpu, "memory_bytes": memory, **disk}
    slots = {dimension: np.array([amount], dtype=np.int64) for dimension, amount in amounts.items()}
    return Demand(name, slots, days=7.0, highest_cpu_milli=highest, source="measured", seen=seen)


def chosen(
    demands: Demands, on: Host = LARGE, policy: PartitionPolicy = NOBODY, **more: object
) -> dict[str, Partition]:
    """Partitions of workloads that all run on one host and stay there."""
    workloads = [workload(name, "h", cgroup=f"shop/{name}", **more) for name in demands]
    placed = {name: Assignment("h", one.isolation) for name, one in zip(demands, workloads, strict=True)}
    placement = Placement(placed, frozenset({"h"}))
    partitions = choose_partitions(fleet([on], workloads), demands, placement, policy)
    return {partition.workload: partition for partition in partitions}


def one(demand: Demand, **more: object) -> Partition:
    return chosen({demand.workload: demand}, **more)[demand.workload]  # type: ignore[arg-type]


def test_a_quota_leaves_room_for_the_highest_that_was_seen() -> None:
    partition = one(a_demand("web", 500, 700))
    assert (partition.after.cpu_milli, partition.cpu_weight) == (700, 50)
    assert partition.after.cpu_burst_milli is None
    assert partition.reason == "measured: peak of 7.0 days with margin"


def test_what_bursts_far_above_its_busiest_hour_may_save_up_half_a_quota() -> None:
    partition = one(a_demand("web", 500, 800))
    assert (partition.after.cpu_milli, partition.after.cpu_burst_milli) == (800, 400)
    assert "bursts shorter than its busiest hour shows" in partition.reason


def test_a_quota_that_its_threads_could_use_up_is_told() -> None:
    partition = one(a_demand("web", 500, 600, seen=Seen(most_pids=12)))
    assert "12 threads running at once would use its quota up in 5 of 100 ms" in partition.reason
    assert partition.after.pids == 512
    assert one(a_demand("web", 500, 600, seen=Seen(most_pids=300))).after.pids == 1200


def test_what_must_answer_at_once_has_a_share_and_no_quota_and_no_swap() -> None:
    policy = PartitionPolicy(latency_critical=frozenset({"web"}))
    partition = one(a_demand("web", 500, 800), policy=policy)
    assert (partition.after.cpu_milli, partition.after.cpu_burst_milli, partition.after.swap_bytes) == (None, None, 0)
    assert partition.cpu_weight == 80
    assert "latency-critical: a share of the CPU and no quota, no swap" in partition.reason


def test_a_quota_of_today_is_raised_to_the_whole_host_rather_than_left() -> None:
    policy = PartitionPolicy(latency_critical=frozenset({"web"}))
    partition = one(a_demand("web", 500, 800), policy=policy, enforced=Resources({"cpu_milli": 600}))
    assert (partition.before.cpu_milli, partition.after.cpu_milli) == (600, 16_000)
    assert "today's quota is raised to all 16.00 cores" in partition.reason


def test_what_was_not_measured_is_not_set() -> None:
    after = one(a_demand("web", 500, 700)).after
    assert {field for field, amount in vars(after).items() if amount is not None} == {"cpu_milli", "memory_bytes"}


def test_typical_memory_is_protected_and_no_more_than_the_limit() -> None:
    partition = one(a_demand("web", 500, 500, seen=Seen(typical_memory_bytes=40 * MIB + 1)))
    assert partition.after.memory_low_bytes == 40 * PAGES
    assert "protected as far as it is typically used" in partition.reason
    assert one(a_demand("web", 1, 1, 8 * MIB, Seen(40 * MIB))).after.memory_low_bytes == 8 * PAGES


def test_all_of_a_host_together_protect_at_most_four_fifths_of_it() -> None:
    demands = {name: a_demand(name, 1, 1, 800 * MIB, Seen(600 * MIB)) for name in "ab"}
    partitions = chosen(demands, on=host("h", 16_000, 1000 * MIB))
    protected = [partition.after.memory_low_bytes or 0 for partition in partitions.values()]
    assert 790 * MIB < sum(protected) <= 800 * MIB
    assert "67 % of it since a host protects 80 % at most" in partitions["a"].reason


def test_reclaim_before_the_limit_is_asked_for_and_only_where_page_cache_takes_it() -> None:
    policy = PartitionPolicy(memory_high=frozenset({"web"}))
    plenty = one(a_demand("web", 1, 1, seen=Seen(50 * MIB, 20 * MIB)), policy=policy)
    assert plenty.after.memory_high_bytes == 95 * PAGES
    little = one(a_demand("web", 1, 1, seen=Seen(50 * MIB, 4 * MIB)), policy=policy)
    assert little.after.memory_high_bytes is None
    assert "no reclaim before the limit, since its page cache of 4.0 MiB could not absorb it" in little.reason
    assert one(a_demand("web", 1, 1, seen=Seen(50 * MIB, 20 * MIB))).after.memory_high_bytes is None
    both = PartitionPolicy(memory_high=frozenset({"web"}), latency_critical=frozenset({"web"}))
    assert "since it is latency-critical" in one(a_demand("web", 1, 1, seen=Seen(50 * MIB)), policy=both).reason


def test_disks_are_shared_by_what_is_moved_and_only_the_noisy_is_capped() -> None:
    demands = {
        "quiet": a_demand("quiet", 1, 1, disk_read_bytes_per_s=20 * MIB, disk_write_bytes_per_s=0),
        "noisy": a_demand("noisy", 1, 1, disk_read_bytes_per_s=60 * MIB, disk_write_bytes_per_s=MIB),
        "other": a_demand("other", 1, 1),
    }
    partitions = chosen(demands)
    noisy, quiet = partitions["noisy"].after, partitions["quiet"].after
    assert (noisy.disk_read_bytes_per_s, noisy.disk_write_bytes_per_s) == (78 * MIB, None)
    assert (noisy.io_weight, quiet.io_weight, partitions["other"].after.io_weight) == (151, 49, None)
    assert quiet.disk_read_bytes_per_s is None
    assert "moves more than all others of its host together" in partitions["noisy"].reason
    alone = chosen({"noisy": demands["noisy"]})["noisy"].after
    assert (alone.io_weight, alone.disk_read_bytes_per_s) == (None, None), "nobody suffers from it"


def a_host(cores: int = 8) -> Host:
    """One node, each core with two threads."""
    line = f"node 0 cpus 0-{2 * cores - 1} memory {8 * GIB} distances 10; cores " + " ".join(
        f"{core},{core + cores}" for core in range(cores)
    )
    return host("h", 2000 * cores, 8 * GIB, topology=parse_topology(line))


def test_who_is_to_be_alone_has_whole_cores_and_the_rest_shares_the_others() -> None:
    policy = PartitionPolicy(exclusive=frozenset({"db"}))
    partitions = chosen({"db": a_demand("db", 2500, 3000), "web": a_demand("web", 900, 900)}, a_host(), policy)
    db, web = partitions["db"], partitions["web"]
    assert (db.after.cpus, db.after.memory_nodes, db.after.cpu_milli) == ("1-2,9-10", "0", None)
    assert "cores of its own (1-2,9-10), and therefore no quota" in db.reason
    assert (web.after.cpus, web.after.memory_nodes, web.after.cpu_milli) == ("3-7,11-15", None, 900)
    assert "on the cores that nobody has for itself" in web.reason


def test_who_does_not_fit_alone_shares_and_says_so() -> None:
    policy = PartitionPolicy(exclusive=frozenset({"db"}))
    partitions = chosen({"db": a_demand("db", 3000, 14_000), "web": a_demand("web", 900, 900)}, a_host(), policy)
    assert partitions["db"].after.cpus is None
    assert partitions["db"].after.cpu_milli == 14_000
    assert "no cores of its own: 14 processors as whole cores" in partitions["db"].reason


def test_planning_again_on_its_own_result_moves_nobody() -> None:
    policy = PartitionPolicy(exclusive=frozenset({"db"}))
    demands = {"db": a_demand("db", 2500, 3000), "web": a_demand("web", 900, 900)}
    now = {name: partition.after.cpus or "" for name, partition in chosen(demands, a_host(), policy).items()}
    kept = replace(workload("db", "h", cgroup="shop/db"), cpus="4-5,12-13")
    placement = Placement({"db": Assignment("h", kept.isolation)}, frozenset({"h"}))
    [again] = choose_partitions(fleet([a_host()], [kept]), {"db": demands["db"]}, placement, policy)
    assert (again.before.cpus, again.after.cpus) == ("4-5,12-13", "4-5,12-13")
    assert now["db"] == "1-2,9-10"


def test_a_stranger_on_the_host_keeps_two_cores_shared() -> None:
    policy = PartitionPolicy(exclusive=frozenset({"db"}))
    demands: Demands = {"db": a_demand("db", 1000, 1000), "who": Unknown("who", "not measured")}
    on = host("h", 3000, 8 * GIB, topology=Topology((Node(0, (0, 1, 2), 8 * GIB, (10,)),)))
    workloads = [workload("db", "h", cgroup="db"), workload("who", "h", cgroup="who")]
    placement = Placement({"db": Assignment("h", workloads[0].isolation)}, frozenset({"h"}))
    [partition] = choose_partitions(fleet([on], workloads), demands, placement, policy)
    assert "no cores of its own" in partition.reason


def test_a_machine_larger_than_a_node_gets_word_of_virtual_nodes() -> None:
    nodes = tuple(Node(n, tuple(range(4 * n, 4 * n + 4)), 4 * GIB, (10, 21) if n == 0 else (21, 10)) for n in (0, 1))
    on = host("h", 8000, 8 * GIB, topology=Topology(nodes))
    partition = one(a_demand("vm", 5000, 6000), on=on, isolation=Isolation.VM)
    assert "larger than a NUMA node: give its guest 2 equal virtual nodes" in partition.reason


@pytest.mark.parametrize("isolation", [Isolation.NATIVE, Isolation.CONTAINER])
def test_what_has_no_walls_has_no_partition(isolation: Isolation) -> None:
    demand = a_demand("web", 1, 1)
    plain = Workload("web", "debian", "h", isolation)
    placement = Placement({"web": Assignment("h", isolation)}, frozenset({"h"}))
    found = choose_partitions(fleet([host("h")], [plain]), {"web": demand}, placement, PartitionPolicy())
    assert len(found) == (isolation is Isolation.CONTAINER)
