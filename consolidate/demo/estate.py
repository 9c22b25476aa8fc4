"""The demo estate: seeded, with the shapes of real servers and the rules a real estate has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from collectors.records import HostRecord, Record, Series, WorkloadRecord
from consolidate.demo.shapes import SHAPES, TIMES_S, memory

GIB = 1024**3
SERVERS_PER_SYSTEM = 50
_BUSIEST = 0.5
"""A server's workloads together never take more of its cores than this."""
RACKS = ("rack-a", "rack-b", "rack-c", "rack-d", "rack-e", "rack-f")


@dataclass(frozen=True)
class _Model:
    cores: int
    memory_gib: int
    cpu_rating: float
    watts: tuple[float, ...]
    cost_per_month: float
    disk_iops: int


# Idle and full-load watts are in the range that SPECpower_ssj2008 reports for servers of their class and year.
_MODELS: Mapping[str, _Model] = {
    "rack-2015": _Model(16, 64, 0.8, (95, 150, 185, 220, 260), 140, 20_000),
    "rack-2018": _Model(32, 192, 1.0, (110, 190, 240, 300, 380), 210, 60_000),
    "rack-2021": _Model(48, 384, 1.2, (120, 220, 290, 360, 450), 290, 150_000),
    "desktop-2012": _Model(4, 16, 0.6, (45, 65, 80, 95, 110), 35, 500),
    "workstation-2019": _Model(8, 64, 1.0, (55, 85, 110, 135, 160), 60, 20_000),
    "mac-2020": _Model(8, 64, 1.3, (25, 40, 55, 70, 85), 70, 30_000),
}


@dataclass(frozen=True)
class _Family:
    """Servers of one operating system, and the services that run on them."""

    prefix: str
    os: str
    models: tuple[str, ...]
    services: tuple[tuple[str, str], ...]
    """(service, shape)"""
    per_server: tuple[int, int]
    hypervisor: str
    vendor: str = ""


_FAMILIES = (
    _Family(
        "deb",
        "debian",
        ("rack-2015", "rack-2018", "rack-2021"),
        (("shop-web", "daytime"), ("shop-db", "database"), ("shop-cache", "cache"), ("etl", "night-batch")),
        (3, 6),
        "native",
    ),
    _Family(
        "ubu",
        "ubuntu",
        ("rack-2018", "rack-2021"),
        (("api", "daytime"), ("stream", "steady"), ("ml-train", "bursts"), ("dev", "office-hours")),
        (3, 6),
        "native",
    ),
    _Family(
        "cen",
        "centos",
        ("rack-2015", "rack-2018"),
        (("erp-app", "office-hours"), ("erp-db", "database"), ("reports", "month-end"), ("legacy", "idle")),
        (2, 5),
        "native",
    ),
    _Family("win7", "windows-7", ("desktop-2012",), (("scada", "steady"), ("kiosk", "idle")), (1, 1), "none"),
    _Family(
        "win10",
        "windows-10",
        ("workstation-2019",),
        (("cad-licence", "office-hours"), ("print", "idle"), ("desktop-pool", "office-hours")),
        (1, 2),
        "hosted",
    ),
    _Family(
        "mac", "macos", ("mac-2020",), (("ios-build", "bursts"), ("render", "night-batch")), (1, 2), "hosted", "apple"
    ),
)

_RULES: tuple[dict[str, Any], ...] = (
    {"kind": "spread", "name": "shop-db-racks", "workloads": ["group:shop-db"], "domains": 3},
    {"kind": "anti-affinity", "name": "shop-web-apart", "workloads": ["group:shop-web"], "max_per_host": 3},
    {"kind": "anti-affinity", "name": "erp-db-apart", "workloads": ["group:erp-db"], "max_per_host": 10},
    {"kind": "licence", "name": "erp-db-licences", "workloads": ["group:erp-db"], "max_hosts": 12},
    {"kind": "ban", "name": "no-shop-db-by-the-door", "workloads": ["group:shop-db"], "hosts": ["domain:rack-f"]},
    {"kind": "pin", "name": "ml-train-on-gpu-hosts", "workloads": ["group:ml-train"], "hosts": ["ubu-*"]},
    {"kind": "failure-reserve", "name": "shop-db-survives", "workloads": ["group:shop-db"]},
)


@dataclass(frozen=True)
class Estate:
    """What a collector would have stored, and the fleet file a planner would have written."""

    records: tuple[Record, ...]
    fleet_yaml: str


def make_estate(seed: int, servers_per_system: int = SERVERS_PER_SYSTEM) -> Estate:
    """Generate the estate; the same seed gives the same estate anywhere."""
    records: list[Record] = []
    hosts: list[dict[str, Any]] = []
    for position, family in enumerate(_FAMILIES):
        random = np.random.default_rng([seed, position])
        for number in range(1, servers_per_system + 1):
            name = f"{family.prefix}-{number:03d}"
            model_name = str(random.choice(family.models))
            model = _MODELS[model_name]
            capacity = {"cpu_milli": model.cores * 1000, "memory_bytes": model.memory_gib * GIB}
            records.append(HostRecord(name, family.os, capacity=capacity))
            hosts.append({"name": name, "model": model_name, "domain": RACKS[number % len(RACKS)]} | _extras(family))
            records += _server(random, family, model, name)
    return Estate(tuple(records), _fleet_yaml(hosts))


def _extras(family: _Family) -> dict[str, str]:
    extras = {"os": family.os, "hypervisor": family.hypervisor}
    return extras | ({"vendor": family.vendor} if family.vendor else {})


def _server(random: np.random.Generator, family: _Family, model: _Model, host: str) -> Iterator[Record]:
    """Workloads of one server, which together keep it at 5 to 30 percent on average."""
    low, high = family.per_server
    count = int(random.integers(low, high + 1))
    busy = float(np.clip(random.lognormal(np.log(0.14), 0.5), 0.03, 0.35)) * model.cores
    services = [family.services[int(one)] for one in random.integers(len(family.services), size=count)]
    shares = random.dirichlet(np.full(count, 4.0))
    loads = np.stack([SHAPES[shape](random) for _, shape in services]) * busy * shares[:, None]
    loads = np.minimum(loads, model.cores * _BUSIEST / count)
    resident = model.memory_gib * GIB * float(random.uniform(0.1, 0.35)) * random.dirichlet(np.full(count, 4.0))
    for index, (service, shape) in enumerate(services):
        name = f"{service}-{index + 1}"
        cgroup = f"system.slice/{name}.service" if family.hypervisor == "native" else ""
        yield WorkloadRecord(name, "service", host, family.os, cgroup)
        for metric, values in (
            ("cpu_cores", loads[index]),
            ("memory_working_set_bytes", memory(random, shape, resident[index])),
            ("disk_iops", _follow(random, loads[index] / model.cores, model.disk_iops * 0.2)),
        ):
            yield Series(host, name, "1", metric, TIMES_S, values)


def _follow(random: np.random.Generator, load: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """IO that follows the CPU loosely."""
    return np.round(np.minimum(load * random.lognormal(-0.1, 0.5, len(load)), 1.5) * scale, 1)


def _fleet_yaml(hosts: list[dict[str, Any]]) -> str:
    models = {
        name: {
            "cpu": model.cores,
            "memory": f"{model.memory_gib}GiB",
            "disk_iops": model.disk_iops,
            "cpu_rating": model.cpu_rating,
            "watts": list(model.watts),
            "cost_per_month": model.cost_per_month,
            "reserved": {"cpu": "500m", "memory": "2GiB"},
        }
        for name, model in _MODELS.items()
    }
    services = [
        {"match": f"*:{service}-*", "group": service, "copy": "40GiB" if shape == "database" else "12GiB"}
        for family in _FAMILIES
        for service, shape in family.services
    ]
    document = {
        "models": models,
        "hosts": hosts,
        "workloads": services,
        "rules": list(_RULES),
        "policy": {"headroom": "10%", "electricity_per_kwh": 0.25, "currency": "EUR"},
    }
    return yaml.safe_dump(document, sort_keys=False, width=120)
