"""Where a monitoring system answers, and who asks: from the environment and a file, never from the command line.

Anybody on the machine can read a command line, so that secrets stand in variables or in files of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from collectors.records import TraceError

PREFIX = "CONSOLIDATE_PROMETHEUS_"
_KEYS = ("tenant", "tenant_header", "token", "token_file", "username", "password", "password_file", "ca_file")
_SECRET = {"token", "password"}
"""Only in the environment: a file of settings is often shared."""


@dataclass(frozen=True)
class Access:
    """A checked address and what is sent along with every request."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    basic: str = field(default="", repr=False)
    """``username:password``."""
    ca_file: Path | None = None

    @property
    def origin(self) -> str:
        """What is asked, for whom: tells two systems, or two tenants of one, apart."""
        return f"{self.url}#{self.headers.get('x-scope-orgid', '')}"


def read_access(url: str, environment: Mapping[str, str], settings: Mapping[str, object] | None = None) -> Access:
    """Access from variables ``CONSOLIDATE_PROMETHEUS_…`` and, below them, an ``[access]`` section.

    Raises:
        TraceError: for an address or setting that cannot be used.

    """
    known: dict[str, str] = {}
    for key, value in (settings or {}).items():
        if key not in _KEYS or key in _SECRET or not isinstance(value, str):
            allowed = ", ".join(name for name in _KEYS if name not in _SECRET)
            raise TraceError(f"access: {key!r} cannot stand in the mapping file; use {allowed}, with a text")
        known[key] = value
    known |= {key: environment[PREFIX + key.upper()] for key in _KEYS if environment.get(PREFIX + key.upper())}
    headers: dict[str, str] = {}
    if "tenant" in known:
        headers[known.get("tenant_header", "X-Scope-OrgID").lower()] = known["tenant"]
    if token := _secret(known, "token"):
        headers["authorization"] = f"Bearer {token}"
    basic = f"{known['username']}:{_secret(known, 'password')}" if "username" in known else ""
    if token and basic:
        raise TraceError(f"{PREFIX}TOKEN and {PREFIX}USERNAME are both set; unset one of them")
    for name, value in headers.items():
        if not value.isprintable() or not value.isascii():
            raise TraceError(f"the header {name} would hold characters that no header can; correct the setting")
    ca_file = Path(known["ca_file"]) if "ca_file" in known else None
    if ca_file is not None and not ca_file.is_file():
        raise TraceError(f"{ca_file}: no file of certificates; correct {PREFIX}CA_FILE")
    return Access(check_url(url), headers, basic, ca_file)


def check_url(url: str) -> str:
    """The address without a trailing slash or ``/api/v1``.

    Raises:
        TraceError: where it is none, or has a password in it.

    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https") or port == 0 or not url.isprintable() or " " in url:
        raise TraceError(f"{url!r} is no address; write for example http://prometheus:9090")
    if parts.username or parts.password:
        raise TraceError(
            f"{host}: an address with a password can be read by everybody on this machine; "
            f"set {PREFIX}USERNAME and {PREFIX}PASSWORD instead"
        )
    if parts.query or parts.fragment:
        raise TraceError(f"{url!r} has a query or fragment; write the address up to the path alone")
    return url.rstrip("/").removesuffix("/api/v1")


def _secret(known: Mapping[str, str], name: str) -> str:
    """A secret, or the content of the file that holds it."""
    if name in known:
        return known[name]
    if f"{name}_file" not in known:
        return ""
    path = Path(known[f"{name}_file"])
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise TraceError(f"{path}: cannot be read; make it a readable file that holds the {name} alone") from None
