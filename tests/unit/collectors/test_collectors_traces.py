"""Published traces: what a file becomes, and that a damaged one is refused where the damage is."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.importers import IMPORTERS
from collectors.records import METRICS, NoteRecord, Record, Series, TraceError, WorkloadRecord
from collectors.traces import bitbrains, planetlab

DATA = Path(os.environ.get("CONSOLIDATE_DATA", Path(__file__).parents[3] / "../shared/data"))
AT_S = 1_375_308_176
HEADER = "Timestamp [ms];\tCPU cores;\tCPU capacity provisioned [MHZ];\tand eight more\n"
GIB_KB = 1 << 20


def row(at_s: object = AT_S, cores: object = 2, mhz: object = 5200, used_mhz: object = 1300, kb: object = 1024) -> str:
    fields = [at_s, cores, mhz, used_mhz, 25.0, 8 * GIB_KB, kb, 1, 2.5, 3, 4]
    return ";\t".join(map(str, fields)) + "\n"


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def series(found: Sequence[Record]) -> dict[tuple[str | None, str], Series]:
    return {(one.workload, one.metric): one for one in found if isinstance(one, Series)}


def test_a_bitbrains_file_is_a_vm_with_its_size_and_six_series(tmp_path: Path) -> None:
    write(tmp_path, "7.csv", HEADER + row() + row(AT_S + 300, used_mhz=2600, kb=2048))
    vm, *rest = bitbrains.read(tmp_path)
    assert vm == WorkloadRecord("vm-7", "vm", limits={"cpu_milli": 2000, "memory_bytes": 8 << 30})
    found = series(rest)
    assert {metric: one.value.tolist() for (_, metric), one in found.items()} == {
        "cpu_cores": [0.5, 1.0],
        "memory_working_set_bytes": [1 << 20, 2 << 20],
        "disk_read_bytes_per_s": [1024, 1024],
        "disk_write_bytes_per_s": [2560, 2560],
        "net_rx_bytes_per_s": [3072, 3072],
        "net_tx_bytes_per_s": [4096, 4096],
    }
    assert all(one.at_s.tolist() == [AT_S, AT_S + 300] for one in found.values())
    assert {metric for _, metric in found} <= METRICS.keys()


def test_while_a_vm_is_switched_off_its_figures_are_absent_and_not_zero(tmp_path: Path) -> None:
    write(tmp_path, "1.csv", HEADER + row() + row(AT_S + 300, cores=0, mhz=0, used_mhz=0) + row(AT_S + 600, mhz=0))
    write(tmp_path, "2.csv", HEADER + row())
    found = list(bitbrains.read(tmp_path))
    assert [one.at_s.tolist() for one in series(found).values()] == [[AT_S]] * 12
    told = "2 of 4 rows left out: no CPU was provisioned then to vm-1"
    assert [one for one in found if isinstance(one, NoteRecord)] == [NoteRecord("bitbrains", told)]


def test_a_bitbrains_folder_of_which_nothing_is_left_out_says_nothing(tmp_path: Path) -> None:
    write(tmp_path, "1.csv", HEADER + row())
    assert not [one for one in bitbrains.read(tmp_path) if isinstance(one, NoteRecord)]


def test_rows_of_the_same_second_are_kept_as_measured(tmp_path: Path) -> None:
    write(tmp_path, "1.csv", HEADER + row(used_mhz=0) + row(used_mhz=2600) + row(used_mhz=2600))
    found = series(list(bitbrains.read(tmp_path)))
    assert found["vm-1", "cpu_cores"].value.tolist() == [0, 1, 1]
    assert found["vm-1", "cpu_cores"].at_s.tolist() == [AT_S] * 3


@pytest.mark.parametrize(
    "text",
    [
        (HEADER + row() + row(AT_S + 300)).replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + (HEADER + row() + row(AT_S + 300)).encode(),
        (HEADER + row() + row(AT_S + 300) + "\n  \n\r\n").encode(),
        (HEADER + row() + "\n" + row(AT_S + 300)).encode().rstrip(),
    ],
    ids=["CRLF", "BOM", "blank lines", "no last line end"],
)
def test_what_editors_do_to_a_file_is_tolerated(tmp_path: Path, text: bytes) -> None:
    write(tmp_path, "1.csv", text)
    assert series(list(bitbrains.read(tmp_path)))["vm-1", "cpu_cores"].value.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (row(AT_S + 300) + row(AT_S), f":3: timestamp {AT_S} lies before {AT_S + 300} of the row above; sort the rows"),
        (row() + "\n" + row(AT_S - 1), f":4: timestamp {AT_S - 1} lies before {AT_S}"),
        (row(f"{AT_S}.5"), f":2: timestamp {AT_S}.5 is not a whole second"),
        (row(AT_S * 1000), f":2: timestamp {AT_S}000 is not a whole second of the years 2000 to 2100; convert it"),
        (row(946_684_799), ":2: timestamp 946684799 is not a whole second of the years 2000"),
        (row(4_102_444_800), ":2: timestamp 4102444800 is not a whole second"),
        (row() + row(cores=-2), ":3: '-2' is not an amount; repair or delete the row"),
        (row() + row(used_mhz="nan"), ":3: 'nan' is not an amount"),
        (row() + row(used_mhz="inf"), ":3: 'inf' is not an amount"),
        (row() + row(used_mhz="1e999"), ":3: '1e999' is not an amount"),
        (row() + row(used_mhz="9007199254740992"), ":3: '9007199254740992' is not an amount"),
        (row() + row(used_mhz="1_000"), ":3: '1_000' is not an amount"),
        (row() + row(used_mhz="12,5"), ":3: '12,5' is not an amount"),
        (row() + row(used_mhz=""), ":3: '' is not an amount"),
        (row() + row(used_mhz="4#5"), ":3: '4#5' is not an amount"),
        (row() + row()[:40], ":3: "),
        (row() + "1;2;3\n", ":3: 3 fields where 11 belong; repair or delete the row"),
        ("1;2;3\n", ":2: 3 fields where 11 belong"),
        ("\n\n", ": no rows; remove the file or export the VM again"),
    ],
)
def test_a_faulty_bitbrains_row_is_refused_with_its_line_its_value_and_a_remedy(
    tmp_path: Path, rows: str, sentence: str
) -> None:
    path = write(tmp_path, "1.csv", HEADER + rows)
    with pytest.raises(TraceError) as refused:
        list(bitbrains.read(tmp_path))
    assert f"{path}{sentence}" in str(refused.value)


def test_the_first_of_several_faults_is_named() -> None:
    text = HEADER + row() + row(AT_S - 5) + row("x") + row(cores=-1)
    with pytest.raises(TraceError, match=r"^f:3: timestamp"):
        bitbrains.parse(text, "f")


def test_a_vm_of_two_months_is_one_vm(tmp_path: Path) -> None:
    write(tmp_path, "2013-10/1.csv", HEADER + row(AT_S + 600))
    write(tmp_path, "2013-9/1.csv", HEADER + row(AT_S))
    write(tmp_path, "2013-9/.1.csv", b"\xff\xfe left by an archiver")
    found = list(bitbrains.read(tmp_path))
    assert [one.name for one in found if isinstance(one, WorkloadRecord)] == ["vm-1"]
    assert series(found)["vm-1", "cpu_cores"].at_s.tolist() == [AT_S, AT_S + 600]


def test_two_vms_of_the_same_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "fast/1.csv", HEADER + row(AT_S) + row(AT_S + 600))
    path = write(tmp_path, "slow/1.csv", HEADER + row(AT_S + 300))
    with pytest.raises(
        TraceError, match=f"^{re.escape(str(path))}: timestamp {AT_S + 300} lies within those of .*; give"
    ):
        list(bitbrains.read(tmp_path))


def test_vms_come_in_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("10", "9", "1"):
        write(tmp_path, f"{name}.csv", HEADER + row())
    found = [one.name for one in bitbrains.read(tmp_path) if isinstance(one, WorkloadRecord)]
    assert found == ["vm-1", "vm-9", "vm-10"]


DAY_S = 1_299_110_400  # 2011-03-03
PERCENTS = "".join(f"{number % 101}\n" for number in range(288))


def test_a_planetlab_day_is_vms_of_the_papers_four_types(tmp_path: Path) -> None:
    folder = tmp_path / "20110303"
    for name in "abcd":
        write(folder, name, PERCENTS)
    write(folder, ".DS_Store", b"\xff\xfe")
    found = list(planetlab.read(folder))
    vms = {one.name: one.limits["cpu_milli"] for one in found if isinstance(one, WorkloadRecord)}
    assert vms == {"a": 2500, "b": 2000, "c": 1000, "d": 500}
    cpu = series(found)["b", "cpu_cores"]
    assert (cpu.at_s[0], cpu.at_s[-1], len(cpu.at_s)) == (DAY_S, DAY_S + 287 * 300, 288)
    assert cpu.value[:3].tolist() == [0, 0.02, 0.04]
    assert set(series(found)["b", "memory_working_set_bytes"].value) == {1_740_000_000}


def test_a_planetlab_day_may_be_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "20110303", "a", PERCENTS)
    monkeypatch.chdir(tmp_path / "20110303")
    assert len(list(planetlab.read(Path()))) == 3


@pytest.mark.parametrize(
    "text", [PERCENTS.replace("\n", "\r\n"), "\ufeff" + PERCENTS, PERCENTS + "\n \n", PERCENTS[:-1]]
)
def test_what_editors_do_to_a_planetlab_file_is_tolerated(tmp_path: Path, text: str) -> None:
    write(tmp_path / "20110303", "a", text)
    assert series(list(planetlab.read(tmp_path / "20110303")))["a", "cpu_cores"].value[1] == 0.025


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (PERCENTS + "5\n", ": 289 values where 288 belong; fetch the file again"),
        ("", ": 0 values where 288 belong"),
        ("5\n101\n", ":2: '101' is not a percentage; repair or remove the file"),
        ("5\n-1\n", ":2: '-1' is not a percentage"),
        ("5\n\n6\n", ":2: '' is not a percentage"),
        ("5\n5.5\n", ":2: '5.5' is not a percentage"),
        ("٣\n", ":1: '٣' is not a percentage"),
        ("9" * 5000, ":1: '" + "9" * 40 + "' is not a percentage"),
    ],
)
def test_a_faulty_planetlab_file_is_refused_with_its_line_its_value_and_a_remedy(
    tmp_path: Path, text: str, sentence: str
) -> None:
    path = write(tmp_path / "20110303", "a", text)
    with pytest.raises(TraceError) as refused:
        list(planetlab.read(tmp_path / "20110303"))
    assert f"{path}{sentence}" in str(refused.value)


@pytest.mark.parametrize(
    "name", ["2013-8", "20110332", "2011033", "19991231", "21000101", "00010101", "２０１１０３０３"]
)
def test_a_planetlab_folder_that_is_no_day_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, "a", PERCENTS)
    with pytest.raises(TraceError, match=f"{name}: not a date from 2000 on; give one day's folder, such as 20110303"):
        list(planetlab.read(tmp_path / name))


@pytest.mark.parametrize(("kind", "folder"), [("bitbrains", "2013-8"), ("planetlab", "20110303")])
def test_a_folder_without_traces_and_a_file_that_is_no_text_are_refused(tmp_path: Path, kind: str, folder: str) -> None:
    with pytest.raises(TraceError, match="no trace files; unpack the trace and give its folder"):
        list(IMPORTERS[kind].read(tmp_path / folder))
    path = write(tmp_path / folder, "1.csv", b"\xff\xfe\x00")
    with pytest.raises(TraceError, match=f"^{re.escape(str(path))}: not a text file; remove it"):
        list(IMPORTERS[kind].read(tmp_path / folder))


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "1.csv", HEADER + row())

    def refuse(self: Path, encoding: str) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(TraceError, match=f"^{re.escape(str(path))}: Permission denied; make the file readable"):
        list(bitbrains.read(tmp_path))


def test_a_file_that_is_no_bitbrains_csv_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "1.csv", "VM,CPUs\nweb,2\n")
    with pytest.raises(TraceError, match=f"^{re.escape(str(path))}:1: no Bitbrains header; give the folder"):
        list(bitbrains.read(tmp_path))


FIELDS = st.sampled_from(
    ["0", "1", "-1", "2.5", "1e3", "1E-3", ".5", "5.", "+3", "-0.0", "", " ", "nan", "inf", "1_0", "0x1"]
)
AMOUNTS = FIELDS | st.floats().map(str) | st.integers().map(str) | st.text(max_size=5)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(AT_S, AT_S + 3) | AMOUNTS, AMOUNTS, AMOUNTS).map(lambda f: row(*f)) | st.text()))
def test_any_bitbrains_text_is_rows_or_a_located_refusal(rows: list[str]) -> None:
    text = HEADER + "".join(rows)
    try:
        parsed = bitbrains.parse(text, "f")
    except TraceError as error:
        located = re.match(r"f:(\d+): ", str(error))
        assert str(error).startswith("f: no rows") or (located and 2 <= int(located[1]) <= len(text.splitlines()))
    else:
        assert parsed.shape[1] == 11
        assert np.isfinite(parsed).all()
        assert (parsed >= 0).all()
        assert (np.diff(parsed[:, 0]) >= 0).all()


@settings(deadline=None)
@given(st.text() | st.lists(st.integers(-2, 103), max_size=290).map(lambda values: "\n".join(map(str, values))))
def test_any_planetlab_text_is_a_day_or_a_refusal(text: str) -> None:
    accepted = is_accepted(planetlab.parse, text)
    values = text.split()
    assert accepted == (len(values) == 288 and all(value in map(str, range(101)) for value in values))


def is_accepted(parse: Callable[[str, str], object], text: str) -> bool:
    try:
        parse(text, "f")
    except TraceError as error:
        assert str(error).startswith("f:")
        return False
    return True


@settings(deadline=None)
@given(st.text(max_size=12) | st.dates().map(lambda day: day.strftime("%Y%m%d")))
def test_any_folder_name_is_a_day_or_a_refusal(name: str) -> None:
    try:
        day_s = planetlab.parse_day(name)
    except TraceError:
        assert not re.fullmatch("20[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|1[0-9]|2[0-8])", name)
    else:
        assert day_s % 86_400 == 0
        assert 946_684_800 <= day_s < 4_102_444_800


def published(archive: Path, members: set[str], folder: Path) -> Iterator[Path]:
    """Unpack some files of a published archive, and stop reading it after the last."""
    if not archive.exists():
        pytest.skip(f"{archive} is absent; set CONSOLIDATE_DATA to the folder of the public traces")
    with tarfile.open(archive) as files:
        for member in files:
            if member.name in members:
                content = files.extractfile(member)
                assert content is not None
                path = folder / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
                members = members - {member.name}
                yield folder / member.name
            if not members:
                return
    raise AssertionError(f"{archive} lacks {members}")


@pytest.mark.data
def test_published_bitbrains_vms(tmp_path: Path) -> None:
    names = {f"2013-8/{number}.csv" for number in (1, 20, 82)}
    for path in published(DATA / "bitbrains/rnd-2013-8-vm001-150.tar.xz", names, tmp_path):
        text = path.read_text()
        repeated = (np.diff(bitbrains.parse(text, path.name)[:, 0]) == 0).sum()
        assert (repeated > 4000) == (path.stem in ("20", "82")), "rows of the same second are kept"
    found = list(bitbrains.read(tmp_path / "2013-8"))
    vms = {one.name: one for one in found if isinstance(one, WorkloadRecord)}
    assert list(vms) == ["vm-1", "vm-20", "vm-82"]
    assert vms["vm-1"].limits == {"cpu_milli": 2000, "memory_bytes": 8 << 30}
    assert len(series(found)["vm-20", "cpu_cores"].at_s) == 115, "it is switched off for the rest of the month"
    first = series(found)["vm-1", "cpu_cores"]
    assert (first.at_s[0], round(float(first.value[0]), 6)) == (AT_S, round(747.1051929 / 5851.9989 * 2, 6))


@pytest.mark.data
def test_published_planetlab_vms(tmp_path: Path) -> None:
    name = "20110303/planetlab1_fit_vutbr_cz_nyu_d"
    [path] = published(DATA / "planetlab/planetlab-2011-03.tar.xz", {name}, tmp_path)
    found = list(planetlab.read(tmp_path / "20110303"))
    values = [int(line) * 2500 / 100_000 for line in path.read_text().split()]
    assert series(found)[path.name, "cpu_cores"].value.tolist() == values
