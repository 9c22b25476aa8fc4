"""Hosts, workloads and operating systems: what is there before anything is planned."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from collectors.topology import Topology
from consolidate.model.resources import NOTHING, Resources
from consolidate.model.rules import Rule

GIB = 1024**3
MIB = 1024**2


class Isolation(enum.StrEnum):
    """How a workload is kept apart on its host."""

    NATIVE = "native"
    """As it runs today, straight on its own host's operating system."""
    CONTAINER = "container"
    """A cgroup-limited container that shares the host's kernel."""
    VM = "vm"
    """A virtual machine on a native (type 1, KVM) hypervisor."""
    HOSTED_VM = "hosted-vm"
    """A virtual machine on a hosted (type 2) hypervisor."""


class Hypervisor(enum.StrEnum):
    """What a host offers to virtual machines."""

    NONE = "none"
    NATIVE = "native"
    HOSTED = "hosted"


@dataclass(frozen=True)
class OperatingSystem:
    """What a guest of this system needs, and whom a host of this system can take in."""

    name: str
    family: str
    guest_memory_bytes: int
    """Memory the guest's own kernel and services take in a virtual machine."""
    containers: bool
    """A host of this system runs containers of its own family."""
    hardware: str | None = None
    """Vendor whose hardware the licence demands, also for virtual machines."""
    max_vms_per_host: int | None = None
    """Copies the licence allows in virtual machines on one host."""


OPERATING_SYSTEMS: Mapping[str, OperatingSystem] = {
    system.name: system
    for system in (
        OperatingSystem("linux", "linux", 256 * MIB, containers=True),
        OperatingSystem("debian", "linux", 256 * MIB, containers=True),
        OperatingSystem("ubuntu", "linux", 320 * MIB, containers=True),
        # Linux of Red Hat's line and the like boots about the same services as CentOS.
        *(
            OperatingSystem(name, "linux", 320 * MIB, containers=True)
            for name in ("centos", "rhel", "rocky", "alma", "oracle-linux", "fedora", "amazon-linux", "suse")
        ),
        OperatingSystem("photon", "linux", 256 * MIB, containers=True),
        OperatingSystem("windows-7", "windows-nt6", GIB, containers=False),
        OperatingSystem("windows-10", "windows-nt10", 3 * GIB // 2, containers=True),
        OperatingSystem("windows-11", "windows-nt10", 3 * GIB // 2, containers=True),
        # Process isolation wants a container's build to be its host's (Microsoft, "Windows container version
        # compatibility"), so each server version is a family of its own. Memory: what Microsoft asks for at least, half
        # a gigabyte for Core and two with Desktop Experience ("Hardware requirements for Windows Server").
        OperatingSystem("windows-server-2003", "windows-nt5", GIB // 2, containers=False),
        OperatingSystem("windows-server-2008", "windows-nt6", GIB, containers=False),
        OperatingSystem("windows-server-2012", "windows-nt6", GIB, containers=False),
        *(
            OperatingSystem(f"windows-server-{year}", f"windows-server-{year}", 2 * GIB, containers=True)
            for year in (2016, 2019, 2022, 2025)
        ),
        OperatingSystem("freebsd", "freebsd", 256 * MIB, containers=False),
        OperatingSystem("solaris", "solaris", GIB, containers=False),
        # VMware's hypervisor runs virtual machines and nothing beside them.
        OperatingSystem("esxi", "esxi", 8 * GIB, containers=False),
        # Apple's licence for macOS: on Apple hardware only, at most two further copies in virtual machines.
        OperatingSystem("macos", "darwin", 2 * GIB, containers=False, hardware="apple", max_vms_per_host=2),
    )
}


@dataclass(frozen=True)
class Overhead:
    """What an isolation costs on top of the workload's own demand, in permille and absolute."""

    cpu_permille: int
    memory_permille: int
    memory_bytes: int
    io_permille: int


OVERHEADS: Mapping[Isolation, Overhead] = {
    # Midpoints of what Felter et al. (IBM RC25482, ISPASS 2015) and later measurements report.
    Isolation.NATIVE: Overhead(0, 0, 0, 0),
    Isolation.CONTAINER: Overhead(10, 5, 10 * MIB, 10),
    Isolation.VM: Overhead(50, 20, 100 * MIB, 150),
    Isolation.HOSTED_VM: Overhead(100, 30, 250 * MIB, 350),
}


@dataclass(frozen=True)
class PowerCurve:
    """Watts drawn at evenly spaced CPU loads, from idle to full."""

    watts: tuple[float, ...]

    def at(self, load: float) -> float:
        """Watts at a CPU load between 0 and 1, by linear interpolation."""
        if len(self.watts) == 1:
            return self.watts[0]
        position = min(max(load, 0.0), 1.0) * (len(self.watts) - 1)
        left = min(int(position), len(self.watts) - 2)
        return self.watts[left] + (self.watts[left + 1] - self.watts[left]) * (position - left)


@dataclass(frozen=True)
class Host:
    """A server."""

    name: str
    capacity: Resources
    """What the machine has; CPU in its own cores."""
    os: str
    reserved: Resources = NOTHING
    """What it keeps for itself."""
    hypervisor: Hypervisor = Hypervisor.NONE
    cpu_rating: float = 1.0
    """Speed of one of its cores in reference cores."""
    cpu_model: str = ""
    """As the kernel or hypervisor names it."""
    rated_by: str = ""
    """Where the rating is from; empty where there is none and 1 is assumed."""
    vendor: str = ""
    domain: str = ""
    """Failure domain (rack, room, zone)."""
    power: PowerCurve = PowerCurve((100.0, 250.0))
    cost_per_month: float = 0.0
    headroom_permille: int = 0
    """Share of the capacity that no plan may use."""
    on: bool = True
    """Powered on today; a host that is off can be started."""
    topology: Topology = field(default_factory=Topology)
    """Nodes, cores and caches; empty where nobody looked."""

    @property
    def allocatable(self) -> Resources:
        """Capacity less headroom less what it keeps, CPU in reference cores: the only definition of room."""
        left = self.capacity.scaled_down(1000 - self.headroom_permille) - self.reserved
        return self.in_reference_cores(left)

    @property
    def without_headroom(self) -> Resources:
        """What workloads can get when it matters: the headroom is kept for that."""
        return self.in_reference_cores(self.capacity - self.reserved)

    def in_reference_cores(self, amounts: Resources) -> Resources:
        """Amounts of this host with its CPU made comparable with other hosts', rounded down."""
        if "cpu_milli" not in amounts:
            return amounts
        return Resources({**amounts.amounts, "cpu_milli": int(amounts.get("cpu_milli") * self.cpu_rating)})


@dataclass(frozen=True)
class Workload:
    """Something that is placed: a process group, unit, container or virtual machine."""

    name: str
    os: str
    host: str | None = None
    isolation: Isolation = Isolation.NATIVE
    allowed: frozenset[Isolation] = frozenset(Isolation)
    group: str = ""
    owner: str = ""
    movable: bool = True
    copy_bytes: int = 0
    """What a move transfers: the image or the disk."""
    limits: Resources = NOTHING
    """What it may take at most: its size where nothing was measured."""
    enforced: Resources = NOTHING
    """Limits that were seen in force on its host."""
    peak: Resources = NOTHING
    """Greatest use as a source sums it up that keeps no series: its size where nothing was measured."""
    cgroup: str = ""
    """Path of its control group below the hierarchy's root, where it has one."""
    cpus: str = ""
    """Processors that its control group is kept to today, as the kernel lists them; empty where it is not."""


@dataclass(frozen=True)
class Fleet:
    """All that a plan is made of, besides demand."""

    hosts: tuple[Host, ...]
    workloads: tuple[Workload, ...]
    rules: tuple[Rule, ...] = ()
    systems: Mapping[str, OperatingSystem] = field(default_factory=lambda: OPERATING_SYSTEMS)
    overheads: Mapping[Isolation, Overhead] = field(default_factory=lambda: OVERHEADS)
