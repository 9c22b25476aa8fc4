"""Rules and notes in the store: as their sources last said them, and none where a store knows of none."""

from __future__ import annotations

import json
from pathlib import Path

from collectors.records import HostRecord, NoteRecord, RuleRecord, WorkloadRecord
from consolidate.store import Store

PROD, TEST = HostRecord("a", cluster="Prod"), HostRecord("b", cluster="Test")
APART = RuleRecord("apart", "anti-affinity", ("x", "y"), "Prod")
PAIR = RuleRecord("pair", "affinity", ("x", "z"), "Prod")
OTHER = RuleRecord("apart", "anti-affinity", ("v", "w"), "Test")


def test_rules_come_back_as_they_went_in(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    store.append([PROD, TEST, APART, OTHER])
    assert Store(tmp_path / "store").rules() == [APART, OTHER]


def test_a_cluster_that_is_looked_at_anew_keeps_no_rule_of_before(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    store.append([PROD, TEST, APART, OTHER])
    store.append([PROD, PAIR])
    assert sorted(store.rules(), key=lambda rule: rule.name) == [OTHER, PAIR]
    store.append([WorkloadRecord("x", "vm", cluster="Prod")])
    assert store.rules() == [OTHER]


def test_what_a_source_says_anew_replaces_what_it_said(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    store.append([PROD, NoteRecord("rvtools", "old"), NoteRecord("rvtools", "older"), NoteRecord("vsphere", "kept")])
    store.append([PROD, NoteRecord("rvtools", "new")])
    assert sorted(note.text for note in store.notes()) == ["kept", "new"]


def test_a_segment_of_before_there_were_rules_has_none(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    store.append([PROD])
    (inventory,) = (tmp_path / "store").glob("segment-*/inventory.json")
    assert json.loads(inventory.read_text()).keys() == {"hosts", "workloads"}
    assert (store.rules(), store.notes()) == ([], [])
