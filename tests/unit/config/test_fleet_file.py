"""The fleet file: what it may say, and how it says no."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.records import HostRecord, WorkloadRecord
from consolidate.config import Inputs, read_inputs
from consolidate.errors import InputError
from consolidate.model.fleet import Hypervisor, Isolation
from consolidate.model.rules import AntiAffinity, FailureReserve, Pin

GOOD = """\
models:
  big: {cpu: 16, memory: 64GiB, hypervisor: native, watts: [80, 200], cpu_rating: 1.5}
hosts:
  - {name: "h{n}", count: 3, model: big, os: debian, domain: rack-a}
  - {name: small, cpu: 4, memory: 8GiB, os: windows-7, reserved: {memory: 1GiB}}
workloads:
  - {name: web, host: h1, group: front, copy: 20GiB, demand: {cpu: 2, memory: 4GiB}}
  - {name: db, host: h2, allowed: [vm], demand: {cpu: 2, memory: 4 GiB}}
rules:
  - {kind: anti-affinity, name: apart, workloads: [web, db]}
  - {kind: pin, name: pinned, workloads: ["group:front"], hosts: ["domain:rack-a"]}
  - {kind: failure-reserve, name: n+1}
policy: {headroom: 20%}
"""


def test_a_good_file() -> None:
    inputs = read_inputs(GOOD, "fleet.yaml")
    names = [host.name for host in inputs.fleet.hosts]
    assert names == ["h1", "h2", "h3", "small"]
    h1, small = inputs.fleet.hosts[0], inputs.fleet.hosts[3]
    assert h1.allocatable.get("cpu_milli") == 16_000 * 8 // 10 * 3 // 2
    assert (h1.hypervisor, h1.power.at(1.0), h1.domain) == (Hypervisor.NATIVE, 200, "rack-a")
    assert small.allocatable.get("memory_bytes") == 8 * 1024**3 * 8 // 10 - 1024**3
    web, db = inputs.fleet.workloads
    assert (web.os, web.group, web.copy_bytes, web.isolation) == ("debian", "front", 20 * 1024**3, Isolation.NATIVE)
    assert db.allowed == {Isolation.VM}
    assert inputs.stated["db"].peak.get("memory_bytes") == 4 * 1024**3
    assert inputs.fleet.rules == (
        AntiAffinity("apart", ("web", "db"), 1),
        Pin("pinned", ("web",), ("h1", "h2", "h3")),
        FailureReserve("n+1", ("web", "db")),
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("64GiB", "64GiBs", 2, "'64GiBs' is not a size; write for example 14GiB"),
        ("cpu: 16", "cpu: sixteen", 2, "'sixteen' is not a number of cores"),
        ("cpu: 16", "cpu: 0", 4, "host 'h1' has no cpu left to give"),
        ("headroom: 20%", "headroom: 0.2", 13, "'0.2' is not a percentage"),
        ("headroom: 20%", "headroom: 100%", 4, "has no cpu left"),
        ("watts:", "wats:", 2, "there is no such key"),
        ("model: big", "model: bog", 4, "no model 'bog'; did you mean 'big'?"),
        ("os: debian", "os: debain", 4, "no operating system 'debain'; did you mean 'debian'?"),
        ("host: h2", "host: h9", 8, "no host 'h9'"),
        ("[web, db]", "[webb, db]", 10, "no workload matches 'webb'; did you mean 'web'?"),
        ('"group:front"', '"group:frnt"', 11, "no workload matches 'group:frnt'"),
        ('"domain:rack-a"', '"domain:rack-z"', 11, "no host matches 'domain:rack-z'"),
        ("kind: pin", "kind: pinn", 11, "does not match any of the expected"),
        ("count: 3", "count: none", 4, "'none': input should be a valid integer"),
        ("name: web, ", "", 7, "give either 'name' or 'match'"),
        ("{cpu: 2, memory: 4GiB}}", "{cpu: 2}}", 7, "needs both cpu and memory"),
        ("{cpu: 2, memory: 4GiB}}", "{cpu: [1, 2], memory: 4GiB}}", 7, "2 hourly amounts"),
        ("rules:\n", "rules: [\n", 10, "not YAML"),
        ("name: small,", "name: h2,", 5, "a host 'h2' stands above already"),
        ("name: db,", "name: web,", 8, "a workload 'web' stands above already"),
        ("name: pinned,", "name: apart,", 11, "a rule 'apart' stands above already"),
        ("policy:", "hosts: []\npolicy:", 13, "the key 'hosts' stands here a second time"),
        ("cpu_rating: 1.5", "cpu_rating: .inf", 2, "less than or equal to 100"),
        ("watts: [80, 200]", "watts: [-5]", 2, "greater than or equal to 0"),
        ("64GiB", "64", 2, "'64' is not a size"),
    ],
)
def test_a_mistake_names_file_line_value_and_remedy(old, new, line, says) -> None:
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        read_inputs(GOOD.replace(old, new, 1), "fleet.yaml")
    message = str(caught.value)
    assert re.match(rf"fleet\.yaml:{line}\b", message), message
    assert says in message
    assert "\n" not in message


def test_no_hosts_at_all_is_an_error() -> None:
    with pytest.raises(InputError, match="there are no hosts"):
        read_inputs("", "fleet.yaml")


def measured(text: str) -> Inputs:
    hosts = [HostRecord("a", "debian", capacity={"cpu_milli": 4000, "memory_bytes": 8 * 1024**3})]
    workloads = {
        "a:web": WorkloadRecord("web", "service", "a", "linux", "system.slice/web.service", {"cpu_milli": 500}),
        "a:system.slice": WorkloadRecord("system.slice", "slice", "a", "linux", "system.slice"),
        "guest": WorkloadRecord("guest", "vm", "", "", limits={"memory_bytes": 1}),
    }
    return read_inputs(text, "fleet.yaml", hosts, workloads)


def test_measured_records_need_no_file() -> None:
    web, guest = measured("").fleet.workloads
    assert (web.name, web.host, web.os, web.cgroup) == ("a:web", "a", "debian", "system.slice/web.service")
    assert (guest.host, guest.isolation) == (None, Isolation.VM)


def test_the_file_refines_what_was_measured() -> None:
    text = "hosts: [{match: 'a*', cpu_rating: 2, hypervisor: native}]\nworkloads: [{match: '*:web', group: front}]"
    inputs = measured(text)
    assert inputs.fleet.hosts[0].allocatable.get("cpu_milli") == 7200
    assert inputs.fleet.workloads[0].group == "front"
    with pytest.raises(InputError, match=r"fleet\.yaml:1: hosts\[0\]\.match: no measured host matches 'b\*'"):
        measured("hosts: [{match: 'b*', cpu_rating: 2}]")


@given(st.text(alphabet="abc:{}[]-,'\"\n\t #&*!|>%@012", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused_in_one_sentence(text) -> None:
    try:
        read_inputs(text, "fleet.yaml")
    except InputError as error:
        assert str(error).startswith("fleet.yaml")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["hosts", "workloads", "rules", "policy", "models", "name", "cpu", "memory", "kind"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
@settings(max_examples=200, deadline=None)
def test_any_document_is_read_or_refused_in_one_sentence(document) -> None:
    try:
        read_inputs(yaml.safe_dump(document), "fleet.yaml")
    except InputError as error:
        assert str(error).startswith("fleet.yaml")
