"""A real libvirtd with running machines: limits change live, bite in the kernel and in the guest, and go back."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from consolidate.apply import apply_changes, prepare, rollback, status
from consolidate.apply.backends.libvirt import LibvirtBackend
from consolidate.apply.local import LocalMachine
from consolidate.apply.records import Outcome, Records
from consolidate.errors import ApplyError
from consolidate.plan.plan import Limits, Partition, Plan
from tests.support.backends.engine import until
from tests.support.backends.libvirt import Libvirt, libvirt
from tests.support.containers import domain_limits
from tests.support.hosts import plan_of

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]  # on a busy machine, building the image takes minutes

WEB, TUNED = "web 1", "tuned"
MIB = 1 << 20
BOOT_PATIENCE_S = 240
TUNING = (
    "<cputune><shares>512</shares><quota>50000</quota></cputune>"
    "<numatune><memory mode='strict' nodeset='0'/></numatune>"
)


@dataclass
class Bench:
    """A daemon, what limits its domains, and what is remembered."""

    daemon: Libvirt
    backend: LibvirtBackend
    records: Records
    machine: LocalMachine

    def partition(self, name: str, after: Limits, cpu_weight: int = 50) -> Partition:
        stats = self.daemon.stats(name)
        before = Limits(int(stats["vcpu.current"]) * 1000, int(stats["balloon.maximum"]) * 1024)
        return Partition(f"here:{name}", "here", "vm", "", before, after, cpu_weight, "a test")

    def apply(self, plan: Plan) -> list[Outcome]:
        ready = prepare(plan, self.machine, self.records, backends=[self.backend])
        return apply_changes(plan, self.machine, ready, self.records, backends=[self.backend])

    def take_back(self) -> list[Outcome]:
        return rollback(self.machine, self.records, backends=[self.backend])

    def drifted(self, plan: Plan) -> list[str]:
        return [change.key for change in status(plan, self.machine, backends=[self.backend]).drifted]

    def xml(self, name: str, *options: str) -> str:
        return self.daemon.virsh("dumpxml", *options, name)

    def kernel(self, name: str) -> dict[str, bytes]:
        return domain_limits(self.daemon, name)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Libvirt]:
    if os.geteuid() != 0 or shutil.which("libvirtd") is None:
        pytest.skip("needs root and libvirtd: it starts a daemon of its own with emulated machines")
    with libvirt() as started:
        started.define(WEB, memory_mib=512, cpus=2)
        started.define(TUNED, memory_mib=256, cpus=2)
        tuned = started.virsh("dumpxml", "--inactive", TUNED)
        tuned = tuned.replace("<vcpu placement='static'>2", f"{TUNING}<vcpu placement='static' current='1'>2")
        (started.folder / "tuned.xml").write_text(tuned)
        started.virsh("define", str(started.folder / "tuned.xml"))
        started.virsh("start", WEB)
        deadline = time.monotonic() + BOOT_PATIENCE_S
        while "balloon.usable" not in started.stats(WEB):
            assert time.monotonic() < deadline, "the balloon driver does not report"
            time.sleep(1)
        yield started


@pytest.fixture
def bench(daemon: Libvirt, tmp_path: Path) -> Bench:
    backend = LibvirtBackend(daemon.uri, str(daemon.run))
    return Bench(daemon, backend, Records(tmp_path / "state", "here"), LocalMachine("here"))


@pytest.fixture
def tuned(daemon: Libvirt) -> Iterator[str]:
    daemon.virsh("start", TUNED)
    yield TUNED
    daemon.virsh("destroy", TUNED, check=False)


def statuses(outcomes: Sequence[Outcome]) -> set[str]:
    return {outcome.status for outcome in outcomes}


def settings(xml: str) -> dict[str, str]:
    """Every text and attribute of a domain's XML by its path, but for those that only name a default."""
    found: dict[str, str] = {}

    def walk(element: ElementTree.Element, path: str) -> None:
        here = f"{path}/{element.tag}[{element.get('vcpu', '')}{element.get('name', '')}{element.get('type', '')}]"
        found[here] = f"{element.attrib} {(element.text or '').strip()}"
        for child in element:
            walk(child, here)

    walk(ElementTree.fromstring(xml), "")
    defaults = ("{} 1024", "{} -1", "{} 100", "{'cpuset': '0-1'} ", "{'vcpu': '0', 'cpuset': '0-1'} ")
    tunes = ("/cputune", "/blkiotune", "/memtune")
    return {
        path: text
        for path, text in found.items()
        if not any(tune in path for tune in tunes) or text not in (*defaults, "{'vcpu': '1', 'cpuset': '0-1'} ", "{} ")
    }


def test_limits_change_live_are_as_planned_and_go_back(bench: Bench) -> None:
    kernel, live, defined = bench.kernel(WEB), bench.xml(WEB), bench.xml(WEB, "--inactive")
    limits = Limits(
        cpu_milli=600,
        memory_bytes=400 * MIB,
        io_weight=300,
        disk_read_bytes_per_s=5_000_000,
        cpus="1",
    )
    plan = plan_of(bench.partition(WEB, limits))
    assert statuses(bench.apply(plan)) == {"done"}
    assert bench.drifted(plan) == []
    now = bench.kernel(WEB)
    changed = {path.rpartition("/")[2]: now[path].strip() for path in now if now[path] != kernel[path]}
    if "cpu.cfs_quota_us" in changed:
        assert (changed["cpu.cfs_quota_us"], changed["cpu.shares"]) == (b"60000", b"512")
    assert changed["cpuset.cpus"] == b"1"
    assert bench.daemon.stats(WEB)["balloon.current"] == str(400 * 1024), "the guest gave memory back"
    assert "<read_bytes_sec>5000000</read_bytes_sec>" in bench.xml(WEB)
    assert bench.xml(WEB, "--inactive") == defined, "what it is defined to be is the administrator's"
    assert statuses(bench.apply(plan)) == {"unchanged"}, "applied twice: no changes"

    assert statuses(bench.take_back()) == {"undone"}
    assert bench.kernel(WEB) == kernel
    assert bench.daemon.stats(WEB)["balloon.current"] == str(512 * 1024)
    assert bench.xml(WEB, "--inactive") == defined
    assert settings(bench.xml(WEB)) == settings(live)
    assert bench.records.journal.open_entries() == []


def test_more_memory_than_the_guest_can_have_walls_its_emulator_in(bench: Bench) -> None:
    kernel = bench.kernel(WEB)
    outcomes = bench.apply(plan_of(bench.partition(WEB, Limits(memory_bytes=1024 * MIB))))
    assert {outcome.status for outcome in outcomes if "hard_limit" in outcome.path} == {"done"}
    changed = [
        text for path, text in bench.kernel(WEB).items() if path.endswith(("memory.limit_in_bytes", "memory.max"))
    ]
    assert b"%d\n" % (1024 * MIB) in changed
    assert statuses(bench.take_back()) == {"undone"}
    assert bench.kernel(WEB) == kernel


def test_memory_below_what_the_guest_needs_is_refused_before_anything_is_written(bench: Bench) -> None:
    kernel = bench.kernel(WEB)
    with pytest.raises(ApplyError, match=r"its memory limit of 32.0 MiB is below the .* in use"):
        bench.apply(plan_of(bench.partition(WEB, Limits(300, 32 * MIB))))
    assert bench.kernel(WEB) == kernel


def test_an_emulator_that_holds_more_than_its_wall_is_not_walled_in(bench: Bench) -> None:
    partition = bench.partition(WEB, Limits(memory_bytes=513 * MIB))
    found = bench.backend.observe(bench.machine, partition)
    assert found is not None
    grown = replace(found, values={**found.values, "residentMemory": str(900 * 1024)})
    with pytest.raises(ApplyError, match=r"its emulator holds 900 MiB, and would be killed at 513 MiB"):
        bench.backend.writes(partition, grown)


def test_a_quota_per_processor_stays_one_and_bites_while_the_guest_boots(bench: Bench, tuned: str) -> None:
    kernel, defined = bench.kernel(tuned), bench.xml(tuned, "--inactive")
    plan = plan_of(bench.partition(tuned, Limits(200, memory_nodes="0")))
    outcomes = bench.apply(plan)
    assert statuses(outcomes) == {"done", "unchanged"}
    assert [outcome.path.split()[-1] for outcome in outcomes if outcome.status == "done"] == ["vcpu_quota"]
    [stat] = [path.parent / "cpu.stat" for path in map(Path, bench.kernel(tuned)) if path.match("vcpu0/cpu.*quota*")]

    def throttled() -> int:
        return int(dict(line.split() for line in stat.read_text().splitlines())["nr_throttled"])

    first = throttled()
    tasks = (stat.parent / "tasks").read_text().split()

    def vcpu_s() -> float:
        fields = [Path(f"/proc/{bench.daemon.pid(tuned)}/task/{task}/stat").read_text() for task in tasks]
        parts = [text.rpartition(")")[2].split() for text in fields]
        return sum(int(part[11]) + int(part[12]) for part in parts) / os.sysconf("SC_CLK_TCK")

    began, used = time.monotonic(), vcpu_s()
    until(lambda: throttled() >= first + 10, "the quota to bite")
    elapsed, used = time.monotonic() - began, vcpu_s() - used
    # Only an upper bound: on a busy machine it may get less. A period's quota may be pending at either end.
    assert used <= 0.2 * (elapsed + 0.3)
    assert statuses(bench.take_back()) == {"undone"}
    assert bench.kernel(tuned) == kernel
    assert bench.xml(tuned, "--inactive") == defined


def test_vcpus_are_only_added_when_asked_for_since_no_guest_gives_one_back(bench: Bench, tuned: str) -> None:
    plan = plan_of(bench.partition(tuned, Limits(1500)))
    bench.apply(plan)
    assert bench.daemon.stats(tuned)["vcpu.current"] == "1"
    bench.take_back()
    bench.backend = LibvirtBackend(bench.daemon.uri, str(bench.daemon.run), add_vcpus=True)
    assert statuses(bench.apply(plan)) <= {"done", "unchanged"}
    assert bench.daemon.stats(tuned)["vcpu.current"] == "2"
    refused = [outcome for outcome in bench.take_back() if outcome.status == "failed"]
    assert [outcome.error for outcome in refused] == [
        f"here:{tuned}: a running guest does not give a vCPU back; shut it down, then run virsh setvcpus {tuned} 1 "
        "--config"
    ]


def test_a_domain_started_anew_is_another_life(bench: Bench, tuned: str) -> None:
    plan = plan_of(bench.partition(tuned, Limits(200)))
    ready = prepare(plan, bench.machine, bench.records, backends=[bench.backend])
    assert statuses(bench.apply(plan)) <= {"done", "unchanged"}
    bench.daemon.virsh("destroy", tuned)
    bench.daemon.virsh("start", tuned)
    kernel = bench.kernel(tuned)
    outcomes = apply_changes(plan, bench.machine, ready, bench.records, backends=[bench.backend])
    assert outcomes[0].status == "failed", "what was looked at has ended"
    assert statuses(bench.take_back()) == {"gone"}
    assert bench.kernel(tuned) == kernel


class Killed(BaseException):
    """The process ends here."""


class KilledOnTheWay(LocalMachine):
    """Ends as soon as a guest was told to give memory back, and before it has."""

    def run(self, arguments: Sequence[str], stdin: str = "", timeout_s: float = 60.0) -> str:
        answer = super().run(arguments, stdin, timeout_s)
        if "setmem" in arguments:
            raise Killed
        return answer


@pytest.mark.parametrize("then", ["resumed", "taken back"])
def test_an_apply_that_ends_while_the_balloon_is_on_its_way_is_mended(bench: Bench, then: str) -> None:
    plan = plan_of(bench.partition(WEB, Limits(memory_bytes=300 * MIB)))
    ready = prepare(plan, bench.machine, bench.records, backends=[bench.backend])
    with pytest.raises(Killed):
        apply_changes(plan, KilledOnTheWay("here"), ready, bench.records, backends=[bench.backend])
    if then == "resumed":
        assert statuses(bench.apply(plan)) <= {"done", "unchanged"}
        assert bench.daemon.stats(WEB)["balloon.current"] == str(300 * 1024)
    assert statuses(bench.take_back()) == {"undone"}
    assert bench.daemon.stats(WEB)["balloon.current"] == str(512 * 1024)


class DaemonHangs(LocalMachine):
    """Has the daemon answer nobody from one of the settings on, and does not wait long for it."""

    def __init__(self, daemon: Libvirt, at: int) -> None:
        super().__init__("here")
        self.daemon, self.left = daemon, at

    def run(self, arguments: Sequence[str], stdin: str = "", timeout_s: float = 60.0) -> str:
        if "--live" in arguments:
            self.left -= 1
            if self.left == 0:
                self.daemon.hang()
        return super().run(arguments, stdin, 60.0 if self.left > 0 else 1.0)


def test_a_daemon_that_hangs_half_way_is_a_failure_that_can_be_taken_back_later(bench: Bench) -> None:
    kernel = bench.kernel(WEB)
    plan = plan_of(bench.partition(WEB, Limits(400, cpus="0")))
    ready = prepare(plan, bench.machine, bench.records, backends=[bench.backend])
    try:
        outcomes = apply_changes(plan, DaemonHangs(bench.daemon, at=3), ready, bench.records, backends=[bench.backend])
    finally:
        bench.daemon.process.send_signal(signal.SIGCONT)
    failures = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert failures
    assert all("no answer within 1 s" in outcome.error for outcome in failures)
    assert len(bench.records.journal.open_entries()) == 3, "what was written, and what may have been"
    until(lambda: bench.daemon.virsh("uri", check=False), "the daemon to answer again")
    assert statuses(bench.take_back()) == {"undone"}
    assert bench.kernel(WEB) == kernel


def test_a_daemon_that_is_gone_is_a_sentence_and_the_journal_is_intact(bench: Bench) -> None:
    plan = plan_of(bench.partition(WEB, Limits(400)))
    assert statuses(bench.apply(plan)) <= {"done", "unchanged"}
    entries = bench.records.journal.open_entries()
    known = plan_of(replace(plan.partitions[0], cgroup="machine/qemu-1-web1.libvirt-qemu"))
    bench.daemon.kill()  # the last test: it does not come back
    with pytest.raises(ApplyError, match=r"Failed to connect|cannot connect|onnection refused"):
        prepare(known, bench.machine, bench.records, backends=[bench.backend])
    assert prepare(plan, bench.machine, bench.records, backends=[bench.backend]).waiting == (f"here:{WEB}",)
    assert statuses(bench.take_back()) == {"failed"}
    assert bench.records.journal.open_entries() == entries
