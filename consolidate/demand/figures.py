"""Amounts in an explanation: as short as they can be read, or with all that a reader needs to reckon along."""

from __future__ import annotations

from consolidate.units import format_bytes

_KIB = 1024
_UNITS = {"disk_iops": "IO/s"}


def brief(dimension: str, amount: float) -> str:
    """As measured, with three decimals or more: ``0.014 cores``, ``0.007333 cores``, ``836.948 MiB``, ``71.6 B/s``."""
    if dimension == "cpu_milli":
        return f"{_decimals(amount / 1000, 6, 3)} cores"
    if "bytes" not in dimension:
        return f"{_decimals(amount, 3)} {_UNITS.get(dimension, dimension)}"
    if amount < _KIB:
        return f"{_decimals(amount, 3)} B{_per_s(dimension)}"
    return f"{format_bytes(amount, 3)}{_per_s(dimension)}"


def full(dimension: str, amount: float) -> str:
    """The same, with the bytes that a larger unit rounds away: ``836.948 MiB (877,603,225.6 B)``."""
    if "bytes" not in dimension or amount < _KIB:
        return brief(dimension, amount)
    return f"{brief(dimension, amount)} ({_decimals(amount, 3)} B{_per_s(dimension)})"


def _per_s(dimension: str) -> str:
    return "/s" if dimension.endswith("per_s") else ""


def _decimals(amount: float, most: int, least: int = 0) -> str:
    """With so many decimals, and without zeros at the end beyond the least number of them."""
    whole, _, decimals = f"{amount:,.{most}f}".partition(".")
    kept = decimals.rstrip("0").ljust(least, "0")
    return f"{whole}.{kept}" if kept else whole
