"""Collectors: one file per source, one line each in the registry below."""

from collectors.cgroup import CgroupCollector
from collectors.docker import DockerCollector
from collectors.energy import EnergyCollector
from collectors.host import HostCollector
from collectors.libvirt import LibvirtCollector
from collectors.numa import NumaCollector
from collectors.podman import PodmanCollector
from collectors.process import ProcessCollector
from collectors.psi import PressureCollector
from collectors.records import Collector
from collectors.systemd import SystemdCollector

COLLECTORS: tuple[Collector, ...] = (
    HostCollector(),
    PressureCollector(),
    NumaCollector(),
    EnergyCollector(),
    DockerCollector(),
    PodmanCollector(),
    LibvirtCollector(),
    SystemdCollector(),
    CgroupCollector(),
    ProcessCollector(),
)
"""In order of precedence: what several know of is called as the first of them calls it (``collectors.identity``)."""
