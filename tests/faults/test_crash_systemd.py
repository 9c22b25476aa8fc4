"""An operator's process that is killed between any two steps, or within one, leaves a host of systemd that is mended.

The applier runs where operators run it: beside the journal, with the host behind an SSH connection that dies with it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from consolidate.apply import Machine
from consolidate.apply.backends.systemd import SystemdBackend
from consolidate.apply.session import SshOptions
from consolidate.apply.ssh import SshMachine, SshMachines
from consolidate.plan.plan import Limits, Partition
from tests.support.backends.guest import Guest
from tests.support.crash import World, crash_everywhere
from tests.support.hosts import plan_of
from tests.support.units import UNITS, everything, guests_with_units, ssh_options

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(1800)]  # a hundred appliers, each with a connection of its own

HOST = "web-1"


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    if os.geteuid() != 0 or shutil.which("qemu-system-x86_64") is None:
        pytest.skip("needs root and QEMU: it builds a Debian guest and starts it")
    with guests_with_units(HOST) as running:
        # A neighbour with a set of CPUs keeps the kernel's files of them in being, which is the harder case.
        running[HOST].ssh(
            f"mkdir /etc/systemd/system/{UNITS[1]}.d && echo '[Service]\nAllowedCPUs=0-1' > "
            f"/etc/systemd/system/{UNITS[1]}.d/cpus.conf && systemctl daemon-reload && systemctl restart {UNITS[1]}"
        )
        yield running[HOST]


@pytest.fixture
def state() -> Iterator[Path]:
    """In memory, where nothing has to be waited for."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        yield Path(scratch)


class Connections:
    """One connection for the test itself, and a new one for each applier, which dies with it."""

    def __init__(self, options: SshOptions, stack: ExitStack) -> None:
        self._options, self._owner = options, os.getpid()
        self._own = stack.enter_context(stack.enter_context(SshMachines(options)).connect(HOST))

    def connect(self) -> Machine:
        if os.getpid() == self._owner:
            return self._own
        return SshMachines(self._options).__enter__().connect(HOST)


def begin(machine: Machine, arguments: Sequence[str]) -> None:
    """Send a command on its way: what the host does with it is not waited for."""
    assert isinstance(machine, SshMachine)
    process: Any = machine._session._process
    request = {"action": "run", "arguments": [list(arguments), "", 60.0]}

    async def send() -> None:
        process.stdin.write(json.dumps(request) + "\n")
        await process.stdin.drain()

    machine._machines.wait_for(send(), 30)


def changes_something(arguments: Sequence[str]) -> bool:
    return arguments[:2] != ["systemctl", "show"]


@pytest.mark.parametrize(
    ("persistent", "after", "at_least"),
    [(False, Limits(cpus="0"), 45), (True, Limits(), 20)],
    ids=["runtime", "persistent"],
)
def test_a_kill_between_any_two_steps_is_mended_on_a_host_of_systemd(
    guest: Guest, state: Path, tmp_path: Path, persistent: bool, after: Limits, at_least: int
) -> None:
    partition = Partition("shop", HOST, "container", f"system.slice/{UNITS[0]}", Limits(), after, 50, "a test")

    def snapshot() -> str:
        """All of it; a set of CPUs that names none is the same as one that has all, which Linux does not let go."""
        name = f"{UNITS[0]}/cpuset.cpus:"
        return everything(guest).replace(f"{name}0-1\n", f"{name}\n")

    with ExitStack() as stack:
        connections = Connections(ssh_options({HOST: guest}, tmp_path), stack)
        points = crash_everywhere(
            World(
                plan_of(partition),
                connections.connect,
                (SystemdBackend(persistent=persistent),),
                snapshot,
                state,
                changes_something,
                begin,
            )
        )
    print(f"{points} kills")
    assert points >= at_least
