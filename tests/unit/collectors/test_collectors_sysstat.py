"""sysstat: what ``sadf`` printed becomes, over versions, files and restarts, and what is refused."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from collectors.records import METRICS, HostRecord, NoteRecord, Series, TraceError
from collectors.sysstat import recording, sadc_file, sadf_csv, sadf_json
from collectors.sysstat.importer import read
from collectors.sysstat.recording import Recording, records

AT_S = 1_769_853_601  # 2026-01-31 10:00:01 UTC
STAMP = {"date": "2026-01-31", "time": "10:00:01", "utc": 1, "interval": 600}
LATER = {"date": "2026-01-31", "time": "10:10:01", "utc": 1, "interval": 600}


def entry(stamp: Mapping[str, object] = STAMP, idle: float = 90.0, **parts: object) -> dict[str, object]:
    return {"timestamp": stamp, "cpu-load": [{"cpu": "all", "iowait": 2.0, "steal": 3.0, "idle": idle}], **parts}


def document(*statistics: object, **host: object) -> str:
    facts = {"nodename": "web-1", "sysname": "Linux", "release": "6.1.0", "number-of-cpus": 4, **host}
    return json.dumps({"sysstat": {"hosts": [{**facts, "statistics": list(statistics)}]}})


def values(found: list[Recording]) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """(incarnation, metric) to (time, value)."""
    series = [one for one in records(found) if isinstance(one, Series)]
    return {
        (one.incarnation, one.metric): list(zip(one.at_s.tolist(), one.value.tolist(), strict=True)) for one in series
    }


def parsed(text: str) -> dict[str, Any]:
    """Value by metric of a file with one interval."""
    return {metric: points[0][1] for (_, metric), points in values(sadf_json.parse(text, "f")).items()}


def test_cpu_is_what_is_neither_idle_nor_waiting_nor_stolen_times_the_processors() -> None:
    assert parsed(document(entry(idle=90.0)))["cpu_cores"] == pytest.approx(0.05 * 4)


def test_processors_that_are_listed_count_before_those_of_the_header() -> None:
    loads = [{"cpu": "all", "idle": 50.0}, {"cpu": "0", "idle": 50.0}, {"cpu": "3", "idle": 50.0}]
    assert parsed(document(entry(**{"cpu-load": loads})))["cpu_cores"] == 1.0


MEMORY = {"memfree": 500, "memused": 1500, "memused-percent": 75.0, "buffers": 200, "cached": 600}


@pytest.mark.parametrize(
    ("kib", "used_kib", "told"),
    [
        ({**MEMORY, "avail": 1100}, 900, True),
        ({**MEMORY, "avail": 0}, 700, False),
        (MEMORY, 700, False),
        ({**MEMORY, "shared": 250}, 950, False),
        # Since 11.7 caches are not in memused, so that all memory is another sum.
        ({**MEMORY, "memused": 600, "slab": 100, "memused-percent": 30.0, "avail": 1100}, 900, True),
    ],
)
def test_memory_in_use_is_what_is_not_available(kib: Mapping[str, float], used_kib: int, told: bool) -> None:
    assert recording.memory(kib) == (used_kib * 1024, 2000 * 1024, told)


def test_memory_without_its_parts_is_absent() -> None:
    assert recording.memory({"memfree": 1.0}) == (None, None, True)
    assert recording.memory({**MEMORY, "memused-percent": 0.0}) == (None, None, True)


def test_totals_of_all_disks_win_over_their_sum() -> None:
    io = {"io-reads": {"rtps": 1.0, "bread": 8.0}, "io-writes": {"wtps": 2.0, "bwrtn": 16.0}}
    disk = [{"disk-device": "sda", "tps": 9.0, "rkB": 9.0, "wkB": 9.0}]
    found = parsed(document(entry(io=io, disk=disk)))
    assert found["disk_iops"] == 3.0
    assert (found["disk_read_bytes_per_s"], found["disk_write_bytes_per_s"]) == (4096, 8192)


def test_without_totals_whole_disks_are_added_up_in_kib_or_in_the_sectors_of_old() -> None:
    new = {"disk-device": "sda", "tps": 3.0, "rkB": 4.0, "wkB": 8.0}
    old = {"disk-device": "nvme0n1", "tps": 1.0, "rd_sec": 2.0, "wr_sec": 4.0}
    parts = [{**new, "disk-device": name} for name in ("sda1", "dm-0", "md127", "loop3")]
    found = parsed(document(entry(disk=[new, old, *parts])))
    assert found["disk_iops"] == 4.0
    assert (found["disk_read_bytes_per_s"], found["disk_write_bytes_per_s"]) == (5 * 1024, 10 * 1024)


def test_only_physical_interfaces_are_added_up() -> None:
    nics = [{"iface": name, "rxkB": 1.0, "txkB": 2.0} for name in ("lo", "eth0", "eth0.5", "docker0", "ens3")]
    found = parsed(document(entry(network={"net-dev": nics})))
    assert (found["net_rx_bytes_per_s"], found["net_tx_bytes_per_s"]) == (2048, 4096)


def test_pressure_is_a_share_of_time() -> None:
    psi = {"psi-cpu": {"some_avg": 1.5, "some_avg10": 9.0}, "psi-io": {"some_avg": 3.0, "full_avg": 2.0}}
    found = parsed(document(entry(psi=psi)))
    assert found["cpu_pressure_some_ratio"] == 0.015
    assert (found["io_pressure_some_ratio"], found["io_pressure_full_ratio"]) == (0.03, 0.02)
    assert found.keys() <= METRICS.keys()


def test_a_restart_begins_a_new_incarnation_with_its_processors() -> None:
    boot = {"boot": {"date": "2026-01-31", "time": "10:05:00", "utc": 1, "cpu_count": 8}}
    found = values(sadf_json.parse(document(entry(), entry(LATER), restarts=[boot]), "f"))
    assert found["", "cpu_cores"] == [(AT_S, pytest.approx(0.2))]
    assert found[str(AT_S + 299), "cpu_cores"] == [(AT_S + 600, pytest.approx(0.4))]


def test_a_restart_of_yesterdays_file_holds_in_todays() -> None:
    boot = {"boot": {"date": "2026-01-30", "time": "10:05:00", "utc": 1, "cpu_count": 4}}
    before = {**STAMP, "date": "2026-01-30", "time": "10:15:00"}
    yesterday = sadf_json.parse(document(entry(before), restarts=[boot]), "sa30")
    today = sadf_json.parse(document(entry()), "sa31")
    assert [key for key in values([*today, *yesterday]) if key[1] == "cpu_cores"] == [("1769767500", "cpu_cores")]


@pytest.mark.parametrize(
    ("stamp", "zone", "at_s"),
    [
        ({"utc": 1}, "", AT_S),
        ({"tz": "UTC"}, "CET", AT_S),
        ({"tz": "GMT"}, "", AT_S),
        ({"tz": "Europe/Berlin"}, "", AT_S - 3600),
        ({"utc": 0}, "America/New_York", AT_S + 5 * 3600),
    ],
)
def test_times_are_of_utc_or_of_the_zone_that_is_named(stamp: Mapping[str, object], zone: str, at_s: int) -> None:
    written = {"date": "2026-01-31", "time": "10:00:01", **stamp}
    [reading] = sadf_json.parse(document(entry(written), timezone=zone), "f")[0].readings
    assert reading.at_s == at_s


def test_the_same_interval_in_two_files_counts_once() -> None:
    same = [sadf_json.parse(document(entry()), name)[0] for name in ("sa31", "sa20260131")]
    assert values(same)["", "cpu_cores"] == [(AT_S, pytest.approx(0.2))]


def test_two_hosts_of_one_name_are_refused() -> None:
    two = [sadf_json.parse(document(entry(idle=idle)), name)[0] for name, idle in (("a/sa31", 90.0), ("b/sa31", 80.0))]
    with pytest.raises(TraceError, match=f"^b/sa31: says of web-1 at {AT_S} another thing than a/sa31; give two hosts"):
        list(records(two))


def test_a_host_has_its_size_and_what_is_missing_is_named() -> None:
    found = list(records(sadf_json.parse(document(entry(memory=MEMORY)), "f")))
    assert found[0] == HostRecord("web-1", "linux", "6.1.0", capacity={"cpu_milli": 4000, "memory_bytes": 2000 * 1024})
    [note] = [one for one in found if isinstance(one, NoteRecord)]
    assert "disk_iops of web-1 was not recorded" in note.text
    assert note.text.endswith("page cache, since what is available was not recorded")
    assert "cpu_cores" not in note.text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "f: not JSON "),
        ("[" * 100_000, "f: not JSON "),
        ("[]", "f: '[]' where an object belongs"),
        ('{"sysstat": {"hosts": []}}', "f: sysstat.hosts: no host; export it again with `sadf -j FILE -- -A`"),
        (document(nodename=""), "f: hosts[0].nodename: missing, so nothing says whose"),
        (document({"memory": {}}), "f: hosts[0].statistics[0].timestamp: missing; export it again"),
        (document(entry(idle=-1)), "f: hosts[0].statistics[0].cpu-load[0].idle: '-1' is not an amount"),
        (document(entry(memory={"avail": "5"})), "f: hosts[0].statistics[0].memory.avail: '5' is not an amount"),
        (document(entry(memory=[])), "f: hosts[0].statistics[0].memory: '[]' where an object belongs"),
        (document(entry(disk={})), "f: hosts[0].statistics[0].disk: '{}' where a list belongs"),
        (
            document(entry({**STAMP, "time": "25:00"})),
            "statistics[0].timestamp: '2026-01-31 25:00' is not a date and time",
        ),
        (document(entry({**STAMP, "date": "1999-12-31"})), "is not a time between 2000 and 2100; correct the clock"),
        (
            document(entry({**STAMP, "utc": 0})),
            "timestamp: local time of the zone ''; export it in UTC, which `sadf -j` does without -t and -T",
        ),
        (document(entry({**STAMP, "tz": "CEST"})), "local time of the zone 'CEST'; export it in UTC"),
    ],
)
def test_what_sadf_does_not_write_is_refused_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(TraceError) as refused:
        sadf_json.parse(text, "f")
    assert sentence in str(refused.value)


def test_percent_of_nobody_knows_how_many_processors_is_refused() -> None:
    text = json.dumps({"sysstat": {"hosts": [{"nodename": "web-1", "statistics": [entry()]}]}})
    with pytest.raises(TraceError, match="f: CPU in percent, and nothing says of how many processors; export it again"):
        list(records(sadf_json.parse(text, "f")))


CPU = "# hostname;interval;timestamp;CPU;%user;%nice;%system;%iowait;%steal;%idle\n"
CSV = (
    CPU
    + "web-1;600;2026-01-31 10:00:01 UTC;-1;3.50;0.00;1.00;2.00;3.00;90.00\n"
    + "web-1;600;2026-01-31 10:00:01 UTC;0;3,50;0,00;1,00;2,00;3,00;90,00\n"
    + "web-1;600;1769853601;1;3.50;0.00;1.00;2.00;3.00;90.00\n"
    + "web-1;-1;2026-01-31 10:05:00 UTC;LINUX-RESTART\t(4 CPU)\n"
    + "web-1;-1;2026-01-31 10:06:00 UTC;COM shift change\n"
    + "# hostname;interval;timestamp;kbmemfree;kbavail;kbmemused;%memused;kbbuffers;kbcached\n"
    + "web-1;600;2026-01-31 10:00:01 UTC;500;1100;1500;75.00;200;600\n"
    + "# hostname;interval;timestamp;proc/s;cswch/s\n"
    + "web-1;600;2026-01-31 10:00:01 UTC;1.00;2.00\n"
)


def test_rows_of_several_blocks_are_one_reading() -> None:
    [one] = sadf_csv.parse(CSV, "f")
    assert [boot.cpus for boot in one.restarts] == [4]
    found = values([one])
    assert found["", "cpu_cores"] == [(AT_S, pytest.approx(0.1))], "two processors are listed"
    assert found["", "memory_working_set_bytes"] == [(AT_S, 900 * 1024)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "f: no rows; export again with `sadf -d FILE -- -A`"),
        ("web-1;600;2026-01-31 10:00:01 UTC;1", "f:1: no line with the columns' names above"),
        (CPU.replace(";", ",") + "x", "f:1: '# hostname,interval,timestamp,CPU,%user,' names no columns of `sadf -d`"),
        (CPU + "web-1;600", "f:2: 'web-1;600' is cut short"),
        (CPU + "web-1;600;2026-01-31 10:00:01;-1;1;1;1;1;1;1", "is local time of an unknown zone; export in UTC"),
        (CPU + "web-1;600;2026-13-31 10:00:01 UTC;-1;1;1;1;1;1;1", "f:2: '2026-13-31 10:00:01 UTC' is not a date and"),
        (CPU + "web-1;600;2026-01-31 10:00:01 UTC;-1;1;1;1;1;1", "f:2: 9 cells where 10 belong"),
        (CPU + "web-1;600;2026-01-31 10:00:01 UTC;-1;1;1;1;1;1;x", "f:2: %idle: 'x' is not an amount"),
        (CPU + "web-1;600;2026-01-31 10:00:01 UTC;-1;1;1;1;1;1;nan", "f:2: %idle: 'nan' is not an amount"),
    ],
)
def test_a_faulty_row_is_refused_with_its_line_its_value_and_a_remedy(text: str, sentence: str) -> None:
    with pytest.raises(TraceError) as refused:
        sadf_csv.parse(text, "f")
    assert sentence in str(refused.value)


def test_a_folder_is_read_without_the_reports_that_sar_leaves_in_it(tmp_path: Path) -> None:
    (tmp_path / "sa31").write_text(document(entry()))
    (tmp_path / "sa01.csv").write_text("\ufeff" + CSV.replace("web-1", "web-2"))
    (tmp_path / "sar31").write_text("Linux 6.1.0 (web-1)\n")
    assert {one.host for one in read(tmp_path) if isinstance(one, Series)} == {"web-1", "web-2"}


def test_a_folder_with_nothing_but_reports_and_a_file_that_is_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "sar31").write_text("Linux 6.1.0 (web-1)\n")
    with pytest.raises(TraceError, match="only reports of sar; give the binary sa files"):
        list(read(tmp_path))
    (tmp_path / "notes.txt").write_text("shift change")
    with pytest.raises(TraceError, match=r"notes.txt: neither a file of sadc nor of `sadf -j` or `sadf -d`; remove it"):
        list(read(tmp_path))
    with pytest.raises(TraceError, match="no trace files; unpack the trace and give its folder"):
        list(read(tmp_path / "absent"))


def test_without_sadf_a_binary_file_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sa31").write_bytes(sadc_file.MAGIC[0] + b"\x75\x21")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TraceError, match=r"sa31: a binary file of sysstat, and there is no sadf here; install sysstat"):
        list(read(tmp_path / "sa31"))


def test_figures_of_filesystems_are_marked_and_nothing_else_is_touched() -> None:
    header = b"\x96\xd5\x73\x21" + bytes(4) + struct.pack("<I", 88) + bytes(64)
    facts = bytes(8) + struct.pack("<II", 2, 2) + bytes(72)
    activities = struct.pack("<10I", 1, 0x8A, 1, 1, 160, 37, 0x8A, 8, 1, 160)
    content = header + facts + activities + b"\x8a" * 40
    assert len(header) == 76
    patched = sadc_file.without_filesystems(content)
    changed = [at for at, (old, new) in enumerate(zip(content, patched, strict=True)) if old != new]
    assert changed == [76 + 88 + 20 + 4]
    assert sadc_file.without_filesystems(content[:40]) == content[:40]
