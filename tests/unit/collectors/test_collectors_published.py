"""Published clusters: Azure, Alibaba and Tianchi as planner input."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest

from collectors.records import HostRecord, NoteRecord, Record, Series, TraceError, WorkloadRecord
from collectors.traces import alibaba, azure, tianchi

VMS = "vm-a,sub,dep,0,2591700,99.1,9.5,44.0,Interactive,4,7.0\nvm-b,sub,dep,0,900,50,1,2,Unknown,2,3.5\n"
READINGS = "0,vm-a,1.0,50.0,10.0\n300,vm-a,2.0,60.0,20.0\n0,vm-x,0,1,0.5\n"


def write(folder: Path, **tables: str) -> Path:
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def series(found: list[Record]) -> dict[tuple[str, str | None, str], list[float]]:
    return {(one.host, one.workload, one.metric): one.value.tolist() for one in found if isinstance(one, Series)}


def test_azure_readings_are_percent_of_a_machines_cores_with_peaks_and_its_memory(tmp_path: Path) -> None:
    folder = write(tmp_path, vmtable=VMS)
    (folder / "vm_cpu_readings-file-1-of-125.csv.gz").write_bytes(gzip.compress(READINGS.encode()))
    found = list(azure.read(folder))
    limits = {"cpu_milli": 4000, "memory_bytes": 7_000_000_000}
    assert found[0] == WorkloadRecord("vm-a", "vm", limits=limits, group="dep", owner="sub")
    assert series(found) == {
        ("", "vm-a", "cpu_cores"): [0.4, 0.8],
        ("", "vm-a", "cpu_cores_max"): [2.0, pytest.approx(2.4)],
        ("", "vm-a", "memory_working_set_bytes"): [7e9, 7e9],
    }
    times = [one.at_s.tolist() for one in found if isinstance(one, Series)]
    assert times == [[azure.ORIGIN_S, azure.ORIGIN_S + 300]] * 3
    assert isinstance(found[-1], NoteRecord)


@pytest.mark.parametrize(
    ("vms", "readings", "sentence"),
    [
        (VMS.replace(",4,7.0", ",>24,7.0"), READINGS, "Could not convert string \">24\" to 'INTEGER'"),
        (VMS.replace(",4,7.0", ",0,7.0"), READINGS, "vmtable.csv: vm-a: 0 cores and 7.0 GB are no size"),
        (VMS + VMS, READINGS, "stands there twice"),
        (VMS, READINGS.replace("50.0", "-50.0"), "vm-a at 2017-01-01 00:00:00 UTC: '-2.0' is not an amount"),
        (VMS, READINGS.replace("300,", "1e12,"), "is not a time between 2000 and 2100"),
        (VMS, READINGS.replace(",2.0,", ","), ":2: Expected Number of Columns: 5 Found: 4"),
    ],
)
def test_a_faulty_azure_file_is_refused(tmp_path: Path, vms: str, readings: str, sentence: str) -> None:
    folder = write(tmp_path, **{"vmtable": vms, "vm_cpu_readings-file-1-of-125": readings})
    with pytest.raises(TraceError) as refused:
        list(azure.read(folder))
    assert sentence in str(refused.value)


def test_azure_readings_without_the_table_of_machines_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no trace files"):
        list(azure.read(write(tmp_path, **{"vm_cpu_readings-file-1-of-125": READINGS})))


MACHINES = "m_1,0,1,d1,96,100,USING\n"
MACHINE_USAGE = "m_1,386400,50,92,,,43.0,33.2,5\nm_1,386410,25,-1,,,43.0,33.2,101\n"
CONTAINERS = "c_1,m_0,0,app_1,started,400,800,1.5\nc_1,m_1,9,app_1,started,400,800,1.5\n"
CONTAINER_USAGE = "c_1,m_1,386400,12,80,1.2,0.5,0,0.1,0.1,3\nc_1,m_1,386410,,101,1.2,0.5,0,0.1,0.1,3\n"


def test_alibaba_percentages_are_of_what_is_there_or_was_requested(tmp_path: Path) -> None:
    tables = {"machine_meta": MACHINES, "machine_usage": MACHINE_USAGE}
    found = list(alibaba.read(write(tmp_path, **tables, container_meta=CONTAINERS, container_usage=CONTAINER_USAGE)))
    gib = 1 << 30
    assert found[0] == HostRecord("m_1", capacity={"cpu_milli": 96_000, "memory_bytes": 100 * gib})
    limits = {"cpu_milli": 4000, "memory_bytes": 3 * gib // 2}
    assert WorkloadRecord("c_1", "container", "m_1", limits=limits, group="app_1") in found
    assert series(found) == {
        ("m_1", None, "cpu_cores"): [48.0, 24.0],
        ("m_1", None, "memory_working_set_bytes"): [pytest.approx(92 * gib)],
        ("m_1", "c_1", "cpu_cores"): [pytest.approx(0.48)],
        ("m_1", "c_1", "memory_working_set_bytes"): [pytest.approx(1.2 * gib)],
    }
    assert {int(one.at_s[0]) for one in found if isinstance(one, Series)} == {alibaba.ORIGIN_S + 386_400}


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"other": "x"}, "no table of the trace; unpack its archives"),
        ({"machine_usage": MACHINE_USAGE}, "machine_usage.csv without machine_meta.csv"),
        ({"machine_meta": MACHINES.replace("96", "-6")}, "m_1: -6.0 cores and 100.0 of memory are no size"),
        ({"machine_meta": MACHINES.replace("96", "many")}, ':1: Error when converting column "cpus"'),
    ],
)
def test_a_faulty_alibaba_folder_is_refused(tmp_path: Path, tables: dict[str, str], sentence: str) -> None:
    with pytest.raises(TraceError) as refused:
        list(alibaba.read(write(tmp_path, **tables)))
    assert sentence in str(refused.value)


CURVE = "|".join(["1.5"] * 97 + ["2.5"])
APPS, HOSTS, INSTANCES = (
    f"app_1,{CURVE},{CURVE},60,0,0,0\n",
    "machine_1,32,64,1440,7,3,7\n",
    "inst_1,app_1,machine_1\ninst_2,app_1,\n",
)


def tianchi_folder(folder: Path, apps: str = APPS, hosts: str = HOSTS, instances: str = INSTANCES) -> Path:
    return write(folder, app_resources=apps, machine_resources=hosts, instance_deploy=instances)


def test_tianchi_instances_have_the_curves_of_their_application(tmp_path: Path) -> None:
    folder = tianchi_folder(tmp_path)
    found = list(tianchi.read(folder))
    assert found[0] == HostRecord("machine_1", capacity={"cpu_milli": 32_000, "memory_bytes": 64 << 30})
    limits = {"cpu_milli": 2500, "memory_bytes": 5 << 29}
    assert found[1] == WorkloadRecord("inst_1", "container", "machine_1", limits=limits, group="app_1")
    assert series(found)["machine_1", "inst_1", "cpu_cores"][-2:] == [1.5, 2.5]
    assert series(found)["", "inst_2", "memory_working_set_bytes"][0] == 3 << 29
    assert found[2].at_s[-1] == tianchi.ORIGIN_S + 97 * 900  # type: ignore[union-attr]
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for path in sorted(tmp_path.glob("*.csv")):
            archive.write(path, path.name)
    assert len(list(tianchi.read(tmp_path / "data.zip"))) == len(found)


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"apps": APPS.replace("|2.5", "")}, "app_resources.csv:1: 97 points where 98 belong"),
        ({"apps": APPS.replace("|2.5", "|x")}, "app_resources.csv:1: 'x' is not an amount"),
        ({"hosts": HOSTS.replace(",7\n", "\n")}, "machine_resources.csv:1: 6 cells where 7 belong"),
        ({"instances": "inst_1,app_1\n"}, "instance_deploy.csv:1: 'inst_1,app_1' is not an instance"),
        ({"instances": "inst_1,app_9,\n"}, "instance 1: no application 'app_9' in the other tables"),
        ({"instances": "inst_1,app_1,m\n"}, "instance 1: no machine 'm' in the other tables"),
    ],
)
def test_a_faulty_tianchi_table_is_refused(tmp_path: Path, tables: dict[str, str], sentence: str) -> None:
    with pytest.raises(TraceError) as refused:
        list(tianchi.read(tianchi_folder(tmp_path, **tables)))
    assert sentence in str(refused.value)


def test_what_is_no_archive_of_the_contest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(TraceError, match=r"data.zip: cannot be unpacked"):
        list(tianchi.read(tmp_path / "data.zip"))
    with pytest.raises(TraceError, match="0 tables machine_resources; give an archive"):
        list(tianchi.read(write(tmp_path, app_resources=APPS)))


@pytest.mark.data
def test_the_published_contest(data: Path) -> None:
    found = list(tianchi.read(data / "tianchi2018/preliminary_dataB_20180726.zip"))
    assert sum(isinstance(one, HostRecord) for one in found) == 6000
    instances = [one for one in found if isinstance(one, WorkloadRecord)]
    assert (len(instances), sum(bool(one.host) for one in instances)) == (68_224, 61_254)
