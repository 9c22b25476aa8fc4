"""Control groups by their files: v2, v1 and both at once. For groups that no manager owns, or that are delegated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from collectors.cgroup import parse_mounts
from consolidate.apply.backends.backend import Change, Observation
from consolidate.apply.keys import BY_FILE, KEYS, Amount, content_of, steps, text_of
from consolidate.apply.machine import Machine
from consolidate.errors import ApplyError
from consolidate.plan.plan import Partition

_BOOT = "proc/sys/kernel/random/boot_id"
_UNITS = (".service", ".scope", ".slice")


@dataclass(frozen=True)
class _Directory:
    """Where a controller has the group, below the root."""

    path: str
    version: int
    life: str


class CgroupBackend:
    """Writes the files of a control group."""

    name = "cgroup"

    def supports(self, machine: Machine, partition: Partition) -> bool:
        """Whether nobody else writes this group: systemd does where it runs and the group is a unit."""
        if not partition.cgroup:
            return False
        unit = partition.cgroup.rpartition("/")[2]
        return not (unit.endswith(_UNITS) and machine.is_directory("run/systemd/system"))

    def observe(self, machine: Machine, partition: Partition) -> Observation | None:
        """The group in every hierarchy that has it.

        Raises:
            ApplyError: where the path leads out of the hierarchy, or below a unit that is not delegated.

        """
        directories = _directories(machine, partition)
        if not directories:
            return None
        _refuse_undelegated(machine, partition)
        keys = [
            key for key in KEYS if key.controller in directories and directories[key.controller].version in key.versions
        ]
        paths = [f"{directories[key.controller].path}/{key.file}" for key in keys]
        use_paths = _use_paths(directories)
        contents = machine.read_many([*paths, *use_paths.values()])
        after = partition.after
        throttled = after.disk_read_bytes_per_s is not None or after.disk_write_bytes_per_s is not None
        devices = _disks(machine) if throttled else ()
        values: dict[str, str] = {}
        places: dict[str, tuple[str, str]] = {}
        for key, content in zip(keys, contents, strict=False):
            if content is not None:
                texts = dict(text_of(key, content, devices))
                values |= texts
                directory = directories[key.controller]
                places |= dict.fromkeys(texts, (directory.path, directory.life))
        if not values:
            return None
        life = ",".join(sorted({directory.life for directory in directories.values()}))
        use = dict(zip(use_paths, contents[len(keys) :], strict=True))
        pids = use.get("pids.current")
        return Observation(
            partition.cgroup, life, values, _memory_in_use(use), None if pids is None else int(pids), places
        )

    def writes(self, partition: Partition, observed: Observation) -> Sequence[Change]:
        """Every file that the partition sets and the kernel offers."""
        now = dict(observed.values)
        changes = []
        for key, wanted in steps(partition, observed.values):
            if key in now:
                subject, life = observed.places[key]
                meaning = BY_FILE[key.partition(" ")[0]].meaning
                changes.append(Change(partition.workload, self.name, subject, life, key, meaning, now[key], wanted))
                now[key] = wanted
        return changes

    def limit(self, key: str, text: str, observed: Observation) -> tuple[str, Amount] | None:
        """The field of Limits and the amount that a file's text stands for."""
        found = BY_FILE[key.partition(" ")[0]]
        return (found.dimension, found.amount(text, observed.values)) if found.dimension else None

    def execute(self, machine: Machine, change: Change, value: str) -> None:
        """Write one file, or one device's line of it."""
        file, content = content_of(change.key, value)
        machine.write(f"{change.subject}/{file}", content)

    def read(self, machine: Machine, change: Change) -> str | None:
        """What the file holds now; None where the group ended, or is another one of the same name."""
        file, _, device = change.key.partition(" ")
        boot, content = machine.read_many([_BOOT, f"{change.subject}/{file}"])
        if content is None or _life(boot, machine.inode(change.subject)) != change.life:
            return None
        return dict(text_of(BY_FILE[file], content, (device,)))[change.key]


def _life(boot: str | None, inode: int | None) -> str:
    """Inodes of control groups are counted from every boot anew."""
    return f"{(boot or '')[:8]}:{inode}"


def _directories(machine: Machine, partition: Partition) -> dict[str, _Directory]:
    """The group's directory by controller. A controller is mounted in one version only."""
    text, boot = machine.read_many(["proc/mounts", _BOOT])
    v2, v1 = parse_mounts(text or "")
    found: dict[str, _Directory] = {}
    seen: dict[str, _Directory | None] = {}
    for controller in dict.fromkeys(key.controller for key in KEYS):
        mount, version = (v1[controller], 1) if controller in v1 else (v2, 2)
        if mount is None:
            continue
        if mount not in seen:
            seen[mount] = _directory(machine, partition, mount, version, boot)
        directory = seen[mount]
        if directory is not None:
            found[controller] = directory
    return found


def _directory(machine: Machine, partition: Partition, mount: str, version: int, boot: str | None) -> _Directory | None:
    path = f"{mount.lstrip('/')}/{partition.cgroup}"
    inode = machine.inode(path)
    if inode is None:
        return None
    if not machine.is_below(path, mount.lstrip("/")):
        raise ApplyError(f"{partition.workload}: /{path} leads out of {mount}; nothing was written")
    return _Directory(path, version, _life(boot, inode))


def _refuse_undelegated(machine: Machine, partition: Partition) -> None:
    """Below a service or scope only a delegated subtree is safe: systemd owns the rest of it."""
    owner = next((part for part in partition.cgroup.split("/")[-2::-1] if part.endswith(_UNITS)), None)
    if owner is None or owner.endswith(".slice") or not machine.is_directory("run/systemd/system"):
        return
    if machine.run(["systemctl", "show", "--property=Delegate", "--value", "--", owner]).strip() != "yes":
        raise ApplyError(
            f"{partition.workload}: {partition.cgroup} belongs to {owner}, which systemd has not delegated, so that "
            f"systemd may undo what is written there; give {owner} Delegate=yes, or limit the unit itself"
        )


def _disks(machine: Machine) -> tuple[str, ...]:
    """Device numbers of the real disks: what is stacked on them is throttled there too, and loops are not ours."""
    fields = [line.split()[:3] for line in (machine.read("proc/diskstats") or "").splitlines()]
    return tuple(
        f"{major}:{minor}"
        for major, minor, name in fields
        if machine.is_directory(f"sys/block/{name.replace('/', '!')}/device")
    )


def _use_paths(directories: Mapping[str, _Directory]) -> dict[str, str]:
    """Files that say what is in use, with their paths."""
    files = (
        ("memory", "memory.current"),
        ("memory", "memory.usage_in_bytes"),
        ("memory", "memory.stat"),
        ("pids", "pids.current"),
    )
    return {file: f"{directories[owner].path}/{file}" for owner, file in files if owner in directories}


def _memory_in_use(use: Mapping[str, str | None]) -> int | None:
    """Memory that cannot be dropped at once: all but the inactive page cache."""
    total = use.get("memory.current") or use.get("memory.usage_in_bytes")
    if total is None:
        return None
    counts = dict(_pairs(use.get("memory.stat") or ""))
    return int(total) - int(counts.get("total_inactive_file", counts.get("inactive_file", 0)))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        yield name, value
