"""Reading kernel files.

Every parser is strict: text that a kernel would not write is a ValueError. Every reader turns a file that is
missing, vanished or makes no sense into None, so that its values are absent and never 0.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


_LONGEST = 20
"""Digits of the largest 64-bit number."""


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def number(text: str) -> int:
    """A kernel counter: decimal digits, at most 64 bits."""
    digits = text.strip()
    if not (_is_decimal(digits) and len(digits) <= _LONGEST):
        raise ValueError(f"{text[:40]!r} is not a kernel counter")
    return int(digits)


def parse_flat(text: str) -> dict[str, int]:
    """``key value`` lines: cpu.stat, memory.stat, memory.events.

    Checks all values at once, since an agent parses thousands of these files a round.

    >>> parse_flat("nr_periods 12")
    {'nr_periods': 12}
    """
    fields = text.split()
    digits = fields[1::2]
    sound = not digits or (_is_decimal("".join(digits)) and max(map(len, digits)) <= _LONGEST)
    if len(fields) != 2 * len(text.splitlines()) or not sound:
        raise ValueError(f"{text[:40]!r} is not made of keys and counters")
    return dict(zip(fields[::2], map(int, digits), strict=True))


def parse_boot_time(text: str) -> str:
    """``btime`` of ``/proc/stat``: the incarnation of every counter that a reboot resets."""
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == "btime":
            return str(number(value))
    raise ValueError("no btime line, so that counters could not be told apart across a reboot")


def read(path: Path, parse: Callable[[str], T]) -> T | None:
    """What ``parse`` makes of a file; None where it is missing, not permitted, ended meanwhile or malformed."""
    try:
        with open(path, "rb", buffering=0) as file:
            return parse(file.read().decode(errors="replace"))
    except (OSError, ValueError):
        return None
