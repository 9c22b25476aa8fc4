"""A real pmcd and a real pmlogger, started by hand: archives of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.backends.process import eventually, free_port, program

NAMES = Path("/var/lib/pcp/pmns")
"""Where the package keeps the metrics' names; systemd would have them put together at boot."""
AGENTS = """\
root 1 pipe binary /var/lib/pcp/pmdas/root/pmdaroot
proc 3 pipe binary /var/lib/pcp/pmdas/proc/pmdaproc -A -d 3
linux 60 dso linux_init /var/lib/pcp/pmdas/linux/pmda_linux.so
"""
"""Only what the tests ask; -A lets anybody ask for control groups, since pmcd's port here is the loopback's."""


def environment(folder: Path) -> dict[str, str]:
    """Everything that it writes goes into a folder; its tools in Python run in the system's."""
    return {**os.environ, "PCP_RUN_DIR": str(folder), "PCP_TMP_DIR": str(folder), "PCP_PYTHON_PROG": "/usr/bin/python3"}


@contextmanager
def pmcd(folder: Path) -> Iterator[str]:
    """Address of a pmcd of this machine."""
    program("pminfo", "pcp")
    if not (NAMES / "root").exists():
        subprocess.run(["./Rebuild"], cwd=NAMES, check=True, capture_output=True)
    (folder / "pmcd.conf").write_text(AGENTS)
    port = free_port()
    command = ["/usr/lib/pcp/bin/pmcd", "-f", "-i", "127.0.0.1", "-p", str(port), "-s", str(folder / "pmcd.socket")]
    command += ["-l", str(folder / "pmcd.log"), "-c", str(folder / "pmcd.conf")]
    with subprocess.Popen(command, env=environment(folder), start_new_session=True) as running:
        try:
            host = f"127.0.0.1:{port}"
            eventually(lambda: _answers(host, folder), "pmcd")
            yield host
        finally:
            os.killpg(running.pid, signal.SIGTERM)


def _answers(host: str, folder: Path) -> bool:
    asked = ["pminfo", "-h", host, "-f", "hinv.ncpu"]
    done = subprocess.run(asked, env=environment(folder), capture_output=True, text=True, check=False, timeout=30)
    return "value" in done.stdout


def log(host: str, folder: Path, metrics: Sequence[str], seconds: int) -> Path:
    """Base name of an archive that holds some metrics, logged every second."""
    (folder / "pmlogger.conf").write_text("log mandatory on 1 sec {\n" + "\n".join(metrics) + "\n}\n")
    archive = folder / "20260131"
    command = ["pmlogger", "-h", host, "-c", str(folder / "pmlogger.conf"), "-T", f"{seconds}sec"]
    command += ["-l", str(folder / "pmlogger.log"), str(archive)]
    subprocess.run(command, env=environment(folder), check=True, capture_output=True, timeout=seconds + 60)
    return archive


def dumped(archive: Path, metric: str) -> list[int]:
    """Every value of a metric in an archive, as pmdumplog prints it: a reader that shares nothing with pmrep."""
    command = ["pmdumplog", str(archive), metric]
    done = subprocess.run(command, env=environment(archive.parent), check=True, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if f"({metric}): value" in line]
    return [int(line.rsplit(" ", 1)[1]) for line in lines]
