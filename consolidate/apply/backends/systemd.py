"""Units of systemd, through ``systemctl set-property``: systemd forgets what anybody else writes to their files.

A limit is set at run time, or persistently, so that it outlives the next boot. Either way systemd keeps it in a
drop-in, and survives a daemon-reload. Taking it back sets what was there before and removes the drop-in, so that the
unit is what its own files make it. The kernel's files are read as a second witness: see `Setting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collectors.cgroup import group_kind
from collectors.topology import parse_cpu_list
from consolidate.apply.backends.backend import Change, Observation
from consolidate.apply.backends.properties import PROPERTIES, Disk, Property, property_named
from consolidate.apply.backends.setting import (
    PERSISTENT,
    RUNTIME,
    TRANSIENT,
    Setting,
    assignments,
    drop_in,
    parse_setting,
    parse_show,
)
from consolidate.apply.backends.unit import (
    CONTROL,
    NOTHING,
    RATES,
    SETS,
    Unit,
    look,
    parent_file,
    real_disks,
)
from consolidate.apply.machine import Machine
from consolidate.errors import ApplyError, StalePlanError
from consolidate.plan.plan import Partition


@dataclass(frozen=True)
class UnitObservation(Observation):
    """A unit, and the disks that its limits are about."""

    disks: tuple[Disk, ...] = ()


class SystemdBackend:
    """Sets properties of units of the system's own manager."""

    name = "systemd"

    def __init__(self, *, persistent: bool = False) -> None:
        """Choose whether limits outlive the next boot. Taking back goes by what was written, not by this."""
        self.persistent = persistent

    def supports(self, machine: Machine, partition: Partition) -> bool:
        """Whether the group is a unit of a running systemd, and not a container's or a virtual machine's."""
        *parents, unit = partition.cgroup.split("/")
        ours = group_kind(partition.cgroup) in ("service", "scope", "slice") and all(
            parent.endswith(".slice") for parent in parents
        )
        return ours and bool(unit) and machine.is_directory("run/systemd/system")

    def observe(self, machine: Machine, partition: Partition) -> UnitObservation | None:
        """The unit by systemd's word and the kernel's; None where it is not running.

        Raises:
            StalePlanError: where its control group is no longer where the plan has it.

        """
        name = partition.cgroup.rpartition("/")[2]
        after = partition.after
        throttled = after.disk_read_bytes_per_s is not None or after.disk_write_bytes_per_s is not None
        unit = look(machine, name, partition.cgroup, real_disks(machine) if throttled else ())
        if unit is None or not unit.cgroup:
            return None
        if unit.cgroup != partition.cgroup:
            raise StalePlanError(
                f"{partition.workload}: {name} runs in /{unit.cgroup}, not in /{partition.cgroup} as it did when the "
                "plan was made; collect and plan again"
            )
        values = {key: str(setting) for key, setting in unit.settings.items()}
        return UnitObservation(name, self._life(unit), values, unit.in_use_bytes, unit.pids, disks=unit.disks)

    def writes(self, partition: Partition, observed: Observation) -> Sequence[Change]:
        """Every property that the partition sets and this systemd knows."""
        disks = observed.disks if isinstance(observed, UnitObservation) else ()
        layer = PERSISTENT if observed.life.startswith(PERSISTENT) else RUNTIME
        changes = []
        for each in PROPERTIES:
            value = each.want(partition, disks)
            if value is None or each.name not in observed.values:
                continue
            now = parse_setting(observed.values[each.name])
            # The unit's own files may say the same, or a drop-in that lasts longer than ours.
            settled = value == now.value and (not now.layers or bool({layer, PERSISTENT} & set(now.layers)))
            layers = now.layers if settled else tuple(sorted({*now.layers, layer}))
            changes.append(
                Change(
                    *(partition.workload, self.name, observed.subject, observed.life, each.name, each.meaning),
                    *(observed.values[each.name], str(Setting(value, layers))),
                )
            )
        return changes

    def limit(self, key: str, text: str, observed: Observation) -> tuple[str, int | str | None] | None:
        """The field of Limits and the amount that a property's text stands for."""
        each = property_named(key)
        return (each.dimension, each.amount(parse_setting(text).value)) if each.dimension else None

    def execute(self, machine: Machine, change: Change, value: str) -> None:
        """Set one property; on the way back also remove the drop-in that setting it made.

        Raises:
            ApplyError: where systemd refuses, or would forget it at the next reload or boot.

        """
        each, setting, layer = property_named(change.key), parse_setting(value), change.life.partition(" ")[0]
        forward = value == change.wanted
        if forward:
            self._refuse_what_would_be_forgotten(change, layer)
        if forward or _loaded(machine, change.subject):
            runtime = [] if layer == PERSISTENT else ["--runtime"]
            words = assignments(each.name, setting.value)
            machine.run(["systemctl", "set-property", *runtime, "--", change.subject, *words])
        if each in SETS and not setting.value and setting.kernel in ("", NOTHING):
            _end_set(machine, change.subject, each)
        # Steps of a way back that is cut short are told apart by `_half_way_back`: it goes by their order.
        if not forward and not ({layer, RUNTIME if layer == TRANSIENT else layer} & set(setting.layers)):
            _remove_drop_in(machine, layer, change.subject, each.name)
        if setting.kernel:
            _write_past(machine, change.subject, each, setting.kernel)

    def read(self, machine: Machine, change: Change) -> str | None:
        """What the property holds now; None where what was set has ended with the boot or with a transient unit."""
        disks = real_disks(machine) if change.key in RATES else ()
        unit = look(machine, change.subject, "", disks)
        if unit is None:
            return None
        layer, boot, invocation = change.life.split(" ")
        if layer != PERSISTENT and boot != unit.boot:
            return None
        if layer == TRANSIENT and invocation != unit.invocation:
            return None
        setting = unit.settings.get(change.key)
        if setting is None:
            return None
        before, wanted = parse_setting(change.now), parse_setting(change.wanted)
        unseen = f"{CONTROL[layer]}/{change.subject}.d" in unit.unseen
        return change.wanted if _half_way_back(setting, before, wanted, unseen=unseen) else str(setting)

    def _life(self, unit: Unit) -> str:
        """How long a setting lasts decides what ends it: see `read`. A restart or a reboot shows all the same."""
        layer = TRANSIENT if unit.transient else PERSISTENT if self.persistent else RUNTIME
        return f"{layer} {unit.boot} {unit.invocation}"

    def _refuse_what_would_be_forgotten(self, change: Change, layer: str) -> None:
        if layer == TRANSIENT and self.persistent:
            raise ApplyError(
                f"{change.subject}: has no unit file, so that it ends with the boot and nothing can be persistent; "
                "give it a unit file, or apply without --persistent"
            )
        if layer == RUNTIME and PERSISTENT in parse_setting(change.now).layers:
            raise ApplyError(
                f"{change.subject}: {change.key} is set persistently, which would win at the next daemon-reload; "
                "apply with --persistent"
            )


def _half_way_back(setting: Setting, before: Setting, wanted: Setting, *, unseen: bool) -> bool:
    """Whether a way back was cut short: the value is there again, but not everything else.

    Our drop-in is still there; or it is gone, and it was the last one, which systemd was not told yet (``unseen``); or
    what somebody had written to the kernel past systemd is not.
    """
    if setting.value != before.value:
        return False
    ours = setting.layers == wanted.layers != before.layers
    gone = setting.layers == before.layers != wanted.layers
    return ours or (gone and (unseen or bool(before.kernel and not setting.kernel)))


def _loaded(machine: Machine, unit: str) -> bool:
    """Whether there is a unit to set anything on; the persistent drop-ins of one that was removed stay behind."""
    return machine.run(["systemctl", "show", "--property=LoadState", "--value", "--", unit]).strip() == "loaded"


def _remove_drop_in(machine: Machine, layer: str, unit: str, name: str) -> None:
    """Remove what set-property wrote, and have systemd see that with the last of them.

    What is in force was set before and does not wait for it, and a reload takes a host a while.
    """
    folder = f"{CONTROL[layer]}/{unit}.d"
    machine.run(["rm", "-f", "--", f"/{folder}/{drop_in(name)}"])
    rest = machine.read_many([f"{folder}/{drop_in(each.name)}" for each in PROPERTIES])
    if not any(rest):
        if machine.is_directory(folder):
            machine.run(["rmdir", "--ignore-fail-on-non-empty", "--", f"/{folder}"])
        machine.run(["systemctl", "daemon-reload"], timeout_s=120)


def _write_past(machine: Machine, unit: str, each: Property, kernel: str) -> None:
    """Write to the kernel what somebody had written past systemd."""
    path = _kernel_file(machine, unit, each)
    entries = [] if kernel == NOTHING else kernel.split("; ") if each.key else [kernel]
    for entry in entries:
        number, _, rate = entry.rpartition(" ")
        machine.write(path, f"{number} {each.key}{rate}" if each.key else entry)


def _kernel_file(machine: Machine, unit: str, each: Property) -> str:
    said = parse_show(machine.run(["systemctl", "show", "--property=ControlGroup", "--", unit]))
    return f"sys/fs/cgroup{said.get('ControlGroup', [''])[0]}/{each.file}"


def _end_set(machine: Machine, unit: str, each: Property) -> None:
    """Let a group have all that its parent has.

    Emptied in the unit, a set stays in the kernel until the controller is off (systemd 252), and while there are
    processes the kernel refuses to empty it (Linux 6.1).
    """
    path = _kernel_file(machine, unit, each)
    now, whole = machine.read_many([path, parent_file(path, each)])
    if not now or not whole or set(parse_cpu_list(now)) >= set(parse_cpu_list(whole)):
        return
    try:
        machine.write(path, "\n")
    except ApplyError:
        if machine.read(path) is not None:  # systemd may have ended it meanwhile
            machine.write(path, whole)
