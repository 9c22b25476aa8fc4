"""Amounts and nouns as reports write them."""

from __future__ import annotations

from datetime import UTC, datetime
from unicodedata import category

from consolidate import units

count = units.count
_OBEYED = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Categories of letters that are not shown but do something."""
_ISOLATIONS = {
    "container": ("container", "containers"),
    "hosted-vm": ("hosted virtual machine", "hosted virtual machines"),
    "native": ("unchanged on its host", "unchanged on their hosts"),
    "vm": ("virtual machine", "virtual machines"),
}


def from_to(before: str, after: str) -> tuple[str, str]:
    """Two amounts for ``before → after``, the unit written once where both have the same."""
    number, _, unit = before.rpartition(" ")
    return (number, after) if number and after.endswith(f" {unit}") else (before, after)


def sentence(text: str) -> str:
    """A clause with a capital letter."""
    return text[:1].upper() + text[1:]


def printable(text: str) -> str:
    """A name without what a terminal obeys: control characters, line ends, changes of direction."""
    if text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if category(letter) in _OBEYED else letter for letter in text)


def format_permille(permille: int) -> str:
    """A share, never rounded up to a full 100 %."""
    return f"{permille // 10}.{permille % 10} %"


def format_money(amount: float, currency: str) -> str:
    """Money, with cents only where they can matter: ``87.50 EUR``, ``12,608 EUR``."""
    return f"{amount:,.{2 if abs(amount) < 1000 else 0}f} {currency}"


def format_watts(watts: float) -> str:
    """Power: ``264 W``, ``29.1 kW``."""
    return f"{watts / 1000:,.1f} kW" if abs(watts) >= 1000 else f"{watts:.0f} W"


def format_energy(kwh: float) -> str:
    """Energy: ``870 kWh``, ``177 MWh``."""
    return f"{kwh / 1000:,.{1 if abs(kwh) < 100_000 else 0}f} MWh" if abs(kwh) >= 1000 else f"{kwh:.0f} kWh"


def format_time(at_s: int | None) -> str:
    """A time in UTC."""
    return "unknown" if at_s is None else datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def format_isolation(isolation: str, number: int = 1) -> str:
    """An isolation as a noun, in the singular or the plural."""
    return _ISOLATIONS.get(isolation, (isolation, isolation))[number != 1]


def short_isolation(isolation: str) -> str:
    """An isolation for a narrow column: ``hosted VM``."""
    return {"vm": "VM", "hosted-vm": "hosted VM"}.get(isolation, isolation)


def percent(before: float, after: float) -> str:
    """How much of what was before changes: ``78 %``; a dash where there was nothing."""
    return f"{abs(before - after) / before * 100:.0f} %" if before > 0 else "–"


def short_digest(digest: str) -> str:
    """Enough of a digest to tell plans apart."""
    return digest[:23]
