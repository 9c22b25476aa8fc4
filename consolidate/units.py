"""Amounts as people write them, and as integers: ``14GiB``, ``1500m``, ``7d``.

Parsing is strict, since a typo in a unit is a factor of a thousand on somebody's server.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

from consolidate.errors import InputError

Times = TypeVar("Times", int, "NDArray[np.int64]")

_SIZE = {"B": 1}
for _power, _letter in enumerate("KMGTP", start=1):
    _SIZE[f"{_letter}iB"] = 1024**_power
    _SIZE[f"{_letter}B"] = 1000**_power
_MOST = 1 << 50
"""A petabyte: sums of a fleet's amounts then stay within 64 bits."""
_TIME = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_CPU = {"": 1000, "m": 1}
_COUNTED = frozenset({"workloads", "hosts", "domains"})
"""Units that are nouns in the plural."""
_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z/]*)\s*")


def _parse(text: str | int | float, units: dict[str, int], what: str, example: str) -> int:
    match = _NUMBER.fullmatch(str(text))
    if not match or match[2] not in units:
        raise InputError(f"{str(text)!r} is not {what}; write for example {example}")
    amount = Fraction(match[1]) * units[match[2]]
    if amount > _MOST:
        raise InputError(f"{str(text)!r} is more than {what} can be; write for example {example}")
    if amount.denominator != 1 and amount < 1:
        raise InputError(f"{str(text)!r} is smaller than one unit of {what}; write for example {example}")
    return int(amount)


def _is_zero(text: str | int | float) -> bool:
    """Nothing is nothing in every unit; any other amount must name its own."""
    return str(text).strip() in ("0", "0.0")


def parse_bytes(text: str | int | float) -> int:
    """``14GiB`` (powers of 1024) or ``14GB`` (powers of 1000) to bytes."""
    return 0 if _is_zero(text) else _parse(text, _SIZE, "a size", "14GiB")


def parse_bytes_per_s(text: str | int | float) -> int:
    """``200MB/s`` to bytes per second."""
    if _is_zero(text):
        return 0
    rates = {f"{unit}/s": amount for unit, amount in _SIZE.items()}
    return _parse(text, rates, "a data rate", "200MB/s")


def parse_cpu_milli(text: str | int | float) -> int:
    """``2``, ``1.5`` or ``1500m`` cores to thousandths of a core."""
    return _parse(text, _CPU, "a number of cores", "1500m or 1.5")


def parse_duration_s(text: str | int | float) -> int:
    """``90s``, ``15m``, ``7d`` to seconds."""
    return _parse(text, _TIME, "a duration", "7d")


def parse_permille(text: str | int | float) -> int:
    """``10%`` to 100 thousandths; a bare number is refused, since 10 and 0.1 are both written for ten percent."""
    if not str(text).strip().endswith("%"):
        raise InputError(f"{str(text)!r} is not a percentage; write for example 10%")
    return _parse(str(text).strip().removesuffix("%"), {"": 10}, "a percentage", "10%")


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun: ``1 host``, ``1,200 hosts``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def format_bytes(amount: float, decimals: int | None = None) -> str:
    """Three significant digits, or so many decimals, and a binary unit: ``13.6 GiB``."""
    value = float(amount)
    units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while abs(value) >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    unit = units[0]
    if decimals is None:
        decimals = 0 if abs(value) >= 100 else 1
    return f"{int(value)} B" if unit == "B" else f"{value:.{decimals}f} {unit}"


def format_cpu(milli: int) -> str:
    """Thousandths of a core as cores: ``1.50 cores``."""
    return f"{milli / 1000:.2f} cores"


def format_amount(dimension: str, amount: int, decimals: int | None = None) -> str:
    """An amount of any resource dimension, with the unit its name carries; bytes with so many decimals."""
    if dimension == "cpu_milli":
        return format_cpu(amount)
    if dimension.endswith("bytes_per_s"):
        return f"{format_bytes(amount, decimals)}/s"
    if dimension.endswith("_bytes"):
        return format_bytes(amount, decimals)
    if dimension.endswith("_vms"):
        return count(amount, f"{dimension.removesuffix('_vms')} virtual machine")
    return count(amount, dimension.removesuffix("s")) if dimension in _COUNTED else f"{amount} {dimension}"


DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def slot_of_week(at_s: Times) -> Times:
    """Hour of the week, 0 = Monday 00:00 UTC (the Unix epoch was a Thursday); of one time or an array of them."""
    return (at_s // 3600 + 72) % 168


def format_slot(slot: int, slots: int) -> str:
    """Name a slot: ``Tue 14:00`` of 168, ``14:00`` of 24, ``always`` of 1."""
    if slots == 1:
        return "always"
    hour = f"{slot % 24:02d}:00"
    return hour if slots == 24 else f"{DAYS[slot // 24 % 7]} {hour}"
