"""An applier that is killed between any two steps on a real engine or daemon leaves nothing that cannot be mended."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from consolidate.apply import LocalMachine
from consolidate.apply.backends.docker import DockerBackend
from consolidate.apply.backends.engine import EngineBackend
from consolidate.apply.backends.libvirt import LibvirtBackend
from consolidate.apply.backends.podman import PodmanBackend
from consolidate.plan.plan import Limits, Partition
from tests.support.backends.docker import docker_engine
from tests.support.backends.engine import IDLE, Engine
from tests.support.backends.libvirt import libvirt
from tests.support.backends.podman import podman_engine
from tests.support.containers import container_group, container_limits, domain_limits
from tests.support.crash import World, crash_everywhere
from tests.support.hosts import plan_of

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]  # some fifty appliers on a busy machine

MIB = 1 << 20
POINTS_OF_A_WRITE = 5
"""Before, within and after its line of the journal; before and after the command that sets it."""
WAYS = 3


@pytest.fixture
def state() -> Iterator[Path]:
    """In memory, where nothing has to be waited for."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        yield Path(scratch)


def changes_something(arguments: Sequence[str]) -> bool:
    """Whether a command does more than to look."""
    return "update" in arguments or "--live" in arguments


@pytest.mark.parametrize(
    ("start", "backend"),
    [(docker_engine, DockerBackend), (podman_engine, PodmanBackend)],
    ids=["docker", "podman"],
)
def test_a_kill_between_any_two_steps_is_mended_in_a_container(
    start: Callable[[], AbstractContextManager[Engine]], backend: Callable[[Sequence[str]], EngineBackend], state: Path
) -> None:
    with start() as engine:
        web = engine.run("web", *IDLE, cpus="0.25", memory="48m")
        after = Limits(cpu_milli=300, memory_bytes=64 * MIB, swap_bytes=0)
        before = Limits(cpu_milli=250, memory_bytes=48 * MIB)
        partition = Partition("here:web", "here", "container", container_group(engine, web), before, after, 100, "test")
        points = crash_everywhere(
            World(
                plan_of(partition),
                lambda: LocalMachine("here"),
                (backend(engine.client),),
                lambda: container_limits(engine, web),
                state,
                changes_something,
            )
        )
    print(f"{points} kills")
    assert points >= 3 * POINTS_OF_A_WRITE * WAYS


def test_a_kill_between_any_two_steps_is_mended_in_a_virtual_machine(state: Path) -> None:
    if os.geteuid() != 0 or shutil.which("libvirtd") is None:
        pytest.skip("needs root and libvirtd: it starts a daemon of its own with an emulated machine")
    with libvirt() as daemon:
        daemon.define("web", memory_mib=256)
        daemon.virsh("start", "web", "--paused")  # its limits are the same, and it takes no time from others
        after, before = Limits(cpu_milli=300, io_weight=300), Limits(1000, 256 * MIB)
        partition = Partition("here:web", "here", "vm", "", before, after, 50, "a test")
        points = crash_everywhere(
            World(
                plan_of(partition),
                lambda: LocalMachine("here"),
                (LibvirtBackend(daemon.uri, str(daemon.run)),),
                lambda: domain_limits(daemon, "web"),
                state,
                changes_something,
            )
        )
    print(f"{points} kills")
    assert points >= 3 * POINTS_OF_A_WRITE * WAYS
