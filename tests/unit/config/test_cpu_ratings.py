"""CPU ratings: every row of the table follows from published results, and what is in none is said to be in none."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from collectors.records import HostRecord
from consolidate.config import ratings, read_inputs
from consolidate.config.ratings import NOT_RATED, REFERENCE, STATED, plain_model, rating_of
from consolidate.errors import InputError
from tests.support.spec import derive, read_results

TABLE = Path(ratings.__file__).with_name("cpu_ratings.csv")


@pytest.mark.data
def test_the_table_follows_from_published_results(data: Path) -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    derived = derive(read_results(data / "power/SPECpower-full-results.csv"), [row["pattern"] for row in rows])
    if os.environ.get("REGENERATE_GOLDEN"):
        with TABLE.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(derived)
    assert rows == derived


@pytest.mark.parametrize(
    ("model", "plain"),
    [
        ("Intel(R) Xeon(R) CPU E5-2660 0 @ 2.20GHz", "xeon e5-2660"),
        ("Intel(R) Xeon(R) CPU E5-2670 v3 @ 2.30GHz", "xeon e5-2670 v3"),
        ("Intel(R) Xeon(R) Gold 6248R CPU @ 3.00GHz", "xeon gold 6248r"),
        ("Intel(R) Xeon(R) CPU           X5670  @ 2.93GHz", "xeon x5670"),
        ("AMD EPYC 7302P 16-Core Processor", "epyc 7302p"),
        ("AMD Opteron(tm) Processor 6276", "opteron 6276"),
        ("Intel Xeon X5570, 2.933 GHz", "xeon x5570"),
    ],
)
def test_models_as_kernels_write_them_are_rated(model: str, plain: str) -> None:
    assert plain_model(model) == plain
    found = rating_of(model, {})
    assert 0.3 < found.rating < 1.5
    assert found.origin.startswith("SPECpower_ssj2008, ")


def test_the_reference_is_one() -> None:
    assert rating_of(f"{REFERENCE} CPU @ 2.50GHz", {}).rating == 1.0


@pytest.mark.parametrize("model", ["", "QEMU Virtual CPU version 2.5+", "Intel Xeon Processor (Skylake, IBRS)", "Z80"])
def test_what_is_in_no_table_is_not_rated(model: str) -> None:
    assert rating_of(model, {}) == NOT_RATED


def test_what_is_stated_goes_before_the_table() -> None:
    stated = {"*EPYC 7302P*": 1.2, "AMD EPYC *": 1.1}
    assert rating_of("AMD EPYC 7302P 16-Core Processor", stated) == ratings.Rating(1.2, STATED)
    assert rating_of("AMD EPYC 9654 96-Core Processor", stated) == ratings.Rating(1.1, STATED)


GIB = 1 << 30
HOSTS = [
    HostRecord("a", "debian", "", "AMD Opteron(tm) Processor 6276", {"cpu_milli": 8000, "memory_bytes": GIB}),
    HostRecord("b", "debian", "", "Z80", {"cpu_milli": 8000, "memory_bytes": GIB}),
]


def test_measured_hosts_are_rated_and_the_file_can_say_otherwise() -> None:
    text = """
        cpu_ratings: {Z80: 0.02}
        hosts: [{name: c, cpu: 4, memory: 1GiB}, {name: a, cpu_rating: 2}]
    """
    by_name = {one.name: one for one in read_inputs(text, "fleet.yaml", HOSTS).fleet.hosts}
    assert [(by_name[name].cpu_rating, by_name[name].rated_by) for name in "abc"] == [
        (2.0, STATED),
        (0.02, STATED),
        (1.0, ""),
    ]
    (rated, _) = read_inputs("", "the store", HOSTS).fleet.hosts
    assert (rated.cpu_rating, rated.cpu_model) == (0.7, "AMD Opteron(tm) Processor 6276")
    assert rated.allocatable.get("cpu_milli") == int(7200 * 0.7)


def test_a_rating_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match=r"fleet.yaml:1: cpu_ratings.Z80: 0"):
        read_inputs("cpu_ratings: {Z80: 0}", "fleet.yaml", HOSTS)
