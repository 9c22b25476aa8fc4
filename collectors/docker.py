"""Docker Engine, through its socket: ``/run/docker.sock``, or the one that DOCKER_HOST names."""

from __future__ import annotations

from collectors.engine.collector import ContainerCollector
from collectors.engine.documents import Listed, parse_list
from collectors.engine.service import Service


class DockerCollector(ContainerCollector):
    """Names, groups, limits, network bytes and restarts of Docker's containers."""

    name = "docker"
    variable = "DOCKER_HOST"
    place = "run/docker.sock"
    notices_kills = True

    def listed(self, service: Service) -> list[Listed]:
        """Running containers; without a version in the path, an engine answers in its newest."""
        return service.get_json("/containers/json", parse_list)
