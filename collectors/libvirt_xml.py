"""What a domain's XML tells that its figures do not: which operating system whoever made it said it was for."""

from __future__ import annotations

import re
from urllib.parse import urlsplit
from xml.etree import ElementTree

_END = re.compile(r"(?<=^</domain>)$", re.MULTILINE)
"""libvirt indents whatever is inside a domain, so a line of this is its end."""
_OWN_NAMES = {"win": "windows", "sle": "sles", "sled": "sles"}
"""Where libosinfo's short name is not the one that a system has for itself (os-release(5))."""


def parse_systems(text: str) -> dict[str, str]:
    """Operating systems by domain UUID, from the output of any number of ``dumpxml``.

    virt-install and virt-manager write one; empty where nobody did.
    """
    systems = {}
    for document in filter(str.strip, _END.split(text)):
        try:
            domain = ElementTree.fromstring(document.strip())
        except ElementTree.ParseError as error:
            raise ValueError(f"{document.strip()[:60]!r} is not a domain's XML ({error})") from None
        named = domain.find("metadata/{http://libosinfo.org/xmlns/libvirt/domain/1.0}libosinfo/{*}os")
        systems[domain.findtext("uuid", "").strip()] = system(named.get("id", "") if named is not None else "")
    return systems


def system(identifier: str) -> str:
    """Name the operating system that a libosinfo identifier stands for; the last part of it is the version.

    >>> system("http://debian.org/debian/12"), system("http://microsoft.com/win/2k22"), system("")
    ('debian', 'windows', '')
    """
    parts = urlsplit(identifier).path.strip("/").split("/")
    return _OWN_NAMES.get(parts[0], parts[0]) if len(parts) > 1 else ""
