"""Which disks and interfaces are physical, by name alone: what a file from elsewhere tells of its devices."""

from __future__ import annotations

import re
from collections.abc import Iterable

_VIRTUAL_DISK = re.compile(r"(dm-|md|loop|ram|zram|sr|fd|nbd)\d")
_VIRTUAL_NIC = re.compile(
    r"lo$|veth|docker|virbr|br-|br\d|vmbr|fwbr|fwln|fwpr|vnet|tap|tun|wg|bond|team|dummy|ifb|cni|flannel|cali|cilium|"
    r"lxc|ovs|vxlan|sit|gre|ip6|macvtap|kube|podman"
)
_VLAN_OR_ALIAS = re.compile(r"[.:@]")


def physical_disks(names: Iterable[str]) -> list[str]:
    """Whole disks: without partitions, mappings, arrays and memory, which would count the same bytes twice.

    >>> physical_disks(["sda", "sda1", "dm-0", "nvme0n1", "nvme0n1p2"])
    ['sda', 'nvme0n1']
    """
    known = set(names)
    return [name for name in names if not _VIRTUAL_DISK.match(name) and _whole(name) not in known - {name}]


def _whole(name: str) -> str:
    """The disk that a name would be a partition of: sda for sda1, nvme0n1 for nvme0n1p2."""
    stem = name.rstrip("0123456789")
    return stem[:-1] if stem != name and re.search(r"\dp$", stem) else stem


def physical_nics(names: Iterable[str]) -> list[str]:
    """Interfaces to the outside; where all are virtual, as in a container, all but the loopback.

    >>> physical_nics(["lo", "eth0", "eth0.7", "docker0"])
    ['eth0']
    """
    outward = [name for name in names if name != "lo"]
    return [name for name in outward if not _VIRTUAL_NIC.match(name) and not _VLAN_OR_ALIAS.search(name)] or outward
