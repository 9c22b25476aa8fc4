"""RVTools: what its sheets become, what is left out and told, and that damaged ones are refused at the cell."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.importers import IMPORTERS
from collectors.inventory import rvtools
from collectors.inventory.vcenter import parse_rules
from collectors.records import HostRecord, NoteRecord, Record, RuleRecord, Sample, TraceError, WorkloadRecord
from tests.support.workbooks import Sheet, rows_of, workbook, write

MIB = 1 << 20
LOOKED_AT = datetime.datetime(2026, 5, 1, 12)
LOOKED_AT_S = 1_777_636_800
METADATA: Sheet = [["RVTools version", "xlsx creation datetime"], ["4.6.1", LOOKED_AT]]


def vm(name: str, host: str = "esx-1", **more: object) -> dict[str, object]:
    return {
        "VM": name,
        "Powerstate": "poweredOn",
        "Template": False,
        "SRM Placeholder": "False",
        "CPUs": 2,
        "Memory": 4096,
        "In Use MiB": 1000,
        "Cluster rule(s)": "",
        "Cluster rule name(s)": "",
        "Datacenter": "DC",
        "Cluster": "Prod",
        "Host": host,
        "OS according to the configuration file": "Debian GNU/Linux 12 (64-bit)",
    } | more


def esx(name: str = "esx-1", **more: object) -> dict[str, object]:
    return {
        "Host": name,
        "Datacenter": "DC",
        "Cluster": "Prod",
        "CPU Model": "Xeon",
        "Speed": 2500,
        "# Cores": 16,
        "# Memory": 262144,
        "in Maintenance Mode": "False",
        "Vendor": "Dell Inc.",
    } | more


def read(tmp_path: Path, sheets: Mapping[str, Sheet]) -> list[Record]:
    return list(rvtools.read(write(tmp_path / "export.xlsx", workbook(sheets))))


def machines(found: list[Record]) -> dict[str, WorkloadRecord]:
    return {one.name: one for one in found if isinstance(one, WorkloadRecord)}


def notes(found: list[Record]) -> str:
    return "\n".join(one.text for one in found if isinstance(one, NoteRecord))


def test_a_workbook_is_hosts_and_machines_with_their_sizes_and_use(tmp_path: Path) -> None:
    info = rows_of(vm("web", **{"VM UUID": "u-1", "vApp": "shop", "owner": "team-a"}))
    cpu = rows_of({"VM": "web", "VM UUID": "u-1", "Overall": 1250, "Limit": 3000})
    memory = rows_of({"VM": "web", "VM UUID": "u-1", "Consumed": 3000, "Limit": -1})
    sheets = {"vInfo": info, "vCPU": cpu, "vMemory": memory, "vHost": rows_of(esx()), "vMetaData": METADATA}
    host, web, *rest = read(tmp_path, sheets)
    assert host == HostRecord(
        "esx-1",
        "esxi",
        cpu_model="Xeon",
        capacity={"cpu_milli": 16_000, "memory_bytes": 262144 * MIB},
        vendor="Dell Inc.",
        hypervisor="native",
        cluster="Prod",
        core_mhz=2500,
    )
    assert web == WorkloadRecord(
        "web",
        "vm",
        "esx-1",
        "Debian GNU/Linux 12 (64-bit)",
        limits={"cpu_milli": 1200, "memory_bytes": 4096 * MIB},
        group="shop",
        owner="team-a",
        copy_bytes=1000 * MIB,
        machine_id="u-1",
        cluster="Prod",
    )
    assert [one for one in rest if isinstance(one, Sample)] == [
        Sample(LOOKED_AT_S, "esx-1", "web", "", "cpu_cores", 0.5),
        Sample(LOOKED_AT_S, "esx-1", "web", "", "memory_working_set_bytes", 3000.0 * MIB),
    ]
    assert "net_tx_bytes_per_s" in notes(rest)


def test_an_older_version_calls_mebibytes_mb(tmp_path: Path) -> None:
    row = vm("web") | {"Provisioned MB": 500, "In Use MB": 300}
    del row["In Use MiB"]
    assert machines(read(tmp_path, {"vInfo": rows_of(row)}))["web"].copy_bytes == 300 * MIB


def test_what_only_stands_for_a_machine_is_left_out_and_told(tmp_path: Path) -> None:
    info = rows_of(
        vm("web", **{"VM UUID": "u-1"}),
        vm("web", **{"VM UUID": "u-1"}),
        vm("golden", Template="True"),
        vm("shadow", **{"SRM Placeholder": "TRUE"}),
    )
    found = read(tmp_path, {"vInfo": info, "vHost": rows_of(esx())})
    assert list(machines(found)) == ["web"]
    assert "1 template is left out" in notes(found)
    assert "1 placeholder is left out" in notes(found)
    assert "1 row is left out: vInfo lists the same machine twice." in notes(found)


def test_a_machine_that_is_off_is_recorded_so_and_has_no_use(tmp_path: Path) -> None:
    info = rows_of(vm("a", Powerstate="poweredOff"), vm("b", Powerstate="suspended"), vm("c"))
    cpu = rows_of(*({"VM": name, "Overall": 100} for name in "abc"))
    found = read(tmp_path, {"vInfo": info, "vCPU": cpu, "vHost": rows_of(esx()), "vMetaData": METADATA})
    assert {name: one.state for name, one in machines(found).items()} == {"a": "off", "b": "off", "c": ""}
    assert {one.workload for one in found if isinstance(one, Sample)} == {"c"}


def test_machines_of_one_name_stay_apart_in_any_order(tmp_path: Path) -> None:
    rows = [vm("web", "esx-1", **{"VM ID": "vm-1"}), vm("web", "esx-2", **{"VM ID": "vm-2"})]
    rows.append(vm("web", "esx-3", Cluster="Test", **{"VM ID": "vm-3"}))
    cpu = rows_of({"VM": "web", "VM ID": "vm-2", "Limit": 2500}, {"VM": "web", "VM ID": "vm-1", "Limit": -1})
    hosts = rows_of(esx(), esx("esx-2"), esx("esx-3", Cluster="Test"))
    for order in (rows, rows[::-1]):
        found = machines(read(tmp_path, {"vInfo": rows_of(*order), "vCPU": cpu, "vHost": hosts}))
        assert {(one.name, one.host, one.limits["cpu_milli"]) for one in found.values()} == {
            ("web (vm-1)", "esx-1", 2000),
            ("web (vm-2)", "esx-2", 1000),
            ("web", "esx-3", 2000),
        }


def test_hosts_and_clusters_of_one_name_in_two_datacenters_stay_apart(tmp_path: Path) -> None:
    info = rows_of(vm("a", Datacenter="Rome"), vm("b", Datacenter="Oslo"), vm("c", Datacenter="Paris"))
    hosts = rows_of(esx(Datacenter="Rome"), esx(Datacenter="Oslo"))
    found = read(tmp_path, {"vInfo": info, "vHost": hosts})
    assert {(one.name, one.cluster) for one in found if isinstance(one, HostRecord)} == {
        ("esx-1 (Rome)", "Prod (Rome)"),
        ("esx-1 (Oslo)", "Prod (Oslo)"),
    }
    assert {(one.name, one.host, one.cluster) for one in machines(found).values()} == {
        ("a", "esx-1 (Rome)", "Prod (Rome)"),
        ("b", "esx-1 (Oslo)", "Prod (Oslo)"),
        ("c", "", "Prod (Paris)"),
    }
    assert "1 virtual machine runs on a host that vHost does not list (esx-1)" in notes(found)


def test_machines_that_the_hosts_count_and_vinfo_lacks_take_room_as_one(tmp_path: Path) -> None:
    host = esx(**{"# VMs": 4, "# vCPUs": 20, "vRAM": 40960})
    found = read(tmp_path, {"vInfo": rows_of(vm("web")), "vHost": rows_of(host)})
    assert machines(found)["machines not listed"].limits == {"cpu_milli": 18_000, "memory_bytes": 36864 * MIB}
    assert "The hosts run 3 virtual machines that vInfo does not list." in notes(found)
    unsized = machines(read(tmp_path, {"vInfo": rows_of(vm("web")), "vHost": rows_of(esx(**{"# VMs": 2}))}))
    assert unsized["machines not listed"].limits == {}


def test_rules_of_a_cluster_become_rules(tmp_path: Path) -> None:
    def ruled(name: str, kinds: str, names: str) -> dict[str, object]:
        return vm(name, **{"Cluster rule(s)": kinds, "Cluster rule name(s)": names})

    info = rows_of(
        ruled("a", "Anti-Affinity, Affinity", "apart, together"),
        ruled("b", "Anti-Affinity", "apart"),
        ruled("c", "Affinity, VM-Host Affinity", "together, licences"),
        ruled("d", "Affinity", "alone, and so no rule"),
        ruled("e", "Affinity", ""),
        ruled("f", "Mystery", "what"),
    )
    clusters = rows_of({"Name": "Prod", "HA enabled": True, "AdmissionControlEnabled": True, "Failover Level": 2})
    found = read(tmp_path, {"vInfo": info, "vHost": rows_of(esx()), "vCluster": clusters})
    assert [one for one in found if isinstance(one, RuleRecord)] == [
        RuleRecord("apart", "anti-affinity", ("a", "b"), "Prod"),
        RuleRecord("together", "affinity", ("a", "c"), "Prod"),
        RuleRecord("one host may fail", "failure-reserve", (), "Prod"),
    ]
    assert "1 rule that ties virtual machines to hosts" in notes(found)
    assert "1 virtual machine has cluster rules whose kinds are not clear" in notes(found)
    assert "Prod keeps room for 2 hosts that fail; the plan keeps room for one." in notes(found)


def test_lists_of_rules_that_do_not_fit_together_are_unclear() -> None:
    assert parse_rules("Affinity", "web, and db") == [("web, and db", "affinity")]
    assert parse_rules("Affinity, Anti-Affinity", "one, two, three") is None
    assert parse_rules("Keep Virtual Machines Together", "x") == [("x", "affinity")]
    assert parse_rules("Separate Virtual Machines", "x") == [("x", "anti-affinity")]


def test_a_host_in_maintenance_is_recorded_so(tmp_path: Path) -> None:
    found = read(tmp_path, {"vInfo": rows_of(vm("a")), "vHost": rows_of(esx(**{"in Maintenance Mode": "True"}))})
    assert [one.state for one in found if isinstance(one, HostRecord)] == ["maintenance"]


def test_hosts_outside_of_clusters_stay_with_their_datacenter(tmp_path: Path) -> None:
    found = read(tmp_path, {"vInfo": rows_of(vm("a", Cluster="")), "vHost": rows_of(esx(Cluster=""))})
    assert machines(found)["a"].cluster == "DC without cluster"


def test_csv_files_of_a_folder_are_sheets(tmp_path: Path) -> None:
    text = 'VM;Powerstate;CPUs;Memory;In Use MB;Host\r\nweb;poweredOn;2;"16.384";"1.234,5";esx-1\r\n'
    write(tmp_path / "RVTools_tabvInfo.csv", "\ufeff" + text)
    write(tmp_path / "RVTools_tabvHost.csv", "Host,# CPU,Cores per CPU,# Memory\r\nesx-1,2,8,1024\r\n")
    found = list(rvtools.read(tmp_path))
    assert machines(found)["web"].limits == {"cpu_milli": 2000, "memory_bytes": 16384 * MIB}
    assert machines(found)["web"].copy_bytes == int(1234.5 * MIB)
    assert next(one for one in found if isinstance(one, HostRecord)).capacity["cpu_milli"] == 16_000
    assert "Sheets that the export does not have: vCPU, vMemory, vDisk, vCluster, vMetaData." in notes(found)


@pytest.mark.parametrize(
    ("sheets", "says"),
    [
        ({}, "no sheet vInfo, or an empty one; export all sheets with RVTools"),
        ({"vInfo": []}, "no sheet vInfo, or an empty one"),
        ({"vInfo": [["Name"], ["a"]]}, "sheet vInfo: no row with the headings 'VM'"),
        ({"vInfo": rows_of(vm("a", CPUs="two"))}, "sheet vInfo, cell E2: CPUs: 'two' is not a number"),
        ({"vInfo": rows_of(vm("a", CPUs=-2))}, "sheet vInfo, cell E2: CPUs: -2 is negative"),
        ({"vInfo": rows_of(vm("a", CPUs=1.5))}, "sheet vInfo, cell E2: CPUs: '1.5' is not a whole number"),
        ({"vInfo": rows_of(vm("a", Template="?"))}, "cell C2: Template: '?' is neither True nor False"),
        ({"vInfo": rows_of(vm("a", Powerstate="asleep"))}, "cell B2: Powerstate: 'asleep' is no state such as"),
        ({"vInfo": rows_of(vm("a")), "vHost": rows_of(esx(Speed="fast"))}, "sheet vHost, cell E2: Speed: 'fast'"),
    ],
)
def test_a_damaged_workbook_is_refused_at_the_cell(tmp_path: Path, sheets: Mapping[str, Sheet], says: str) -> None:
    with pytest.raises(TraceError, match=re.escape(says)):
        read(tmp_path, sheets or {"other": [["x"]]})


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="not a workbook; give RVTools' xlsx file, or the folder of its CSV files"):
        list(rvtools.read(write(tmp_path / "export.csv", "VM\nweb\n")))
    assert IMPORTERS["rvtools"].read is rvtools.read


CELLS = st.one_of(st.none(), st.text(max_size=8), st.integers(-5, 10**6), st.floats(), st.booleans(), st.dates())


@settings(max_examples=60)
@given(changes=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 14), CELLS), max_size=6))
def test_whatever_stands_in_the_cells_it_is_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int, object]]
) -> None:
    sheets = {
        "vInfo": rows_of(vm("a"), vm("b"), vm("a", "esx-2")),
        "vCPU": rows_of(*({"VM": name, "Overall": 10, "Limit": -1} for name in "aba")),
        "vHost": rows_of(esx(**{"# VMs": 3}), esx("esx-2"), esx("esx-3")),
    }
    for row, column, value in changes:
        for sheet in sheets.values():
            if column < len(sheet[row]):
                sheet[row][column] = _writable(value)
    try:
        found = read(tmp_path_factory.mktemp("fuzz"), sheets)
    except TraceError as error:
        assert "export.xlsx" in str(error)
    else:
        assert found


def _writable(value: object) -> object:
    """What a workbook can hold: no control characters, and no number without a value."""
    if isinstance(value, str):
        return "".join(character for character in value if character.isprintable())
    return None if isinstance(value, float) and not abs(value) < 1e300 else value
