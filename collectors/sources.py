"""Whom to believe where several sources speak of the same host: who looks from nearby goes before who was told."""

from __future__ import annotations

AGENT = "agent"
"""Name of what these collectors see themselves on a live host, however it travels to the store."""

_PRECEDENCE = (
    (AGENT, "records"),
    # What starts the workloads knows their limits best.
    ("docker", "podman", "libvirt", "vsphere"),
    ("prometheus", "exposition"),
    ("sysstat", "pcp"),
)
"""Sources by their names, the most trusted first; exports of inventories, and all others, follow."""


def rank(source: str) -> int:
    """Place of a source in the order of precedence, 0 first; ``prometheus:eu-1`` counts as ``prometheus``."""
    kind = source.partition(":")[0]
    return next((place for place, kinds in enumerate(_PRECEDENCE) if kind in kinds), len(_PRECEDENCE))
