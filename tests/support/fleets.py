"""Small fleets: built by hand in a line, or drawn at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import strategies as st

from consolidate.model.demand import Demand, Demands, Unknown
from consolidate.model.fleet import Fleet, Host, Hypervisor, Isolation, PowerCurve, Workload
from consolidate.model.resources import Resources
from consolidate.model.rules import Affinity, AntiAffinity, Ban, FailureReserve, Licence, Pin, Rule, Spread

GIB = 1024**3


def host(name: str, cpu: int = 1000, memory: int = 1000, **more: object) -> Host:
    """A Debian host with a native hypervisor unless told otherwise; memory in bytes."""
    fields: dict[str, object] = {"os": "debian", "hypervisor": Hypervisor.NATIVE, "domain": name[:1]} | more
    return Host(name, Resources({"cpu_milli": cpu, "memory_bytes": memory}), **fields)  # type: ignore[arg-type]


def workload(name: str, on: str | None = None, **more: object) -> Workload:
    """A Debian workload that runs as a container already, so that numbers in tests stay round."""
    fields: dict[str, object] = {"os": "debian", "isolation": Isolation.CONTAINER} | more
    return Workload(name, host=on, **fields)  # type: ignore[arg-type]


def demand(name: str, cpu: int | Sequence[int], memory: int | Sequence[int]) -> Demand:
    """Flat or hourly amounts."""
    amounts = {
        "cpu_milli": np.atleast_1d(np.array(cpu, dtype=np.int64)),
        "memory_bytes": np.atleast_1d(np.array(memory, dtype=np.int64)),
    }
    return Demand(name, amounts, mean_cpu_milli=float(amounts["cpu_milli"].mean()))


def demands(**amounts: tuple[int | Sequence[int], int | Sequence[int]] | None) -> Demands:
    """By workload: (cpu, memory), or None for unknown."""
    return {
        name: Unknown(name, "not measured") if amount is None else demand(name, *amount)
        for name, amount in amounts.items()
    }


def fleet(hosts: Sequence[Host], workloads: Sequence[Workload], *rules: Rule) -> Fleet:
    """A fleet of them."""
    return Fleet(tuple(hosts), tuple(workloads), tuple(rules))


@st.composite
def fleets(draw: st.DrawFn, max_hosts: int = 5, max_workloads: int = 7) -> tuple[Fleet, Demands]:
    """A small fleet with several systems, rules of every kind, some of it unknown or immovable."""
    n_hosts = draw(st.integers(1, max_hosts))
    n_workloads = draw(st.integers(0, max_workloads))
    systems = st.sampled_from(["debian", "ubuntu", "windows-10", "macos"])
    hosts = [
        Host(
            f"h{index}",
            Resources({"cpu_milli": draw(st.integers(500, 4000)), "memory_bytes": draw(st.integers(2, 16)) * GIB}),
            draw(systems),
            hypervisor=draw(st.sampled_from(list(Hypervisor))),
            vendor=draw(st.sampled_from(["", "apple"])),
            domain=draw(st.sampled_from(["a", "b"])),
            cost_per_month=float(draw(st.integers(1, 5))),
            power=PowerCurve((float(draw(st.integers(50, 99))), 200.0)),
            on=draw(st.booleans()),
            headroom_permille=draw(st.sampled_from([0, 0, 300])),
        )
        for index in range(n_hosts)
    ]
    workloads, amounts = [], {}
    for index in range(n_workloads):
        name = f"w{index}"
        home = draw(st.one_of(st.none(), st.sampled_from(hosts)))
        isolation = Isolation.NATIVE if home is not None else draw(st.sampled_from([Isolation.NATIVE, Isolation.VM]))
        workloads.append(
            Workload(
                name,
                home.os if home is not None else draw(systems),
                home.name if home is not None else None,
                isolation,
                movable=draw(st.integers(0, 9)) > 0 or home is None,
                copy_bytes=draw(st.integers(0, 9)) * GIB,
            )
        )
        amounts[name] = draw(_demands(name, home is not None))
    rules = tuple(draw(_rules(index, hosts, workloads)) for index in range(draw(st.integers(0, 3)) if workloads else 0))
    return Fleet(tuple(hosts), tuple(workloads), rules), amounts


def _demands(name: str, may_be_unknown: bool) -> st.SearchStrategy[Demand | Unknown]:
    hourly = st.lists(st.integers(0, 1500), min_size=24, max_size=24)
    cpu = st.one_of(st.integers(0, 2000), hourly)
    memory = st.integers(0, 6 * GIB)
    known = st.builds(lambda c, m: demand(name, c, m), cpu, memory)
    if not may_be_unknown:
        return known
    return st.integers(0, 9).flatmap(lambda dice: known if dice else st.just(Unknown(name, "not measured")))


@st.composite
def _rules(draw: st.DrawFn, index: int, hosts: Sequence[Host], workloads: Sequence[Workload]) -> Rule:
    members = tuple(draw(st.lists(st.sampled_from([w.name for w in workloads]), min_size=1, max_size=4, unique=True)))
    some = tuple(draw(st.lists(st.sampled_from([h.name for h in hosts]), min_size=1, max_size=3, unique=True)))
    name = f"rule-{index}"
    choices: Mapping[int, Rule] = {
        0: Affinity(name, members),
        1: AntiAffinity(name, members, draw(st.integers(1, 2))),
        2: Spread(name, members, draw(st.integers(1, 2))),
        3: Licence(name, members, draw(st.integers(1, 2))),
        4: Pin(name, members, some),
        5: Ban(name, members, some),
        6: FailureReserve(name, members),
    }
    return choices[draw(st.integers(0, 6))]
