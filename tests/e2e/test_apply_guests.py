"""Three hosts of systemd over SSH: a plan is applied, the kernels bear it out, and all of it is taken back."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

import pytest

from consolidate.apply import Machine, Records, apply_changes, prepare, status
from consolidate.apply.backends.registry import persistently
from consolidate.apply.drift import why
from consolidate.apply.hosts import HostOutcome, ManyHosts, Pace
from consolidate.apply.session import SshOptions
from consolidate.apply.ssh import SshMachine, SshMachines
from consolidate.errors import ApplyError, StalePlanError
from consolidate.plan.plan import Limits, Partition, Plan
from tests.support.backends.guest import Guest
from tests.support.hosts import plan_of
from tests.support.units import UNITS, everything, guests_with_units, ssh_options

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]  # on a busy machine, building the image takes minutes

NAMES = ("web-1", "web-2", "web-3")
MIB = 1 << 20
LIMITS = Limits(
    cpu_milli=300,
    memory_bytes=96 * MIB,
    memory_low_bytes=4 * MIB,
    memory_high_bytes=80 * MIB,
    swap_bytes=0,
    disk_read_bytes_per_s=5_000_000,
    disk_write_bytes_per_s=2_000_000,
    io_weight=50,
    pids=64,
    cpus="0",
    memory_nodes="0",
)
FEW = Limits(cpu_milli=250, memory_bytes=96 * MIB, pids=64)
BURN = "while :; do :; done"
HOG = "python3 -c 'x = b\"x\" * (200 << 20)'"


@dataclass(frozen=True)
class Estate:
    """Guests, and how they are reached."""

    guests: dict[str, Guest]
    ssh: SshMachines
    state: Path

    def connect(self, name: str) -> SshMachine:
        return self.ssh.connect(name, f"root@127.0.0.1:{self.guests[name].ports[22]}")

    def records(self, name: str) -> Records:
        return Records(self.state, name)

    def hosts(self, *, persistent: bool = False) -> ManyHosts:
        def machines(name: str) -> AbstractContextManager[Machine]:
            return self.connect(name)

        many = ManyHosts(machines, self.records, Pace(concurrency=3))
        return replace(many, backends=persistently()) if persistent else many

    def everything(self) -> dict[str, str]:
        """Every kernel file and every property of the units, by guest."""
        return {name: everything(guest) for name, guest in self.guests.items()}


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, Guest]]:
    if os.geteuid() != 0 or shutil.which("qemu-system-x86_64") is None:
        pytest.skip("needs root and QEMU: it builds a Debian guest and starts it")
    with guests_with_units(*NAMES) as started:
        yield started


@pytest.fixture(scope="module")
def options(running: dict[str, Guest], tmp_path_factory: pytest.TempPathFactory) -> SshOptions:
    return ssh_options(running, tmp_path_factory.mktemp("ssh"))


@pytest.fixture
def estate(running: dict[str, Guest], options: SshOptions, tmp_path: Path) -> Iterator[Estate]:
    with SshMachines(options) as ssh:
        yield Estate(running, ssh, tmp_path / "state")


def plan_for(*hosts: str, unit: str = UNITS[0], limits: Limits = LIMITS) -> Plan:
    parts = [
        Partition(f"{host}:{unit}", host, "container", f"system.slice/{unit}", Limits(), limits, 40, "for a test")
        for host in hosts
    ]
    return replace(plan_of(*parts), as_of_s=int(time.time()))


def statuses(outcomes: Sequence[HostOutcome]) -> dict[str, str]:
    return {one.host: one.status if not one.error else f"{one.status}: {one.error}" for one in outcomes}


def inside(command: str, unit: str = UNITS[0]) -> str:
    """A shell command that runs in a unit's control group."""
    return f"echo $$ > /sys/fs/cgroup/system.slice/{unit}/cgroup.procs; {command}"


def test_a_plan_is_enforced_on_three_hosts_checked_and_taken_back(estate: Estate) -> None:
    before, plan = estate.everything(), plan_for(*NAMES)
    assert set(statuses(estate.hosts().prepare(plan)).values()) == {"pending"}
    assert estate.everything() == before, "a dry run writes nothing"
    assert statuses(estate.hosts().apply(plan)) == dict.fromkeys(NAMES, "done")
    assert statuses(estate.hosts().apply(plan)) == dict.fromkeys(NAMES, "unchanged")
    with ThreadPoolExecutor(len(NAMES)) as pool:
        list(pool.map(_limits_bite, estate.guests.values()))
    assert statuses(estate.hosts().status(plan)) == dict.fromkeys(NAMES, "unchanged")
    _drift_is_found(estate, plan)
    back = {one.host: one for one in estate.hosts().rollback(NAMES)}
    # What was written past systemd is gone with the next property that systemd sets.
    assert [back[name].status for name in NAMES] == ["done", "failed", "done"], "what others set is theirs"
    assert "somebody else set it to" in back["web-2"].error
    assert statuses(estate.hosts().rollback(["web-2"], force=True)) == {"web-2": "done"}
    assert estate.everything() == before, "rollback is the identity, in the kernel's files and the units' properties"


def _limits_bite(guest: Guest) -> None:
    _cpu_share_stays_below_the_quota(guest)
    _memory_limit_kills(guest)
    _disk_limit_holds(guest)
    _cpus_are_those_of_the_plan(guest)
    guest.ssh("systemctl daemon-reload")


def _cpu_share_stays_below_the_quota(guest: Guest) -> None:
    stat = "cat /proc/uptime /sys/fs/cgroup/system.slice/shop.service/cpu.stat"
    burn = quote(inside(f"exec timeout 6 sh -c {quote(BURN)}"))
    text = guest.ssh(f"sh -c {burn} & sleep 1; {stat}; echo ==; sleep 4; {stat}; wait")
    (up_before, used_before, throttled_before), (up, used, throttled) = map(_reading, text.split("==\n"))
    # Only an upper bound: on a busy machine it may get less. One period's quota may be pending at either end.
    assert (used - used_before) / 1e6 <= 0.3 * (up - up_before + 0.2)
    assert throttled > throttled_before


def _reading(text: str) -> tuple[float, int, int]:
    first, *rest = text.splitlines()
    values = dict(line.split() for line in rest)
    return float(first.split()[0]), int(values["usage_usec"]), int(values["nr_throttled"])


def _memory_limit_kills(guest: Guest) -> None:
    count = "awk '/^oom_kill / {print $2}' /sys/fs/cgroup/system.slice/shop.service/memory.events"
    before = int(guest.ssh(count))
    # Above memory.high it is slowed down so much that it might not reach the limit within minutes.
    high = "/sys/fs/cgroup/system.slice/shop.service/memory.high"
    text = guest.ssh(f"was=$(cat {high}); echo max > {high}; sh -c {quote(inside(HOG))}; echo $?; echo $was > {high}")
    assert text.split()[-1] == "137"
    assert int(guest.ssh(count)) > before


def _disk_limit_holds(guest: Guest) -> None:
    # Half of it at once may pass before the kernel's first slice ends.
    write = "dd if=/dev/zero of=/written bs=256K count=16 oflag=direct 2>&1; rm /written"
    text = guest.ssh(f"sh -c {quote(inside(write))}")
    seconds = float(next(line for line in text.splitlines() if "copied" in line).split(", ")[-2].split()[0])
    assert 16 * 256 * 1024 / seconds <= 2_000_000 * 1.25


def _cpus_are_those_of_the_plan(guest: Guest) -> None:
    text = guest.ssh(
        "cat /sys/fs/cgroup/system.slice/shop.service/cpuset.cpus.effective;"
        "grep -E '^(Cpus|Mems)_allowed_list' /proc/$(systemctl show --value -p MainPID shop.service)/status"
    )
    assert text.split() == ["0", "Cpus_allowed_list:", "0", "Mems_allowed_list:", "0"]


def _drift_is_found(estate: Estate, plan: Plan) -> None:
    folder = "/sys/fs/cgroup/system.slice/shop.service"
    estate.guests["web-1"].ssh(f"echo '50000 100000' > {folder}/cpu.max")
    estate.guests["web-2"].ssh("systemctl set-property --runtime shop.service MemoryMax=200M")
    estate.guests["web-3"].ssh(
        "rm /run/systemd/system.control/shop.service.d/50-TasksMax.conf; systemctl daemon-reload"
    )
    expected = {
        "web-1": ("CPUQuota", "30% (runtime; the kernel has 50000 100000)", "past systemd"),
        "web-2": ("MemoryMax", f"{200 * MIB} (runtime)", "somebody else set it"),
        "web-3": ("TasksMax", "", "its drop-in was removed"),
    }
    for host, (key, now, reason) in expected.items():
        with estate.connect(host) as machine:
            [drifted] = status(plan, machine).drifted
        assert drifted.key == key
        assert now in drifted.now
        assert reason in why(drifted)


def test_a_connection_that_is_killed_half_way_leaves_a_journal_from_which_all_is_taken_back(estate: Estate) -> None:
    guest, records, plan = estate.guests["web-1"], estate.records("web-1"), plan_for("web-1", limits=FEW)
    before = everything(guest)
    with estate.connect("web-1") as machine:
        preparation = prepare(plan, machine, records)
        outcomes = apply_changes(plan, _Cut(machine, guest, 3), preparation, records)
    broken = next(outcome for outcome in outcomes if outcome.status == "failed")
    assert "the connection broke" in broken.error
    assert len(records.journal.open_entries()) == 3, "what was begun is in the journal, and nothing else"
    with estate.connect("web-1") as machine, pytest.raises(ApplyError, match="in the journal"):
        guest.ssh("pkill -f 'python3 -I'")
        machine.read("proc/stat")
    assert statuses(estate.hosts().apply(plan)) == {"web-1": "done"}, "it goes on where it was cut off"
    assert statuses(estate.hosts().status(plan)) == {"web-1": "unchanged"}
    assert statuses(estate.hosts().rollback(["web-1"])) == {"web-1": "done"}
    assert everything(guest) == before


class _Cut(SshMachine):
    """A machine whose connection the host itself ends just before so many properties were set."""

    def __init__(self, machine: SshMachine, guest: Guest, after: int) -> None:
        super().__init__(machine._session, machine._machines)
        self._guest, self._left = guest, after

    def run(self, arguments: Sequence[str], stdin: str = "", timeout_s: float = 60.0) -> str:
        if arguments[:2] == ["systemctl", "set-property"]:
            self._left -= 1
            if not self._left:
                self._guest.ssh("pkill -f 'python3 -I'")
        return super().run(arguments, stdin, timeout_s)


def test_after_a_reboot_the_persistent_stays_the_rest_is_gone_and_the_old_plan_is_refused(estate: Estate) -> None:
    guest = estate.guests["web-3"]
    lasting, passing = (plan_for("web-3", unit=unit, limits=FEW) for unit in UNITS)
    before = everything(guest)
    assert statuses(estate.hosts(persistent=True).apply(lasting)) == {"web-3": "done"}
    assert statuses(estate.hosts().apply(passing)) == {"web-3": "done"}
    guest.reboot()
    assert statuses(estate.hosts(persistent=True).status(lasting)) == {"web-3": "unchanged"}
    with estate.connect("web-3") as machine:
        drifted = status(passing, machine).drifted
        assert {change.key for change in drifted} == {"CPUQuota", "CPUWeight", "MemoryMax", "TasksMax"}
        assert all("the host booted" in why(change) for change in drifted)
        with pytest.raises(StalePlanError, match="started anew"):
            prepare(passing, machine, estate.records("web-3"))
    [outcome] = estate.hosts().rollback(["web-3"])  # the plan that was applied last
    assert {one.status for one in outcome.outcomes} == {"gone"}
    [outcome] = estate.hosts().rollback(["web-3"])
    assert {one.status for one in outcome.outcomes} == {"undone"}
    now = everything(guest)
    assert _lasting(now) == _lasting(before)


def _lasting(text: str) -> list[str]:
    """All but what every boot makes anew."""
    return [
        line
        for line in text.splitlines()
        if not line.startswith(("InvocationID=", "ControlGroupId=", "MainPID=")) and "Timestamp" not in line
    ]
