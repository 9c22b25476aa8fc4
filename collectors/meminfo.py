"""Amounts of memory as the kernel lists them: ``/proc/meminfo``, and the same of each NUMA node (proc(5))."""

from __future__ import annotations

import re

from collectors.kernel import number

_NODE = re.compile(r"Node \d+ ")
"""What each line of a node's file begins with."""


def parse_meminfo(text: str) -> dict[str, int]:
    """Every amount in bytes, by its name; counts of huge pages, which have no unit, are left out.

    >>> parse_meminfo("MemTotal:  16 kB")
    {'MemTotal': 16384}
    """
    amounts = {}
    for line in text.splitlines():
        key, colon, value = _NODE.sub("", line, count=1).partition(":")
        if not colon:
            raise ValueError(f"{line[:40]!r} is no amount of memory")
        if value.endswith(" kB"):
            amounts[key] = number(value.removesuffix("kB")) * 1024
    return amounts
