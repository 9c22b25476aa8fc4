"""Amounts as people write them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consolidate.errors import InputError
from consolidate.units import (
    format_amount,
    format_bytes,
    format_slot,
    parse_bytes,
    parse_bytes_per_s,
    parse_cpu_milli,
    parse_duration_s,
    parse_permille,
    slot_of_week,
)


@pytest.mark.parametrize(
    ("parse", "text", "amount"),
    [
        (parse_bytes, "14GiB", 14 * 1024**3),
        (parse_bytes, "14 GB", 14 * 10**9),
        (parse_bytes, "1.5KiB", 1536),
        (parse_bytes, "512B", 512),
        (parse_bytes, 0, 0),
        (parse_bytes_per_s, "200MB/s", 200_000_000),
        (parse_cpu_milli, "1500m", 1500),
        (parse_cpu_milli, 1.5, 1500),
        (parse_cpu_milli, "2", 2000),
        (parse_duration_s, "7d", 604_800),
        (parse_permille, "10%", 100),
        (parse_permille, "2.5 %", 25),
    ],
)
def test_parse(parse, text, amount) -> None:
    assert parse(text) == amount


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_bytes, "14 Gi"),
        (parse_bytes, "512"),
        (parse_bytes, "2000TiB"),
        (parse_bytes_per_s, "500MB"),
        (parse_bytes, "-1GiB"),
        (parse_bytes, "1e3"),
        (parse_bytes, "0.1B"),
        (parse_cpu_milli, "two"),
        (parse_cpu_milli, "1.5.2"),
        (parse_duration_s, "7days"),
        (parse_permille, "0.1"),
        (parse_permille, "ten%"),
    ],
)
def test_a_typo_is_refused_with_the_value_and_an_example(parse, text) -> None:
    with pytest.raises(InputError, match="write for example") as caught:
        parse(text)
    assert repr(text) in str(caught.value) or text.rstrip("%") in str(caught.value)


@given(st.text(max_size=20))
def test_any_text_is_an_amount_or_an_input_error(text) -> None:
    for parse in (parse_bytes, parse_bytes_per_s, parse_cpu_milli, parse_duration_s, parse_permille):
        try:
            assert parse(text) >= 0
        except InputError as error:
            assert "write for example" in str(error)


def test_monday_midnight_is_slot_zero() -> None:
    monday_s = 1_780_272_000  # 2026-06-01
    assert slot_of_week(monday_s) == 0
    assert slot_of_week(monday_s + 7 * 86400 - 1) == 167
    assert slot_of_week(np.array([monday_s, monday_s + 86400])).tolist() == [0, 24]


def test_formats() -> None:
    assert [format_bytes(n) for n in (5, 1536, 14 * 1024**3, 1024**6)] == ["5 B", "1.5 KiB", "14.0 GiB", "1024 PiB"]
    assert format_amount("cpu_milli", 1500) == "1.50 cores"
    assert format_amount("disk_read_bytes_per_s", 2048) == "2.0 KiB/s"
    assert format_amount("macos_vms", 1) == "1 macos virtual machine"
    assert [format_slot(s, n) for s, n in ((38, 168), (14, 24), (0, 1))] == ["Tue 14:00", "14:00", "always"]
