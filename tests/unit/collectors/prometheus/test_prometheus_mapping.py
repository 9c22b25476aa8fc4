"""Tables of exporters: the shipped ones hold together, a user's own change them, and a wrong one is a sentence."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.prometheus.mapping import FACTS, TABLE_KEYS, load_mapping, parse
from collectors.prometheus.plan import asks_of
from collectors.prometheus.promql import Scope, matched_labels, one_of, parse_selector
from collectors.prometheus.survey import scope_of
from collectors.prometheus.table import Mapped, fill
from collectors.records import METRICS, HostRecord, TraceError, WorkloadRecord

SHIPPED = load_mapping()
FEW = 'subject = "host"\nhost = ["{instance}"]\n'


def own(tmp_path: Path, text: str) -> Mapped:
    path = tmp_path / "mapping.toml"
    path.write_text(text)
    return load_mapping(path)


def table(mapped: Mapped, name: str) -> object:
    return next(one for one in mapped.tables if one.name == name)


@pytest.mark.parametrize("one", SHIPPED.tables, ids=lambda one: one.name)
def test_every_expression_of_the_shipped_tables_is_promql(one: object) -> None:
    scope = scope_of(one, ('cluster="eu"',), 300).within(one_of("instance", ["a.b:1", 'odd"\\', ""]))  # type: ignore[arg-type]
    for ask in asks_of(one, peaks=True):  # type: ignore[arg-type]
        text = ask.expression(scope, 60)
        promql_parser.parse(text)
        for place in ("$match", "$by", "$window"):
            assert place not in text
        # Without the matchers, a request for a part would answer with everything.
        assert text.count("a\\\\.b:1") == len(re.findall(r"\{[^}]*\}", text.replace('odd\\"', ""))), text


def test_every_host_metric_is_of_the_store_and_every_fact_of_a_record() -> None:
    assert {name for one in SHIPPED.tables for name in one.metrics} <= METRICS.keys()
    assert set(FACTS["host"]) <= HostRecord.__dataclass_fields__.keys()
    assert set(FACTS["workload"]) <= WorkloadRecord.__dataclass_fields__.keys()


def test_counters_of_many_series_are_rated_before_they_are_added() -> None:
    (cpu,) = [ask for ask in asks_of(SHIPPED.tables[0]) if ask.metric == "cpu_cores"]
    text = cpu.expression(Scope(("instance",)))
    assert text == 'sum by (instance) (rate(node_cpu_seconds_total{mode!~"idle|iowait|steal"}[300s]))'
    (iops,) = [ask for ask in asks_of(SHIPPED.tables[0]) if ask.metric == "disk_iops"]
    assert iops.expression(Scope(("instance",))).count("rate(") == 2


def test_memory_is_the_highest_within_the_step() -> None:
    (memory,) = [ask for ask in asks_of(SHIPPED.tables[0]) if ask.metric == "memory_working_set_bytes"]
    assert memory.expression(Scope(("instance",), window_s=60)) == (
        "sum by (instance) (max_over_time(node_memory_MemTotal_bytes{}[60s])) "
        "- sum by (instance) (min_over_time(node_memory_MemAvailable_bytes{}[60s]))"
    )


def test_a_file_changes_a_metric_a_label_and_leaves_the_rest(tmp_path: Path) -> None:
    mapped = own(
        tmp_path,
        '[node]\nhost = ["{fqdn}"]\n'
        '[node.metrics]\ncpu_seconds_total = { sum = "node_cpu" }\nswap_used_bytes = false\n',
    )
    node, before = table(mapped, "node"), SHIPPED.tables[0]
    assert node.host == ("{fqdn}",)  # type: ignore[attr-defined]
    assert "fqdn" in node.by  # type: ignore[attr-defined]
    assert node.metrics["cpu_seconds_total"].metric == "node_cpu"  # type: ignore[attr-defined]
    assert not node.metrics["cpu_seconds_total"].without  # type: ignore[attr-defined]
    assert "swap_used_bytes" not in node.metrics  # type: ignore[attr-defined]
    assert node.metrics["net_rx_bytes_total"] == before.metrics["net_rx_bytes_total"]  # type: ignore[attr-defined]


def test_a_file_adds_a_table_takes_one_away_and_names_hosts(tmp_path: Path) -> None:
    text = '[libvirt]\nuse = false\n[hosts]\n"10.0.0.1" = "web-1"\n[access]\ntenant = "a"\n'
    mapped = own(tmp_path, text + f'[mine]\n{FEW}[mine.metrics]\npids = {{ max = "my_pids" }}\n')
    names = [one.name for one in mapped.tables]
    assert "mine" in names
    assert "libvirt" not in names
    assert mapped.hosts == {"10.0.0.1": "web-1"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[node", "not TOML"),
        ("node = 1", "node: 1 is no table"),
        ("[mine]\n", "mine: subject: None is none of host, vm, container, service"),
        ('[mine]\nsubject = "host"\n', "mine.host: None is no list of templates"),
        (f'[mine]\n{FEW}name = ["{{a}}"]\n', "mine: name: ['{a}'] does not fit the subject 'host'; leave it out"),
        ('[mine]\nsubject = "vm"\nhost = []\n', "mine: name: [] does not fit the subject 'vm'; say how"),
        ("[node]\nhots = []\n", "node: 'hots' is not a key here; use"),
        ("[node.metrics]\ncpu = { sum = 'a' }\n", "node.metrics: 'cpu' is no metric of the store"),
        ("[node.metrics]\npids = { sum = 'a', max = 'b' }\n", "does not say once where values come from"),
        ("[node.metrics]\npids = 'a'\n", "node.metrics.pids: 'a' is no table; write"),
        ("[node.metrics]\npids = { factor = 2 }\n", "does not say once where values come from"),
        ("[node]\nfacts = 3\n", "node.facts: 3 is no table"),
        ("[node]\ninfo = 3\n", "node.info: 3 is no list"),
        ("[node.metrics]\npids = { sum = 1 }\n", "node.metrics.pids.sum: 1 is no text"),
        ("[node.metrics]\npids = { sum = 'a', factor = '2' }\n", "node.metrics.pids.factor: '2' is no number"),
        ("[node.metrics]\npids = { sum = 'a', filter = 'x' }\n", "filter: 'x' is not among the table's filters"),
        ("[node.metrics]\npids = { sum = 'a', where = { b = '(' } }\n", "'(' is no regular expression"),
        ("[node.metrics]\npids = { expr = 'sum(a)' }\n", "has no $match"),
        ("[node.facts]\ncolour = ['{a}']\n", "node.facts: 'colour' is no fact of a host"),
        ("[hosts]\na = 1\n", "hosts.a: 1 is no text"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(TraceError, match=re.escape(says)) as refused:
        own(tmp_path, text)
    assert str(refused.value).startswith(str(tmp_path / "mapping.toml"))


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=6)
names = st.sampled_from(["host", "name", "sum", "where", "series", "on", "take", "instance", "filter", "less", "x"])
values = st.recursive(
    scalars, lambda one: st.lists(one, max_size=2) | st.dictionaries(names, one, max_size=4), max_leaves=8
)


@given(
    st.sampled_from(sorted(TABLE_KEYS)), st.sampled_from(["", "pids", "os", "cpu_milli", "a"]), values, st.booleans()
)
def test_any_value_of_any_key_is_a_mapping_or_a_sentence(key: str, below: str, value: object, twice: bool) -> None:
    whole = {"subject": "host", "host": ["{instance}"], "metrics": {"pids": {"max": "p"}}}
    changed = {**whole, key: {below: value} if below else value}
    try:
        parse({"mine": {**changed, "info": [value]} if twice else changed}, "file")
    except TraceError as refused:
        assert str(refused).startswith("file: mine")


def test_the_documents_example_of_a_mapping_is_one(tmp_path: Path) -> None:
    text = (Path(__file__).parents[4] / "docs/prometheus.md").read_text()
    for example in re.findall(r"```toml\n(.*?)```", text, re.DOTALL):
        assert tomllib.loads(example)
        own(tmp_path, example)


@given(st.dictionaries(st.sampled_from("abc"), st.text(max_size=3)))
def test_the_first_template_that_can_be_filled_counts(labels: dict[str, str]) -> None:
    expected = next((labels[name] for name in ("a", "b") if labels.get(name)), "")
    assert fill(["{a}", "{b}"], labels) == expected


@pytest.mark.parametrize(
    ("text", "matchers", "labels"),
    [
        ("", (), ()),
        ("{}", (), ()),
        ('cluster="eu"', ('cluster="eu"',), ("cluster",)),
        ("{a=~\"x,y}\", b!='q\\'' }", ('a=~"x,y}"', "b!='q\\''"), ("a", "b")),
    ],
)
def test_a_selector(text: str, matchers: tuple[str, ...], labels: tuple[str, ...]) -> None:
    assert parse_selector(text) == matchers
    assert matched_labels(matchers) == labels


@pytest.mark.parametrize("text", ["up", "a=b", 'a="b" c="d"', 'a="b"}) or up({', '{a="b', "a='b\n'"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no matcher of labels; write for example"):
        parse_selector(text)


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_a_matcher_of_any_values_is_promql_that_matches_just_them(values: list[str]) -> None:
    matcher = one_of("a", values)
    promql_parser.parse(f"up{{{matcher}}}")
    pattern = matcher.removeprefix('a=~"').removesuffix('"')
    pattern = re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], pattern)
    for value in values:
        assert re.fullmatch(pattern, value)
    assert re.fullmatch(pattern, "none of these") is None
