"""What is not there is listed, and what a plan says of its data is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from consolidate.insight import Finding, Inspected, faults, findings, missing
from consolidate.insight.show import quality_text
from consolidate.insight.summary import quality_sentences
from consolidate.model.dimensions import SOURCES
from tests.support.fleets import fleet, host, workload
from tests.unit.insight.test_quality import CASE, COUNT, busy, history

ALL = frozenset(SOURCES)


def test_missing_dimensions_are_listed_by_workload_and_host() -> None:
    rated = replace(host("h"), rated_by="SPEC", cpu_rating=0.8)
    case = fleet([rated], [workload("a", "h"), workload("b", "h"), workload("c", "h")])
    measured = {"a": ALL, "b": ALL - {"disk_iops", "net_rx_bytes_per_s"}, "h:": frozenset({"cpu_milli"})}
    assert list(missing(case, measured)) == [
        Finding("b", "", "missing", "not measured: disk_iops, net_rx_bytes_per_s"),
        Finding("c", "", "missing", "nothing was measured"),
        Finding(
            "h",
            "",
            "missing",
            "not measured: memory_bytes, disk_read_bytes_per_s, disk_write_bytes_per_s, disk_iops, "
            "net_rx_bytes_per_s, net_tx_bytes_per_s of the host itself",
        ),
    ]


def test_hosts_that_are_off_or_not_rated_are_named() -> None:
    case = fleet([replace(host("h", on=False), cpu_model="Z80"), host("stated", cpu_rating=0.9)], [])
    found = list(missing(case, {"h:": ALL, "stated:": ALL}))
    assert [(one.subject, one.kind) for one in found] == [("h", "off"), ("h", "not rated")]
    assert found[1].detail == "Z80: its rating is taken to be 1"


def test_a_history_is_looked_at_on_its_way() -> None:
    measured = history(cpu_milli=(np.full(COUNT, 700.0), busy(2)))
    inspected = Inspected(measured, CASE)
    assert inspected.findings == ()
    assert [part.positions.tolist() for part in inspected.parts()] == [[0, 1]]
    list(inspected.parts())  # a second time tells nothing new
    assert inspected.findings == findings(measured, CASE) != ()
    assert inspected.span_s() == measured.span_s()
    kept = np.array([True, False])
    assert len(next(inspected.only(kept).parts()).positions) == 1
    assert inspected.between(0, 1).span_s() is None
    assert inspected.without(0, 1).span_s() == measured.span_s()


def test_a_plan_quotes_counts_and_the_command() -> None:
    found = (
        Finding("a", "cpu_milli", "zeros", "…"),
        Finding("a", "memory_bytes", "zeros", "…"),
        Finding("b", "cpu_milli", "percent", "…"),
        Finding("h", "", "merged", "…"),
        Finding("h", "", "missing", "…"),
        Finding("g", "", "missing", "…"),
    )
    assert quality_sentences(found) == (
        "Data: 3 findings look wrong on 2 hosts and workloads (zeros 2, percent 1); "
        "`consolidate quality --store STORE` lists everything.",
        "Of hosts and workloads, 2 not measured in all dimensions; 1 seen under several names or by several sources.",
    )
    assert quality_sentences(()) == (
        "Data: nothing measured looks wrong; `consolidate quality --store STORE` lists everything.",
    )


def test_notes_are_no_faults_and_are_shown_after_them() -> None:
    notes = [Finding(f"w{number}", "", "missing", "not measured: disk_iops") for number in range(12)]
    fault = Finding("a", "cpu_milli", "constant", "flat")
    assert faults((fault, *notes)) == (fault,)
    text = quality_text((fault, *notes), 80)
    assert text.index("constant, 1") < text.index("No faults, but to be known") < text.index("missing, 12")
    assert "w0, w1, w2, w3, w4, w5, w6, w7 and 4 more: not measured: disk_iops" in " ".join(text.split())
    assert quality_text(notes, 80).startswith("Nothing about the data looks wrong.\n")
