"""Docker Compose: an override file for each host, with the limits of its services (compose-spec, "services")."""

from __future__ import annotations

import re
from collections.abc import Iterator

from consolidate.export.export import (
    Export,
    Left,
    comment,
    heading,
    is_machine,
    label,
    limits_left,
    sentences,
    short_name,
    to_yaml,
)
from consolidate.plan.plan import Partition, Plan, plan_digest

SAID = {
    "cpu_milli",
    "memory_bytes",
    "memory_low_bytes",
    "swap_bytes",
    "io_weight",
    "pids",
    "cpus",
}
_SERVICE = re.compile(r"[a-zA-Z0-9._-]+")
"""What a service may be called (compose-spec.json, patternProperties of services)."""
_DEVICE = "Compose wants the path of a disk, which the plan does not know"


def export_compose(plan: Plan) -> Export:
    """An override file a host: ``docker compose -f compose.yaml -f FILE up -d``."""
    files, left, digest = {}, list[Left](), plan_digest(plan)
    by_host: dict[str, list[Partition]] = {}
    for partition in plan.partitions:
        if is_machine(partition):
            left.append(Left(partition.workload, "everything", "a virtual machine is no service of Compose"))
        else:
            by_host.setdefault(partition.host, []).append(partition)
    for host, partitions in by_host.items():
        own = [one for partition in partitions for one in _left(partition)]
        left += own
        services = {service_name(partition.workload): _service(partition) for partition in partitions}
        head = comment(heading(plan, f"Override for the services on {host}", sentences(own), digest))
        files[f"compose.{label(host)}.yaml"] = head + to_yaml({"services": services})
    return Export(files, sentences(left))


def service_name(workload: str) -> str:
    """The workload's own name where Compose takes it, otherwise one like it."""
    name = short_name(workload)
    return name if _SERVICE.fullmatch(name) else label(name)


def _service(partition: Partition) -> dict[str, object]:
    after = partition.after
    service: dict[str, object] = {"cpu_shares": max(2, partition.cpu_weight * 1024 // 100)}
    if after.cpu_milli is not None:
        service["cpus"] = after.cpu_milli / 1000
    if after.memory_bytes is not None:
        service["mem_limit"] = f"{after.memory_bytes}b"
        if after.swap_bytes is not None:
            service["memswap_limit"] = f"{after.memory_bytes + after.swap_bytes}b"  # both together
    if after.memory_low_bytes is not None:
        service["mem_reservation"] = f"{after.memory_low_bytes}b"
    if after.pids is not None:
        service["pids_limit"] = after.pids
    if after.cpus is not None:
        service["cpuset"] = after.cpus
    if after.io_weight is not None:
        service["blkio_config"] = {"weight": min(max(after.io_weight, 10), 1000)}
    return service


def _left(partition: Partition) -> Iterator[Left]:
    for one in limits_left(partition, SAID, "Compose has no key for it"):
        yield Left(one.workload, one.what, _DEVICE) if one.what.startswith("disk ") else one
    if partition.after.memory_bytes is None and partition.after.swap_bytes is not None:
        yield Left(partition.workload, "swap limit", "Compose takes it together with a memory limit only")
    if service_name(partition.workload) != short_name(partition.workload):
        yield Left(partition.workload, "the name", f"it is called {service_name(partition.workload)} here")
