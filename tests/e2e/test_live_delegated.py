"""A guest with cgroup v2 alone: a subtree that systemd has delegated is written by its files, and taken back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from consolidate.apply import Records, apply_changes, prepare, rollback, status
from consolidate.apply.keys import KEYS
from consolidate.apply.session import SshOptions
from consolidate.apply.ssh import SshMachine, SshMachines
from consolidate.errors import ApplyError
from consolidate.plan.plan import Limits, Partition
from tests.support.backends.guest import Guest, guests
from tests.support.hosts import plan_of

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]  # on a busy machine, building the image takes minutes

MIB = 1 << 20
APP, PLAIN = "system.slice/app.service", "system.slice/plain.service"
GROUPS = (f"{APP}/web", f"{APP}/web/one")
UNIT = """[Service]
Delegate={delegate}
ExecStart=/bin/sh -c 'cd /sys/fs/cgroup/{group} && mkdir -p main web && echo $$$$ > main/cgroup.procs && {rest} \
exec sleep infinity'
"""
NEST = (
    'echo "+cpu +cpuset +io +memory +pids" > cgroup.subtree_control && mkdir -p web/one && '
    'echo "+cpu +cpuset +io +memory +pids" > web/cgroup.subtree_control && '
)
BURN = "import time; t = time.monotonic; began, used = t(), time.process_time()\nwhile t() < began + 4: pass\n\
print(t() - began, time.process_time() - used)"


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    if os.geteuid() != 0 or shutil.which("qemu-system-x86_64") is None:
        pytest.skip("needs root and QEMU: it builds a Debian guest and starts it")
    with guests("here") as (started,):
        for group, delegate, rest in ((APP, "yes", NEST), (PLAIN, "no", "")):
            unit = UNIT.format(delegate=delegate, group=group, rest=rest)
            started.ssh(f"cat > /etc/systemd/system/{Path(group).name}", unit.encode())
        started.ssh("systemctl daemon-reload && systemctl start app.service plain.service")
        ready = f"/sys/fs/cgroup/{GROUPS[1]}/cpu.max"
        started.ssh(f"for it in $(seq 100); do test -e {ready} && break; sleep .1; done; test -e {ready}")
        yield started


@pytest.fixture
def machine(guest: Guest, tmp_path: Path) -> Iterator[SshMachine]:
    known_hosts, config = tmp_path / "known_hosts", tmp_path / "ssh_config"
    scan = ["ssh-keyscan", "-p", str(guest.ports[22]), "127.0.0.1"]
    known_hosts.write_bytes(subprocess.run(scan, capture_output=True, check=True).stdout)
    config.write_text(f"IdentityFile {guest.image.key}\nIdentitiesOnly yes\n")
    with (
        SshMachines(SshOptions(config=config, known_hosts=known_hosts)) as ssh,
        ssh.connect("here", f"root@127.0.0.1:{guest.ports[22]}") as connected,
    ):
        yield connected


def files(guest: Guest) -> str:
    names = [key.file for key in KEYS if 2 in key.versions]
    paths = " ".join(f"/sys/fs/cgroup/{group}/{name}" for group in GROUPS for name in names)
    return guest.ssh(f"for it in {paths}; do echo $it; cat $it 2>&1; done; true")


def limits(cpu_milli: int, mib: int) -> Limits:
    return Limits(
        cpu_milli=cpu_milli,
        memory_bytes=mib * MIB,
        cpu_burst_milli=cpu_milli // 4,
        memory_low_bytes=4 * MIB,
        memory_high_bytes=(mib - 8) * MIB,
        swap_bytes=0,
        disk_read_bytes_per_s=50 * MIB,
        disk_write_bytes_per_s=20 * MIB,
        io_weight=200,
        pids=mib,
        cpus="0",
        memory_nodes="0",
    )


def partition(group: str, after: Limits) -> Partition:
    return Partition(group, "here", "container", group, Limits(), after, 120, "a test")


def test_every_key_of_v2_is_written_bites_and_is_taken_back_to_the_byte(
    guest: Guest, machine: SshMachine, tmp_path: Path
) -> None:
    before, records = files(guest), Records(tmp_path, "here")
    plan = plan_of(partition(GROUPS[0], limits(400, 128)), partition(GROUPS[1], limits(200, 64)))
    outcomes = apply_changes(plan, machine, prepare(plan, machine, records), records)
    assert {outcome.status for outcome in outcomes} == {"done"}, outcomes
    assert status(plan, machine).drifted == ()
    written = {outcome.path.rpartition("/")[2].partition(" ")[0] for outcome in outcomes}
    here = {key.file for key in KEYS if 2 in key.versions and f"/{key.file}\n" in before}
    assert written == here - {name for name in here if f"{name}: No such file" in before}

    group = f"/sys/fs/cgroup/{GROUPS[1]}"
    said = guest.ssh(f"echo $BASHPID > {group}/cgroup.procs; exec python3 -c '{BURN}'")
    elapsed_s, used_s = map(float, said.split())
    # One period's quota may be pending at either end, and a burst of a quarter of one.
    assert used_s <= 0.2 * (elapsed_s + 0.2) + 0.005, f"{used_s / elapsed_s:.3f} of a core"
    print(f"{used_s / elapsed_s:.3f} of a core for a quota of 0.2")

    assert {outcome.status for outcome in rollback(machine, records)} == {"undone"}
    assert files(guest) == before


def test_a_subtree_that_is_not_delegated_is_refused(machine: SshMachine) -> None:
    plan = plan_of(partition(f"{PLAIN}/web", Limits(cpu_milli=200)))
    with pytest.raises(ApplyError, match=r"belongs to plain\.service, which systemd has not delegated"):
        prepare(plan, machine)
