"""Made-up fleets of any size: servers of three classes at 3 to 35 % load, with the demo's day shapes.

Everything runs as a container on one system already, so a workload takes the same wherever it is, and the planner's
problem is exactly the assignment model that other solvers are given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.demo.shapes import SHAPES, STEP_S, memory
from consolidate.model.demand import Demand
from consolidate.model.fleet import GIB, Fleet, Host, Isolation, Workload
from consolidate.model.resources import Resources
from consolidate.model.rules import AntiAffinity

_CLASSES = ((16, 64, 20_000), (32, 192, 60_000), (48, 384, 150_000))
"""(cores, memory in GiB, disk operations a second): classes of two-socket servers bought from 2015 to 2021."""
_HEADROOM_PERMILLE = 100
_BUSIEST_PERMILLE = 850
"""All that runs on a server peaks at this share of it at most, so that today's placement is valid."""
_SERVICES = ("daytime", "office-hours", "night-batch", "steady", "bursts", "idle", "month-end", "database", "cache")
_REPLICAS = 5
"""Members of a service that is kept apart."""


@dataclass(frozen=True)
class Size:
    """How large a fleet is."""

    workloads: int
    hosts: int
    slots: int
    """1, 24 or 168."""

    def __str__(self) -> str:
        return f"{self.workloads:,} × {self.hosts:,} × {self.slots}"


def make_fleet(size: Size, seed: int, apart_permille: int = 0) -> tuple[Fleet, dict[str, Demand]]:
    """Every workload with what it needs in each slot; so many permille belong to services whose replicas stay apart.

    The same arguments give the same fleet anywhere. Workloads are dealt to hosts evenly, at least one each.
    """
    random = np.random.default_rng(seed)
    hosts = [_host(number, *_CLASSES[int(random.integers(len(_CLASSES)))]) for number in range(size.hosts)]
    workloads: list[Workload] = []
    demands: dict[str, Demand] = {}
    for number, numbers in enumerate(np.array_split(np.arange(size.workloads), size.hosts)):
        needs = _on_host(random, hosts[number], len(numbers), size.slots)
        for index, cpu, resident, iops in zip(numbers.tolist(), *needs, strict=True):
            name = f"w{index:06d}"
            workloads.append(
                Workload(name, "debian", hosts[number].name, Isolation.CONTAINER, copy_bytes=int(resident.max()))
            )
            amounts = {"cpu_milli": cpu, "memory_bytes": resident, "disk_iops": iops}
            demands[name] = Demand(name, amounts, mean_cpu_milli=float(cpu.mean()))
    kept_apart = size.workloads * apart_permille // 1000 // _REPLICAS
    chosen = random.permutation(size.workloads)[: kept_apart * _REPLICAS].reshape(kept_apart, _REPLICAS)
    rules = [
        AntiAffinity(f"service-{service}", tuple(workloads[index].name for index in members))
        for service, members in enumerate(chosen.tolist())
    ]
    return Fleet(tuple(hosts), tuple(workloads), tuple(rules)), demands


def _host(number: int, cores: int, memory_gib: int, iops: int) -> Host:
    capacity = {"cpu_milli": cores * 1000, "memory_bytes": memory_gib * GIB, "disk_iops": iops}
    name = f"h{number:05d}"
    return Host(name, Resources(capacity), "debian", domain=name[-1], headroom_permille=_HEADROOM_PERMILLE)


def _on_host(
    random: np.random.Generator, host: Host, count: int, slots: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(CPU, memory, disk operations) of what runs on a host, each of shape (count, slots)."""
    room = host.capacity
    busy = float(np.clip(random.lognormal(np.log(0.14), 0.5), 0.03, 0.35))
    names = [_SERVICES[int(one)] for one in random.integers(len(_SERVICES), size=count)]
    loads = np.stack([_by_slot(SHAPES[name](random), slots) for name in names])
    loads *= busy * random.dirichlet(np.full(count, 4.0))[:, None]
    sizes = room.get("memory_bytes") * random.uniform(0.1, 0.35) * random.dirichlet(np.full(count, 4.0))
    resident = [_by_slot(memory(random, name, size), slots) for name, size in zip(names, sizes.tolist(), strict=True)]
    follow = loads * 0.2 * random.lognormal(-0.1, 0.5, count)[:, None]
    return (
        _within(loads * room.get("cpu_milli"), room.get("cpu_milli")),
        _within(np.stack(resident), room.get("memory_bytes")),
        _within(follow * room.get("disk_iops"), room.get("disk_iops")),
    )


def _by_slot(series: NDArray[np.float64], slots: int) -> NDArray[np.float64]:
    """Highest of each hour of the week, of the day, or of all, shape (slots,)."""
    highest: NDArray[np.float64] = series.reshape(-1, slots, 3600 // STEP_S).max(axis=(0, 2))
    return highest


def _within(loads: NDArray[np.float64], capacity: int) -> NDArray[np.int64]:
    """Whole amounts whose sum stays below what a server is ever used for."""
    most = capacity * _BUSIEST_PERMILLE / 1000
    scaled = loads * min(1.0, most / max(loads.sum(axis=0).max(), 1.0))
    return np.maximum(scaled, 1).astype(np.int64)
