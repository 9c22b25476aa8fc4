"""What the kernel holds for a container or a virtual machine of a test, and where."""

from __future__ import annotations

from pathlib import Path

from collectors.cgroup import find_hierarchies
from tests.support.backends.engine import Engine
from tests.support.backends.libvirt import Libvirt

_FILES = {
    "cpu": ("cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares", "cpu.max", "cpu.weight"),
    "memory": (
        *("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes"),
        *("memory.max", "memory.swap.max", "memory.low", "memory.high"),
    ),
    "cpuset": ("cpuset.cpus", "cpuset.mems"),
    "pids": ("pids.max",),
    "blkio": ("blkio.bfq.weight", "blkio.throttle.read_bps_device", "io.bfq.weight", "io.max"),
}


def container_group(engine: Engine, container_id: str) -> str:
    """Path of a container's control group, as a plan names it."""
    prefix = "libpod-" if engine.client[0] == "podman" else ""
    return f"{engine.parent}/{prefix}{container_id}"


def container_limits(engine: Engine, container_id: str) -> dict[str, bytes]:
    """Every limit that the kernel holds for a container, to the byte."""
    groups = {controller: engine.group(controller, container_id) for controller in _FILES}
    paths = [groups[controller] / file for controller, files in _FILES.items() for file in files]
    return {path.name: path.read_bytes() for path in paths if path.exists()}


def domain_limits(daemon: Libvirt, name: str) -> dict[str, bytes]:
    """Every limit that the kernel holds for a running domain and its parts, by path, to the byte."""
    mark = f"qemu-{daemon.virsh('domid', name).strip()}-"
    tops = [top for root in find_hierarchies(Path("/")).roots for top in (root / "machine").glob(f"{mark}*")]
    names = {file for files in _FILES.values() for file in files}
    found = [path for top in tops for path in sorted(top.rglob("*")) if path.name in names]
    return {str(path): path.read_bytes() for path in found}
