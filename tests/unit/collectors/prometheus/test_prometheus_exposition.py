"""Saved answers of exporters: what a file becomes, and that a damaged one is refused where the damage is."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.importers import IMPORTERS
from collectors.prometheus.exposition import parse
from collectors.records import HostRecord, NoteRecord, Record, Series, TraceError, WorkloadRecord

AT_S = 1_790_000_000
HOST = """\
# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} 900
node_cpu_seconds_total{cpu="0",mode="user"} 60.5
node_cpu_seconds_total{cpu="0",mode="steal"} 7
node_cpu_seconds_total{cpu="1",mode="idle"} 930
node_cpu_seconds_total{cpu="1",mode="system"} 30
node_memory_MemTotal_bytes 4.294967296e+09
node_memory_MemAvailable_bytes 1.073741824e+09
node_disk_read_bytes_total{device="sda"} 100
node_disk_read_bytes_total{device="sda1"} 100
node_disk_read_bytes_total{device="dm-0"} 100
node_network_receive_bytes_total{device="lo"} 1e6
node_boot_time_seconds 1.78e+09
node_uname_info{nodename="web-1",release="6.1.0",machine="x86_64"} 1
node_os_info{id="debian",name="Debian"} 1
go_goroutines NaN
"""
CONTAINERS = """\
container_cpu_usage_seconds_total{id="/docker/67a5",name="web",image="nginx",cpu="cpu00"} 5 1790000005000
container_cpu_usage_seconds_total{id="/docker/67a5",name="web",image="nginx",cpu="cpu01"} 6 1790000005000
container_cpu_usage_seconds_total{id="/",name="",image="",cpu="cpu00"} 500 1790000005000
container_memory_working_set_bytes{id="/docker/67a5",name="web",image="nginx"} 1000 1790000005000
container_start_time_seconds{id="/docker/67a5",name="web",image="nginx"} 1.7899e9 1790000005000
container_spec_memory_limit_bytes{id="/docker/67a5",name="web",image="nginx"} 0 1790000005000
container_memory_working_set_bytes{id="/system.slice/sshd.service",name="",image=""} 77 1790000005000
machine_cpu_cores 8 1790000005000
"""


def saved(folder: Path, name: str, text: str | bytes, at_s: int = AT_S) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, (at_s, at_s))
    return path


def records(place: Path) -> list[Record]:
    return list(IMPORTERS["exposition"].read(place))


def values(found: list[Record]) -> dict[tuple[str, str | None, str], list[tuple[int, float]]]:
    return {
        (one.host, one.workload, one.metric): list(zip(one.at_s.tolist(), one.value.tolist(), strict=True))
        for one in found
        if isinstance(one, Series)
    }


def test_a_node_exporters_answer_is_one_round_of_its_host(tmp_path: Path) -> None:
    found = records(saved(tmp_path, "a.prom", HOST))
    assert values(found) == {
        ("web-1", None, "cpu_seconds_total"): [(AT_S, 90.5)],
        ("web-1", None, "memory_working_set_bytes"): [(AT_S, 3 << 30)],
        ("web-1", None, "disk_read_bytes_total"): [(AT_S, 100)],
    }
    assert {one.incarnation for one in found if isinstance(one, Series)} == {"1780000000"}
    (host,) = [one for one in found if isinstance(one, HostRecord)]
    assert host == HostRecord("web-1", "debian", "6.1.0", capacity={"cpu_milli": 2000, "memory_bytes": 4 << 30})


def test_what_is_not_there_is_absent_and_listed(tmp_path: Path) -> None:
    found = records(saved(tmp_path, "a.prom", HOST))
    notes = [one.text for one in found if isinstance(one, NoteRecord)]
    assert notes[0].startswith("node: missing are ")
    assert "net_tx_bytes_total (no node_network_transmit_bytes_total)" in notes[0]
    assert ("web-1", None, "net_rx_bytes_total") not in values(found), "only the loopback is there"


def test_a_cadvisors_answer_is_its_containers_and_services_at_their_own_times(tmp_path: Path) -> None:
    found = records(saved(tmp_path, "box-7.txt", CONTAINERS))
    assert values(found) == {
        ("box-7", "web", "cpu_seconds_total"): [(AT_S + 5, 11)],
        ("box-7", "web", "memory_working_set_bytes"): [(AT_S + 5, 1000)],
        ("box-7", "system.slice/sshd.service", "memory_working_set_bytes"): [(AT_S + 5, 77)],
    }
    workloads = [one for one in found if isinstance(one, WorkloadRecord)]
    assert workloads == [
        WorkloadRecord("web", "container", "box-7", "linux", "docker/67a5"),
        WorkloadRecord("system.slice/sshd.service", "service", "box-7", "linux", "system.slice/sshd.service"),
    ]
    assert HostRecord("box-7", capacity={"cpu_milli": 8000}) in found


def test_a_folder_of_rounds(tmp_path: Path) -> None:
    saved(tmp_path, "1.prom", HOST)
    saved(tmp_path, "2.prom", HOST.replace("60.5", "61.5"), AT_S + 60)
    rounds = [one for one in records(tmp_path) if isinstance(one, Series) and one.metric == "cpu_seconds_total"]
    assert [(one.at_s.tolist(), one.value.tolist()) for one in rounds] == [([AT_S], [90.5]), ([AT_S + 60], [91.5])]


def test_odd_bytes_in_a_label_end_no_line(tmp_path: Path) -> None:
    text = HOST + 'node_dmi_info{product_uuid="u-1",product_version="\ufffd\x1c[\x85"} 1\n'
    (host,) = [one for one in records(saved(tmp_path, "a.prom", text)) if isinstance(one, HostRecord)]
    assert host.machine_id == "u-1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HOST + 'node_cpu_seconds_total{cpu="0",mode="id', "a.prom:18: 'node_cpu_seconds_total{cpu"),
        ("a 1\nb one\n", "a.prom:2: 'b one' is not a sample; save what the exporter answers, as it is"),
        ("<html>\n", "a.prom:1: '<html>' is not a sample"),
        ("up 1 99\n", "a.prom:1: 0 s is not a time between 2000 and 2100; correct the timestamp"),
        ("# nothing\n", "a.prom: no samples; save what the exporter answers"),
        ("", "a.prom: no samples"),
        ("go_goroutines 7\n", "a.prom: nothing that a table knows (node, kubelet"),
        (b"\xff\xfe\x00", "a.prom: not a text file"),
    ],
    ids=["half-written", "no number", "HTML", "time", "comments", "empty", "another exporter", "binary"],
)
def test_a_damaged_file_is_refused_where_the_damage_is(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(TraceError, match=re.escape(says)):
        records(saved(tmp_path, "a.prom", text))


@given(st.text(max_size=60) | st.text(alphabet='abc{}="\\, #1e+-.NaIf\n', max_size=60))
def test_any_text_is_samples_or_a_sentence(text: str) -> None:
    try:
        parse(text, "file", AT_S)
    except TraceError as refused:
        assert str(refused).startswith("file:")


@given(st.integers(0, len(HOST)), st.integers(0, len(HOST)), st.text(max_size=3))
def test_a_file_that_is_damaged_anywhere_is_samples_or_a_sentence(first: int, length: int, instead: str) -> None:
    try:
        assert parse(HOST[:first] + instead + HOST[first + length % 40 :], "file", AT_S)
    except TraceError as refused:
        assert str(refused).startswith("file:")


@pytest.mark.data
def test_the_published_node_exporter_answer(data: Path, tmp_path: Path) -> None:
    source = data / "exports/node_exporter_metrics.txt"
    found = values(records(saved(tmp_path, "box.txt", source.read_bytes())))
    lines = [line for line in source.read_text().splitlines() if not line.startswith("#")]
    busy = [
        float(line.split()[-1])
        for line in lines
        if line.startswith("node_cpu_seconds_total") and not re.search('mode="(idle|iowait|steal)"', line)
    ]
    assert found["box", None, "cpu_seconds_total"] == [(AT_S, pytest.approx(sum(busy)))]
    disks = ("sda", "sdb", "sdc", "vda", "nvme0n1", "mmcblk0")
    reads = [
        float(line.split()[-1])
        for line in lines
        if re.match(rf'node_disk_read_bytes_total{{device="({"|".join(disks)})"}}', line)
    ]
    assert len(reads) == 6
    assert found["box", None, "disk_read_bytes_total"] == [(AT_S, pytest.approx(sum(reads)))]
    assert ("box", None, "memory_working_set_bytes") not in found, "it has no MemAvailable"
