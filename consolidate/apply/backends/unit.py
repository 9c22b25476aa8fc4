"""A unit of systemd as it is found: what systemd says of it, and what the kernel does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collectors.topology import parse_cpu_list
from consolidate.apply.backends.properties import PROPERTIES, Disk, Property
from consolidate.apply.backends.setting import PERSISTENT, RUNTIME, TRANSIENT, Setting, drop_in, parse_show
from consolidate.apply.machine import Machine

CONTROL: Mapping[str, str] = {
    PERSISTENT: "etc/systemd/system.control",
    RUNTIME: "run/systemd/system.control",
    TRANSIENT: "run/systemd/transient",
}
"""Where set-property keeps what it was told; for units without a file, such as those of systemd-run, in the third."""
_BOOT = "proc/sys/kernel/random/boot_id"
_ASKED = ("LoadState", "ControlGroup", "InvocationID", "Transient", "DropInPaths", *(it.shown for it in PROPERTIES))
"""By name: asking for everything takes an emulated or busy host many times as long."""
NOTHING = "nothing"
RATES = tuple(each.name for each in PROPERTIES if each.key)
SETS = tuple(each for each in PROPERTIES if each.file.startswith("cpuset."))


@dataclass(frozen=True)
class Unit:
    """A unit as systemd and the kernel have it."""

    cgroup: str
    """Below the hierarchy's root; empty while it has none."""
    transient: bool
    boot: str
    invocation: str
    settings: Mapping[str, Setting]
    unseen: frozenset[str]
    """Folders of `CONTROL` whose last drop-in of ours is gone, which systemd has not seen yet."""
    disks: tuple[Disk, ...]
    in_use_bytes: int | None
    pids: int | None


def look(machine: Machine, name: str, cgroup: str, disks: tuple[Disk, ...]) -> Unit | None:
    """Ask systemd once, and read the kernel's and systemd's files in one round trip; None for no such unit."""
    said = parse_show(machine.run(["systemctl", "show", "--no-pager", f"--property={','.join(_ASKED)}", "--", name]))
    group = said.get("ControlGroup", [""])[0].lstrip("/")
    keeps = [f"{CONTROL[layer]}/{name}.d/{drop_in(each.name)}" for layer in CONTROL for each in PROPERTIES]
    # Where there is no group, these name files of no hierarchy's root.
    place = f"sys/fs/cgroup/{group or cgroup or name}"
    uses = [f"{place}/{file}" for file in ("memory.current", "memory.stat", "pids.current")]
    wholes = [parent_file(f"{place}/{each.file}", each) for each in SETS]
    paths = [[_BOOT], uses, [f"{place}/{each.file}" for each in PROPERTIES], wholes, keeps]
    found = iter(machine.read_many([path for some in paths for path in some]))
    [boot], [current, stat, pids], kernel, whole, kept = ([next(found) for _ in some] for some in paths)
    above = {each.name: content for each, content in zip(SETS, whole, strict=True)}
    layers = {each.name: _layers(kept[at :: len(PROPERTIES)]) for at, each in enumerate(PROPERTIES)}
    unseen = _unseen(keeps, kept, " ".join(said.get("DropInPaths", [])).split())
    if said.get("LoadState") != ["loaded"] and not any(layers.values()):
        return None
    settings = {
        each.name: _setting(each, said.get(each.shown, []), layers[each.name], content, disks, above.get(each.name))
        for each, content in zip(PROPERTIES, kernel, strict=True)
        if each.shown in said or each.key  # an old systemd does not know all, and an empty list is not shown
    }
    return Unit(
        cgroup=group,
        transient=said.get("Transient") == ["yes"],
        boot=boot or "",
        invocation=said.get("InvocationID", [""])[0],
        settings=settings,
        unseen=unseen,
        disks=disks,
        in_use_bytes=_in_use(current, stat),
        pids=int(pids) if pids and pids.isdigit() else None,
    )


def _layers(kept: Sequence[str | None]) -> tuple[str, ...]:
    """Where a property's drop-in is, given its content in each place; a transient unit's ends with it."""
    layers = [RUNTIME if layer == TRANSIENT else layer for layer, text in zip(CONTROL, kept, strict=True) if text]
    return tuple(dict.fromkeys(layers))


def _unseen(keeps: Sequence[str], kept: Sequence[str | None], known: Sequence[str]) -> frozenset[str]:
    """Folders that systemd knows drop-ins of ours from, and that hold none any more."""
    there = {path.rpartition("/")[0] for path, text in zip(keeps, kept, strict=True) if text is not None}
    ours = {f"/{path}": path.rpartition("/")[0] for path in keeps}
    return frozenset(ours[path] for path in known if path in ours) - there


def _setting(
    each: Property,
    lines: Sequence[str],
    layers: tuple[str, ...],
    content: str | None,
    disks: Sequence[Disk],
    above: str | None,
) -> Setting:
    value = each.normal(lines)
    kernel = None if content is None else each.kernel(content)
    same = kernel is None or each.agrees(value, kernel, disks)
    if not same and kernel and above and not value:  # a set that leaves nothing out is none
        same = set(parse_cpu_list(kernel)) >= set(parse_cpu_list(above))
    return Setting(value, layers, "" if same else kernel or NOTHING)


def _in_use(current: str | None, stat: str | None) -> int | None:
    """Memory that cannot be dropped at once: all but the inactive page cache."""
    if current is None:
        return None
    counts = dict(line.split(" ", 1) for line in (stat or "").splitlines() if " " in line)
    return int(current) - int(counts.get("inactive_file", 0))


def real_disks(machine: Machine) -> tuple[Disk, ...]:
    """The real disks: what is stacked on them is limited there too."""
    fields = [line.split()[:3] for line in (machine.read("proc/diskstats") or "").splitlines()]
    return tuple(
        Disk(f"/dev/{name.replace('!', '/')}", f"{major}:{minor}")
        for major, minor, name in fields
        if machine.is_directory(f"sys/block/{name}/device")
    )


def parent_file(path: str, each: Property) -> str:
    """What the group above has of a set."""
    return f"{path.rsplit('/', 2)[0]}/{each.file}.effective"
