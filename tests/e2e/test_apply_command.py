"""``consolidate apply --ssh`` as an operator types it: two hosts of systemd, and a third that nobody reaches."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from consolidate.plan.plan import Limits, Partition, Plan, dump_plan
from tests.support.backends.guest import Guest
from tests.support.cli import Ran, consolidate
from tests.support.hosts import plan_of
from tests.support.units import UNITS, everything, guests_with_units, ssh_options

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]  # on a busy machine, building the image takes minutes

UP = ("web-1", "web-2")
DOWN = "web-9"
BOTH = ("--only", "web-1", "--only", "web-2")
GROUP = f"/sys/fs/cgroup/system.slice/{UNITS[0]}"


@dataclass(frozen=True)
class Desk:
    """Where the operator sits: a folder with the plan, the journals and the configuration of SSH."""

    folder: Path
    guests: dict[str, Guest]

    def run(self, verb: str, *arguments: str) -> Ran:
        """One verb on the plan's hosts; ``rollback`` goes by the journals instead."""
        plan = [] if verb == "rollback" else ["plan.json"]
        return consolidate(
            verb, *plan, "--ssh", "--ssh-config", "config", "--state", "state", *arguments, cwd=self.folder
        )

    def everything(self) -> dict[str, str]:
        return {name: everything(guest) for name, guest in self.guests.items()}

    def keep(self, plan: Plan) -> None:
        (self.folder / "plan.json").write_text(dump_plan(plan))


@pytest.fixture(scope="module")
def guests() -> Iterator[dict[str, Guest]]:
    if os.geteuid() != 0 or shutil.which("qemu-system-x86_64") is None:
        pytest.skip("needs root and QEMU: it builds a Debian guest and starts it")
    with guests_with_units(*UP) as running:
        yield running


@pytest.fixture
def desk(guests: dict[str, Guest], tmp_path: Path) -> Iterator[Desk]:
    ssh_options(guests, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:  # so that nobody else listens there
        closed = taken.getsockname()[1]
        taken.close()
        config = tmp_path / "config"
        config.write_text(f"Host {DOWN}\n  HostName 127.0.0.1\n  Port {closed}\n{config.read_text()}")
        desk = Desk(tmp_path, guests)
        desk.keep(plan_at(int(time.time())))
        yield desk


def plan_at(as_of_s: int) -> Plan:
    after = Limits(cpu_milli=300, memory_bytes=96 << 20)
    parts = [
        Partition(f"{host}:shop", host, "container", f"system.slice/{UNITS[0]}", Limits(), after, 40, "for a test")
        for host in (*UP, DOWN)
    ]
    return replace(plan_of(*parts), as_of_s=as_of_s)


def by_host(ran: Ran) -> dict[str, str]:
    return {one["host"]: one["status"] for one in json.loads(ran.out)}


def test_a_plan_goes_all_the_way_and_back_while_one_host_is_down(desk: Desk) -> None:
    before = desk.everything()

    dry = desk.run("apply")
    assert dry.code == 1, "a host that cannot be looked at is an error"
    assert "~ web-1: pending, 3 keys" in dry.out
    assert "shop.service CPUQuota: unset → 30% (runtime)" in dry.out
    assert f"! {DOWN}: failed" in dry.out
    assert f"{DOWN}: cannot connect to ssh://{DOWN}" in dry.out
    assert "3 hosts: 1 failed, 2 pending" in dry.out
    assert "Traceback" not in dry.out + dry.err
    assert desk.run("apply", *BOTH).code == 2, "changes are proposed"
    assert desk.everything() == before, "and nothing was written"
    assert not (desk.folder / "state").exists()

    applied = desk.run("apply", "--yes", "--json")
    assert (applied.code, by_host(applied)) == (1, {"web-1": "done", "web-2": "done", DOWN: "failed"})
    assert "3/3" in applied.err, "progress is told host by host"
    for guest in desk.guests.values():
        assert guest.ssh(f"cat {GROUP}/cpu.max {GROUP}/memory.max").split() == ["30000", "100000", str(96 << 20)]
    again = desk.run("apply", "--yes", *BOTH)
    assert (again.code, again.out) == (0, "2 hosts: 2 unchanged\n")

    assert desk.run("status", *BOTH).code == 0
    assert by_host(desk.run("status", "--json")) == {"web-1": "unchanged", "web-2": "unchanged", DOWN: "failed"}
    desk.guests["web-2"].ssh(f"echo '50000 100000' > {GROUP}/cpu.max")
    drifted = desk.run("status", *BOTH)
    assert drifted.code == 2
    assert "! web-2: drifted, 1 key" in drifted.out
    assert "30% (runtime; the kernel has 50000 100000) → 30% (runtime)" in drifted.out
    assert "somebody wrote to the kernel's file past systemd" in drifted.out
    refused = desk.run("apply", "--yes", *BOTH)
    assert refused.code == 4, "what is neither as it was nor as planned is not written over"
    assert "which is neither what it was when the plan was made nor what the plan wants" in refused.out

    back = desk.run("rollback", "--json")
    assert (back.code, by_host(back)) == (0, {"web-1": "done", "web-2": "done"}), back.err
    assert desk.everything() == before
    audit = [json.loads(line) for line in (desk.folder / "state/audit.jsonl").read_text().splitlines()]
    assert {line["host"] for line in audit} == set(UP)
    nothing = desk.run("rollback")
    assert (nothing.code, nothing.out) == (0, "0 hosts: none is in the plan\n")


def test_a_canary_that_fails_keeps_the_others_from_being_touched(desk: Desk) -> None:
    before = desk.everything()
    ran = desk.run("apply", "--yes", "--canary-host", DOWN)
    assert ran.code == 1
    assert ran.out.count("skipped") == 3, "each host, and their sum"
    assert "1 failed before it, more than the 0 allowed" in ran.out
    assert desk.everything() == before


def test_plans_that_do_not_fit_are_refused_with_exit_codes_of_their_own(desk: Desk) -> None:
    before = desk.everything()
    stranger = desk.run("apply", "--yes", "--only", "web-7")
    assert (stranger.code, stranger.out) == (1, "")
    assert "--only web-7: the plan limits nothing there (web-1, web-2, web-9)" in stranger.err

    desk.keep(plan_at(1))
    stale = desk.run("apply", "--yes", *BOTH)
    assert stale.code == 4
    assert "web-1 was started anew" in stale.out

    path = desk.folder / "plan.json"
    path.write_text(path.read_text().replace(str(96 << 20), str(97 << 20)))
    altered = desk.run("apply", "--yes", *BOTH)
    assert (altered.code, altered.out) == (4, "")
    assert desk.everything() == before
