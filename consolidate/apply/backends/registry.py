"""Every backend, in the order in which they are asked: managers first, bare files last."""

from __future__ import annotations

from consolidate.apply.backends.backend import Backend
from consolidate.apply.backends.cgroup import CgroupBackend
from consolidate.apply.backends.docker import DockerBackend
from consolidate.apply.backends.libvirt import LibvirtBackend
from consolidate.apply.backends.podman import PodmanBackend
from consolidate.apply.backends.systemd import SystemdBackend

BACKENDS: tuple[Backend, ...] = (
    DockerBackend(),
    PodmanBackend(),
    LibvirtBackend(),
    SystemdBackend(),
    CgroupBackend(),
)


def persistently(backends: tuple[Backend, ...] = BACKENDS) -> tuple[Backend, ...]:
    """The same, with limits of systemd's units that outlive the next boot."""
    return tuple(SystemdBackend(persistent=True) if isinstance(one, SystemdBackend) else one for one in backends)
