"""Virtual machines of libvirt, while they run, by ``virsh`` (tried with libvirt 9.0 and emulated machines).

Only the running domain is changed (``--live``): what it is defined to be, and becomes when it is started again, is the
administrator's. Back at no limit, its live XML names defaults that it left out before; its definition, the kernel's
files and every figure are what they were.

vCPUs are not added unless asked for: no guest gave one back on request, so that it could not be undone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from collectors.cgroup import group_kind, parse_mounts
from collectors.libvirt import Domain, parse_domains
from collectors.process import parse_stat
from consolidate.apply.backends import libvirt_text as virsh
from consolidate.apply.backends import libvirt_writes as plan
from consolidate.apply.backends.backend import Change, Observation
from consolidate.apply.keys import Amount
from consolidate.apply.machine import Machine
from consolidate.errors import ApplyError
from consolidate.plan.plan import Partition

_VIRTUAL = ("vm", "hosted-vm")
_PROGRAMS = ("usr/bin/virsh", "usr/local/bin/virsh")
_FACTS = {
    "balloon.current": virsh.MEMORY,
    "balloon.maximum": plan.MAXIMUM,
    "balloon.rss": plan.RESIDENT,
    "vcpu.current": virsh.VCPUS,
}
_PATIENCE, _STILL, _PAUSE_S = 120, 4, 0.5
"""A guest gives memory back page by page: how often it is looked at, how often alike to stand still, how long between.
An emulated one gave 112 MiB back in 4 s."""


class LibvirtBackend:
    """Domains of a daemon on the host."""

    name = "libvirt"

    def __init__(
        self,
        uri: str = "qemu:///system",
        run: str = "run/libvirt",
        *,
        add_vcpus: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Say which daemon.

        Args:
            uri: As virsh's ``--connect`` takes it.
            run: Where that daemon keeps its emulators' process ids, below the root.
            add_vcpus: Give a domain more vCPUs where the plan has more CPU for it; they cannot be taken back.
            sleep: Waits for a guest's balloon, in seconds.

        """
        self._loud = ("env", "LC_ALL=C", "virsh", "--connect", uri)
        self._virsh = (*self._loud, "--quiet")
        self._run = run.strip("/")
        self._add_vcpus = add_vcpus
        self._sleep = sleep

    def supports(self, machine: Machine, partition: Partition) -> bool:
        """Whether this daemon has the domain.

        Raises:
            ApplyError: where the daemon does not answer and the partition's group is a domain's.

        """
        is_virtual = partition.isolation in _VIRTUAL or group_kind(partition.cgroup) == "vm"
        if not is_virtual or not self._is_installed(machine):
            return False
        try:
            return self._find(machine, partition.workload) is not None
        except ApplyError:
            if partition.cgroup:
                raise
            return False  # what is still to come here need not come to this daemon

    def observe(self, machine: Machine, partition: Partition) -> Observation | None:
        """The running domain and what libvirt and the kernel hold for it; None where it does not run here."""
        domain = self._find(machine, partition.workload)
        if domain is None or not domain.runs:
            return None
        values = self._facts(machine, domain)
        values |= self._ask(machine, domain.uuid, plan.commands_for(partition.after, _disks(domain)))
        usable = domain.stats.get("balloon.usable")
        in_use, note = None, ""
        if usable is not None:
            in_use = (int(values[virsh.MEMORY]) - int(usable)) * plan.KIB
            if values[virsh.MEMORY] != plan.balloon_kib(partition.after, values):
                values[virsh.MEMORY] = self._settled_balloon(machine, domain.uuid)
        elif partition.after.memory_bytes is not None:
            # To take memory from a guest that does not say what it needs may kill what runs in it.
            values.pop(plan.MAXIMUM, None)
            note = (
                f"{domain.name} does not say how much memory it needs, so that is left as it is; "
                f"virsh dommemstat {domain.name} --period 5 --live makes its balloon driver say so"
            )
        return Observation(domain.uuid, self._life(machine, domain), values, in_use, note=note)

    def writes(self, partition: Partition, observed: Observation) -> Sequence[Change]:
        """Every key that the partition sets and this domain offers."""
        place = (partition.workload, self.name, observed.subject, observed.life)
        return [
            Change(*place, key, plan.meaning(key), observed.values[key], wanted)
            for key, wanted in plan.steps(partition, observed.values)
            if key in observed.values and (key != virsh.VCPUS or self._add_vcpus)
        ]

    def limit(self, key: str, text: str, observed: Observation) -> tuple[str, Amount] | None:
        """The field of Limits and the amount that a key's text stands for."""
        return plan.limit(key, text, observed.values)

    def execute(self, machine: Machine, change: Change, value: str) -> None:
        """Set one key of the running domain; a balloon is waited for.

        Raises:
            ApplyError: where libvirt refuses, the guest does not follow, or it was started anew since.

        """
        domain = self._same(machine, change)
        if domain is None:
            raise ApplyError(
                f"{change.workload}: its domain has ended or was started anew since it was observed; plan again"
            )
        if change.key == virsh.VCPUS and int(value) < int(domain.stats.get("vcpu.current", "0")):
            raise ApplyError(
                f"{change.workload}: a running guest does not give a vCPU back; shut it down, then run "
                f"virsh setvcpus {domain.name} {value} --config"
            )
        self._set(machine, change, value)
        if change.key == virsh.MEMORY and self._settled_balloon(machine, change.subject, value) != value:
            # The driver knows what was and what is wanted, not what lies between.
            self._set(machine, change, change.now)
            back = self._settled_balloon(machine, change.subject, change.now)
            raise ApplyError(
                f"{change.workload}: its guest does not come to {value} KiB within {_PATIENCE * _PAUSE_S:.0f} s and is "
                f"back at {back} KiB; it needs more than was measured, or its balloon driver is missing"
            )

    def read(self, machine: Machine, change: Change) -> str | None:
        """What the key holds now; None where the domain has ended, or was started anew."""
        domain = self._same(machine, change)
        if domain is None:
            return None
        facts = self._facts(machine, domain)
        if change.key == virsh.MEMORY and facts.get(change.key) != change.wanted:
            return self._settled_balloon(machine, domain.uuid)
        if change.key in facts:
            return facts[change.key]
        return self._ask(machine, domain.uuid, [virsh.command_of(change.key)]).get(change.key)

    def _is_installed(self, machine: Machine) -> bool:
        return any(machine.inode(place) is not None for place in _PROGRAMS)

    def _domains(self, machine: Machine) -> list[Domain]:
        text = machine.run([*self._virsh, "list --all --uuid --name; domstats --raw --nowait"])
        try:
            return parse_domains(text)
        except ValueError as error:
            raise ApplyError(f"{machine.name}: virsh says {error}; check its version") from None

    def _find(self, machine: Machine, workload: str) -> Domain | None:
        """The domain that a workload is named after, without its host and collector."""
        named = [one for one in self._domains(machine) if f"/{workload}".endswith((f"/{one.name}", f":{one.name}"))]
        return max(named, key=lambda one: len(one.name), default=None)

    def _same(self, machine: Machine, change: Change) -> Domain | None:
        """The domain of a change, if it is still in the life that was observed."""
        domain = next((one for one in self._domains(machine) if one.uuid == change.subject), None)
        same = domain is not None and domain.runs and self._life(machine, domain) == change.life
        return domain if same else None

    def _life(self, machine: Machine, domain: Domain) -> str:
        """Process id and start of the emulator."""
        pid = machine.read(f"{self._run}/qemu/{domain.name}.pid")
        stat = machine.read(f"proc/{pid}/stat") if pid is not None and pid.isdecimal() else None
        if stat is None:
            raise ApplyError(
                f"{domain.name}: /{self._run}/qemu/{domain.name}.pid names no running emulator, so that a restart "
                "could not be told; see whether it is libvirt's QEMU driver that runs it"
            )
        return f"{pid}:{parse_stat(stat).started_ticks}"

    def _facts(self, machine: Machine, domain: Domain) -> dict[str, str]:
        """What ``domstats`` and the host say without being asked for the domain's settings."""
        _, v1 = parse_mounts(machine.read("proc/mounts") or "")
        found = {key: domain.stats[name] for name, key in _FACTS.items() if name in domain.stats}
        return {**found, plan.VERSION: "1" if "cpu" in v1 else "2"}

    def _ask(self, machine: Machine, uuid: str, commands: list[str]) -> Mapping[str, str]:
        try:
            # Quiet, its echo would end no line.
            return virsh.parse_script(machine.run([*self._loud, virsh.script(uuid, commands)]))
        except ValueError as error:
            raise ApplyError(f"{machine.name}: virsh says of domain {uuid}: {error}; check its version") from None

    def _set(self, machine: Machine, change: Change, value: str) -> None:
        machine.run([*self._virsh, *virsh.setting(change.key, value, change.subject)])

    def _settled_balloon(self, machine: Machine, uuid: str, wanted: str = "") -> str:
        """Its size in KiB once it is what was wanted, or has stood still for a while.

        Nobody but QEMU knows where a balloon is going, and an apply that was killed may have left it on its way.
        """
        seen: list[str] = []
        for _ in range(_PATIENCE):
            text = machine.run([*self._virsh, "domstats", "--raw", "--balloon", uuid])
            seen.append(next((line.partition("=")[2] for line in text.splitlines() if "balloon.current=" in line), ""))
            if seen[-1] == wanted or (not wanted and len(seen) >= _STILL and len(set(seen[-_STILL:])) == 1):
                break
            self._sleep(_PAUSE_S)
        return seen[-1]


def _disks(domain: Domain) -> tuple[str, ...]:
    """Targets of its disks, such as ``vda``."""
    numbers = range(int(domain.stats.get("block.count", "0")))
    return tuple(name for number in numbers if (name := domain.stats.get(f"block.{number}.name", "")))
