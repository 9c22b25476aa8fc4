"""A real libvirtd with a running machine: what is sampled is what virsh and the kernel say as well."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import collectors.libvirt
from collectors.cgroup import find_hierarchies
from collectors.kernel import read
from collectors.libvirt import Domain, LibvirtCollector, LibvirtError
from collectors.process import parse_pids
from collectors.records import METRICS, Record, Sample, WorkloadRecord
from collectors.run import run_all
from tests.support.backends.libvirt import Libvirt, libvirt

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]  # on a busy machine, building the image takes minutes

RUNNING, SPARE = "web 1", "spare"
KIB = 1024
BOOT_PATIENCE_S = 240


@pytest.fixture(scope="module")
def daemon() -> Iterator[Libvirt]:
    if os.geteuid() != 0 or shutil.which("libvirtd") is None:
        pytest.skip("needs root and libvirtd: it starts a daemon of its own with an emulated machine")
    with libvirt() as started:
        started.define(RUNNING, memory_mib=512)
        started.define(SPARE, memory_mib=256, cpus=2, system="http://microsoft.com/win/2k22")
        started.virsh("start", RUNNING)
        yield started


@pytest.fixture(scope="module")
def host(daemon: Libvirt, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This machine, but with the daemon's sockets in the place of its own."""
    root = tmp_path_factory.mktemp("host")
    (root / "run").mkdir()
    for name, target in {"proc": Path("/proc"), "sys": Path("/sys"), "run/libvirt": daemon.run}.items():
        (root / name).symlink_to(target)
    return root


def collect(host: Path, collector: LibvirtCollector | None = None) -> list[Record]:
    return list((collector or LibvirtCollector()).collect(host, "here", int(time.time())))


def workload(records: list[Record], name: str) -> WorkloadRecord:
    [found] = [record for record in records if isinstance(record, WorkloadRecord) and record.name == name]
    return found


def values(records: list[Record], name: str) -> dict[str, float]:
    return {record.metric: record.value for record in records if isinstance(record, Sample) and record.workload == name}


def test_figures_lie_between_what_virsh_says_before_and_after(daemon: Libvirt, host: Path) -> None:
    before = daemon.stats(RUNNING)
    records = collect(host)
    after = daemon.stats(RUNNING)
    sampled = values(records, RUNNING)
    expected = {
        "cpu_seconds_total": ("cpu.time", 1e-9),
        "cpu_delay_seconds_total": ("vcpu.0.delay", 1e-9),
        "memory_rss_bytes": ("balloon.rss", KIB),
        "memory_balloon_bytes": ("balloon.current", KIB),
        "disk_read_bytes_total": ("block.0.rd.bytes", 1),
        "disk_reads_total": ("block.0.rd.reqs", 1),
        "disk_write_bytes_total": ("block.0.wr.bytes", 1),
        "disk_writes_total": ("block.0.wr.reqs", 1),
        "net_rx_bytes_total": ("net.0.rx.bytes", 1),
        "net_tx_bytes_total": ("net.0.tx.bytes", 1),
    }
    for metric, (key, factor) in expected.items():
        first, last = float(before[key]) * factor, float(after[key]) * factor
        if METRICS[metric].kind == "gauge":  # it may have gone either way; but not far in so short a time
            first, last = min(first, last) * 0.8, max(first, last) * 1.25
        assert first - 1e-6 <= sampled[metric] <= last + 1e-6, metric
    assert sampled["cpu_seconds_total"] > 0


def test_memory_is_what_the_kernel_counts_for_the_emulator(daemon: Libvirt, host: Path) -> None:
    def resident_bytes() -> int:
        lines = Path(f"/proc/{daemon.pid(RUNNING)}/status").read_text().splitlines()
        return next(int(line.split()[1]) * KIB for line in lines if line.startswith("VmRSS:"))

    before = resident_bytes()
    sampled = values(collect(host), RUNNING)["memory_rss_bytes"]
    after = resident_bytes()
    assert min(before, after) * 0.8 <= sampled <= max(before, after) * 1.25


def test_a_machine_has_the_name_identity_and_limits_that_it_was_given(daemon: Libvirt, host: Path) -> None:
    record = workload(collect(host), RUNNING)
    assert (record.kind, record.os, record.state) == ("vm", "debian", "")
    assert record.machine_id == daemon.virsh("domuuid", RUNNING).strip()
    assert record.limits == {"cpu_milli": 1000, "memory_bytes": 512 << 20}


def test_the_control_group_is_the_one_that_holds_the_emulator(daemon: Libvirt, host: Path) -> None:
    group = workload(collect(host), RUNNING).cgroup
    places = [file for root in find_hierarchies(Path("/")).roots for file in (root / group).rglob("cgroup.procs")]
    # Groups of threads do not say whose they are.
    assert daemon.pid(RUNNING) in set().union(*(read(place, parse_pids) or set() for place in places))


def test_a_machine_that_is_off_is_recorded_and_not_sampled(host: Path) -> None:
    records = collect(host)
    record = workload(records, SPARE)
    assert (record.state, record.os, record.cgroup) == ("off", "windows", "")
    assert record.limits == {"cpu_milli": 2000, "memory_bytes": 256 << 20}
    assert values(records, SPARE) == {}


def test_with_the_other_collectors_a_machine_is_one_workload(host: Path) -> None:
    complaints: list[str] = []
    records = run_all(host, "here", int(time.time()), complaints.append)
    assert complaints == []
    group = workload(records, RUNNING).cgroup
    there = [record for record in records if isinstance(record, WorkloadRecord) and record.cgroup.startswith(group)]
    assert [record.name for record in there] == [RUNNING]
    samples = [record.metric for record in records if isinstance(record, Sample) and record.workload == RUNNING]
    assert len(samples) == len(set(samples)), "each metric once"
    assert "memory_anon_bytes" in samples, "which only the control group has"


def test_what_a_guest_needs_of_memory_is_what_it_says_itself(daemon: Libvirt, host: Path) -> None:
    until = time.monotonic() + BOOT_PATIENCE_S
    while "memory_guest_usable_bytes" not in (sampled := values(collect(host), RUNNING)):
        assert sampled["memory_working_set_bytes"] == sampled["memory_rss_bytes"], "all that is known before it boots"
        assert time.monotonic() < until, "the balloon driver does not report"
        time.sleep(1)
    used = sampled["memory_guest_available_bytes"] - sampled["memory_guest_usable_bytes"]
    assert sampled["memory_working_set_bytes"] == used
    said = daemon.stats(RUNNING)
    assert sampled["memory_guest_available_bytes"] == int(said["balloon.available"]) * KIB
    assert 0 < used < sampled["memory_guest_available_bytes"] < 512 << 20


def test_the_daemon_may_be_named_in_the_environment(daemon: Libvirt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", daemon.uri)
    assert values(collect(Path("/")), RUNNING)["cpu_seconds_total"] > 0
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "qemu+ssh://elsewhere/system")
    assert [record for record in collect(Path("/")) if getattr(record, "name", "") == RUNNING] == []


def test_a_machine_that_is_started_again_has_another_incarnation(daemon: Libvirt, host: Path) -> None:
    collector = LibvirtCollector()

    def incarnations() -> set[str]:
        return {it.incarnation for it in collect(host, collector) if isinstance(it, Sample)}

    [first] = incarnations()
    assert incarnations() == {first}
    daemon.virsh("destroy", RUNNING)
    assert incarnations() == set()
    assert workload(collect(host, collector), RUNNING).state == "off"
    daemon.virsh("start", RUNNING)
    [again] = incarnations()
    assert again != first


def test_a_machine_that_goes_between_two_questions_is_no_failure(
    daemon: Libvirt, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.define("passing", memory_mib=128)
    look = collectors.libvirt._process

    def look_too_late(root: Path, domain: Domain) -> tuple[str, str]:
        if domain.name == "passing":
            daemon.virsh("undefine", "passing")
        return look(root, domain)

    monkeypatch.setattr(collectors.libvirt, "_process", look_too_late)
    records = collect(host)
    assert workload(records, "passing").os == "", "nobody could be asked any more"
    assert workload(records, RUNNING).os == "debian"


def test_a_daemon_that_hangs_or_ends_fails_alone_and_in_words(
    daemon: Libvirt, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collectors.libvirt, "_PATIENCE_S", 1)
    daemon.hang()
    with pytest.raises(LibvirtError, match=r"libvirt-sock-ro does not answer .* within 1 s; see libvirt's log"):
        collect(host)
    daemon.kill()
    complaints: list[str] = []
    records = run_all(host, "here", int(time.time()), complaints.append)
    [complaint] = complaints
    assert "collector libvirt: LibvirtError" in complaint
    assert "Connection refused" in complaint
    assert values(records, "collector/libvirt")["collector_success"] == 0
    assert values(records, "collector/cgroup")["collector_success"] == 1
