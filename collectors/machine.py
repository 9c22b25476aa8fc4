"""What machine a host is: what tells it from others of its name, and who made it."""

from __future__ import annotations

import re
from pathlib import Path

from collectors.kernel import read

_MACHINE_ID = re.compile(r"[0-9a-f]{32}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NOT_UNIQUE = {"03000200-0400-0500-0006-000700080009"}
"""What boards with AMI's firmware say whose maker set nothing.

Source: https://gist.github.com/willglynn/b1204c593e96bdda5086597ee8a6db8d
"""
_NO_VENDOR = {"", "system manufacturer", "to be filled by o.e.m.", "not specified", "default string", "unknown"}
"""What firmware says where nobody filled the field in, in lower case."""


def parse_machine_id(text: str) -> str:
    """Identifier of an installation (machine-id(5)): 32 digits; ``uninitialized`` before a first boot is none."""
    if not _MACHINE_ID.fullmatch(identifier := text.strip()) or len(set(identifier)) == 1:
        raise ValueError(f"{text[:40]!r} is no machine id")
    return identifier


def parse_product_uuid(text: str) -> str:
    """Identifier that firmware gave a machine, in lower case."""
    uuid = text.strip().lower()
    if not _UUID.fullmatch(uuid) or len(set(uuid) - {"-"}) == 1 or uuid in _NOT_UNIQUE:
        raise ValueError(f"{text[:40]!r} does not identify a machine")
    return uuid


def parse_vendor(text: str) -> str:
    """Who made the machine, or empty where the firmware does not say."""
    vendor = text.strip()
    return vendor if vendor.isprintable() and vendor.lower() not in _NO_VENDOR else ""


def read_machine_id(root: Path) -> str:
    """Identifier of the installation, else of the machine, else empty."""
    firmware = root / "sys/class/dmi/id/product_uuid"
    return read(root / "etc/machine-id", parse_machine_id) or read(firmware, parse_product_uuid) or ""


def read_vendor(root: Path) -> str:
    """Who made the machine; empty on platforms that do not tell."""
    return read(root / "sys/class/dmi/id/sys_vendor", parse_vendor) or ""
