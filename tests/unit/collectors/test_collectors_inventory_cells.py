"""Cells: numbers in any country's way of writing, yes and no, times; and no guess where two readings are possible."""

from __future__ import annotations

import datetime
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.inventory.cells import CellError, day_first, decimal_mark, flag, moment, number

NOON_S = 1_747_309_224  # 2025-05-15 11:40:24 UTC


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("16384", 16384),
        (" 16384 ", 16384),
        ("3.5", 3.5),
        ("3,5", 3.5),
        ("0.125", 0.125),
        ("1.234,5", 1234.5),
        ("1,234.5", 1234.5),
        ("1.234.567", 1234567),
        ("1,234,567", 1234567),
        ("1'234'567", 1234567),
        ("1 234 567", 1234567),
        ("1\u202f234,5", 1234.5),
        ("1234.567", 1234.567),
        ("12 %", 12),
        ("0%", 0),
        ("-1", -1),
        ("1e3", 1000),
        (".5", 0.5),
        ("", None),
        ("   ", None),
    ],
)
def test_a_number_is_read_as_its_country_writes_it(text: str, value: float | None) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text", ["twelve", "1.2.3", "1,23,4", "4 8", "12 34", "0x10", "nan", "inf", "1..2", "--1", "٣", "1e400", "9" * 20]
)
def test_nonsense_is_no_number(text: str) -> None:
    with pytest.raises(CellError, match="; mend the cell"):
        number(text)


def test_a_comma_before_three_digits_groups_where_only_whole_numbers_belong() -> None:
    assert number("16,384", whole=True) == 16384


@pytest.mark.parametrize(("text", "separator"), [("1,234", ","), ("1,234", ""), ("1.234", ";")])
def test_what_may_be_either_of_two_numbers_is_refused(text: str, separator: str) -> None:
    with pytest.raises(CellError, match=r"a thousand times more if the .* groups digits than if decimals follow it"):
        number(text, separator=separator)


def test_other_numbers_of_the_column_tell_which_it_is() -> None:
    assert decimal_mark(["1,234", "3,25"]) == ","
    assert number("1,234", decimal_mark(["1,234", "3,25"])) == 1.234
    assert number("1.234", decimal_mark(["1.234", "3,25"])) == 1234
    assert number("1,234", decimal_mark(["1,234", "3.25"])) == 1234
    assert decimal_mark(["12", "1,234", "text", ""]) == ""


def test_a_column_that_writes_numbers_in_two_ways_is_refused() -> None:
    with pytest.raises(CellError, match=r"'3,25' has a decimal comma and '3.25' a decimal point; write all numbers"):
        decimal_mark(["3,25", "3.25"])


def test_a_point_is_a_decimal_point_unless_semicolons_separate() -> None:
    assert number("1.234") == 1.234
    assert number("16.384", whole=True, separator=";") == 16384
    with pytest.raises(CellError, match=r"'16\.384' is not a whole number"):
        number("16.384", whole=True, separator=",")


@given(st.floats(0, 1e9, allow_nan=False).map(lambda value: round(value, 2)))
def test_a_number_comes_back_from_every_country(value: float) -> None:
    english, german = f"{value:,.2f}", f"{value:,.2f}".translate(str.maketrans(",.", ".,"))
    for text in (english, german, english.replace(",", "'"), german.replace(".", "\u00a0"), f"{value:.2f}"):
        found = number(text)
        assert found is not None
        assert math.isclose(found, value, abs_tol=1e-9)


@given(st.text())
def test_any_text_is_a_number_or_a_sentence(text: str) -> None:
    for read in (number, flag, moment):
        try:
            read(text)
        except CellError as error:
            assert "; " in str(error)


@pytest.mark.parametrize("cell", [True, datetime.datetime(2025, 1, 1), datetime.time(1)])
def test_what_is_no_number_in_a_workbook_is_none_here(cell: object) -> None:
    with pytest.raises(CellError, match="is not a number"):
        number(cell)  # type: ignore[arg-type]


def test_yes_and_no() -> None:
    assert [flag(cell) for cell in ("True", "FALSE", "yes", 1.0, True, None, "")] == [
        *(True, False, True, True, True),
        *(None, None),
    ]
    with pytest.raises(CellError, match="'perhaps' is neither True nor False"):
        flag("perhaps")


@pytest.mark.parametrize(
    "cell",
    [
        datetime.datetime(2025, 5, 15, 11, 40, 24),
        "2025-05-15 11:40:24",
        "2025/05/15 11:40:24",
        "2025-05-15T11:40:24Z",
        "2025-05-15T13:40:24+02:00",
        "15.05.2025 11:40:24",
        "15/05/2025 11:40:24",
        "5/15/2025 11:40:24 AM",
    ],
)
def test_a_time_is_read_as_its_country_writes_it(cell: str) -> None:
    assert moment(cell) == NOON_S


def test_an_afternoon_is_not_a_morning() -> None:
    assert moment("5/15/2025 11:40:24 PM") == NOON_S + 12 * 3600
    assert moment("5/15/2025 12:40:24 AM") == NOON_S - 11 * 3600


def test_other_times_of_the_column_tell_which_is_the_day() -> None:
    assert day_first(["01/02/2025", "13/02/2025"]) is True
    assert day_first(["01/02/2025", "02/13/2025"]) is False
    assert day_first(["01/02/2025 10:00"]) is None
    assert moment("01/02/2025", days_first=True) == moment("2025-02-01")
    with pytest.raises(CellError, match="may begin with its day or its month"):
        moment("01/02/2025")
    with pytest.raises(CellError, match=r"has the day first and .* the month"):
        day_first(["13/02/2025", "02/13/2025"])


@pytest.mark.parametrize("cell", ["yesterday", "2025-02-30", "1970-01-01", "15.05.2025 25:00", 45792.5])
def test_what_is_no_time_of_this_century_is_refused(cell: str) -> None:
    with pytest.raises(CellError, match="; "):
        moment(cell)
