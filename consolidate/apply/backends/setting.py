"""What a unit's property holds, as a text that journals and people can read, and the words of systemctl. Pure.

That ``set-property`` keeps a drop-in a property, ``50-CPUQuota.conf``, was observed with systemd 252 on Debian 12.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PERSISTENT, RUNTIME, TRANSIENT = "persistent", "runtime", "transient"
"""Where ``set-property`` keeps what it was told: for good, until the next boot, or with a unit that has no file."""
_UNSET = "unset"
_KERNEL = "the kernel has "
_SETTING = re.compile(r"(?P<value>.*?)(?: \((?P<remarks>[^()]*)\))?", re.DOTALL)


@dataclass(frozen=True)
class Setting:
    """What a property holds, where ``set-property`` keeps it, and what the kernel has instead, if it differs.

    >>> str(Setting("20%", ("runtime",))), str(Setting("", (), "max 100000"))
    ('20% (runtime)', 'unset (the kernel has max 100000)')
    """

    value: str
    """As ``set-property`` takes it; empty where nothing is set."""
    layers: tuple[str, ...] = ()
    """``persistent``, ``runtime``: what ``set-property`` left; none where the unit's own files or defaults hold."""
    kernel: str = ""
    """What somebody wrote to the kernel's file past systemd."""

    def __str__(self) -> str:
        remarks = [*self.layers, *([_KERNEL + self.kernel] if self.kernel else [])]
        return (self.value or _UNSET) + (f" ({'; '.join(remarks)})" if remarks else "")


def parse_setting(text: str) -> Setting:
    """Read what ``str(Setting)`` wrote.

    >>> parse_setting("20% (runtime; the kernel has max 100000)")
    Setting(value='20%', layers=('runtime',), kernel='max 100000')
    """
    match = _SETTING.fullmatch(text)
    assert match is not None, "the pattern takes any text"
    settings, _, kernel = (match["remarks"] or "").partition(_KERNEL)
    layers = tuple(layer for layer in settings.split("; ") if layer)
    return Setting("" if match["value"] == _UNSET else match["value"], layers, kernel)


def drop_in(name: str) -> str:
    """File that ``set-property`` keeps a property in, in the unit's directory of drop-ins."""
    return f"50-{name}.conf"


def assignments(name: str, value: str) -> list[str]:
    """Arguments of ``set-property``: a list is emptied first, or its old entries would stay.

    >>> assignments("IOReadBandwidthMax", "/dev/vda 5; /dev/vdb 5")
    ['IOReadBandwidthMax=', 'IOReadBandwidthMax=/dev/vda 5', 'IOReadBandwidthMax=/dev/vdb 5']
    """
    if name in ("IOReadBandwidthMax", "IOWriteBandwidthMax"):
        return [f"{name}=", *(f"{name}={entry}" for entry in value.split("; ") if entry)]
    return [f"{name}={value}"]


def parse_show(text: str) -> dict[str, list[str]]:
    """Lines of ``systemctl show`` by property; a list has a line an entry."""
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            said.setdefault(name, []).append(value)
    return said
