"""Plans made by hand for the reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consolidate.plan.plan import HostPlan, HostState, Limits, Move, Partition, Plan, Proof, Refusal, Totals

GIB = 1024**3
HOSTILE = (
    "[red]red[/red]",
    "a|b",
    "<script>alert(1)</script>",
    '" onload="alert(2)',
    "`code` *bold* _x_",
    "\x1b[31mescape",
    "two\nlines",
    ":smile:",
    "{{ 7 * 7 }}",
    "right\u202eleft",
    "a-name-" + "x" * 150,
)


def on(workloads: int, cpu: tuple[int, ...], memory: int, watts: float) -> HostState:
    return HostState(True, workloads, cpu, (memory,) * len(cpu), watts)


OFF = HostState(False, 0, (0,), (0,), 0.0)
DAY = tuple(100 + 10 * hour for hour in range(24))
BUSY = tuple(500 + 20 * hour for hour in range(24))


@pytest.fixture
def small() -> Plan:
    """Three servers become one: a container, a virtual machine, and a workload left alone."""
    return Plan(
        version=1,
        tool="consolidate 0.1.0",
        fleet_digest="sha256:" + "ab" * 32,
        seed=7,
        as_of_s=1_700_000_000,
        currency="EUR",
        before=Totals(3, 600.0, 330.0, 110),
        after=Totals(1, 260.0, 127.45, 330),
        proof=Proof("hosts", 1, 1, "fluid", "even if every workload could be split, less would not hold them"),
        placed={
            "container": {"it shares the host's linux kernel": 1},
            "vm": {"windows-10 brings its own windows-nt10 kernel": 1},
            "native": {"it stays as it is": 2},
        },
        moves=(
            Move(
                1,
                "deb-2:web",
                "deb-2",
                "deb-1",
                "container",
                12 * GIB,
                False,
                "empties deb-2; container, since it shares the host's linux kernel",
            ),
            Move(
                2,
                "win-1:crm",
                "win-1",
                "deb-1",
                "vm",
                40 * GIB,
                False,
                "empties win-1; vm, since windows-10 brings its own windows-nt10 kernel",
            ),
        ),
        partitions=(
            Partition("deb-2:web", "deb-1", "container", "", Limits(), Limits(1500, 2 * GIB), 150, "measured"),
            Partition("deb-1:db", "deb-1", "native", "db.slice", Limits(2000, GIB), Limits(2000, GIB), 200, "measured"),
        ),
        hosts=(
            HostPlan(
                "deb-1",
                "debian",
                on(2, DAY, 300, 210.0),
                on(4, BUSY, 905, 260.0),
                "keep",
                "deb-1:batch stays: its demand is unknown (measured for 0.2 h)",
            ),
            HostPlan("deb-2", "debian", on(1, DAY, 250, 200.0), OFF, "free", "everything on it fits elsewhere"),
            HostPlan("win-1", "windows-10", on(1, (150,), 200, 190.0), OFF, "free", "everything on it fits elsewhere"),
        ),
        refusals=(Refusal("deb-1:batch", "left alone: its demand is unknown (measured for 0.2 h)"),),
        basis=("Headroom: 10 % of every host is left free.",),
        unmeasured=("disk_iops",),
    )


@pytest.fixture
def unchanged(small: Plan) -> Plan:
    """One server that stays as it is."""
    host = small.hosts[0]
    return replace(
        small,
        before=small.after,
        moves=(),
        partitions=(),
        refusals=(),
        basis=("Headroom: 10 % of every host is left free.",),
        unmeasured=(),
        hosts=(replace(host, before=host.after),),
    )


@pytest.fixture
def hostile(small: Plan) -> Plan:
    """Names and reasons that every format would like to interpret."""
    host, move = small.hosts[0], small.moves[0]
    return replace(
        small,
        tool=HOSTILE[2],
        hosts=(
            *small.hosts,
            *(replace(host, name=name, os=name, reason=f"because of {name}") for name in HOSTILE),
            *(replace(small.hosts[1], name=f"freed {name}", os=name) for name in HOSTILE),
        ),
        moves=tuple(
            replace(move, workload=name, source=name, target=name, isolation=name, reason=name) for name in HOSTILE
        ),
        placed={name: {name: 1, "another": 2} for name in HOSTILE},
        refusals=tuple(Refusal(name, name) for name in HOSTILE),
        basis=HOSTILE,
        unmeasured=HOSTILE,
        currency="<b>|[red]",
        proof=replace(small.proof, kind="<i>|[b]", because=HOSTILE[0]),
    )


@pytest.fixture
def large(small: Plan) -> Plan:
    """Two hundred hosts on four systems, half of them freed, in twenty waves."""
    names = [(f"{os}-{number:03d}", os) for os in ("debian", "ubuntu", "macos", "windows-10") for number in range(50)]
    kept, freed = small.hosts[0], small.hosts[1]
    hosts = tuple(
        replace(kept, name=name, os=os) if index % 2 else replace(freed, name=name, os=os)
        for index, (name, os) in enumerate(names)
    )
    moves = tuple(
        replace(
            small.moves[index // 2 % 2],
            wave=1 + index // 2 % 20,
            workload=f"{name}:app",
            source=name,
            target=names[index - 1][0],
        )
        for index, (name, _) in enumerate(names)
        if index % 2 == 0
    )
    return replace(
        small,
        before=replace(small.before, hosts=200),
        after=replace(small.after, hosts=100),
        proof=replace(small.proof, cost=100, lower_bound=90),
        hosts=hosts,
        moves=moves,
        refusals=tuple(Refusal(f"{name}:legacy", "left alone: declared immovable") for name, _ in names[:40]),
    )
