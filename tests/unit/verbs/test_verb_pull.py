"""The verb that pulls: options that cannot be used, and the rules that it offers."""

from __future__ import annotations

import re
from pathlib import Path

import promql_parser
import pytest
import yaml

from consolidate.errors import InputError
from consolidate.verbs.pull import PullRequest, pull, rules_text

NOBODY = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"url": "prometheus"}, "'prometheus' is no address"),
        ({"url": "http://me:secret@host"}, "an address with a password can be read by everybody"),
        ({"step": "5"}, "'5' is not a duration"),
        ({"step": "1s"}, "'1s' is too short a step; give 10s or more"),
        ({"last": "month"}, "'month' is not a duration"),
        ({"max_concurrent": 0}, "0 at once and 10 a second are no caps"),
        ({"max_per_second": 0.0}, "4 at once and 0 a second are no caps"),
        ({"max_per_second": float("inf")}, "are no caps"),
        ({"peaks": "5m"}, "'5m' does not lie within a step of 300 s"),
        ({"match": "up"}, "'up' is no matcher of labels"),
        ({"mapping": Path("/nonexistent/m.toml")}, "/nonexistent/m.toml: No such file or directory; make the file"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, object], says: str, tmp_path: Path) -> None:
    request = PullRequest(**{"url": NOBODY, **options})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=re.escape(says)) as refused:
        pull(request, tmp_path / "store", lambda text: None, {})
    assert "secret" not in str(refused.value)
    assert not (tmp_path / "store").exists()


def test_rules_are_named_like_those_of_node_mixin_and_select_what_is_asked_for() -> None:
    document = yaml.safe_load(rules_text(PullRequest(NOBODY, step="1m", match='cluster="eu"', peaks="30s")))
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    names = [rule["record"] for rule in rules]
    assert "instance:node_cpu_cores:rate60s" in names
    assert "instance:node_cpu_cores_max:max_rate60s" in names
    assert "container:kubelet_memory_working_set_bytes:max60s" in names
    assert len(set(names)) == len(names)
    for rule in rules:
        assert re.fullmatch(r"[a-z]+:[a-z_]+:[a-z_]+60s", rule["record"])
        promql_parser.parse(rule["expr"])
        assert 'cluster="eu"' in rule["expr"]
        assert "cluster" in rule["expr"].partition("by (")[2].partition(")")[0]


def test_rules_of_a_users_own_table(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(
        '[mine]\nsubject = "host"\nlevel = "box"\nhost = ["{box}"]\nsplit = "box"\n'
        '[mine.metrics]\ncpu_seconds_total = { sum = "my_cpu_seconds_total" }\n'
    )
    text = rules_text(PullRequest(NOBODY, mapping=tmp_path / "m.toml"))
    assert "record: box:mine_cpu_cores:rate300s" in text
    assert "expr: sum by (box, job) (rate(my_cpu_seconds_total{}[300s]))" in text
