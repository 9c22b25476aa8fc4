"""What names and identifiers of machines say, and what they do not."""

from __future__ import annotations

import ipaddress
import uuid

SAYS_NOTHING = frozenset({"", "localhost", "localhost.localdomain", "(none)", "unknown"})
"""Names that many machines give themselves."""
MARK_DIGITS = 6
_PLACEHOLDERS = frozenset({"0" * 32, "f" * 32, "03000200040005000006000700080009"})
"""Firmware whose maker left out the UUID says one of these."""


def plain(name: str) -> str:
    """A host's name without what does not tell hosts apart: case, a port and a final dot."""
    name = name.strip().lower()
    if name.startswith("["):  # an IPv6 address with a port
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1 and name.partition(":")[2].isdigit():
        name = name.partition(":")[0]
    return name.rstrip(".")


def marked(name: str, machine_id: str, digits: int = MARK_DIGITS) -> str:
    """A name that tells a machine from others of the same name, by the first digits of its identifier."""
    return f"{name}~{digits_of(machine_id)[:digits]}"


def unmarked(name: str, machine_id: str) -> str:
    """A plain name without the mark of its own machine."""
    base, _, mark = plain(name).rpartition("~")
    mine = base and len(mark) >= MARK_DIGITS and digits_of(machine_id).startswith(mark)
    return base if mine else plain(name)


def first_label(name: str) -> str:
    """A plain name without its domain; an address has none."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.partition(".")[0]
    return name


def digits_of(machine_id: str) -> str:
    """An identifier's hexadecimal digits as they were written."""
    return machine_id.strip().strip("{}").lower().replace("-", "")


def bare_id(machine_id: str) -> str:
    """An identifier's hexadecimal digits in the one form that all sources' forms come to; empty for a placeholder.

    The first three fields of a firmware's UUID are little-endian since SMBIOS 2.6, and some tools print them as if they
    were not: the smaller of both readings stands for both.
    """
    digits = digits_of(machine_id)
    if digits in _PLACEHOLDERS:
        return ""
    try:
        one = uuid.UUID(hex=digits)
    except ValueError:
        return digits
    return min(one.hex, one.bytes_le.hex())


def form(machine_id: str) -> str:
    """Kind of an identifier: only two of a kind can differ and therefore tell two machines apart.

    A machine has an identifier of its operating system (``/etc/machine-id``: digits only) and one of its firmware (a
    UUID with dashes), which have nothing to do with each other.
    """
    return "firmware" if "-" in machine_id else "system"
