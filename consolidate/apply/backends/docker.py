"""Docker's containers, limited by ``docker update`` (tried with Docker Engine 20.10 and client 28.2).

What Docker is told it keeps: limits outlast a restart of the container and of the engine, and only a container that is
made anew is without them. Back at no limit, its inspection says -1 or the kernel's largest number where it said 0.
It drops a disk weight silently where the kernel offers that for BFQ alone, so none is set.
"""

from __future__ import annotations

from collections.abc import Sequence

from consolidate.apply.backends.engine import EngineBackend

GROUP = r"(?:^|/)(?:docker-)?([0-9a-f]{64})(?:\.scope)?$"
"""``docker/ID`` with the cgroupfs driver, ``docker-ID.scope`` with systemd's."""


class DockerBackend(EngineBackend):
    """Docker's containers."""

    def __init__(self, client: Sequence[str] = ("docker",)) -> None:
        """Name the client's command line, such as ``("docker", "--host=unix:///run/other.sock")``."""
        super().__init__("docker", client, GROUP)
