"""Processes that run in no control group of their own, grouped into workloads by the program's name."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from collectors.cgroup import find_hierarchies
from collectors.kernel import number, read
from collectors.records import Record, Sample, WorkloadRecord

_KERNEL_THREAD = 0x0020_0000
_COMMAND_LENGTH = 15
"""The kernel cuts a command to this many bytes."""


@dataclass(frozen=True)
class Process:
    """What ``/proc/PID/stat`` says that matters here."""

    command: str
    state: str
    flags: int
    cpu_ticks: int
    threads: int
    started_ticks: int

    @property
    def runs_a_program(self) -> bool:
        """Neither a kernel thread nor an ended process that its parent has not yet collected."""
        return not self.flags & _KERNEL_THREAD and self.state not in "ZX"


def parse_stat(text: str) -> Process:
    """Parse ``/proc/PID/stat``; the command may itself contain spaces and brackets (proc(5))."""
    end = text.rindex(")")
    fields = text[end + 1 :].split()
    if len(fields) < 20:
        raise ValueError(f"{len(fields)} fields after the command where 20 or more belong")
    return Process(
        command=text[text.index("(") + 1 : end],
        state=fields[0],
        flags=number(fields[6]),
        cpu_ticks=number(fields[11]) + number(fields[12]),
        threads=number(fields[17]),
        started_ticks=number(fields[19]),
    )


def parse_statm(text: str) -> tuple[int, int]:
    """Anonymous and shareable pages in memory, from ``/proc/PID/statm``."""
    _, resident, shared, *_ = (number(field) for field in text.split())
    return max(0, resident - shared), shared


def program_name(command: str, arguments: str) -> str:
    r"""The command, completed from the ``\0``-separated command line where the kernel cut it.

    >>> program_name("inventory-expor", "/usr/bin/python3\0/opt/inventory-exporter\0--all")
    'inventory-exporter'
    """
    if is_cut(command):
        for argument in arguments.split("\0")[:2]:  # the second one names the script of an interpreter
            if (name := PurePosixPath(argument).name).startswith(command):
                return name
    return command


def is_cut(command: str) -> bool:
    """Whether the kernel may have cut it."""
    return len(command.encode()) >= _COMMAND_LENGTH


def parse_pids(text: str) -> set[int]:
    """Process ids of ``cgroup.procs``."""
    return {number(line) for line in text.splitlines()}


def _outside_groups(root: Path) -> set[int]:
    """Processes that are in the root group of every hierarchy, and so in no workload's group."""
    places = (hierarchy / "cgroup.procs" for hierarchy in find_hierarchies(root).roots)
    held = [pids for place in places if (pids := read(place, parse_pids)) is not None]
    if held:  # far fewer than all processes of a host whose services have groups
        return set.intersection(*held)
    return {int(name) for name in os.listdir(root / "proc") if name.isdecimal()}


class ProcessCollector:
    """Sums per program name, for whatever the control groups do not tell apart."""

    name = "process"

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        """Read ``/proc`` once; the incarnation changes when any process of the program came or went.

        What the processes of one program share (its code, a database's buffers) is counted once, as the most
        that any of them holds.
        """
        programs: dict[str, list[tuple[str, Process, int, int]]] = defaultdict(list)
        for pid in sorted(_outside_groups(root)):
            directory = root / "proc" / str(pid)
            process = read(directory / "stat", parse_stat)
            if process is None or not process.runs_a_program:
                continue
            pages = read(directory / "statm", parse_statm)
            if pages is None:  # it ended meanwhile
                continue
            name = process.command
            if is_cut(name):
                name = program_name(name, read(directory / "cmdline", str) or "")
            programs[name].append((f"{pid}:{process.started_ticks}", process, *pages))
        ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        for program, members in sorted(programs.items()):
            lives, processes, anonymous, shared = zip(*members, strict=True)
            name = f"process/{program}"
            incarnation = hashlib.sha256(",".join(lives).encode()).hexdigest()[:12]
            yield WorkloadRecord(name, "process", host, "linux")
            values = {
                "cpu_seconds_total": sum(process.cpu_ticks for process in processes) / ticks,
                "memory_anon_bytes": sum(anonymous) * page,
                "memory_working_set_bytes": (sum(anonymous) + max(shared)) * page,
                "pids": sum(process.threads for process in processes),
            }
            for metric, value in values.items():
                yield Sample(at_s, host, name, incarnation, metric, float(value))
