"""The doctor on real kernels: what it says of a guest and of this machine is what their files and writes say."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collectors.cgroup import find_hierarchies
from consolidate.apply.facts import Facts, facts
from consolidate.apply.fitness import Finding, Verdict, examine
from consolidate.apply.fitness_show import WIDTH, fitness_text
from consolidate.apply.local import LocalMachine
from consolidate.apply.session import SshOptions
from consolidate.apply.ssh import SshMachines
from consolidate.export import EXPORTS
from consolidate.plan.plan import Limits, Partition
from tests.support.backends.guest import Guest, guests
from tests.support.hosts import plan_of

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]  # on a busy machine, building the image takes minutes

MIB = 1 << 20
LIMITS = Limits(
    cpu_milli=500,
    memory_bytes=64 * MIB,
    cpu_burst_milli=250,
    memory_low_bytes=16 * MIB,
    memory_high_bytes=56 * MIB,
    swap_bytes=0,
    disk_read_bytes_per_s=5 * MIB,
    disk_write_bytes_per_s=5 * MIB,
    io_weight=200,
    pids=512,
    cpus="0",
    memory_nodes="0",
)
UNIT = "system.slice/shop.service"
BARE = "bare/shop"
BELOW = f"/sys/fs/cgroup/{BARE}"


def a_partition(cgroup: str, host: str = "web-1") -> Partition:
    return Partition(f"{host}:{cgroup}", host, "native", cgroup, Limits(), LIMITS, 200, "a test")


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    if os.geteuid() != 0 or shutil.which("qemu-system-x86_64") is None:
        pytest.skip("needs root and QEMU: it builds a Debian guest and starts it")
    with guests("web-1") as (started,):
        started.ssh("systemd-run --quiet --unit=shop sleep 1000")
        # A group that its owner gave no controllers but memory.
        started.ssh(f"mkdir -p {BELOW} && echo +memory > /sys/fs/cgroup/bare/cgroup.subtree_control")
        yield started


@pytest.fixture
def examined(guest: Guest, tmp_path: Path) -> Iterator[tuple[Facts, dict[tuple[str, str], Finding]]]:
    """What the doctor finds over SSH."""
    known = tmp_path / "known_hosts"
    scan = ["ssh-keyscan", "-p", str(guest.ports[22]), "127.0.0.1"]
    known.write_bytes(subprocess.run(scan, capture_output=True, check=True).stdout)
    options = SshOptions(known_hosts=known, identity=guest.image.key)
    with SshMachines(options) as ssh, ssh.connect("web-1", f"root@127.0.0.1:{guest.ports[22]}") as machine:
        partitions = [a_partition(UNIT), a_partition(BARE)]
        seen = facts(machine, partitions)
        found = examine(partitions, seen)
    text = fitness_text("web-1", seen, found)
    print(text)
    assert max(map(len, text.splitlines())) <= WIDTH
    yield seen, {(one.workload.removeprefix("web-1:"), one.key): one for one in found}


def verdicts(found: dict[tuple[str, str], Finding], group: str) -> dict[str, Verdict]:
    return {key: one.verdict for (workload, key), one in found.items() if workload == group}


def test_a_guest_without_swap_is_warned_of(
    guest: Guest, examined: tuple[Facts, dict[tuple[str, str], Finding]]
) -> None:
    seen, found = examined
    assert seen.kernel == guest.ssh("uname -r").strip()
    assert (seen.swap_bytes, seen.v1, seen.pressure) == (0, frozenset(), True)
    assert seen.systemd == int(guest.ssh("systemctl --version").split()[1])
    assert seen.v2 == set(guest.ssh("cat /sys/fs/cgroup/cgroup.controllers").split())
    assert seen.cpus == {0, 1} and seen.nodes == {0, 1}
    unit = verdicts(found, UNIT)
    assert unit.pop("CPU burst") is Verdict.IMPOSSIBLE
    assert unit.pop("memory high") is Verdict.DANGEROUS
    assert unit.pop("memory low") is Verdict.WITHOUT_EFFECT, "system.slice protects nothing"
    assert unit.pop("swap limit") is Verdict.WITHOUT_EFFECT
    assert unit.pop("disk share") is Verdict.WITHOUT_EFFECT
    assert set(unit.values()) == {Verdict.EFFECTIVE}


def test_what_a_group_is_not_given_cannot_be_set_in_it(
    guest: Guest, examined: tuple[Facts, dict[tuple[str, str], Finding]]
) -> None:
    _, found = examined
    files = {
        "CPU limit": "cpu.max",
        "CPU share": "cpu.weight",
        "CPUs": "cpuset.cpus",
        "task limit": "pids.max",
        "disk reads": "io.max",
        "memory limit": "memory.max",
    }
    there = set(guest.ssh(f"ls {BELOW}").split())
    for key, file in files.items():
        possible = verdicts(found, BARE)[key] is not Verdict.IMPOSSIBLE
        assert possible == (file in there), file
        works = guest.ssh(f"cd {BELOW} && cat {file} > value 2>/dev/null; cat {file}", check=False) != ""
        assert works == possible or key == "CPUs", "an empty set reads as nothing"


def test_swap_and_bfq_make_effective_what_was_not(guest: Guest, tmp_path: Path) -> None:
    guest.add_swap(64)
    guest.use_bfq()
    known = tmp_path / "known_hosts"
    scan = ["ssh-keyscan", "-p", str(guest.ports[22]), "127.0.0.1"]
    known.write_bytes(subprocess.run(scan, capture_output=True, check=True).stdout)
    options = SshOptions(known_hosts=known, identity=guest.image.key)
    with SshMachines(options) as ssh, ssh.connect("web-1", f"root@127.0.0.1:{guest.ports[22]}") as machine:
        seen = facts(machine, [a_partition(UNIT)])
    assert seen.schedulers["vda"] == "bfq"
    assert seen.swap_bytes > 60 * MIB
    found = {one.key: one.verdict for one in examine([a_partition(UNIT)], seen)}
    assert [found[key] for key in ("memory high", "swap limit", "disk share")] == [Verdict.EFFECTIVE] * 3


def test_the_exported_script_is_what_the_kernel_then_has_and_is_taken_back(guest: Guest) -> None:
    files = "cpu.max cpu.weight memory.max memory.low memory.high memory.swap.max pids.max io.max"
    look = f"cd /sys/fs/cgroup/{UNIT} && tail -n +1 {files} 2>&1; ls -d /run/systemd/system/shop.service.d 2>&1"
    export = EXPORTS["shell"](plan_of(replace(a_partition(UNIT), after=replace(LIMITS, cpus=None, memory_nodes=None))))
    before = guest.ssh(look, check=False)
    applied = guest.ssh("sh -s", export.files["web-1/apply.sh"].encode())
    assert applied.endswith("50-consolidate.conf: written\n")
    after = guest.ssh(look, check=False)
    assert "50000 100000" in after and str(64 * MIB) in after and "rbps=5242880 wbps=5242880" in after
    assert guest.ssh("sh -s", export.files["web-1/apply.sh"].encode()) == ""
    guest.ssh("sh -s", export.files["web-1/rollback.sh"].encode())
    assert without_io(guest.ssh(look, check=False)) == without_io(before)


def without_io(text: str) -> str:
    """Less the file that appears once systemd has handed the controller down, and stays, empty."""
    return "\n".join(line for line in text.splitlines() if "io.max" not in line and line.strip())


def test_this_machine_is_judged_by_the_hierarchies_it_has() -> None:
    hierarchies = find_hierarchies(Path("/"))
    if os.geteuid() != 0 or not {"cpu", "memory"} <= hierarchies.v1.keys():
        pytest.skip("needs root and control groups v1: it makes a group of its own on this machine")
    name = f"consolidate-doctor-{os.getpid()}"
    made = [mount / name for mount in dict.fromkeys(hierarchies.v1.values())]
    try:
        for group in made:
            group.mkdir()
        partition = a_partition(name, "here")
        seen = facts(LocalMachine("here"), [partition])
        found = {one.key: one for one in examine([partition], seen)}
        print(fitness_text("here", seen, examine([partition], seen)))
    finally:
        for group in made:
            if group.is_dir():
                group.rmdir()
    assert found["memory low"].verdict is found["memory high"].verdict is Verdict.IMPOSSIBLE
    assert found["memory limit"].verdict is found["CPU limit"].verdict is Verdict.EFFECTIVE
    assert found["disk writes"].verdict is Verdict.WITHOUT_EFFECT
    bfq = "bfq" in seen.schedulers.values()
    assert (found["disk share"].verdict is Verdict.EFFECTIVE) == bfq
