"""How a host's processors share memory, cores and caches: what pinning to processors and nodes needs to know.

From ``/sys/devices/system`` (kernel documents ABI/stable/sysfs-devices-node, admin-guide/cputopology.rst and
ABI/testing/sysfs-devices-system-cpu). It travels as one line of text, in the notation that the kernel has for cpusets::

    node 0 cpus 0-3,8-11 memory 67108864000 distances 10,21; node 1 …; cores 0,8 1,9 2,10 …; caches 0-3,8-11 4-7,12-15
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from collectors.kernel import number, read
from collectors.meminfo import parse_meminfo

_MOST_CPUS = 1 << 16
"""More than any kernel is built for; a longer list is damaged."""
_NODE_WORDS = 8
"""Of a node's section: four names, each with its value."""


@dataclass(frozen=True)
class Node:
    """A NUMA node: processors and the memory that is near to them."""

    number: int
    cpus: tuple[int, ...]
    """Empty for a node of memory only."""
    memory_bytes: int
    distances: tuple[int, ...]
    """To each node in order, 10 being its own; relative access times as the firmware states them."""


@dataclass(frozen=True)
class Topology:
    """What is online now. A part that the kernel does not tell is empty."""

    nodes: tuple[Node, ...] = ()
    cores: tuple[tuple[int, ...], ...] = ()
    """Processors (SMT siblings) of each physical core."""
    caches: tuple[tuple[int, ...], ...] = ()
    """Processors that share each last-level cache."""

    def __str__(self) -> str:
        """Return the line that ``parse_topology`` takes; empty where nothing is known."""
        sections = [
            f"node {it.number} cpus {cpu_list(it.cpus) or 'none'} memory {it.memory_bytes}"
            f" distances {','.join(map(str, it.distances)) or 'none'}"
            for it in self.nodes
        ]
        sections += [" ".join(["cores", *map(cpu_list, self.cores)])] if self.cores else []
        sections += [" ".join(["caches", *map(cpu_list, self.caches)])] if self.caches else []
        return "; ".join(sections)


def cpu_list(cpus: Iterable[int]) -> str:
    """Write processors in the kernel's notation.

    >>> cpu_list([0, 1, 2, 3, 8])
    '0-3,8'
    """
    ranges: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if ranges and cpu == ranges[-1][1] + 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """Read the kernel's notation of processors or nodes; empty text is none of them.

    >>> parse_cpu_list("0-3,8")
    (0, 1, 2, 3, 8)
    """
    cpus: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        start, end = number(first), number(last or first)
        if not (cpus[-1] if cpus else -1) < start <= end < _MOST_CPUS:
            raise ValueError(f"{part[:40]!r} does not go on with a list of processors")
        cpus.extend(range(start, end + 1))
    return tuple(cpus)


def parse_distances(text: str) -> tuple[int, ...]:
    """``distance`` of a node: one figure for each node."""
    return tuple(number(field) for field in text.split())


def parse_topology(line: str) -> Topology:
    """Read the line that a Topology prints.

    Raises:
        ValueError: where it is another one.

    """
    nodes: list[Node] = []
    parts: dict[str, tuple[tuple[int, ...], ...]] = {}
    for section in filter(None, line.split("; ")):
        kind, *words = section.split(" ")
        if kind == "node":
            nodes.append(_parse_node(section.split(" ")))
        elif kind in {"cores", "caches"} and kind not in parts:
            parts[kind] = tuple(map(parse_cpu_list, words))
        else:
            raise ValueError(f"{section[:40]!r} is no part of a topology")
    return Topology(tuple(nodes), parts.get("cores", ()), parts.get("caches", ()))


def _parse_node(words: list[str]) -> Node:
    names, values = words[0::2], words[1::2]
    if len(words) != _NODE_WORDS or names != ["node", "cpus", "memory", "distances"]:
        raise ValueError(f"{' '.join(words)[:40]!r} is no node of a topology")
    node, cpus, memory, distances = ("" if value == "none" else value for value in values)
    return Node(number(node), parse_cpu_list(cpus), number(memory), parse_distances(distances.replace(",", " ")))


def find_nodes(root: Path) -> list[tuple[int, Path]]:
    """Numbers and folders of the online NUMA nodes; none where the kernel knows no nodes."""
    nodes = root / "sys/devices/system/node"
    return [(it, nodes / f"node{it}") for it in read(nodes / "online", parse_cpu_list) or ()]


def read_topology(root: Path) -> Topology:
    """Read what is online below ``root``: a few files for each core and node, and nothing twice."""
    cpus = root / "sys/devices/system/cpu"
    online = read(cpus / "online", parse_cpu_list) or ()
    return Topology(
        nodes=tuple(node for it, folder in find_nodes(root) if (node := _read_node(it, folder)) is not None),
        cores=_partition(online, lambda cpu: _read_core(cpus / f"cpu{cpu}/topology")),
        caches=_partition(online, lambda cpu: _read_last_cache(cpus / f"cpu{cpu}/cache")),
    )


def _read_node(node: int, folder: Path) -> Node | None:
    memory = read(folder / "meminfo", parse_meminfo) or {}
    cpus = read(folder / "cpulist", parse_cpu_list)
    if "MemTotal" not in memory or cpus is None:
        return None
    return Node(node, cpus, memory["MemTotal"], read(folder / "distance", parse_distances) or ())


def _partition(online: Iterable[int], share: Callable[[int], tuple[int, ...] | None]) -> tuple[tuple[int, ...], ...]:
    """Sets of processors that share something; empty unless it is known for all of them."""
    sets: list[tuple[int, ...]] = []
    known: set[int] = set()
    for cpu in online:
        if cpu not in known:
            together = share(cpu)
            if together is None or cpu not in together:
                return ()
            sets.append(together)
            known.update(together)
    return tuple(sets)


def _read_core(folder: Path) -> tuple[int, ...] | None:
    # Since Linux 5.3 the file has a better name as well, which older kernels lack.
    return read(folder / "thread_siblings_list", parse_cpu_list)


def _read_last_cache(folder: Path) -> tuple[int, ...] | None:
    levels = {read(index / "level", number) or 0: index for index in folder.glob("index[0-9]*")}
    return read(levels[max(levels)] / "shared_cpu_list", parse_cpu_list) if levels else None
