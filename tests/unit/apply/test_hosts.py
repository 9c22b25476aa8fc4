"""One plan over many hosts: the pace, the blast radius, and what is said of every one of them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from consolidate.apply import Machine, Records
from consolidate.apply.condition import Answer
from consolidate.apply.guard import Guard, Senses
from consolidate.apply.hosts import HostOutcome, ManyHosts, Pace, planned_hosts, waves
from consolidate.apply.hosts_show import hosts_json, hosts_text
from consolidate.errors import InputError
from tests.support.machines import Datacentre


def many(centre: Datacentre, state: Path, **pace: object) -> ManyHosts:
    return ManyHosts(centre.connect, lambda host: Records(state, host), Pace(**pace))  # type: ignore[arg-type]


def count(outcomes: list[HostOutcome]) -> Counter[str]:
    return Counter(one.status for one in outcomes)


def test_the_canary_goes_first_and_alone_and_waves_grow() -> None:
    hosts = [f"web-{number}" for number in range(25)]
    found = [list(wave) for wave in waves(hosts, Pace(canary="web-7"))]
    assert [len(wave) for wave in found] == [1, 4, 16, 4]
    assert found[0] == ["web-7"]
    assert sorted(host for wave in found for host in wave) == sorted(hosts)


def test_a_canary_that_is_no_host_of_the_plan_is_refused() -> None:
    with pytest.raises(InputError, match="--canary web-9: none of the hosts"):
        list(waves(["web-1"], Pace(canary="web-9")))


@pytest.mark.parametrize("pace", [{"concurrency": 0}, {"max_hosts": 0}, {"max_failures": -1}, {"growth": 0}])
def test_a_pace_that_goes_nowhere_is_refused(pace: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"--.* at least"):
        Pace(**pace)


def test_hosts_with_the_fewest_partitions_come_first() -> None:
    plan = Datacentre(3).plan()
    fewer = replace(plan, partitions=plan.partitions[1:-1])
    assert planned_hosts(fewer) == ("host-0000", "host-0002", "host-0001")


def test_a_plan_is_applied_everywhere_and_taken_back(tmp_path: Path) -> None:
    centre = Datacentre(12)
    before = {host: dict(files) for host, files in centre.files.items()}
    seen: list[tuple[str, int, int]] = []
    hosts = replace(many(centre, tmp_path, concurrency=3), progress=lambda one, at, of: seen.append((one.host, at, of)))
    assert count(hosts.prepare(centre.plan())) == {"pending": 12}
    seen.clear()
    assert count(hosts.apply(centre.plan())) == {"done": 12}
    assert [at for _, at, _ in seen] == list(range(1, 13))
    assert centre.most_open <= 3
    assert count(hosts.apply(centre.plan())) == {"unchanged": 12}
    assert count(hosts.status(centre.plan())) == {"unchanged": 12}
    centre.files["host-0003"]["sys/fs/cgroup/app-0/cpu.max"] = "max 100000"
    assert [one.host for one in hosts.status(centre.plan()) if one.status == "drifted"] == ["host-0003"]
    assert count(hosts.rollback(list(centre.files), force=True)) == {"done": 12}
    assert centre.files == before


def test_a_failing_canary_stops_everything(tmp_path: Path) -> None:
    centre = Datacentre(10, failing_permille=1000)
    outcomes = many(centre, tmp_path).apply(centre.plan())
    assert count(outcomes) == {"failed": 1, "skipped": 9}
    assert "1 failed before it, more than the 0 allowed" in outcomes[-1].error


def test_no_more_hosts_are_changed_than_allowed_and_the_next_run_goes_on(tmp_path: Path) -> None:
    centre = Datacentre(10)
    hosts = many(centre, tmp_path, max_hosts=4)
    assert count(hosts.apply(centre.plan())) == {"done": 4, "skipped": 6}
    assert count(hosts.apply(centre.plan())) == {"unchanged": 4, "done": 4, "skipped": 2}
    assert count(hosts.apply(centre.plan())) == {"unchanged": 8, "done": 2}


def test_a_gate_that_closes_lets_no_further_wave_begin(tmp_path: Path) -> None:
    centre = Datacentre(10)
    answers = iter(["", "the SLO query fails"])
    hosts = replace(many(centre, tmp_path), gate=lambda: next(answers, "asked too often"))
    outcomes = hosts.apply(centre.plan())
    assert count(outcomes) == {"done": 5, "skipped": 5}
    assert {one.error for one in outcomes if one.status == "skipped"} == {"the SLO query fails"}


def test_what_nobody_expected_on_one_host_hides_no_other(tmp_path: Path) -> None:
    centre = Datacentre(5)
    del centre.files["host-0002"]["proc/mounts"]
    centre.files["host-0003"]["sys/fs/cgroup/app-0/cpu.weight"] = "no number"
    centre.files["host-0003"]["sys/fs/cgroup/app-0/cpu.max"] = "neither"
    outcomes = {one.host: one for one in many(centre, tmp_path, max_failures=5).apply(centre.plan())}
    assert {outcomes[f"host-000{number}"].status for number in (0, 1, 4)} == {"done"}
    assert outcomes["host-0003"].status == "failed"
    assert outcomes["host-0003"].error


def test_every_failure_of_many_hosts_is_reported_and_the_next_runs_complete_them(tmp_path: Path) -> None:
    centre = Datacentre(80, groups=1, failing_permille=50)
    failing = {host for host in centre.files if centre.fails(host)}
    assert len(failing) > 2
    outcomes = many(centre, tmp_path, concurrency=16, max_failures=80).apply(centre.plan())
    assert [one.host for one in outcomes if not one.took_s] == [], "every host was visited"
    assert sorted(centre.files) == sorted(one.host for one in outcomes)
    failed = {one.host for one in outcomes if one.status == "failed"}
    assert 0 < len(failed) <= len(failing)
    assert failed <= failing, "a connection that would have broken later than it was needed did no harm"
    assert all("the connection broke" in one.error for one in outcomes if one.status == "failed")
    runs = 0
    while any(one.status != "unchanged" for one in outcomes):
        runs, centre.run = runs + 1, centre.run + 1
        outcomes = many(centre, tmp_path, concurrency=16, max_failures=80).apply(centre.plan())
    assert runs < 6
    assert all(files["sys/fs/cgroup/app-0/cpu.max"] == "50000 100000" for files in centre.files.values())


def test_what_has_to_be_looked_at_is_said_last_and_in_full(tmp_path: Path) -> None:
    centre = Datacentre(6)
    hosts = many(centre, tmp_path, max_hosts=3, concurrency=1)
    assert hosts_text(hosts.apply(centre.plan())).splitlines()[-1] == "6 hosts: 3 done, 3 skipped"
    centre.files["host-0001"]["sys/fs/cgroup/app-0/cpu.weight"] = "7"
    text = hosts_text(hosts.status(centre.plan(), ["host-0000", "host-0001"]))
    assert text.splitlines()[1:] == [
        "    host-0001:app-0: /sys/fs/cgroup/app-0/cpu.weight: 7 → 50: somebody else set it since, or it was made anew",
        "2 hosts: 1 drifted, 1 unchanged",
    ]
    assert text.startswith("! host-0001: drifted, 1 key")
    centre.failing_permille = 1000
    seen = hosts.prepare(centre.plan())
    broken = [one.host for one in seen if one.status == "failed"]
    assert broken, "some of them fail while they are looked at"
    assert hosts_text(seen).count("the connection broke (simulated); apply again") == len(broken)
    assert hosts_text(seen).splitlines()[-2].startswith("    host-")
    assert [one["host"] for one in json.loads(hosts_json(seen)) if one["status"] == "failed"] == broken


def test_a_host_on_which_something_was_hurt_has_failed_and_stops_the_rest(tmp_path: Path) -> None:
    centre = Datacentre(6)

    def guard(machine: Machine, records: Records) -> Guard:
        senses = Senses(sleep=lambda _: None)
        return Guard(machine, records, condition=lambda: Answer(False, "the error rate is 7 %"), senses=senses)

    hosts = replace(many(centre, tmp_path), guard=guard)
    outcomes = hosts.apply(centre.plan())
    assert count(outcomes) == {"failed": 1, "skipped": 5}
    assert "the error rate is 7 %" in outcomes[0].error
