"""Records to fleet: clusters, what is off, systems by any name, managers' rules, and greatest use as a size."""

from __future__ import annotations

import numpy as np
import pytest

from collectors.records import HostRecord, NoteRecord, RuleRecord, WorkloadRecord
from consolidate.config import Inputs, read_inputs
from consolidate.config.systems import resolve, system_of
from consolidate.demand.history import in_memory
from consolidate.demand.rates import Amounts
from consolidate.demand.sizing import estimate
from consolidate.model.demand import Demand, Unknown
from consolidate.model.dimensions import SOURCES
from consolidate.model.fleet import OPERATING_SYSTEMS, Hypervisor, Isolation
from consolidate.model.isolation import choose_isolation
from consolidate.model.rules import Affinity, AntiAffinity, FailureReserve, Pin

GIB = 1 << 30


def esx(name: str, cluster: str = "Prod", **more: str) -> HostRecord:
    capacity = {"cpu_milli": 16_000, "memory_bytes": 256 * GIB}
    return HostRecord(name, "esxi", capacity=capacity, hypervisor="native", cluster=cluster, **more)


def vm(name: str, host: str = "esx-1", cluster: str = "Prod", **more: object) -> WorkloadRecord:
    limits = {"cpu_milli": 8000, "memory_bytes": 16 * GIB}
    fields: dict[str, object] = {"os": "Debian GNU/Linux 12 (64-bit)", "limits": limits} | more
    return WorkloadRecord(name, "vm", host, cluster=cluster, **fields)  # type: ignore[arg-type]


Record = HostRecord | WorkloadRecord | RuleRecord | NoteRecord
HOSTS = (esx("esx-1"), esx("esx-2"), esx("lone", "Test"))


def read(*records: Record, text: str = "") -> Inputs:
    machines = [one for one in records if isinstance(one, WorkloadRecord)]
    return read_inputs(
        text,
        "fleet.yaml",
        [one for one in records if isinstance(one, HostRecord)],
        {f"{one.host}:{one.name}" if one.host else one.name: one for one in machines},
        [one for one in records if isinstance(one, RuleRecord)],
        [one for one in records if isinstance(one, NoteRecord)],
    )


def sized(inputs: Inputs, cpu_seen_milli: float | None = None) -> dict[str, Demand | Unknown]:
    """Demands where nothing was measured, or one sample of CPU of the first workload."""
    empty = Amounts(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    amounts = dict.fromkeys(SOURCES, empty)
    if cpu_seen_milli is not None:
        amounts["cpu_milli"] = Amounts(np.array([0]), np.array([1_777_636_800]), np.array([cpu_seen_milli]))
    history = in_memory(amounts, len(inputs.fleet.workloads))
    return dict(estimate(history, inputs.fleet, inputs.policy.sizing, inputs.stated))


def test_what_managers_know_reaches_the_fleet() -> None:
    inputs = read(*HOSTS, vm("web", group="shop", owner="team-a", copy_bytes=7, peak={"cpu_milli": 100}))
    assert {host.hypervisor for host in inputs.fleet.hosts} == {Hypervisor.NATIVE}
    (web,) = inputs.fleet.workloads
    assert (web.name, web.os, web.host, web.isolation) == ("esx-1:web", "debian", "esx-1", Isolation.VM)
    assert (web.group, web.owner, web.copy_bytes, web.peak.get("cpu_milli")) == ("shop", "team-a", 7, 100)
    assert choose_isolation(inputs.fleet, web, inputs.fleet.hosts[1]) is Isolation.VM


def test_machines_stay_in_their_cluster_unless_told_otherwise() -> None:
    machines = (vm("a"), vm("b", "", "Prod"), vm("c", "lone", "Test"), vm("d", "", ""))
    inputs = read(*HOSTS, *machines)
    assert inputs.fleet.rules == (
        Pin("cluster Prod", ("esx-1:a", "b"), ("esx-1", "esx-2")),
        Pin("cluster Test", ("lone:c",), ("lone",)),
    )
    assert inputs.notes == (
        "Workloads stay in their clusters (Prod, Test), unless the fleet file says 'across_clusters: true'.",
    )
    assert read(*HOSTS, *machines, text="policy: {across_clusters: true}").fleet.rules == ()
    assert read(*HOSTS[:2], vm("a")).fleet.rules == ()


def test_a_machine_that_the_file_puts_elsewhere_belongs_to_that_cluster() -> None:
    inputs = read(*HOSTS, vm("a"), text="workloads: [{name: 'esx-1:a', host: lone}]")
    assert inputs.fleet.rules == (Pin("cluster Test", ("esx-1:a",), ("lone",)),)


def test_rules_of_managers_hold_for_the_machines_that_they_name_in_their_cluster() -> None:
    inputs = read(
        *HOSTS,
        *(vm("a"), vm("b", "esx-2"), vm("c", "esx-2", state="off"), vm("a", "lone", "Test")),
        RuleRecord("apart", "anti-affinity", ("a", "b", "c", "gone"), "Prod"),
        RuleRecord("pair", "affinity", ("a", "c"), "Prod"),
        RuleRecord("together", "affinity", ("a", "b"), "Prod"),
        RuleRecord("n+1", "failure-reserve", (), "Prod"),
        text="policy: {across_clusters: true}",
    )
    assert inputs.fleet.rules == (
        AntiAffinity("Prod: apart", ("esx-1:a", "esx-2:b")),
        Affinity("Prod: together", ("esx-1:a", "esx-2:b")),
        FailureReserve("Prod: n+1", ("esx-1:a", "esx-2:b")),
    )


def test_what_is_off_is_not_placed_and_not_dropped_in_silence() -> None:
    machines = (vm("a"), vm("b", state="off"))
    inputs = read(*HOSTS[:2], *machines)
    assert [one.name for one in inputs.fleet.workloads] == ["esx-1:a"]
    assert inputs.notes == (
        "1 workload is powered off and is not placed (esx-1:b): room is needed only once they are started, and then "
        "up to 8 cores and 16.0 GiB; 'powered: true' in the fleet file plans for them.",
    )
    started = read(*HOSTS[:2], *machines, text="workloads: [{match: '*', powered: true}]")
    assert [one.name for one in started.fleet.workloads] == ["esx-1:a", "esx-1:b"]
    stopped = read(*HOSTS[:2], *machines, text="workloads: [{name: 'esx-1:a', powered: false}]")
    assert stopped.fleet.workloads == ()


def test_rules_of_the_file_hold_for_what_runs() -> None:
    rules = "rules: [{kind: spread, name: s, workloads: ['*'], domains: 2}, {kind: ban, name: b, workloads: ['*:b'], "
    inputs = read(*HOSTS[:2], vm("a"), vm("b", state="off"), text=rules + "hosts: ['esx-2']}]")
    (spread,) = inputs.fleet.rules
    assert spread.workloads == ("esx-1:a",)


def test_hosts_in_maintenance_take_nothing() -> None:
    hosts = (*HOSTS[:1], esx("esx-2", state="maintenance"))
    inputs = read(*hosts, vm("a"), vm("b", "esx-2"))
    assert [host.name for host in inputs.fleet.hosts] == ["esx-1"]
    assert [one.host for one in inputs.fleet.workloads] == ["esx-1", None]
    assert "1 host in maintenance is left out (esx-2)" in inputs.notes[0]
    back = read(*hosts, vm("b", "esx-2"), text="hosts: [{match: 'esx-*', powered: true}]")
    assert [host.name for host in back.fleet.hosts] == ["esx-1", "esx-2"]


@pytest.mark.parametrize(
    ("name", "system"),
    [
        ("Microsoft Windows Server 2019 (64-bit)", "windows-server-2019"),
        ("windows2019srv_64Guest", "windows-server-2019"),
        ("windows2019srvNext_64Guest", "windows-server-2022"),
        ("Microsoft Windows Server 2016 or later (64-bit)", "windows-server-2016"),
        ("Microsoft Windows Server 2008 R2 (64-bit)", "windows-server-2008"),
        ("windows7Server64Guest", "windows-server-2008"),
        ("Microsoft Windows 10 (64-bit)", "windows-10"),
        ("Microsoft Windows 7 (32-bit)", "windows-7"),
        ("Red Hat Enterprise Linux 8 (64-bit)", "rhel"),
        ("rhel8_64Guest", "rhel"),
        ("Red Hat Fedora (64-bit)", "fedora"),
        ("CentOS 4/5/6/7 (64-bit)", "centos"),
        ("Oracle Linux 7 (64-bit)", "oracle-linux"),
        ("Amazon Linux 2 (64-bit)", "amazon-linux"),
        ("SUSE Linux Enterprise 12 (64-bit)", "suse"),
        ("Ubuntu Linux (64-bit)", "ubuntu"),
        ("Debian GNU/Linux 9 (64-bit)", "debian"),
        ("Other 3.x Linux (64-bit)", "linux"),
        ("VMware Photon OS (64-bit)", "photon"),
        ("VMware ESXi 6.5 or later", "esxi"),
        ("FreeBSD 12 (64-bit)", "freebsd"),
        ("Apple macOS 11 (64-bit)", "macos"),
        ("Novell NetWare 6.x", None),
        ("Essex", None),
        ("", None),
    ],
)
def test_a_system_is_known_by_the_names_that_managers_give_it(name: str, system: str | None) -> None:
    assert system_of(name) == system
    assert system is None or system in OPERATING_SYSTEMS


def test_a_system_that_nobody_knows_is_kept_apart_from_all_others() -> None:
    inputs = read(*HOSTS[:2], vm("a", os="Novell NetWare 6.x"), vm("b", os="HP-UX 11"), vm("c", os=""))
    families = [inputs.fleet.systems[one.os].family for one in inputs.fleet.workloads]
    assert len({*families, *(system.family for system in OPERATING_SYSTEMS.values())}) == 3 + len(
        {system.family for system in OPERATING_SYSTEMS.values()}
    )
    assert (
        "Operating systems that are not known, each kept apart from all others: HP-UX 11, Novell NetWare 6.x;"
        in (inputs.notes[0])
    )
    own = "operating_systems: {HP-UX 11: {family: hp-ux, guest_memory: 1GiB}}"
    assert resolve("HP-UX 11", read(*HOSTS, text=own).fleet.systems).family == "hp-ux"


def test_a_host_of_a_linux_that_nobody_listed_is_linux_and_another_systems_is_not() -> None:
    capacity = {"cpu_milli": 1000, "memory_bytes": GIB}
    hosts = [HostRecord(name, name, kernel, capacity=capacity) for name, kernel in (("void", "6.1"), ("hp-ux", ""))]
    inputs = read(*hosts, WorkloadRecord("web", "service", "void", "linux"))
    assert [host.os for host in inputs.fleet.hosts] == ["linux", "hp-ux"]
    assert inputs.fleet.workloads[0].os == "linux"


def test_virtual_cpus_share_cores_where_only_the_configuration_is_known() -> None:
    demand = sized(read(*HOSTS[:2], vm("a")))["esx-1:a"]
    assert isinstance(demand, Demand)
    assert (demand.source, demand.peak.get("cpu_milli"), demand.highest_cpu_milli) == ("limit", 2000, 8000)
    assert demand.peak.get("memory_bytes") == 16 * GIB
    for text, milli in (("policy: {vcpus_per_core: 2}", 4000), ("policy: {sizing: conservative}", 8000)):
        alone = sized(read(*HOSTS[:2], vm("a"), text=text))["esx-1:a"]
        assert isinstance(alone, Demand)
        assert alone.peak.get("cpu_milli") == milli


def test_a_machine_gets_no_less_than_what_little_was_seen_of_it() -> None:
    demand = sized(read(*HOSTS[:2], vm("a")), 5000)["esx-1:a"]
    assert isinstance(demand, Demand)
    assert demand.peak.get("cpu_milli") == 5500


def test_the_greatest_use_that_a_source_sums_up_is_a_size_with_the_margins() -> None:
    peak = {"cpu_milli": 1000, "memory_bytes": 10 * GIB, "disk_iops": 100}
    demand = sized(read(*HOSTS[:2], vm("a", peak=peak)))["esx-1:a"]
    assert isinstance(demand, Demand)
    assert demand.source == "summary"
    assert dict(demand.peak.amounts) == {"cpu_milli": 1100, "memory_bytes": 11 * GIB, "disk_iops": 110}
    assert demand.highest_cpu_milli == 8000
    half = sized(read(*HOSTS[:2], vm("a", peak={"cpu_milli": 1000})))["esx-1:a"]
    assert isinstance(half, Demand)
    assert (half.source, half.peak.get("memory_bytes")) == ("summary", 16 * GIB)
    unknown = sized(read(*HOSTS[:2], vm("a", limits={}, peak={"cpu_milli": 1000})))["esx-1:a"]
    assert unknown == Unknown("esx-1:a", "no cpu was measured")


def test_notes_of_sources_come_first_and_once() -> None:
    note = NoteRecord("rvtools", "2 templates are left out.")
    assert read(*HOSTS[:2], note, note, vm("a", state="off")).notes[0] == note.text
