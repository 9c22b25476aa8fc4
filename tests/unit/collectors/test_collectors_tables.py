"""Generic tables: mapping files, units, times, both forms and both formats, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb
import pytest

from collectors.records import METRICS, HostRecord, Record, Series, TraceError, WorkloadRecord
from collectors.tables.importer import read
from collectors.tables.mapping import parse
from collectors.tables.units import units_of

AT_S = 1_704_067_200  # 2024-01-01 00:00 UTC
TABLE = "time,server,vm,cpu,vcpus,ram\n2024-01-01T00:00:00Z,h1,v1,50,4,8\n2024-01-01T01:05:00+01:00,h1,v1,60.5,4,8\n"
COLUMNS = '[columns]\nat = "time"\nhost = "server"\nworkload = "vm"\n'
CPU = '[metrics]\ncpu_cores = {column = "cpu", unit = "percent-of-cores", cores = "vcpus"}\n'
MAPPING = COLUMNS + CPU


def write(folder: Path, table: str = TABLE, mapping: str = MAPPING, name: str = "a.csv") -> Path:
    (folder / "mapping.toml").write_text(mapping)
    (folder / name).write_text(table)
    return folder / name


def series(found: list[Record]) -> dict[tuple[str, str | None, str], list[tuple[int, float]]]:
    return {
        (one.host, one.workload, one.metric): list(zip(one.at_s.tolist(), one.value.tolist(), strict=True))
        for one in found
        if isinstance(one, Series)
    }


def test_percent_of_cores_becomes_cores(tmp_path: Path) -> None:
    found = list(read(write(tmp_path)))
    assert found[0] == WorkloadRecord("v1", "vm", "h1")
    assert series(found) == {("h1", "v1", "cpu_cores"): [(AT_S, 2.0), (AT_S + 300, pytest.approx(2.42))]}


@pytest.mark.parametrize(
    ("metric", "unit", "value"),
    [
        ("cpu_cores", 'unit = "cores"', 50.0),
        ("cpu_cores", 'unit = "millicores"', 0.05),
        ("cpu_cores", 'unit = "percent-of-one-core"', 0.5),
        ("cpu_cores", 'unit = "percent-of-cores", cores = 8', 4.0),
        ("cpu_cores", 'unit = "ratio-of-cores", cores = "vcpus"', 200.0),
        ("cpu_cores", 'unit = "MHz", mhz_per_core = 2500', 0.02),
        ("cpu_cores_max", 'unit = "GHz", mhz_per_core = 2500', 20.0),
        ("memory_working_set_bytes", 'unit = "MiB"', 50 * 2**20),
        ("memory_working_set_bytes", 'unit = "MB"', 50e6),
        ("memory_working_set_bytes", 'unit = "kB"', 50e3),
        ("memory_working_set_bytes", 'unit = "percent-of-memory", memory = 2000', 1000.0),
        ("net_rx_bytes_per_s", 'unit = "Mbit/s"', 6.25e6),
        ("disk_read_bytes_per_s", 'unit = "KiB/s"', 51_200),
        ("disk_read_bytes_total", 'unit = "B"', 50),
        ("cpu_seconds_total", 'unit = "ms"', 0.05),
        ("cpu_pressure_some_ratio", 'unit = "percent"', 0.5),
        ("disk_iops", "", 50.0),
        ("pids", 'unit = "1000"', 50_000),
    ],
)
def test_units_are_converted(tmp_path: Path, metric: str, unit: str, value: float) -> None:
    entry = ", ".join(filter(None, ['column = "cpu"', unit]))
    path = write(tmp_path, TABLE, f"{COLUMNS}[metrics]\n{metric} = {{{entry}}}\n")
    assert series(list(read(path)))["h1", "v1", metric][0][1] == pytest.approx(value)


def test_every_metric_has_units() -> None:
    assert all(units_of(metric) for metric in METRICS)


@pytest.mark.parametrize(
    ("time", "written", "at_s"),
    [
        ("", "1704067200", AT_S),
        ('[time]\nunit = "ms"\n', "1704067200999", AT_S),
        ('[time]\nunit = "ns"\n', "1704067200000000000", AT_S),
        ('[time]\nunit = "minutes"\norigin = 2024-01-01T00:00:00Z\n', "5", AT_S + 300),
        ("", "2024-01-01 01:00:00+01", AT_S),
        ('[time]\nzone = "Europe/Berlin"\n', "2024-01-01 01:00:00", AT_S),
        ('[time]\nzone = "Europe/Berlin"\n', "2024-07-01 02:00:00", 1_719_792_000),
        ('[time]\nzone = "Europe/Berlin"\n', "2024-01-01T00:00:00Z", AT_S),
        ('[time]\nformat = "%d.%m.%Y %H:%M"\nzone = "UTC"\n', "01.01.2024 00:05", AT_S + 300),
        ('[time]\nformat = "%d.%m.%Y %H:%M %z"\n', "01.01.2024 01:00 +0100", AT_S),
    ],
)
def test_times_of_any_unit_zone_and_origin(tmp_path: Path, time: str, written: str, at_s: int) -> None:
    path = write(tmp_path, f"time,server,vm,cpu,vcpus,ram\n{written},h1,v1,50,4,8\n", COLUMNS + time + CPU)
    assert series(list(read(path)))["h1", "v1", "cpu_cores"][0][0] == at_s


LONG = """\
[columns]
at = "at"
host = {value = "h1"}
metric = "metric"
value = "reading"
[metrics]
cpu_cores = {name = "cpu", unit = "cores"}
memory_working_set_bytes = {name = "it's mem", unit = "MiB"}
[format]
separator = ";"
decimal = ","
"""


def test_the_long_form_has_a_row_for_every_number(tmp_path: Path) -> None:
    rows = "at;metric;reading\n1704067200;cpu;1,5\n1704067200;it's mem;2\n1704067200;other;9\n1704067500;cpu;2,5\n"
    found = list(read(write(tmp_path, rows, LONG)))
    assert found[0] == HostRecord("h1")
    assert series(found) == {
        ("h1", None, "cpu_cores"): [(AT_S, 1.5), (AT_S + 300, 2.5)],
        ("h1", None, "memory_working_set_bytes"): [(AT_S, 2 * 2**20)],
    }


def test_parquet_is_read_by_its_types(tmp_path: Path) -> None:
    path = write(tmp_path)
    with duckdb.connect() as connection:
        query = """
            SELECT TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL 5 MINUTE * n AS time, 'h1' AS server, 'v1' AS vm,
                   (CASE n WHEN 1 THEN 'nan'::FLOAT ELSE 10 * n END)::FLOAT AS cpu, 4 AS vcpus
            FROM range(3) AS steps(n) ORDER BY n DESC
        """
        connection.execute(f"COPY ({query}) TO '{tmp_path / 'a.parquet'}' (FORMAT parquet)")
    path.unlink()
    found = series(list(read(tmp_path / "a.parquet")))
    assert found == {("h1", "v1", "cpu_cores"): [(AT_S, 0.0), (AT_S + 600, pytest.approx(0.8))]}


def test_sizes_become_limits_of_workloads_and_capacities_of_hosts(tmp_path: Path) -> None:
    size = '[size]\ncpu_milli = {column = "vcpus", unit = "cores"}\nmemory_bytes = {column = "ram", unit = "GiB"}\n'
    kind = '[workloads]\nkind = "container"\n'
    rows = TABLE + "2024-01-01T00:00:00Z,h1,,5,32,64\n"
    found = list(read(write(tmp_path, rows, MAPPING + size + kind)))
    limits = {"cpu_milli": 4000, "memory_bytes": 8 << 30}
    assert WorkloadRecord("v1", "container", "h1", limits=limits) in found
    assert HostRecord("h1", capacity={"cpu_milli": 32_000, "memory_bytes": 64 << 30}) in found


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_separators_line_ends_marks_and_compression_are_found_out(tmp_path: Path, separator: str, ending: str) -> None:
    text = "\ufeff" + TABLE.replace(",", separator).replace("\n", ending)
    path = write(tmp_path, text)
    packed = tmp_path / "b.csv.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    for file in (path, packed):
        assert len(series(list(read(file)))["h1", "v1", "cpu_cores"]) == 2
    said = MAPPING + f'[format]\nseparator = "{separator}"\n'.replace("\t", "\\t")
    assert len(series(list(read(write(tmp_path, text, said))))["h1", "v1", "cpu_cores"]) == 2


def test_columns_without_a_name_are_not_in_the_way(tmp_path: Path) -> None:
    rows = "".join(f"{line},,\n" for line in TABLE.splitlines())
    assert len(series(list(read(write(tmp_path, rows))))["h1", "v1", "cpu_cores"]) == 2


def test_files_of_other_columns_are_no_table(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, TABLE.replace("ram", "memory"), name="b.csv")
    with pytest.raises(TraceError, match=r"b.csv: other columns than .*a.csv; give files of one table"):
        list(read(tmp_path))


def test_empty_cells_are_absent_and_not_zero(tmp_path: Path) -> None:
    rows = TABLE.replace(",50,", ",,") + "2024-01-01T00:10:00Z,h1,v1,NaN,4,8\n"
    assert series(list(read(write(tmp_path, rows))))["h1", "v1", "cpu_cores"] == [(AT_S + 300, pytest.approx(2.42))]


def test_rows_in_any_order_come_in_order_of_time(tmp_path: Path) -> None:
    header, first, second = TABLE.splitlines()
    found = series(list(read(write(tmp_path, "\n".join([header, second, first, ""])))))
    assert [at_s for at_s, _ in found["h1", "v1", "cpu_cores"]] == [AT_S, AT_S + 300]


def test_a_file_has_a_mapping_of_its_own_before_that_of_its_folder(tmp_path: Path) -> None:
    path = write(tmp_path, mapping="nonsense")
    (tmp_path / "a.mapping.toml").write_text(MAPPING)
    assert series(list(read(path)))
    path.rename(tmp_path / "b.csv")
    with pytest.raises(TraceError, match=r"mapping.toml: not TOML"):
        list(read(tmp_path / "b.csv"))


def test_a_folder_of_files_is_one_table(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, TABLE.replace("v1", "v2"), name="b.csv")
    assert {workload for _, workload, _ in series(list(read(tmp_path)))} == {"v1", "v2"}


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (TABLE.replace("60.5", "x6"), r':3: Error when converting column "cpu". Could not convert string "x6"'),
        (TABLE.replace("60.5", "60,5"), ":3: Expected Number of Columns: 6 Found: 7"),
        (TABLE.replace("60.5", "-60"), ": h1 v1 at 2024-01-01 00:05:00 UTC: '-2.4' is not an amount"),
        (TABLE.replace("60.5", "inf"), ": h1 v1 at 2024-01-01 00:05:00 UTC: 'inf' is not an amount"),
        (TABLE.replace("+01:00", ""), ": Value 2024-01-01T01:05:00 names no zone, and neither does [time]; repair"),
        (TABLE.replace("2024-01-01T00:00:00Z", "1704067200999"), "repair the cell, or say in"),
        (TABLE.replace("2024-", "1924-"), ": h1 v1: '-1451692800' is not a time between 2000 and 2100; say its unit"),
        (TABLE.replace(",h1,v1,50", ",,v1,50"), ": v1 at 2024-01-01 00:00:00 UTC: '' names no host; fill it in"),
        (TABLE.replace(",cpu", ",CPU %"), ": no column 'cpu' as "),
        (TABLE.replace(",", "~"), "; if that is more than one, say [format] separator"),
        (TABLE.replace("vcpus", "v\0cpus"), ":1: 'v\\x00cpus' has letters that cannot be seen; export the table again"),
        (TABLE.replace("vcpus", "cpu"), ":1: two columns 'cpu'; name them apart"),
        ("", ": no column 'time' as "),
    ],
)
def test_a_faulty_table_is_refused_with_its_place_its_value_and_a_remedy(
    tmp_path: Path, table: str, sentence: str
) -> None:
    path = write(tmp_path, table)
    with pytest.raises(TraceError) as refused:
        list(read(path))
    assert str(refused.value).startswith(str(path))
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ("[columns", "f: not TOML: "),
        ('[columns]\nat = "t"\n', "f: [columns]: 'host' is missing; name the column, or host = {value = "),
        ('[columns]\nhost = "h"\n', "f: [columns]: 'at' is missing; name the column"),
        (COLUMNS, "f: [metrics]: none; name at least one, such as cpu_cores"),
        (MAPPING + "[extra]\n", "f: []: no key 'extra'; write one of columns"),
        (COLUMNS.replace("workload", "worklod") + CPU, "no key 'worklod'; did you mean 'workload'?"),
        (MAPPING.replace("cpu_cores", "cpu_core"), "f: [metrics]: no key 'cpu_core'; did you mean 'cpu_cores'?"),
        (
            MAPPING.replace("percent-of-cores", "percent"),
            "f: [metrics.cpu_cores]: unit = 'percent' does not say of how much; write 'percent-of-one-core' or "
            "'percent-of-cores' with cores",
        ),
        (MAPPING.replace("percent-of-cores", "%"), "unit = '%' does not say of how much"),
        (MAPPING.replace(', cores = "vcpus"', ""), "unit = 'percent-of-cores' needs cores, a column or a number; add"),
        (MAPPING.replace('"vcpus"', "-4"), "cores = '-4' is neither a column nor a value"),
        (MAPPING.replace("percent-of-cores", "MHZ"), "no unit 'MHZ' of cpu_cores; did you mean 'MHz'?"),
        (MAPPING.replace('column = "cpu", ', ""), "f: [metrics.cpu_cores]: 'column' is missing"),
        (MAPPING.replace('"cpu"', "5"), "column = '5' is not a text; write it in quotes"),
        (MAPPING + '[time]\nunit = "fortnights"\n', "no unit 'fortnights' of time"),
        (MAPPING + '[time]\nzone = "Europe/Berln"\n', "no zone 'Europe/Berln'; name one of the tz database"),
        (MAPPING + "[time]\norigin = 2024-01-01\n", "origin = '2024-01-01' is no time with a zone"),
        (MAPPING + '[format]\nseparator = ";;"\n', "separator = ';;' is not one character"),
        (MAPPING + '[workloads]\nkind = "vms"\n', "no kind 'vms'; did you mean 'vm'?"),
        (MAPPING.replace('"time"', '""'), "f: [columns]: at = '' is empty or has letters that cannot be seen"),
        (MAPPING.replace('"cpu"', '"c\\u0000"'), "column = 'c\\x00' is empty or has letters that cannot be seen"),
        ("metrics = 5\n" + COLUMNS, "f: [metrics]: '5' where a table belongs"),
    ],
)
def test_a_faulty_mapping_is_refused_with_its_section_its_value_and_a_remedy(mapping: str, sentence: str) -> None:
    with pytest.raises(TraceError) as refused:
        parse(mapping, "f")
    assert sentence in str(refused.value)


def test_local_times_need_a_zone(tmp_path: Path) -> None:
    path = write(tmp_path, mapping=COLUMNS + '[time]\nformat = "%d.%m.%Y"\n' + CPU)
    with pytest.raises(TraceError, match=r"\[time\]: times of column 'time' name no zone; add zone"):
        list(read(path))


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"nothing says which column is what; write .*/a.mapping.toml"):
        list(read(tmp_path / "a.csv"))
    path = write(tmp_path, name="a.xls")
    with pytest.raises(TraceError, match=r"a.xls: neither .csv nor .parquet"):
        list(read(path))
    with pytest.raises(TraceError, match=r"no .csv and no .parquet file"):
        list(read(tmp_path))
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(TraceError, match=r"b.parquet: .*; repair the cell"):
        list(read(tmp_path / "b.parquet"))
    write(tmp_path)
    with pytest.raises(TraceError, match="CSV and Parquet files together; give a folder of one kind"):
        list(read(tmp_path))


def test_names_that_are_sql_are_names(tmp_path: Path) -> None:
    evil = "cpu\"'; DROP TABLE found; --"
    table = TABLE.replace("cpu,", '"' + evil.replace('"', '""') + '",').replace("v1", "v'1")
    path = write(tmp_path, table, MAPPING.replace('"cpu"', f"'''{evil}'''"), name="it's.csv")
    assert ("h1", "v'1", "cpu_cores") in series(list(read(path)))
