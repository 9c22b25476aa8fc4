"""Plain shell: one script a host to be read and run, and one that takes back what the first did.

POSIX sh. Units get a drop-in that a reboot forgets, bare control groups (v2) their files; what was there before is
kept and not overwritten, so that the script may be run twice and rolled back once.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence

from consolidate.export.export import Export, Left, comment, heading, is_machine, label, limits_left, sentences
from consolidate.export.systemd import DROP_IN, NO_BURST, PROPERTIES, drop_in, unit_of
from consolidate.plan.plan import Partition, Plan, is_group_path, plan_digest

PERIOD_US = 100_000
_FILES: dict[str, tuple[str, Callable[[int | str], str]]] = {
    "cpu_milli": ("cpu.max", lambda milli: f"{max(1000, int(milli) * PERIOD_US // 1000)} {PERIOD_US}"),
    "cpu_burst_milli": ("cpu.max.burst", lambda milli: str(int(milli) * PERIOD_US // 1000)),
    "memory_bytes": ("memory.max", str),
    "memory_low_bytes": ("memory.low", str),
    "memory_high_bytes": ("memory.high", str),
    "swap_bytes": ("memory.swap.max", str),
    "io_weight": ("io.weight", lambda weight: f"default {weight}"),
    "pids": ("pids.max", str),
    "memory_nodes": ("cpuset.mems", str),
    "cpus": ("cpuset.cpus", str),
}
"""File of each limit, and its text; a disk's limit wants the disk's number, which a plan does not know."""
_APPLY = r"""set -eu
STATE=${STATE:-/var/lib/consolidate/shell}/%(plan)s
CGROUP=${CGROUP:-/sys/fs/cgroup}
UNITS=${UNITS:-/run/systemd/system}
if [ "${HOST:-$(uname -n)}" != %(host)s ]; then
    echo "this is not the host the script is for; run it there, or set HOST to its name in the plan" >&2
    exit 1
fi
mkdir -p "$STATE"
missing=0
put() { # NUMBER GROUP FILE TEXT
    path=$CGROUP/$2/$3
    if [ ! -e "$path" ]; then
        echo "$path: not there; nothing was written to it" >&2
        missing=1
        return
    fi
    now=$(head -n 1 "$path")
    [ "$now" != "$4" ] || return 0
    [ -e "$STATE/$1" ] || { printf '%%s\n' "$now" >"$STATE/$1.new" && mv "$STATE/$1.new" "$STATE/$1"; }
    printf '%%s\n' "$4" >"$path"
    echo "$path: $now -> $4"
}
reload=0
unit() { # NAME DROP-IN
    path=$UNITS/$1.d/%(drop_in)s
    if [ -e "$path" ] && [ "$(cat "$path")" = "$2" ]; then return 0; fi
    mkdir -p "$UNITS/$1.d"
    printf '%%s\n' "$2" >"$path"
    reload=1
    echo "$path: written"
}
"""
_APPLY_END = """[ "$reload" = 0 ] || systemctl daemon-reload
exit "$missing"
"""
_BACK = r"""set -eu
STATE=${STATE:-/var/lib/consolidate/shell}/%(plan)s
CGROUP=${CGROUP:-/sys/fs/cgroup}
UNITS=${UNITS:-/run/systemd/system}
back() { # NUMBER GROUP FILE
    [ -e "$STATE/$1" ] || return 0
    path=$CGROUP/$2/$3
    if [ -e "$path" ]; then
        cat "$STATE/$1" >"$path"
        echo "$path: $(cat "$STATE/$1")"
    fi
    rm "$STATE/$1"
}
reload=0
unit() { # NAME
    [ -e "$UNITS/$1.d/%(drop_in)s" ] || return 0
    rm "$UNITS/$1.d/%(drop_in)s"
    rmdir "$UNITS/$1.d" 2>/dev/null || :
    reload=1
    echo "$UNITS/$1.d/%(drop_in)s: removed"
}
"""
_BACK_END = """[ "$reload" = 0 ] || systemctl daemon-reload
[ ! -d "$STATE" ] || rmdir "$STATE"
"""


def export_shell(plan: Plan) -> Export:
    """Two scripts a host."""
    files, left, digest = {}, list[Left](), plan_digest(plan)
    by_host: dict[str, list[Partition]] = {}
    for partition in plan.partitions:
        if is_machine(partition):
            left.append(Left(partition.workload, "everything", "its hypervisor writes them; see libvirt"))
        elif is_group_path(partition.cgroup):
            by_host.setdefault(partition.host, []).append(partition)
        else:
            left.append(Left(partition.workload, "everything", "it has no control group on its host yet"))
    for host, partitions in by_host.items():
        own = [one for partition in partitions for one in _left(partition)]
        left += own
        words = {"plan": digest.removeprefix("sha256:")[:12], "host": shlex.quote(host), "drop_in": DROP_IN}
        head = "#!/bin/sh\n" + comment(heading(plan, f"Limits on {host}", sentences(own), digest))
        head_back = "#!/bin/sh\n" + comment([f"Takes back what apply.sh did on {host}, from the plan {digest}"])
        folder = label(host)
        files[f"{folder}/apply.sh"] = head + _APPLY % words + "".join(_calls(partitions)) + _APPLY_END
        files[f"{folder}/rollback.sh"] = head_back + _BACK % words + "".join(_back_calls(partitions)) + _BACK_END
    return Export(files, sentences(left))


def _writes(partitions: Sequence[Partition]) -> Iterator[tuple[str, str, str, str]]:
    """Number, group, file and text of every write to a bare group."""
    number = 0
    for partition in partitions:
        if unit_of(partition) is not None:
            continue
        texts = [("cpu.weight", str(partition.cpu_weight))]
        for field, (file, text) in _FILES.items():
            amount = getattr(partition.after, field)
            if amount is not None:
                texts.append((file, text(amount)))
        for file, text_ in texts:
            number += 1
            yield str(number), partition.cgroup, file, text_


def _calls(partitions: Sequence[Partition]) -> Iterator[str]:
    for write in _writes(partitions):
        yield f"put {shlex.join(write)}\n"
    for partition in partitions:
        unit = unit_of(partition)
        if unit is not None:
            yield f"unit {shlex.join([unit, drop_in(partition, unit).rstrip()])}\n"


def _back_calls(partitions: Sequence[Partition]) -> Iterator[str]:
    for number, group, file, _ in reversed(list(_writes(partitions))):
        yield f"back {shlex.join([number, group, file])}\n"
    for partition in reversed(partitions):
        unit = unit_of(partition)
        if unit is not None:
            yield f"unit {shlex.quote(unit)}\n"


def _left(partition: Partition) -> Iterator[Left]:
    if unit_of(partition) is not None:
        yield from limits_left(partition, PROPERTIES, NO_BURST)
    else:
        yield from limits_left(partition, _FILES, "io.max wants the number of a disk, which the plan does not know")
