"""Podman, through the socket of ``podman system service``: root's own, or the one that CONTAINER_HOST names.

Where systemd holds that socket (``podman.socket``), to ask is to start the service, which costs some 50 ms of CPU time
a round (Podman 4.3). Containers of other users (``/run/user/UID/podman``) run inside their user's manager,
``user@UID.service``, which the control groups have as one workload, so they are not asked for.
"""

from __future__ import annotations

import re

from collectors.engine.collector import ContainerCollector
from collectors.engine.documents import Listed, parse_list
from collectors.engine.service import Service

_VERSION = "Libpod-API-Version"


class PodmanCollector(ContainerCollector):
    """Names, pods, limits, network bytes and restarts of Podman's containers."""

    name = "podman"
    variable = "CONTAINER_HOST"
    place = "run/podman/podman.sock"
    notices_kills = False  # its inspection says no even after one (4.3 with runc)

    def listed(self, service: Service) -> list[Listed]:
        """Running containers by Podman's own interface, since only that one knows pods."""
        version = service.get("/_ping").headers.get(_VERSION, "")
        if not re.fullmatch(r"[0-9][0-9A-Za-z.-]*", version):
            raise service.error("/_ping", f"answers {_VERSION} {version[:40]!r}, which is no Podman's; name its socket")
        return service.get_json(f"/v{version}/libpod/containers/json", parse_list)
