"""What a host is, its units and its virtual machines: real text is understood, anything else is a ValueError."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collectors import libvirt, libvirt_xml, machine, systemd, topology
from collectors.energy import EnergyCollector, Meter
from collectors.host import HostCollector
from collectors.libvirt import LibvirtCollector
from collectors.numa import NumaCollector
from collectors.records import HostRecord, Sample
from collectors.systemd import Properties, SystemdCollector, list_units
from collectors.topology import Node, Topology, cpu_list, parse_cpu_list, parse_topology, read_topology

HOSTS = Path(__file__).parents[2] / "fixtures/hosts"
UUIDS = ("bb7fc038-5b06-41ea-ba1f-29deaa2aed33", "9c40e22d-cb4d-4fea-9e37-d875309088f2")
# libvirt 9.0 with QEMU 7.2.
DOMAINS = f"""{UUIDS[0]} shop web
{UUIDS[1]} spare

Domain: 'shop web'
  state.state=1
  cpu.time=6242969000
  balloon.current=524288
  balloon.maximum=1048576
  balloon.unused=432036
  balloon.available=480268
  balloon.usable=433508
  balloon.last-update=1700000000
  balloon.rss=336592
  vcpu.current=2
  vcpu.0.time=5730000000
  vcpu.0.wait=0
  vcpu.0.delay=7757710519
  vcpu.1.time=730000000
  vcpu.1.wait=1000000
  vcpu.1.delay=1
  net.count=2
  net.0.name=vnet0
  net.0.rx.bytes=100
  net.0.tx.bytes=10
  net.1.name=vnet1
  net.1.rx.bytes=23
  net.1.tx.bytes=1
  block.count=2
  block.0.name=vda
  block.0.path=/srv/a=b.qcow2
  block.0.rd.reqs=302
  block.0.rd.bytes=15775232
  block.0.wr.reqs=1
  block.0.wr.bytes=4096
  block.1.name=sda

Domain: 'spare'
  state.state=5
  cpu.time=230000000
  balloon.maximum=524288
  vcpu.current=1

"""
UNITS = r"""NRestarts=3
CPUQuotaPerSecUSec=1.500s
MemoryMax=157286400
Id=getty@tty1.service

CPUQuotaPerSecUSec=infinity
MemoryMax=infinity
Id=system-serial\x2dgetty.slice

"""
HEX = "b07d2e91c5f3a468" * 4
TOPOLOGY = "node 0 cpus 0,2 memory 8334082048 distances 10,21; node 1 cpus none memory 0 distances 21,10; cores 0,2 1,3"
XML = f"""<domain type='qemu' id='1'>
  <uuid>{UUIDS[0]}</uuid>
  <metadata>
    <os:libosinfo xmlns:os="http://libosinfo.org/xmlns/libvirt/domain/1.0"><os:os id="http://suse.com/sle/15.4"/></os:libosinfo>
  </metadata>
</domain>

<domain type='kvm'>
  <uuid>{UUIDS[1]}</uuid>
</domain>

"""
UUID = "4C4C4544-0051-3510-8052-B4C04F4A3132"

# Each parser with text that was really written, and what it makes of it.
PARSERS: dict[str, tuple[Callable[[str], object], str, object]] = {
    "parse_cpu_list": (topology.parse_cpu_list, "0-3,8\n", (0, 1, 2, 3, 8)),
    "parse_distances": (topology.parse_distances, "10 21\n", (10, 21)),
    "parse_topology": (
        topology.parse_topology,
        TOPOLOGY,
        Topology((Node(0, (0, 2), 8334082048, (10, 21)), Node(1, (), 0, (21, 10))), ((0, 2), (1, 3))),
    ),
    "parse_machine_id": (
        machine.parse_machine_id,
        "b9f3a1c27d5e4806a3c1e0d94f7b2685\n",
        "b9f3a1c27d5e4806a3c1e0d94f7b2685",
    ),
    "parse_product_uuid": (machine.parse_product_uuid, f"{UUID}\n", UUID.lower()),
    "parse_vendor": (machine.parse_vendor, "Dell Inc.\n", "Dell Inc."),
    "parse_time_span": (systemd.parse_time_span, "1min 1.500s", 61_500_000),
    "parse_properties": (
        systemd.parse_properties,
        UNITS,
        {
            "getty@tty1.service": Properties({"cpu_milli": 1500, "memory_bytes": 157286400}, 3),
            r"system-serial\x2dgetty.slice": Properties({}, None),
        },
    ),
    "parse_group": (
        libvirt.parse_group,
        "9:name=systemd:/\n7:blkio:/machine/qemu-1-web.libvirt-qemu\n0::/machine/qemu-1-web.libvirt-qemu/emulator\n",
        "machine/qemu-1-web.libvirt-qemu",
    ),
    "parse_systems": (libvirt_xml.parse_systems, XML, {UUIDS[0]: "sles", UUIDS[1]: ""}),
}


@pytest.mark.parametrize("name", PARSERS)
def test_real_text_of_a_machine_is_understood(name: str) -> None:
    parse, text, expected = PARSERS[name]
    assert parse(text) == expected


@pytest.mark.parametrize("name", [*PARSERS, "parse_domains"])
@given(text=st.text() | st.text(alphabet="0123456789abcdef .,-=:;/'\nnode cpus min <domain>", max_size=80))
@example("")
@example("0-99999999999")
@example("9" * 400)
@example("=")
@example("Domain: ''\n=")
@example("<domain><a></domain>")
def test_any_text_about_a_machine_is_understood_or_a_value_error(name: str, text: str) -> None:
    _understood(name, text)


@pytest.mark.parametrize("name", [*PARSERS, "parse_domains"])
def test_text_about_a_machine_cut_anywhere_is_understood_or_a_value_error(name: str) -> None:
    text = DOMAINS if name == "parse_domains" else PARSERS[name][1]
    for length in range(len(text)):
        _understood(name, text[:length])


def _understood(name: str, text: str) -> None:
    """What is understood can be used as well; any exception but a ValueError fails the test."""
    try:
        if name == "parse_domains":
            for domain in libvirt.parse_domains(text):
                assert all(amount >= 0 for amount in [*domain.values(0).values(), *domain.limits.values()])
        else:
            PARSERS[name][0](text)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (machine.parse_machine_id, "uninitialized"),
        (machine.parse_machine_id, "0" * 32),
        (machine.parse_product_uuid, "00000000-0000-0000-0000-000000000000"),
        (machine.parse_product_uuid, "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"),
        (machine.parse_product_uuid, "03000200-0400-0500-0006-000700080009"),
        (topology.parse_cpu_list, "3-1"),
        (topology.parse_cpu_list, "0-4,3"),
        (topology.parse_topology, "node 0 cpus 0"),
        (topology.parse_topology, "cores 0; cores 1"),
        (systemd.parse_time_span, "1 fortnight"),
        (libvirt.parse_domains, "error: failed to connect"),
    ],
)
def test_what_says_nothing_of_a_machine_is_refused(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|is not|does not"):
        parse(text)


@pytest.mark.parametrize("vendor", ["System manufacturer", "To Be Filled By O.E.M.", "", "a\x07b"])
def test_a_vendor_that_nobody_filled_in_is_none(vendor: str) -> None:
    assert machine.parse_vendor(vendor) == ""


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [("500ms", 500_000), ("1s", 1_000_000), ("1s 500ms", 1_500_000), ("2min 30s", 150_000_000), ("0.123456s", 123_456)],
)
def test_time_spans_as_systemd_prints_them(text: str, microseconds: int) -> None:
    assert systemd.parse_time_span(text) == microseconds


@given(st.sets(st.integers(0, 4095)))
def test_a_list_of_processors_comes_back(cpus: set[int]) -> None:
    assert set(parse_cpu_list(cpu_list(cpus))) == cpus


CPUS = st.sets(st.integers(0, 63)).map(lambda cpus: tuple(sorted(cpus)))
SETS = st.lists(CPUS.filter(bool), max_size=4).map(tuple)
NODES = st.builds(Node, st.integers(0, 9), CPUS, st.integers(0, 1 << 40), st.lists(st.integers(0, 255)).map(tuple))


@given(st.builds(Topology, st.lists(NODES, max_size=3).map(tuple), SETS, SETS))
def test_a_topology_comes_back_from_its_text(known: Topology) -> None:
    assert parse_topology(str(known)) == known


def test_a_topology_has_nodes_cores_and_last_level_caches() -> None:
    found = read_topology(HOSTS / "v2")
    assert [(node.cpus, node.distances) for node in found.nodes] == [((0, 2), (10, 21)), ((1, 3), (21, 10))]
    assert found.nodes[0].memory_bytes == 8138752 * 1024
    assert found.cores == found.caches == ((0, 2), (1, 3))


def test_what_the_kernel_does_not_tell_of_a_topology_is_empty() -> None:
    assert str(read_topology(HOSTS / "plain")) == ""
    assert read_topology(HOSTS / "v1").nodes == (), "a node without its memory is not one to place on"


def test_a_host_without_an_installation_id_has_its_firmware_s() -> None:
    [v1, v2] = [
        next(it for it in HostCollector().collect(HOSTS / name, "h", 0) if isinstance(it, HostRecord))
        for name in ("v1", "v2")
    ]
    assert (v1.machine_id, v1.vendor) == (UUID.lower(), "")
    assert (v2.machine_id, v2.vendor) == ("b9f3a1c27d5e4806a3c1e0d94f7b2685", "Dell Inc.")


def test_memory_of_nodes_is_told_where_there_are_several() -> None:
    samples = [it for it in NumaCollector().collect(HOSTS / "v2", "h", 5) if isinstance(it, Sample)]
    assert [(it.workload, it.metric, it.value) for it in samples[2:]] == [
        ("numa/1", "memory_current_bytes", (8138752 - 724992) * 1024),
        ("numa/1", "memory_free_bytes", 724992 * 1024),
    ]
    assert list(NumaCollector().collect(HOSTS / "v1", "h", 5)) == []


RANGE_UJ = 65_000_000_000


def zones(root: Path, **energy_uj: int) -> None:
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/stat").write_text("btime 7\n")
    for number, (name, energy) in enumerate(energy_uj.items()):
        zone = root / f"sys/class/powercap/intel-rapl:{number}"
        zone.mkdir(parents=True, exist_ok=True)
        (zone / "name").write_text(f"{name}\n")
        (zone / "energy_uj").write_text(f"{energy}\n")
        (zone / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")


def joules(collector: EnergyCollector, root: Path, at_s: int) -> tuple[str, float]:
    [sample] = [it for it in collector.collect(root, "h", at_s) if isinstance(it, Sample)]
    return sample.incarnation, sample.value


def test_energy_adds_up_across_the_end_of_a_register(tmp_path: Path) -> None:
    collector = EnergyCollector()
    zones(tmp_path, package_0=RANGE_UJ - 1_000_000, dram=5, core=77, psys=88)
    assert joules(collector, tmp_path, 100) == ("7-100", 0)
    zones(tmp_path, package_0=1_999_999, dram=1_000_005, core=99, psys=99)
    assert joules(collector, tmp_path, 110) == ("7-100", 4.0), "three of the package, one of its memory"


@pytest.mark.parametrize("later_s", [66, -1])
def test_energy_begins_again_where_a_register_may_have_started_anew_unseen(tmp_path: Path, later_s: int) -> None:
    collector = EnergyCollector()
    zones(tmp_path, package_0=10)
    joules(collector, tmp_path, 100)
    assert joules(collector, tmp_path, 100 + later_s) == (f"7-{100 + later_s}", 0)


def test_energy_that_may_not_be_read_is_absent(tmp_path: Path) -> None:
    zones(tmp_path, package_0=10, dram=10)
    (tmp_path / "sys/class/powercap/intel-rapl:1/energy_uj").write_text("")
    assert list(EnergyCollector().collect(tmp_path, "h", 1)) == [], "a part is not the whole"
    assert list(EnergyCollector().collect(HOSTS / "v1", "h", 1)) == []


@given(st.lists(st.integers(0, 999), min_size=2, max_size=20))
def test_energy_between_readings_is_what_was_used(used: list[int]) -> None:
    meters = [Meter(sum(used[:count]) % 1000, 999) for count in range(1, len(used) + 1)]
    assert sum(now.since(before) for before, now in pairwise(meters)) == sum(used[1:])


def test_domains_have_their_figures_in_total_and_by_metric() -> None:
    web, spare = libvirt.parse_domains(DOMAINS)
    assert (web.name, web.uuid, web.runs, spare.runs) == ("shop web", UUIDS[0], True, False)
    assert web.limits == {"cpu_milli": 2000, "memory_bytes": 1 << 30}
    assert web.values(1_700_000_010) == {
        "cpu_seconds_total": 6.242969,
        "cpu_wait_seconds_total": 0.001,
        "cpu_delay_seconds_total": pytest.approx(7.75771052),
        "memory_balloon_bytes": 512 << 20,
        "memory_guest_available_bytes": 480268 << 10,
        "memory_guest_unused_bytes": 432036 << 10,
        "memory_guest_usable_bytes": 433508 << 10,
        "memory_rss_bytes": 336592 << 10,
        "memory_working_set_bytes": (480268 - 433508) << 10,
        "net_rx_bytes_total": 123,
        "net_tx_bytes_total": 11,
        "disk_read_bytes_total": 15775232,
        "disk_reads_total": 302,
        "disk_write_bytes_total": 4096,
        "disk_writes_total": 1,
    }


def test_what_a_guest_said_long_ago_does_not_count() -> None:
    found = libvirt.parse_domains(DOMAINS)[0].values(1_700_000_000 + 301)
    assert [metric for metric in found if "guest" in metric] == []
    assert found["memory_working_set_bytes"] == found["memory_rss_bytes"]


def test_totals_over_other_devices_are_told_apart() -> None:
    def devices(text: str) -> str:
        return libvirt.parse_domains(text)[0].devices

    assert devices(DOMAINS) == devices(DOMAINS.replace("=302", "=303"))
    assert devices(DOMAINS) != devices(DOMAINS.replace("vnet1", "vnet2"))
    assert devices(DOMAINS) != devices(DOMAINS.replace("  vcpu.1.time=730000000\n", ""))


def test_a_domain_that_is_in_one_list_only_is_left_to_the_next_round() -> None:
    assert [it.name for it in libvirt.parse_domains(DOMAINS.replace(f"{UUIDS[0]} shop web\n", ""))] == ["spare"]
    assert [it.name for it in libvirt.parse_domains(DOMAINS.partition("Domain: 'spare'")[0])] == ["shop web"]


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("http://debian.org/debian/12", "debian"),
        ("http://redhat.com/rhel/8.6", "rhel"),
        ("http://microsoft.com/win/10", "windows"),
        ("http://ubuntu.com/ubuntu/22.04", "ubuntu"),
        ("debian12", ""),
        ("", ""),
    ],
)
def test_operating_systems_of_libosinfo(identifier: str, name: str) -> None:
    assert libvirt_xml.system(identifier) == name


def test_units_are_found_by_their_groups_but_for_those_of_engines() -> None:
    assert [(unit.id, unit.cgroup) for unit in list_units(HOSTS / "v2") if unit.kind != "slice"] == [
        ("libpod-conmon-" + HEX + ".scope", "machine.slice/libpod-conmon-" + HEX + ".scope"),
        ("broken.service", "system.slice/broken.service"),
        ("nginx.service", "system.slice/nginx.service"),
        ("session-3.scope", "user.slice/user-1000.slice/session-3.scope"),
        ("user@1000.service", "user.slice/user-1000.slice/user@1000.service"),
    ]
    slices = [unit.id for unit in list_units(HOSTS / "v2") if unit.kind == "slice"]
    assert slices[:2] == ["kubepods.slice", "kubepods-burstable.slice"], "by the name that systemd has for it"
    assert [unit.id for unit in list_units(HOSTS / "v1") if unit.kind != "slice"] == ["sshd.service"]


def systemd_host(root: Path, *services: str) -> Path:
    """A host with services, each in a group that was just made."""
    for place in ("proc", "run/systemd/system"):
        (root / place).mkdir(parents=True, exist_ok=True)
    (root / "proc/mounts").write_text("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n")
    (root / "proc/stat").write_text("btime 7\n")
    for service in services:
        (root / "sys/fs/cgroup/system.slice" / service).mkdir(parents=True)
    return root


def test_below_another_root_units_have_names_and_nothing_is_asked(tmp_path: Path) -> None:
    host = systemd_host(tmp_path, "shop.service")
    assert [getattr(it, "name", "") for it in SystemdCollector().collect(host, "h", 0)] == [
        "system.slice",
        "shop.service",
    ]


def test_systemd_is_asked_about_new_services_and_a_few_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def show(units: list[str]) -> str:
        asked.append(units)
        return "\n".join(f"Id={unit}\nNRestarts={len(asked)}\n" for unit in units)

    monkeypatch.setattr(systemd, "_show", show)
    collector = SystemdCollector()
    services = {f"s{number}.service": number for number in range(120)}
    collector._ask(services, 100)
    assert [len(units) for units in asked] == [100], "so that no round takes long"
    collector._ask(services, 110)
    assert asked[1] == [f"s{number}.service" for number in range(100, 120)]
    collector._ask(services | {"s50.service": 999}, 120)
    assert asked[2] == ["s50.service"], "whose group is a new one"
    collector._ask(services | {"s50.service": 999}, 170)
    assert asked[3] == [f"s{number}.service" for number in range(20)], "after a minute, those asked about longest ago"
    collector._ask({}, 300)
    assert len(asked) == 4, "nobody is there to be asked about"
    for number in range(300):
        collector._ask({f"passing-{number}.service": number}, 310)
    assert len(collector._answers) < 300, "what passes is forgotten"


def test_restarts_that_become_fewer_are_counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter((5, 6, 0, 1))
    monkeypatch.setattr(systemd, "_show", lambda _: f"Id=a.service\nNRestarts={next(counts)}\n")
    collector = SystemdCollector()
    began = []
    for at_s in (10, 20, 30, 40):
        collector._ask({"a.service": at_s}, at_s)
        collector._ask({}, at_s + 5)  # between its end and its next start
        began.append(collector._answers["a.service"].began_s)
    assert began == [10, 10, 30, 30]


def test_hosts_without_systemd_or_libvirt_have_nothing_to_say(tmp_path: Path) -> None:
    assert list(SystemdCollector().collect(tmp_path, "h", 0)) == []
    assert list(LibvirtCollector().collect(tmp_path, "h", 0)) == []
