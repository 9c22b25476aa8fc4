"""Several sources in one store: one host, one series of each dimension, and a word about the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from collectors.records import HostRecord, Record, Sample, Series, WorkloadRecord
from consolidate.demand import estimate, read_history
from consolidate.errors import InputError
from consolidate.model.demand import Demand
from consolidate.model.finding import Finding
from consolidate.model.policy import SizingPolicy
from consolidate.store import Store
from tests.support.fleets import fleet, host, workload

NOON_S = 1_780_315_200
HOUR_S = 3600
ID, OTHER_ID = "0123456789abcdef" * 2, "fedcba9876543210" * 2


def series(
    own: str, name: str | None, value: float, first_s: int = 0, hours: int = 4, metric: str = "cpu_cores"
) -> Series:
    at_s = NOON_S + first_s + np.arange(0, hours * HOUR_S, 300)
    return Series(own, name, "boot", metric, at_s, np.full(len(at_s), value))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store")


def mean(store: Store, metric: str = "cpu_cores") -> dict[str, float]:
    """Mean by name; a host's own under its name and a colon."""
    columns = store.columns(metric)
    return {key.name: float(columns.value[columns.series == index].mean()) for index, key in enumerate(columns.keys)}


def kinds(store: Store) -> list[tuple[str, str]]:
    return sorted((one.subject, one.kind) for one in store.findings())


def test_one_host_under_four_names_is_one(store: Store) -> None:
    store.append([HostRecord("web-1", "debian", "6.1", capacity={"cpu_milli": 4000})], "agent")
    store.append([HostRecord("WEB-1.corp.example", capacity={"memory_bytes": 1, "cpu_milli": 2000})], "rvtools")
    store.append([series("web-1:9100", None, 1.0)], "prometheus")
    store.append([HostRecord("web-1.corp.example", vendor="Dell", os="centos")], "sysstat")
    assert store.hosts() == {
        "web-1": HostRecord("web-1", "debian", "6.1", "", {"cpu_milli": 4000, "memory_bytes": 1}, "Dell")
    }
    assert mean(store) == {"web-1:": 1.0}
    assert kinds(store) == [("web-1", "merged")]
    (finding,) = store.findings()
    assert finding.detail == (
        "is one host, seen as WEB-1.corp.example (rvtools), web-1 (agent), web-1.corp.example (sysstat) and "
        "web-1:9100 (prometheus)"
    )


def test_of_two_sources_the_more_trusted_counts_and_nothing_is_added_up(store: Store) -> None:
    store.append([HostRecord("a"), WorkloadRecord("web", "service", "a"), series("a", "web", 1.0)], "agent")
    store.append([HostRecord("A"), WorkloadRecord("web", "service", "A"), series("A", "web", 3.0, 60)], "prometheus")
    assert mean(store) == {"a:web": 1.0}
    assert list(store.workloads()) == ["a:web"]
    assert ("a", "set aside") in kinds(store)
    detail = "what agent measured counts, and not what prometheus did: cpu_milli of 1 workload"
    assert Finding("a", "", "set aside", detail) in store.findings()
    (rival,) = store.rivals()
    assert store.of_rival("cpu_cores", rival).value.tolist() == [3.0] * 48


def test_more_coverage_goes_before_trust(store: Store) -> None:
    memory = "memory_working_set_bytes"
    store.append([series("a", "web", 1.0, 0, 4), series("a", "web", 7.0, 0, 42, memory)], "agent")
    store.append([series("a", "web", 3.0, 0, 40), series("a", "web", 5.0, 0, 45, memory)], "sysstat")
    assert mean(store) == {"a:web": 3.0}
    assert mean(store, memory) == {"a:web": 7.0}


def test_a_gauge_of_one_source_and_a_counter_of_another_are_one_dimension(store: Store) -> None:
    store.append([series("a", "web", 2.0)], "prometheus")
    at_s = NOON_S + np.arange(0, 4 * HOUR_S, 10)
    store.append([Series("a", "web", "1", "cpu_seconds_total", at_s, (at_s - NOON_S) * 0.5)], "agent")
    history = read_history(store.columns, fleet([host("a")], [workload("a:web", "a")]))
    (part,) = history.parts()
    assert set(np.round(part.amounts["cpu_milli"].value, 6)) == {500.0}


def test_two_machines_of_one_name_are_kept_apart(store: Store) -> None:
    one: list[Record] = [HostRecord("web", machine_id=ID), series("web", None, 1.0)]
    other: list[Record] = [HostRecord("web", machine_id=OTHER_ID), series("web", None, 2.0)]
    store.append([*one, *other], "agent")  # as from two files of one folder
    assert sorted(store.hosts()) == ["web", "web~fedcba"]
    assert mean(store) == {"web:": 1.0, "web~fedcba:": 2.0}
    assert kinds(store) == [("web", "same name")]


def test_two_machines_of_one_name_in_segments_of_their_own(store: Store) -> None:
    store.append([HostRecord("web", machine_id=ID), series("web", None, 1.0)], "agent")
    store.append([HostRecord("web", machine_id=OTHER_ID), series("web", None, 2.0, -HOUR_S)], "agent")
    assert mean(store) == {"web~012345:": 1.0, "web~fedcba:": 2.0}
    assert kinds(store) == [("web", "same name")]


def test_a_machine_that_is_installed_anew_is_the_same(store: Store) -> None:
    store.append([HostRecord("web", "centos", machine_id=ID), series("web", None, 1.0)], "agent")
    store.append([HostRecord("web", "debian", machine_id=OTHER_ID), series("web", None, 2.0, 9 * HOUR_S)], "agent")
    assert store.hosts()["web"].os == "debian"
    assert mean(store) == {"web:": 1.5}
    assert kinds(store) == [("web", "replaced")]


def test_a_renamed_host_keeps_its_history_in_order_of_time(store: Store) -> None:
    records = [HostRecord("zeta", machine_id=ID), WorkloadRecord("web", "service", "zeta"), series("zeta", "web", 1.0)]
    later = [HostRecord("alpha", machine_id=ID), WorkloadRecord("web", "service", "alpha")]
    store.append([*records, *later, series("alpha", "web", 2.0, 5 * HOUR_S)], "agent")
    columns = store.columns("cpu_cores")
    assert [key.name for key in columns.keys] in (["alpha:web"], ["zeta:web"])
    assert (np.diff(columns.at_s) > 0).all()
    assert columns.value.tolist() == [1.0] * 48 + [2.0] * 48
    assert list(store.workloads()) == [columns.keys[0].name]


def test_clones_are_not_one(store: Store) -> None:
    for number in (1, 2):
        store.append([HostRecord(f"web-{number}", machine_id=ID), series(f"web-{number}", None, number)], "agent")
    assert sorted(store.hosts()) == ["web-1", "web-2"]
    (finding,) = store.findings()
    assert (finding.subject, finding.kind) == ("web-1", "cloned")
    assert "give each its own" in finding.detail


def test_a_short_name_that_may_be_either_is_neither(store: Store) -> None:
    for name, source in (("web", "agent"), ("web.a", "rvtools"), ("web.b", "rvtools")):
        store.append([HostRecord(name)], source)
    assert sorted(store.hosts()) == ["web", "web.a", "web.b"]
    assert kinds(store) == [("web", "same name")]


def test_names_that_say_nothing_join_nothing(store: Store) -> None:
    store.append([HostRecord("localhost"), HostRecord("10.0.0.1")], "agent")
    store.append([HostRecord("localhost"), HostRecord("10.0.0.2")], "prometheus")
    assert sorted(store.hosts()) == ["10.0.0.1", "10.0.0.2", "localhost~agent", "localhost~prometheus"]


def test_what_a_firmware_says_and_what_a_system_says_do_not_differ(store: Store) -> None:
    uuid = "4c4c4544-0042-3510-8052-b4c04f4d3332"
    store.append([HostRecord("web", machine_id=ID)], "agent")
    store.append([HostRecord("web", machine_id=uuid)], "rvtools")
    store.append([HostRecord("esx-9", machine_id="44454C4C-4200-1035-8052-B4C04F4D3332")], "prometheus")
    assert list(store.hosts()) == ["web"]


def test_a_control_group_that_two_sources_name_differently_is_one_workload(store: Store) -> None:
    group = "system.slice/docker-0a1b.scope"
    agent = [HostRecord("a"), WorkloadRecord("shop", "container", "a", cgroup=group), series("a", "shop", 1.0)]
    cadvisor = WorkloadRecord(group, "container", "a:8080", cgroup=f"/{group}", limits={"cpu_milli": 500})
    store.append(agent, "agent")
    store.append([HostRecord("a:8080"), cadvisor, series("a:8080", group, 2.0)], "prometheus")
    assert store.workloads() == {
        "a:shop": WorkloadRecord("shop", "container", "a", cgroup=group, limits={"cpu_milli": 500})
    }
    assert mean(store) == {"a:shop": 1.0}


@pytest.mark.parametrize("known", ["identifier", "cluster"])
def test_a_virtual_machine_that_moved_keeps_its_history(store: Store, known: str) -> None:
    record = WorkloadRecord("db", "vm", "esx-1", machine_id=ID if known == "identifier" else "", cluster="c")
    esx = [HostRecord(name, capacity={"cpu_milli": 8000}) for name in ("esx-1", "esx-2")]
    store.append([*esx, record, series("esx-1", "db", 1.0, hours=24)], "libvirt")
    there = WorkloadRecord(record.name, record.kind, "esx-2", machine_id=record.machine_id, cluster="c")
    store.append([esx[1], there, series("esx-2", "db", 3.0, 25 * HOUR_S, 24)], "libvirt")
    assert {name: one.host for name, one in store.workloads().items()} == {"esx-2:db": "esx-2"}
    assert kinds(store) == [("esx-2:db", "moved")]
    # What was measured on the slower host counts by that host's rating.
    case = fleet([host("esx-1", cpu_rating=0.5), host("esx-2")], [workload("esx-2:db", "esx-2")])
    (part,) = read_history(store.columns, case).parts()
    assert set(part.amounts["cpu_milli"].value) == {500.0, 3000.0}


def test_two_virtual_machines_of_one_name_stay_two(store: Store) -> None:
    esx = [HostRecord(name, cluster="c") for name in ("esx-1", "esx-2")]
    both = [WorkloadRecord("db", "vm", name) for name in ("esx-1", "esx-2")]
    store.append([*esx, *both, series("esx-1", "db", 1.0), series("esx-2", "db", 2.0)], "libvirt")
    assert sorted(store.workloads()) == ["esx-1:db", "esx-2:db"]
    assert store.findings() == ()


def test_a_recreated_container_goes_on_and_no_rate_crosses(store: Store) -> None:
    def of(incarnation: str, first_s: int) -> list[Record]:
        at_s = NOON_S + first_s + np.arange(0, 12 * HOUR_S, 60)
        cpu = Series("a", "web", incarnation, "cpu_seconds_total", at_s, (at_s - at_s[0]) * 1.0)
        memory = Series("a", "web", incarnation, "memory_working_set_bytes", at_s, np.full(len(at_s), 1e9))
        return [HostRecord("a"), WorkloadRecord("web", "container", "a", cgroup=f"docker/{incarnation}"), cpu, memory]

    store.append([*of("one", 0), *of("two", 12 * HOUR_S)], "agent")
    case = fleet([host("a")], [workload("a:web", "a")])
    sized = estimate(read_history(store.columns, case), case, SizingPolicy(), {})["a:web"]
    assert isinstance(sized, Demand)
    assert sized.highest_cpu_milli == 1100  # a core and the margin, not the fall of the counter


def test_a_source_that_is_older_than_what_is_stored_is_taken_in(store: Store) -> None:
    store.append([series("a", "web", 1.0)], "agent")
    assert store.append([series("a", "web", 2.0, -HOUR_S)], "sysstat") == 48
    with pytest.raises(InputError, match="already stored until"):
        store.append([series("a", "web", 2.0, -HOUR_S)], "agent")


def test_an_older_store_goes_on(tmp_path: Path) -> None:
    """Segments of before do not name their source: it is the one that goes on with the host."""
    store = Store.create(tmp_path / "store")
    store.append([HostRecord("a"), WorkloadRecord("web", "service", "a"), series("a", "web", 1.0)])
    (segment,) = (tmp_path / "store").glob("segment-*")
    assert "source" not in json.loads((segment / "inventory.json").read_text())
    store.append([HostRecord("a"), WorkloadRecord("web", "service", "a"), series("a", "web", 3.0, 5 * HOUR_S)], "agent")
    assert mean(store) == {"a:web": 2.0}
    assert store.findings() == ()


def test_traces_without_hosts_do_not_mix(store: Store) -> None:
    store.append([WorkloadRecord("1", "vm"), Sample(NOON_S, "", "1", "", "cpu_cores", 1.0)], "bitbrains")
    store.append([WorkloadRecord("1", "vm"), Sample(NOON_S, "", "1", "", "cpu_cores", 2.0)], "planetlab")
    assert list(store.workloads()) == ["1"]
    assert len(store.columns("cpu_cores").value) == 1
    assert len(store.rivals()) == 1
