"""What virsh prints and is told about a running domain, as keys and texts. Pure.

Source: virsh(1). Amounts of memory are in KiB there, quotas in microseconds, rates in bytes per second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

MARK = "="
"""Begins the line that says which command's output follows."""
Values = Mapping[str, str]

QUOTA, VCPU_QUOTA, SHARES = "global_quota", "vcpu_quota", "cpu_shares"
MEMORY, HARD_LIMIT, WEIGHT, NODES, EMULATOR, VCPUS = (
    "currentMemory",
    "hard_limit",
    "blkiotune weight",
    "numatune nodeset",
    "emulatorpin",
    "vcpus",
)
PIN, DISK = "vcpupin", "blkdeviotune"
UNLIMITED = "unlimited"

_COMMANDS = {
    QUOTA: "schedinfo",
    VCPU_QUOTA: "schedinfo",
    SHARES: "schedinfo",
    HARD_LIMIT: "memtune",
    WEIGHT: "blkiotune",
    NODES: "numatune",
    EMULATOR: "emulatorpin",
    PIN: "vcpupin",
}


def command_of(key: str) -> str:
    """The virsh command that prints a key, with the disk where it is about one; empty where ``domstats`` does."""
    return key if key.startswith(DISK) else _COMMANDS.get(key) or _COMMANDS.get(key.partition(" ")[0], "")


def script(uuid: str, commands: Iterator[str] | list[str]) -> str:
    """One line for virsh that runs all commands and says before each which one it is."""
    parts = []
    for command in commands:
        verb, _, disk = command.partition(" ")
        parts.append(f"echo {MARK}{command.replace(' ', MARK)}; {verb} {uuid} {disk}".rstrip())
    return "; ".join(parts)


def parse_script(text: str) -> dict[str, str]:
    """Keys and their texts from what such a line printed.

    Raises:
        ValueError: where it is not what virsh is documented to print.

    """
    values: dict[str, str] = {}
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(MARK):
            lines = sections.setdefault(line.removeprefix(MARK), [])
        elif line.strip():
            lines.append(line)
    for name, content in sections.items():
        verb, _, disk = name.partition(MARK)
        values |= _PARSERS[verb](content, disk)
    return values


def _fields(lines: list[str]) -> dict[str, str]:
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _schedinfo(lines: list[str], _: str) -> dict[str, str]:
    wanted = (QUOTA, VCPU_QUOTA, SHARES, "global_period", "vcpu_period")
    return {key: value for key, value in _fields(lines).items() if key in wanted}


def _memtune(lines: list[str], _: str) -> dict[str, str]:
    return {HARD_LIMIT: _required(lines, "hard_limit")}


def _blkiotune(lines: list[str], _: str) -> dict[str, str]:
    return {WEIGHT: _required(lines, "weight")}


def _numatune(lines: list[str], _: str) -> dict[str, str]:
    nodes = _required(lines, "numa_nodeset")
    return {NODES: nodes} if nodes else {}  # no command takes a set of nodes away again


def _emulatorpin(lines: list[str], _: str) -> dict[str, str]:
    return {EMULATOR: lines[-1].rpartition(":")[2].strip()} if lines else {}


def _vcpupin(lines: list[str], _: str) -> dict[str, str]:
    found = [re.fullmatch(r"\s*(\d+):?\s+(\S+)\s*", line) for line in lines]
    return {f"{PIN} {match[1]}": match[2] for match in found if match}


def _blkdeviotune(lines: list[str], disk: str) -> dict[str, str]:
    """Reads and writes together, since to tell one is to take back the other; not where their sum is limited."""
    fields = _fields(lines)
    if fields.get("total_bytes_sec", "0") != "0":
        return {}
    return {f"{DISK} {disk}": f"{_required(lines, 'read_bytes_sec')} {_required(lines, 'write_bytes_sec')}"}


def _required(lines: list[str], name: str) -> str:
    fields = _fields(lines)
    if name not in fields:
        raise ValueError(f"{name} is missing among {', '.join(fields) or 'nothing'}")
    return fields[name]


_PARSERS: Mapping[str, Callable[[list[str], str], dict[str, str]]] = {
    "schedinfo": _schedinfo,
    "memtune": _memtune,
    "blkiotune": _blkiotune,
    "numatune": _numatune,
    "emulatorpin": _emulatorpin,
    "vcpupin": _vcpupin,
    DISK: _blkdeviotune,
}


def setting(key: str, value: str, uuid: str) -> list[str]:
    """The virsh command that sets a key of a running domain, and leaves what it is defined to be."""
    name, _, which = key.partition(" ")
    if key in (QUOTA, VCPU_QUOTA, SHARES):
        return ["schedinfo", uuid, "--live", "--set", f"{key}={value}"]
    if name == DISK:
        read, write = value.split()
        return [DISK, uuid, which, "--live", "--read-bytes-sec", read, "--write-bytes-sec", write]
    words = {
        MEMORY: ["setmem", uuid, value],
        HARD_LIMIT: ["memtune", uuid, "--hard-limit", "-1" if value == UNLIMITED else value],
        WEIGHT: ["blkiotune", uuid, "--weight", value],
        NODES: ["numatune", uuid, "--nodeset", value],
        EMULATOR: ["emulatorpin", uuid, value],
        VCPUS: ["setvcpus", uuid, value],
        f"{PIN} {which}": [PIN, uuid, which, value],
    }
    return [*words[key], "--live"]
