"""Workbooks and CSV files as tables: found by name, whatever the country, and refused where they are broken."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.inventory.files import read_grids
from collectors.inventory.separated import decode, parse_csv
from collectors.inventory.tables import Table, column, fits, read_table
from collectors.inventory.workbooks import created_s, parse_workbook
from collectors.records import TraceError
from tests.support.workbooks import workbook, write

NAME, CORES, LOAD, ON, AT = (
    column("VM"),
    column("Cores", "CPUs", whole=True),
    column("Load"),
    column("On"),
    column("At"),
)
MEMORY = column("Memory (MB)", "Memory MiB", unit=1 << 20)
ALL = (NAME, CORES, LOAD, ON, AT, MEMORY)
HEADINGS = [heading for one in ALL for heading in one.headings]


def csv_table(text: str) -> Table:
    return read_table(parse_csv(text, "vms.csv", HEADINGS), ALL, (NAME,))


def xlsx_table(content: bytes) -> Table:
    return read_table(parse_workbook(content, "x.xlsx", ("VMS",))["vms"], ALL, (NAME,))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_the_one_that_separates_the_headings(separator: str) -> None:
    lines = [["*VM ", "Memory(MB)", "cpus"], ["web, the; first|one", "1024", "2"]]
    quoted = [[f'"{field}"' for field in line] for line in lines]
    (row,) = csv_table("\n".join(separator.join(line) for line in quoted)).rows()
    assert (row.text(NAME), row.number(MEMORY), row.number(CORES)) == ("web, the; first|one", 1 << 30, 2)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_every_encoding_that_spreadsheets_write(encoding: str) -> None:
    (row,) = csv_table(decode("VM;On\r\nBüro;True\r\n".encode(encoding), "vms.csv")).rows()
    assert (row.text(NAME), row.flag(ON)) == ("Büro", True)


def test_titles_and_empty_rows_may_stand_above_the_headings_and_below() -> None:
    text = 'sep=,\n#TYPE VMware.VimAutomation\n\n"VM","Cores"\n\na,2\n,\nb,4\n'
    assert [(row.text(NAME), row.number(CORES), row.place) for row in csv_table(text).rows()] == [
        ("a", 2, "vms.csv:6"),
        ("b", 4, "vms.csv:8"),
    ]


def test_what_is_absent_is_absent_and_listed() -> None:
    table = csv_table("VM,Cores\na,\n")
    (row,) = table.rows()
    assert (row.number(CORES), row.number(LOAD), row.text(AT), row.flag(ON), row.moment(AT)) == (
        *(None, None, ""),
        *(False, None),
    )
    assert table.absent == (LOAD, ON, AT, MEMORY)


def test_localised_decimals_of_a_column_are_told_by_its_own_numbers() -> None:
    table = csv_table("VM;Load;Memory (MB)\na;1.234;1.024,5\nb;0,5;2\n")
    assert [(row.number(LOAD), row.number(MEMORY)) for row in table.rows()] == [
        (1234, 1024.5 * (1 << 20)),
        (0.5, 2 << 20),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("VM,Load\na,much\n", "vms.csv:2, column 2: Load: 'much' is not a number; mend the cell"),
        ("VM,Load\na,-3\n", "vms.csv:2, column 2: Load: -3 is negative; mend the cell"),
        ("VM,Cores\na,1.5\n", "vms.csv:2, column 2: Cores: '1.5' is not a whole number; mend the cell"),
        ("VM,Load\na,1\nb,2,3\n", "vms.csv:3: 3 fields where the headings are 2; the file is cut off"),
        ("VM,Load\na\n", "vms.csv:2: 1 fields where the headings are 2; the file is cut off"),
        ('VM,Load\na,"1\n', "vms.csv:2: unexpected end of data; the file is cut off, or a quotation mark is missing"),
        ("VM,Load,VM\na,1,b\n", "vms.csv:1, column 3: 'VM' stands here a second time; rename one of them"),
        ("Load\n1\n", "vms.csv, row 1: no column 'VM'; export it again with that column"),
        ("nothing\n", "vms.csv: no row with the headings 'VM'; export it again with its headings in English"),
        ("", "vms.csv: no row with the headings 'VM'"),
        ("VM,Load\na,3.5\nb,3,5\n", "vms.csv:3: 3 fields where the headings are 2"),
        ('VM,Load\na,3.5\nb,"3,5"\n', "column 2: Load: '3,5' has a decimal comma and '3.5' a decimal point"),
        ('VM,Load\na,"3,500"\n', "vms.csv:2, column 2: Load: '3,500' is a thousand times more if the comma groups"),
        ("VM,At\na,1/2/2025\n", "vms.csv:2, column 2: At: '1/2/2025' may begin with its day or its month"),
        ("VM,On\na,maybe\n", "vms.csv:2, column 2: On: 'maybe' is neither True nor False"),
    ],
)
def test_a_broken_file_is_refused_where_it_is_broken(text: str, says: str) -> None:
    with pytest.raises(TraceError, match=re.escape(says)):
        for row in csv_table(text).rows():
            for one in (CORES, LOAD):
                row.number(one)
            row.flag(ON)
            row.moment(AT)


def test_a_workbook_is_read_with_its_places() -> None:
    content = workbook({"vms": [["Our machines"], [], ["VM", "Cores", "Load"], ["a", 2, 0.5], [7, 4.0, "x"]]})
    first, second = xlsx_table(content).rows()
    assert (first.text(NAME), first.number(CORES), first.number(LOAD)) == ("a", 2, 0.5)
    assert (second.text(NAME), second.place) == ("7", "x.xlsx, sheet vms, row 5")
    with pytest.raises(TraceError, match=re.escape("x.xlsx, sheet vms, cell C5: Load: 'x' is not a number")):
        second.number(LOAD)


@pytest.mark.parametrize("since_1904", [False, True])
def test_days_are_counted_from_1900_or_from_1904(since_1904: bool) -> None:
    noon = datetime.datetime(2025, 5, 15, 12)
    (row,) = xlsx_table(workbook({"vms": [["VM", "At"], ["a", noon]]}, since_1904=since_1904)).rows()
    assert row.moment(AT) == noon.replace(tzinfo=datetime.UTC).timestamp()


def test_cells_merged_downwards_hold_for_each_row_and_across_for_the_first_column() -> None:
    rows = [["Title", "", ""], ["VM", "Cores", "Load"], ["a", 2, 1], [None, 4, 2], ["b", 8, None]]
    content = workbook({"vms": rows}, merged=[("vms", "A1:C1"), ("vms", "A3:A4"), ("vms", "B5:C5")])
    assert [(row.text(NAME), row.number(CORES), row.number(LOAD)) for row in xlsx_table(content).rows()] == [
        ("a", 2, 1),
        ("a", 4, 2),
        ("b", 8, None),
    ]


@settings(max_examples=60)
@given(cut=st.integers(0, 100), flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=8))
def test_a_cut_or_damaged_workbook_is_refused_or_read(cut: int, flips: list[tuple[int, int]]) -> None:
    content = bytearray(workbook({"vms": [["VM", "Cores"], *(["a", number] for number in range(50))]}))
    for at, value in flips:
        content[at % len(content)] = value
    del content[len(content) * (100 - cut) // 100 :]
    try:
        grids = parse_workbook(bytes(content), "x.xlsx", ("vms",))
        for grid in grids.values():
            for row in read_table(grid, ALL, (NAME,)).rows():
                row.number(CORES)
    except TraceError as error:
        assert str(error).startswith("x.xlsx")
    created_s(bytes(content)) if cut == 0 and not flips else None


@pytest.mark.parametrize("cut", [0.02, 0.5, 0.99])
def test_a_half_written_workbook_is_refused_in_one_sentence(tmp_path: Path, cut: float) -> None:
    whole = workbook({"vms": [["VM"], ["a"]]})
    path = write(tmp_path / "export.xlsx", whole[: int(len(whole) * cut)])
    with pytest.raises(TraceError, match=r"export.xlsx: not a whole workbook; export or copy it again"):
        read_grids(path, ("vms",), HEADINGS)


def test_stray_cells_far_out_are_refused_before_they_fill_the_memory() -> None:
    content = workbook({"vms": [["VM"], ["a"]]})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = parts[sheet].replace(
        b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    )
    far = io.BytesIO()
    with zipfile.ZipFile(far, "w") as archive:
        for part, text in parts.items():
            archive.writestr(part, text)
    with pytest.raises(TraceError, match=r"x.xlsx, xl/worksheets/sheet1.xml: stray cells far out; delete the rows"):
        parse_workbook(far.getvalue(), "x.xlsx", ("vms",))


def test_a_workbook_tells_when_it_was_made() -> None:
    made = created_s(workbook({"vms": []}))
    assert made is not None
    assert abs(made - datetime.datetime.now(datetime.UTC).timestamp()) < 86400


@pytest.mark.parametrize("content", [b"\x7fELF\0\0", b"\xff\xfea", bytes(range(128, 160))])
def test_what_is_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(TraceError, match=r"vms.csv: not a text file; give the export's CSV or workbook"):
        decode(content, "vms.csv")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file or directory; give the export's file"):
        read_grids(tmp_path / "none.csv", (), HEADINGS)


@given(st.text())
def test_any_text_is_a_table_or_a_sentence(text: str) -> None:
    try:
        for row in csv_table(text).rows():
            row.number(LOAD)
    except TraceError as error:
        assert str(error).startswith("vms.csv")
    fits(parse_csv(text.replace('"', ""), "vms.csv", HEADINGS), (NAME,))
