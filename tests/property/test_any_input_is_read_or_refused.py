"""Every importer and every parser of ``collectors``: what it is given is read, or refused in a sentence.

A few inputs for each; ``python -m tests.fuzz`` takes as long as it is told to. What that found stands below as cases.
"""

from __future__ import annotations

import gzip
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.importers import IMPORTERS
from tests.fuzz import seeds
from tests.fuzz.mutation import damaged
from tests.fuzz.targets import Target, targets

TARGETS = targets()
HUGE = b"9" * 400
CASES = {
    "import azure 3": gzip.compress(seeds.AZURE_VMS)[:40] + b"\x1f" * 20,
    "import records 1": seeds.RECORDS.replace(b'"value": 3', b'"value": ' + HUGE),
    "import sysstat 1": seeds.SADF_JSON.replace(b'"some_avg": 1.5', b'"some_avg": ' + HUGE),
    "import agent 1": seeds.SEGMENT.replace(b"[0.7]", b"[" + HUGE + b"]"),
    "import table 4": seeds.LONG_MAPPING.replace(b"2400", HUGE),
    "import table 2": seeds.MAPPING.replace(b'"time"', b'""'),
    "import rvtools 1": seeds.RVTOOLS[:400] + seeds.RVTOOLS[900:],
    "import tianchi 4": seeds.ZIPPED[:200] + seeds.ZIPPED[260:],
    "import exposition 1": seeds.EXPOSITION.replace(b"8.2e+09", HUGE),
}
"""Inputs that once ended in a traceback, or did not end."""


def test_every_importer_is_fed() -> None:
    assert seeds.FORMATS.keys() == IMPORTERS.keys()


@pytest.mark.parametrize("name", [name for name in TARGETS if name.startswith("import")])
def test_what_is_fed_to_an_importer_is_valid_before_it_is_damaged(name: str) -> None:
    kind, number = name.split()[1:]
    files = seeds.FORMATS[kind][int(number) - 1]
    for content in files.contents:
        with files.written(content) as place:
            assert list(IMPORTERS[kind].read(place))


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=15, derandomize=True, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_any_input_is_read_or_refused(name: str, seed: int) -> None:
    target: Target = TARGETS[name]
    target.feed(damaged(Random(seed), target.seeds))


@pytest.mark.parametrize("name", CASES)
def test_what_was_found_is_refused(name: str) -> None:
    TARGETS[name].feed(CASES[name])
