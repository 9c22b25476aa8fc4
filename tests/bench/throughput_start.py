"""What it takes until anything is searched: compiling once, loading what was compiled, and the command line's help."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import NamedTuple

_REPETITIONS = 5
_WORK = """
import json, time
began = time.monotonic()
import numpy as np
from consolidate.solve import solve
from consolidate.solve.kernels import empty_state
from consolidate.solve.loads import Needs
from consolidate.solve.problem import compile_problem
from consolidate.solve.reassign.search import compile_search
from consolidate.solve.squeeze import squeeze
from tests.bench.throughput_fleet import Size, make_fleet
from tests.bench.throughput_kernels import given_hosts
imported = time.monotonic()
size = Size(24, 8, 24)
fleet, demands = make_fleet(size, 7, 500)
solve(fleet, demands)
arrays = compile_problem(Needs(fleet, demands)).arrays
usable = np.ones(size.hosts, dtype=np.bool_)
random, over = np.ones(1, dtype=np.uint64), np.zeros(size.hosts)
squeeze(arrays, empty_state(arrays), usable, ~usable, 0, random, over, np.ones(1, dtype=np.int64), 0)
solved = time.monotonic()
problem = given_hosts(size)
compile_search(problem, problem.home[:-1])
print(json.dumps([imported - began, solved - imported, time.monotonic() - solved]))
"""
"""Each engine at work on next to nothing, so that what is left is the import and the kernels. A solve squeezes only
where there is something to gain, so that is asked for by itself."""


class Start(NamedTuple):
    """Seconds on the clock and of the processor, the median of several fresh processes."""

    what: str
    runs: int
    seconds: float
    cpu_seconds: float


def starts() -> list[Start]:
    """The first run with an empty cache, runs with a full one, and `consolidate --help`."""
    found = []
    with tempfile.TemporaryDirectory(prefix="consolidate-bench-") as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        for what, runs in (("empty cache", 1), ("full cache", _REPETITIONS)):
            found += _engines(what, runs, environment)
    help_command = [sys.executable, "-m", "consolidate.cli", "--help"]
    found.append(_told("consolidate --help", [_run(help_command, os.environ) for _ in range(_REPETITIONS)]))
    return found


def _engines(what: str, runs: int, environment: Mapping[str, str]) -> list[Start]:
    """All of a process, and the parts of it by its own clock."""
    outputs: list[list[float]] = []
    whole = [
        _run([sys.executable, "-c", _WORK], environment, lambda text: outputs.append(json.loads(text)))
        for _ in range(runs)
    ]
    parts = zip(("import", "packing", "reassignment"), zip(*outputs, strict=True), strict=True)
    detail = ", ".join(f"{name} {median(seconds):.2f} s" for name, seconds in parts)
    return [_told(f"both engines, {what} ({detail})", whole)]


def _told(what: str, runs: list[tuple[float, float]]) -> Start:
    seconds, cpu_seconds = (median(one) for one in zip(*runs, strict=True))
    return Start(what, len(runs), round(seconds, 2), round(cpu_seconds, 2))


def _run(
    command: list[str], environment: Mapping[str, str], read: Callable[[str], None] = lambda text: None
) -> tuple[float, float]:
    """(seconds, seconds of the processor) of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    read(subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=True).stdout)
    took = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
