"""What container labels say of a workload: its lasting name, its group and its owner.

Sources of the label names: Compose specification ("Labels" that Compose sets), Docker Swarm's task labels,
``k8s.io/kubernetes`` pkg/kubelet/types/labels.go, podman-systemd.unit(5).
"""

from __future__ import annotations

from collections.abc import Mapping

_COMPOSE_PROJECT = ("com.docker.compose.project", "io.podman.compose.project")
_COMPOSE_SERVICE = ("com.docker.compose.service", "io.podman.compose.service")
_POD_NAMESPACE, _POD_NAME = "io.kubernetes.pod.namespace", "io.kubernetes.pod.name"
_POD_CONTAINER = "io.kubernetes.container.name"
_SWARM_SERVICE = "com.docker.swarm.service.name"
_SWARM_TASK, _SWARM_TASK_ID = "com.docker.swarm.task.name", "com.docker.swarm.task.id"
_UNIT = "PODMAN_SYSTEMD_UNIT"
_OWNERS = ("owner", "team")


def _first(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")


def stable_name(name: str, labels: Mapping[str, str]) -> str:
    """The name that the next container of the same kind will have as well.

    Orchestrators put a number that is new each time into the container's own name.

    >>> stable_name("shop.1.x9k", {"com.docker.swarm.task.name": "shop.1.x9k", "com.docker.swarm.task.id": "x9k"})
    'shop.1'
    """
    pod = [labels.get(part, "") for part in (_POD_NAMESPACE, _POD_NAME, _POD_CONTAINER)]
    if all(pod):
        return "/".join(pod)
    task, task_id = labels.get(_SWARM_TASK, ""), labels.get(_SWARM_TASK_ID, "")
    if task_id and task.endswith(f".{task_id}"):
        return task.removesuffix(f".{task_id}")
    return name


def group_of(labels: Mapping[str, str], pod: str) -> str:
    """Service, application or pod that the container is a part of; ``pod`` is what the engine itself knows.

    >>> group_of({"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}, pod="")
    'shop/web'
    """
    project, service = _first(labels, _COMPOSE_PROJECT), _first(labels, _COMPOSE_SERVICE)
    if project or service:
        return "/".join(filter(None, (project, service)))
    if labels.get(_POD_NAMESPACE) and labels.get(_POD_NAME):
        return f"{labels[_POD_NAMESPACE]}/{labels[_POD_NAME]}"
    return labels.get(_SWARM_SERVICE, "") or pod


def owner_of(labels: Mapping[str, str]) -> str:
    """Whoever the container's starter named; an image's maintainer runs nothing here, so is not asked."""
    return _first(labels, _OWNERS)


def unit_of(labels: Mapping[str, str]) -> str:
    """The systemd unit that was made for this one container (Quadlet), or empty."""
    return labels.get(_UNIT, "")
