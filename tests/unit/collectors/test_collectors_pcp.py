"""PCP: what the CSV of ``pmrep`` becomes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from collectors.pcp.hosts import outermost, records
from collectors.pcp.importer import read
from collectors.pcp.table import parse
from collectors.records import METRICS, HostRecord, NoteRecord, Series, TraceError, WorkloadRecord

AT_S = 1_769_853_601
BOOT = 1_769_850_000
CPU = {"kernel.all.cpu.user": 100, "kernel.all.cpu.nice": 10, "kernel.all.cpu.sys": 50, "kernel.all.cpu.intr": 5}


def table(*rows: dict[str, object], at: object = AT_S, step_s: int = 60) -> str:
    """CSV of rows by column; a column that a row lacks is empty there."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["Time," + ",".join(f'"{name}"' for name in columns)]
    for number, row in enumerate(rows):
        written = at + step_s * number if isinstance(at, int) else at
        lines.append(",".join([str(written), *(str(row.get(name, "")) for name in columns)]))
    return "\n".join(lines) + "\n"


def series(text: str, host: str = "web-1") -> dict[tuple[str | None, str, str], list[float]]:
    """(workload, incarnation, metric) to values."""
    found = [one for one in records([(host, parse(text, "f"))]) if isinstance(one, Series)]
    assert {one.metric for one in found} <= METRICS.keys()
    return {(one.workload, one.incarnation, one.metric): one.value.tolist() for one in found}


def test_cpu_time_is_all_but_idle_waiting_and_stolen() -> None:
    found = series(table(CPU, {**CPU, "kernel.all.cpu.user": 1100}))
    assert found[None, "", "cpu_seconds_total"] == pytest.approx([0.165, 1.165])


def test_memory_in_use_is_what_is_not_available_and_its_size_may_be_logged_once() -> None:
    rows = ({"mem.util.available": 600}, {"mem.util.available": 500, "mem.physmem": 1000})
    assert series(table(*rows))[None, "", "memory_working_set_bytes"] == [400 * 1024, 500 * 1024]


def test_without_what_is_available_caches_are_taken_off() -> None:
    row = {"mem.util.used": 700, "mem.util.bufmem": 100, "mem.util.cached": 200}
    assert series(table(row))[None, "", "memory_working_set_bytes"] == [400 * 1024]


def test_physical_disks_are_added_up_and_one_that_appears_begins_a_new_incarnation() -> None:
    rows = (
        {"disk.dev.read_bytes-sda": 1, "disk.dev.read_bytes-sda1": 1, "disk.dev.read_bytes-dm-0": 7},
        {"disk.dev.read_bytes-sda": 2, "disk.dev.read_bytes-sdb": 1000},
        {"disk.dev.read_bytes-sda": 3, "disk.dev.read_bytes-sdb": 1001},
    )
    found = series(table(*rows))
    assert found[None, "", "disk_read_bytes_total"] == [1024]
    assert found[None, "+1", "disk_read_bytes_total"] == [1002 * 1024, 1004 * 1024]


def test_a_boot_time_that_the_clock_moves_by_seconds_is_the_same_boot() -> None:
    boots = (BOOT, BOOT + 1, BOOT - 1, BOOT + 5000)
    found = series(table(*({**CPU, "kernel.all.boottime": boot} for boot in boots)))
    assert {key[1]: len(values) for key, values in found.items()} == {str(BOOT): 3, str(BOOT + 5000): 1}


def test_a_value_that_was_not_logged_is_absent_and_not_zero() -> None:
    found = records([("web-1", parse(table(CPU, {"kernel.all.cpu.user": 5}, CPU), "f"))])
    [cpu] = [one for one in found if isinstance(one, Series)]
    assert cpu.at_s.tolist() == [AT_S, AT_S + 120]


GROUP = "-/system.slice/web.service"


def test_control_groups_are_workloads_with_limits() -> None:
    row: dict[str, object] = {
        f"cgroup.cpuacct.usage{GROUP}": 2_500_000_000,
        f"cgroup.memory.usage{GROUP}": 9000,
        f"cgroup.memory.stat.total.inactive_file{GROUP}": 1000,
        f"cgroup.cpusched.cfs_quota{GROUP}": 50_000,
        f"cgroup.cpusched.cfs_period{GROUP}": 100_000,
        f"cgroup.memory.limit{GROUP}": 1 << 30,
        "cgroup.memory.limit-/user.slice/a.scope": 9_223_372_036_854_771_712,
        "cgroup.memory.usage-/": 5,
    }
    found = list(records([("web-1", parse(table(row), "f"))]))
    workloads = {one.name: one for one in found if isinstance(one, WorkloadRecord)}
    name = "system.slice/web.service"
    assert workloads[name] == WorkloadRecord(
        name, "service", "web-1", cgroup=name, limits={"cpu_milli": 500, "memory_bytes": 1 << 30}
    )
    assert workloads["user.slice/a.scope"].limits == {}
    assert len(workloads) == 2, "the root group is the host itself"
    values = series(table(row))
    assert values[name, "", "cpu_seconds_total"] == [2.5]
    assert values[name, "", "memory_working_set_bytes"] == [8000]
    assert values[name, "", "memory_current_bytes"] == [9000]


def test_of_version_2_io_is_added_up_over_devices() -> None:
    row = {f"cgroup.io.stat.rbytes{GROUP}::vda": 5, f"cgroup.io.stat.rbytes{GROUP}::vdb": 7}
    assert series(table(row))["system.slice/web.service", "", "disk_read_bytes_total"] == [12]


def test_a_metric_that_never_had_a_value_makes_room_for_the_next_source() -> None:
    rows = (
        {f"cgroup.cpuacct.usage{GROUP}": "", f"cgroup.cpuacct.stat.user{GROUP}": 700},
        {f"cgroup.cpuacct.stat.system{GROUP}": 0},
    )
    both = [{**rows[0], **rows[1]}]
    assert series(table(*both))["system.slice/web.service", "", "cpu_seconds_total"] == [pytest.approx(0.7)]


def test_groups_that_hold_others_are_no_workloads() -> None:
    paths = ["system.slice", "system.slice/a.service", "system.slice/a.service/worker", "jobs", "jobs/1", "jobs/2/deep"]
    assert outermost(paths) == ["system.slice/a.service", "jobs/1", "jobs/2/deep"]


def test_a_host_has_its_facts_and_what_is_missing_is_named() -> None:
    row = {
        **CPU,
        **{"hinv.ncpu": 4, "hinv.physmem": 2048, "hinv.cpu.model_name-cpu0": '"Xeon, E5"'},
        **{"kernel.uname.release": "6.1.0", "kernel.uname.sysname": "Linux"},
    }
    text = table(row).replace('""Xeon, E5""', '"Xeon, E5"')
    found = list(records([("web-1", parse(text, "f"))]))
    assert found[0] == HostRecord(
        "web-1", "linux", "6.1.0", "Xeon, E5", {"cpu_milli": 4000, "memory_bytes": 2048 << 20}
    )
    [note] = [one for one in found if isinstance(one, NoteRecord)]
    assert "memory_working_set_bytes" in note.text
    assert "cpu_seconds_total" not in note.text


def test_archives_of_one_host_follow_one_another_and_may_not_overlap() -> None:
    early, late = (parse(table(CPU, CPU, at=at), str(at)) for at in (AT_S, AT_S + 300))
    found = [one for one in records([("h", late), ("h", early)]) if isinstance(one, Series)]
    assert [one.at_s[0] for one in found] == [AT_S, AT_S + 300]
    with pytest.raises(TraceError, match=f"^{AT_S + 30}: overlaps {AT_S}, of the same host h; give each archive once"):
        list(records([("h", early), ("h", parse(table(CPU, at=AT_S + 30), str(AT_S + 30)))]))


def test_a_file_is_of_the_host_that_it_names_or_is_named_after(tmp_path: Path) -> None:
    (tmp_path / "web-7.csv").write_text(table(CPU))
    (tmp_path / "other.csv").write_text(table({**CPU, "kernel.uname.nodename": "web-8"}))
    assert {one.host for one in read(tmp_path) if isinstance(one, Series)} == {"web-7", "web-8"}


def test_times_may_be_text_with_a_zone() -> None:
    assert parse(table(CPU, at="2026-01-31T11:00:01+01:00"), "f").at_s.tolist() == [AT_S]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "",
            "f:1: no header of pmrep, which begins with Time; export with `pmrep -a ARCHIVE -r -u -f %s -o csv METRIC",
        ),
        ("Time,what\n", "f:1: 'what' is not a metric"),
        (table(CPU).replace(",5\n", "\n"), "f: row 2: 4 cells where 5 belong"),
        (
            table(CPU, at="2026-01-31 10:00:01"),
            "row 2: '2026-01-31 10:00:01' is of an unknown zone; export Unix seconds",
        ),
        (table(CPU, at="soon"), "row 2: 'soon' is not a time; export with -f %s"),
        (table(CPU, at=100_000_000), "row 2: '100000000' is not a time between 2000 and 2100"),
        (table(CPU, CPU, step_s=-60), f"row 3: '{AT_S - 60}' lies before the row above"),
        (table({**CPU, "kernel.all.cpu.user": "12.5"}), "row 2, kernel.all.cpu.user: '12.5' is a rate, and a counter"),
        (table({**CPU, "kernel.all.cpu.user": "N/A"}), "row 2, kernel.all.cpu.user: 'N/A' is not a number"),
        (table({**CPU, "hinv.ncpu": "two"}), "f: hinv.ncpu: 'two' is not a whole number"),
        (table({**CPU, "kernel.all.boottime": "-5"}), "f: kernel.all.boottime: '-5' is not a whole number"),
        (table(CPU) + '"' + "x" * 200_000, "f: not a CSV file"),
    ],
)
def test_what_pmrep_does_not_write_is_refused_with_its_row(text: str, sentence: str) -> None:
    with pytest.raises(TraceError) as refused:
        list(records([("h", parse(text, "f"))]))
    assert sentence in str(refused.value)


def test_what_is_no_archive_and_a_machine_without_pmrep_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TraceError, match=r"20260131: no archive of PCP; give its base name, without .0"):
        list(read(tmp_path / "20260131"))
    (tmp_path / "20260131.index").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    for given in (tmp_path / "20260131", tmp_path / "20260131.index", tmp_path):
        with pytest.raises(TraceError, match="20260131: no pmrep here; install pcp, or bring what it prints elsewhere"):
            list(read(given))


def test_numbers_are_nan_where_nothing_was_logged() -> None:
    numbers = parse(table(CPU, {"kernel.all.cpu.user": 7}), "f").numbers("kernel.all.cpu.nice", "", whole=True)
    assert numbers[0] == 10
    assert np.isnan(numbers[1])
