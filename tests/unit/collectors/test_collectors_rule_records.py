"""Rules and notes in a file of records: taken over as they are, or refused."""

from __future__ import annotations

import json

import pytest

from collectors.records import NoteRecord, RuleRecord, as_fields
from collectors.traces.records import parse

RECORDS = (RuleRecord("apart", "anti-affinity", ("a", "b"), "Prod"), NoteRecord("rvtools", "2 templates are left out."))


def line(record: RuleRecord | NoteRecord, **changed: object) -> str:
    return json.dumps({"type": type(record).__name__, **as_fields(record), **changed})


def test_what_was_written_comes_back() -> None:
    assert [parse(line(record)) for record in RECORDS] == list(RECORDS)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (line(RECORDS[0], workloads=[1]), "'1' is not a workload's name"),
        (line(RECORDS[0], workloads="a"), "'a' cannot be its workloads"),
        (line(RECORDS[0], extra=1), "the key 'extra' is unknown"),
        (line(RECORDS[1], text=None), "'None' cannot be its text"),
    ],
)
def test_a_bad_one_is_refused(bad: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse(bad)
