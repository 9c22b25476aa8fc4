"""Operating systems by the names that managers, inventories and the systems themselves give them.

"Microsoft Windows Server 2019 (64-bit)" and "windows2019srv_64Guest" (vSphere), "Red Hat Enterprise Linux 8", "rhel"
(os-release), "Microsoft Windows Server 2019 Datacenter" (Azure Migrate) and "Windows Server 2019" are one system each.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from consolidate.model.fleet import MIB, OperatingSystem

_NAMES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), system)
    for pattern, system in (
        (r"windows\W*(server\W*)?2025|windows2022srvNext", "windows-server-2025"),
        (r"windows\W*(server\W*)?2022|windows2019srvNext", "windows-server-2022"),
        (r"windows\W*(server\W*)?2019", "windows-server-2019"),
        (r"windows\W*(server\W*)?2016|windows9server", "windows-server-2016"),
        (r"windows\W*(server\W*)?2012|windows8server", "windows-server-2012"),
        (r"windows\W*(server\W*)?2008|windows7server|winlonghorn", "windows-server-2008"),
        (r"windows\W*(server\W*)?2003|winnet", "windows-server-2003"),
        (r"windows\W*11|windows11", "windows-11"),
        (r"windows\W*10|windows9(_64)?guest", "windows-10"),
        (r"windows\W*7|windows7(_64)?guest", "windows-7"),
        (r"red\W*hat\W*fedora|fedora", "fedora"),
        (r"red\W*hat|rhel", "rhel"),
        (r"centos", "centos"),
        (r"rocky", "rocky"),
        (r"\balma", "alma"),
        (r"oracle\W*linux|oracle(linux|\d)?\w*guest|\bol\b", "oracle-linux"),
        (r"amazon\W*linux|amzn|amazonlinux", "amazon-linux"),
        (r"suse|sles", "suse"),
        (r"ubuntu", "ubuntu"),
        (r"debian", "debian"),
        (r"photon", "photon"),
        (r"\besxi?\b|vmkernel", "esxi"),
        (r"free\W*bsd", "freebsd"),
        (r"solaris|sunos", "solaris"),
        (r"mac\W*os|darwin", "macos"),
        (r"linux|coreos|alpine|\barch\b|nixos|gentoo", "linux"),
    )
)
"""The first pattern that is found in a name tells the system: special ones stand before general ones."""


@functools.cache
def system_of(name: str) -> str | None:
    """The system that a name means, or None where it is none of ours."""
    return next((system for pattern, system in _NAMES if pattern.search(name)), None)


def own_family(name: str) -> OperatingSystem:
    """A system that nobody here knows: it shares its kernel with nothing, and so never becomes a container."""
    return OperatingSystem(name, f"only {name}", guest_memory_bytes=512 * MIB, containers=False)


def resolve(name: str, known: Mapping[str, OperatingSystem]) -> OperatingSystem:
    """The system that a name means: one that is known under this very name, else by pattern, else one of its own."""
    if name in known:
        return known[name]
    system = system_of(name)
    return known[system] if system is not None else own_family(name)
