"""From answers to records: names, restarts, duplicates, and what is there at the end."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from collectors.prometheus.answer import Found
from collectors.prometheus.assemble import Assembler
from collectors.prometheus.identity import Joined, Names, Sighting, Subject, address, unify
from collectors.prometheus.mapping import load_mapping
from collectors.prometheus.plan import START, Ask, Grid, asks_of
from collectors.prometheus.survey import Survey
from collectors.prometheus.table import Table
from collectors.records import HostRecord, Series, WorkloadRecord

TABLES = {table.name: table for table in load_mapping().tables}
NODE, KUBELET, MACHINE = TABLES["node"], TABLES["kubelet"], TABLES["machine"]
NOW_S, STEP_S = 1_790_000_100, 300
GRID = Grid(NOW_S - 3 * STEP_S, NOW_S, STEP_S)
TIMES = [GRID.first_s + STEP_S * step for step in range(4)]


def found(labels: Mapping[str, str], values: list[float], times: list[int] | None = None) -> Found:
    at_s = np.array(TIMES[: len(values)] if times is None else times, dtype=np.int64)
    return Found(labels, at_s, np.array(values, dtype=np.float64))


def survey(names: Names, *tables: Table, amounts: Mapping[Subject, Mapping[str, int]] | None = None) -> Survey:
    return Survey(tables, {}, names, {}, amounts or {}, ())


def ask(table: Table, metric: str) -> Ask:
    return next(one for one in asks_of(table, peaks=True) if one.metric == metric)


def series(records: list[object]) -> dict[tuple[str, str | None, str, str], dict[int, float]]:
    return {
        (one.host, one.workload, one.metric, one.incarnation): dict(
            zip(one.at_s.tolist(), one.value.tolist(), strict=True)
        )
        for one in records
        if isinstance(one, Series)
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1:9100", "10.0.0.1"),
        ("web-1", "web-1"),
        ("[fe80::1]:9100", "fe80::1"),
        ("fe80::1", "fe80::1"),
        ("web-1:port", "web-1:port"),
        ("", ""),
    ],
)
def test_an_address_without_its_port(text: str, expected: str) -> None:
    assert address(text) == expected


def test_a_rate_whose_window_a_restart_lies_in_is_absent() -> None:
    labels = {"instance": "a:9100", "job": "node"}
    booted = TIMES[2] - 100
    starts = found(labels, [1e9, 1e9, booted, booted])
    own = Assembler(survey(Names({}), NODE), STEP_S)
    answers = [(ask(NODE, "cpu_cores"), [found(labels, [1, 2, 3, 4])]), (ask(NODE, START), [starts])]
    assert series(list(own.records(answers, GRID))) == {
        ("a", None, "cpu_cores", "1000000000"): {TIMES[0]: 1, TIMES[1]: 2},
        ("a", None, "cpu_cores", str(booted)): {TIMES[3]: 4},
    }
    assert own.tally.restarts == 1


def test_a_level_in_a_window_with_a_restart_is_kept() -> None:
    labels = {"instance": "a:9100", "job": "node"}
    starts = found(labels, [TIMES[0] - 10] * 4)
    answers = [(ask(NODE, "memory_anon_bytes"), [found(labels, [1, 2, 3, 4])]), (ask(NODE, START), [starts])]
    (values,) = series(list(Assembler(survey(Names({}), NODE), STEP_S).records(answers, GRID))).values()
    assert list(values.values()) == [1, 2, 3, 4]


def test_a_start_time_that_is_rounded_this_way_and_that_is_one_run_also_over_chunks() -> None:
    labels = {"instance": "a:9100", "job": "node"}
    own = Assembler(survey(Names({}), NODE), STEP_S)
    runs = []
    for shift in (0, 4 * STEP_S):
        times = [at_s + shift for at_s in TIMES]
        starts = found(labels, [1e9, 1e9 + 1, 1e9 - 1, 1e9 + (2 if shift else 0)], times)
        answers = [(ask(NODE, "oom_kills_total"), [found(labels, [1, 1, 1, 1], times)]), (ask(NODE, START), [starts])]
        runs += list(series(list(own.records(answers, Grid(times[0], times[-1], STEP_S)))))
    assert runs == [("a", None, "oom_kills_total", "1000000000")] * 2


def test_restarts_that_only_a_counter_tells() -> None:
    libvirt = TABLES["libvirt"]
    labels = {"instance": "kvm-1:9177", "job": "libvirt", "domain": "db"}
    answers = [
        (ask(libvirt, "cpu_cores"), [found(labels, [1, 2, 3, 4])]),
        (ask(libvirt, "resets"), [found(labels, [0, 1, 0, 0])]),
    ]
    (values,) = series(list(Assembler(survey(Names({}), libvirt), STEP_S).records(answers, GRID))).values()
    assert list(values) == [TIMES[0], TIMES[2], TIMES[3]]


def test_a_container_that_was_started_again_is_one_workload() -> None:
    pod = {"instance": "n:10250", "job": "k", "node": "n", "namespace": "shop", "pod": "web", "container": "app"}
    answers = [
        (
            ask(KUBELET, "memory_working_set_bytes"),
            [found({**pod, "id": "/a"}, [1, 2]), found({**pod, "id": "/b"}, [3, 4], TIMES[2:])],
        )
    ]
    own = Assembler(survey(Names({}), KUBELET), STEP_S)
    assert series(list(own.records(answers, GRID))) == {
        ("n", "shop/web/app", "memory_working_set_bytes", ""): dict(zip(TIMES, [1, 2, 3, 4], strict=True))
    }
    assert not own.tally.twice


def test_what_two_jobs_scrape_is_counted_once_and_named() -> None:
    one, two = {"instance": "a:9100", "job": "node"}, {"instance": "a:9100", "job": "old-node"}
    answers = [(ask(NODE, "cpu_cores"), [found(two, [9, 9, 9, 9]), found(one, [1, 1, 1])])]
    own = Assembler(survey(Names({}), NODE), STEP_S)
    (values,) = series(list(own.records(answers, GRID))).values()
    assert list(values.values()) == [1, 1, 1, 9]
    assert own.tally.twice == {"a": "instance=a:9100, job=old-node"}


def test_a_series_that_no_name_can_be_made_of_is_left_out_and_named() -> None:
    answers = [(ask(KUBELET, "memory_anon_bytes"), [found({"instance": "n:1", "job": "k", "pod": "web"}, [1])])]
    own = Assembler(survey(Names({}), KUBELET), STEP_S)
    assert list(own.records(answers, GRID)) == []
    assert own.tally.nameless == {"kubelet": "instance=n:1, job=k, pod=web"}


def test_only_what_is_there_at_the_end_is_in_the_inventory() -> None:
    pod = {"instance": "n:10250", "job": "k", "node": "n", "namespace": "shop", "container": "app"}
    gone, there = {**pod, "pod": "gone"}, {**pod, "pod": "there"}
    answers = [(ask(KUBELET, "memory_anon_bytes"), [found(gone, [1, 2]), found(there, [1, 2, 3, 4])])]
    amounts = {Subject("", "shop/there/app"): {"cpu_milli": 500}, Subject("n", None): {"cpu_milli": 4000}}
    own = Assembler(survey(Names({}), KUBELET, amounts=amounts), STEP_S)
    records = [one for one in own.records(answers, GRID) if not isinstance(one, Series)]
    assert records == [
        HostRecord("n", capacity={"cpu_milli": 4000}),
        WorkloadRecord("shop/there/app", "container", "n", "linux", limits={"cpu_milli": 500}),
    ]


def node(instance: str, **more: str) -> Mapping[str, str]:
    return {"instance": instance, "job": "node", **more}


def uname(*pairs: tuple[str, str]) -> Mapping[str, list[Joined]]:
    names = [found({"instance": instance, "nodename": name, "release": "6"}, [1]) for instance, name in pairs]
    return {"node": [Joined.of(NODE.info[0], names)]}


def test_the_same_host_seen_by_node_exporter_cadvisor_and_kubernetes_is_one() -> None:
    kube = TABLES["kube-node"]
    joined = {
        **uname(("10.0.0.1:9100", "web-1")),
        "kube-node": [Joined.of(kube.info[0], [found({"node": "web-1.corp", "internal_ip": "10.0.0.1"}, [1])])],
    }
    seen = [
        (NODE, [Sighting(node("10.0.0.1:9100"), NOW_S)]),
        (kube, [Sighting({"node": "web-1.corp", "job": "kube"}, NOW_S)]),
        (MACHINE, [Sighting({"instance": "10.0.0.1:10250", "job": "kubelet"}, NOW_S)]),
    ]
    names, doubts = unify(joined, seen, {})
    assert doubts == []
    pod = {"namespace": "a", "pod": "b", "container": "c", "instance": "10.0.0.1:10250", "job": "kubelet"}
    assert names.subject(KUBELET, pod) == Subject("web-1", "a/b/c")
    assert names.subject(KUBELET, {**pod, "node": "web-1.corp"}) == Subject("web-1", "a/b/c")
    assert names.subject(NODE, names.enrich(NODE, node("10.0.0.1:9100"))) == Subject("web-1", None)


@pytest.mark.parametrize(
    ("starts", "ids", "apart"),
    [
        ((1e9, 1e9 + 5000), ("", ""), True),
        ((1e9, 1e9 + 1), ("", ""), False),
        ((None, None), ("", ""), True),
        ((1e9, 1e9), ("uuid-1", "uuid-2"), True),
        ((1e9, 2e9), ("uuid-1", "uuid-1"), False),
    ],
)
def test_two_hosts_of_one_name_are_kept_apart_unless_they_are_one_machine(
    starts: tuple[float | None, float | None], ids: tuple[str, str], apart: bool
) -> None:
    joined = uname(("10.0.0.1:9100", "localhost"), ("10.0.0.2:9100", "localhost"))
    seen = [
        Sighting(node(f"10.0.0.{number}:9100", machine_id=own), NOW_S, start)
        for number, start, own in zip((1, 2), starts, ids, strict=True)
    ]
    names, doubts = unify(joined, [(NODE, seen)], {})
    subjects = [names.subject(NODE, names.enrich(NODE, one.labels)) for one in seen]
    if apart:
        assert subjects == [Subject("10.0.0.1", None), Subject("10.0.0.2", None)]
        assert "2 hosts call themselves 'localhost', and are kept apart as 10.0.0.1, 10.0.0.2" in doubts[0]
    else:
        assert subjects == [Subject("localhost", None)] * 2
        assert doubts == []


def test_a_host_that_changed_its_address_is_one() -> None:
    joined = uname(("10.0.0.1:9100", "web-1"), ("10.0.0.9:9100", "web-1"))
    seen = [Sighting(node("10.0.0.1:9100"), NOW_S - 86_400, 1e9), Sighting(node("10.0.0.9:9100"), NOW_S, 2e9)]
    names, doubts = unify(joined, [(NODE, seen)], {})
    assert doubts == []
    assert {names.subject(NODE, names.enrich(NODE, one.labels)) for one in seen} == {Subject("web-1", None)}


def test_what_the_user_says_of_a_host_goes_before() -> None:
    names, _ = unify(uname(("a:9100", "x")), [(NODE, [Sighting(node("a:9100"), NOW_S)])], {"a": "web-7"})
    assert names.subject(NODE, names.enrich(NODE, node("a:9100"))) == Subject("web-7", None)


def test_of_a_label_that_changed_the_newest_counts() -> None:
    info = NODE.info[0]
    old = found({"instance": "a:1", "nodename": "before"}, [1], [NOW_S - 100])
    new = found({"instance": "a:1", "nodename": "after"}, [1], [NOW_S])
    for order in ([old, new], [new, old]):
        assert Joined.of(info, order).add_to({"instance": "a:1"})["nodename"] == "after"
