"""Runs the command as a user does."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


def consolidate(*arguments: object, cwd: Path | None = None) -> Ran:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "consolidate.cli", *(str(argument) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)
