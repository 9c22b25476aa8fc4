"""A directory that looks like a host with control groups, and plans for it."""

from __future__ import annotations

from pathlib import Path

from consolidate.plan.plan import HostPlan, HostState, Limits, Partition, Plan, Proof, Totals

UNLIMITED_V1 = "9223372036854771712"


def make_host(root: Path, version: int, groups: dict[str, dict[str, str]]) -> Path:
    """Plain files in place of kernel files; ``groups`` gives the files of each that differ from unlimited."""
    (root / "proc").mkdir(parents=True)
    if version == 2:
        (root / "proc/mounts").write_text("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n")
        defaults = {"": {"cpu.max": "max 100000", "cpu.weight": "100", "memory.max": "max", "memory.current": "0"}}
        trees = {"": "sys/fs/cgroup"}
    else:
        (root / "proc/mounts").write_text(
            "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
        )
        defaults = {
            "cpu": {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000", "cpu.shares": "1024"},
            "memory": {"memory.limit_in_bytes": UNLIMITED_V1, "memory.usage_in_bytes": "0"},
        }
        trees = {"cpu": "sys/fs/cgroup/cpu", "memory": "sys/fs/cgroup/memory"}
    for group, own in groups.items():
        for controller, tree in trees.items():
            directory = root / tree / group
            directory.mkdir(parents=True)
            for name, text in (defaults[controller] | own).items():
                if name in defaults[controller]:
                    (directory / name).write_text(f"{text}\n")
    return root


def contents(root: Path) -> dict[str, bytes]:
    """Every file below a root, to the byte."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def partition(workload: str, cgroup: str, cpu_milli: int | None, memory_bytes: int | None, **more: object) -> Partition:
    """A partition on host ``here``."""
    fields: dict[str, object] = {"host": "here", "before": Limits(), "cpu_weight": 50} | more
    return Partition(
        workload=workload,
        isolation="container",
        cgroup=cgroup,
        after=Limits(cpu_milli, memory_bytes),
        reason="a test",
        **fields,  # type: ignore[arg-type]
    )


def plan_of(*partitions: Partition) -> Plan:
    """A plan that changes nothing but partitions."""
    totals = Totals(1, 100.0, 50.0, 200)
    state = HostState(True, len(partitions), (200,), (100,), 100.0)
    return Plan(
        version=1,
        tool="test",
        fleet_digest="sha256:0",
        seed=0,
        as_of_s=None,
        currency="EUR",
        before=totals,
        after=totals,
        proof=Proof("hosts", 1, 1, "fluid", "a test"),
        placed={},
        moves=(),
        partitions=partitions,
        hosts=(HostPlan("here", "debian", state, state, "keep", "a test"),),
        refusals=(),
        basis=(),
        unmeasured=(),
    )
