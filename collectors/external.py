"""Running the tools of another package: bounded in time and in what they write, and never asked anything."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_ALWAYS: Mapping[str, str] = {"LC_ALL": "C", "TZ": "UTC"}
"""Decimal points, English words, and no local time."""


def run_into(
    command: Sequence[str], out: Path, limit_s: float, limit_bytes: int, environment: Mapping[str, str] | None = None
) -> str:
    """Run a command with its output into a file; empty, or in a few words why it failed."""
    with out.open("wb") as file, tempfile.TemporaryFile() as words:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=words,
                env={**os.environ, **_ALWAYS, **(environment or {})},
            )
        except OSError as error:
            return f"{command[0]} does not start: {error.strerror}"
        try:
            # Fed with a damaged file, a tool may print without end.
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return f"nothing for {limit_s:.0f} s"
        finally:
            process.kill()
            process.wait()
        words.seek(0)
        said = words.read(4096).decode(errors="replace").strip().splitlines()
    if code < 0:
        return f"nothing, and ended by signal {-code}"
    return (said[0] if said else f"exit code {code}") if code else ""
