"""This host seen by our agent and by a real node_exporter: one host, measured once."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from consolidate.store import Store
from tests.support.backends.prometheus import node_exporter
from tests.support.cli import consolidate


def test_this_host_is_one_whoever_looks_at_it(tmp_path: Path) -> None:
    store, scraped = tmp_path / "store", tmp_path / "node.prom"
    with node_exporter(tmp_path) as url, urllib.request.urlopen(f"{url}/metrics") as answer:
        scraped.write_bytes(answer.read())
    assert consolidate("collect", "--store", store, "--interval", 1, "--count", 3).code == 0
    before = Store(store)
    (name,), counted = before.hosts(), before.columns("cpu_seconds_total")
    done = consolidate("import", "exposition", scraped, "--store", store)
    assert done.code == 0, done.err
    samples = Store(store)
    assert list(samples.hosts()) == [name]
    assert [(one.subject, one.kind) for one in samples.findings()] == [(name, "merged"), (name, "set aside")]
    after = samples.columns("cpu_seconds_total")
    assert after.keys == counted.keys
    assert after.value.tolist() == counted.value.tolist(), "the exporter's counter is not mixed in"
    found = json.loads(consolidate("quality", "--store", store, "--json").out)
    assert [one["detail"] for one in found if one["kind"] == "merged"] == [
        f"is one host, seen as {name} (agent) and {name} (exposition)"
    ]
