"""Collectors: one file per source, one line each in the registry below."""

from collectors.cgroup import CgroupCollector
from collectors.host import HostCollector
from collectors.process import ProcessCollector
from collectors.psi import PressureCollector
from collectors.records import Collector

COLLECTORS: tuple[Collector, ...] = (
    HostCollector(),
    PressureCollector(),
    CgroupCollector(),
    ProcessCollector(),
)
