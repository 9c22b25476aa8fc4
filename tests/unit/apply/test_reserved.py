"""One applier at a time on a host, wherever it runs; one that was killed counts until its last command has ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from consolidate.apply import LocalMachine, Records, apply_changes, local, prepare, rollback
from consolidate.apply.session import SshOptions
from consolidate.apply.ssh import SshMachines
from consolidate.errors import ApplyError
from tests.support.hosts import contents, make_host, partition, plan_of
from tests.support.sshserver import ssh_server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_host(tmp_path / "root", 2, {"web": {}})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(local, "PATIENCE_S", 0.0)
    return monkeypatch


@pytest.mark.usefixtures("impatient")
def test_of_two_operators_with_journals_of_their_own_one_is_refused_and_writes_nothing(
    root: Path, tmp_path: Path
) -> None:
    plan, before = plan_of(partition("web", "web", 500, 64 << 20)), contents(root)
    mine, theirs = (Records(tmp_path / name, "here") for name in ("mine", "theirs"))
    with LocalMachine("here", root).reserved():
        machine = LocalMachine("here", root)
        with pytest.raises(ApplyError, match="here: another apply or rollback is at work there"):
            apply_changes(plan, machine, prepare(plan, machine, mine), mine)
        with pytest.raises(ApplyError, match="another apply or rollback"):
            rollback(machine, theirs)
    assert contents(root) == before
    assert mine.journal.open_entries() == []
    assert {one.status for one in apply_changes(plan, machine, prepare(plan, machine, mine), mine)} == {"done"}


def test_a_command_that_outlives_a_killed_applier_keeps_the_next_one_out(
    root: Path, tmp_path: Path, impatient: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    applier = os.fork()
    if applier == 0:
        machine = LocalMachine("here", root)
        with machine.reserved():
            machine.run(["sh", "-c", f"read _ < {gate}"])
        os._exit(1)
    with gate.open("w") as opened:  # returns once the command runs
        os.kill(applier, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(applier, 0)[1]) == signal.SIGKILL
        with pytest.raises(ApplyError, match="another apply"), LocalMachine("here", root).reserved():
            pass
        opened.write("go on\n")
    impatient.undo()
    with LocalMachine("here", root).reserved():
        pass


@pytest.mark.usefixtures("impatient")
def test_an_applier_over_ssh_and_one_on_the_host_keep_each_other_out(tmp_path: Path) -> None:
    with ssh_server(tmp_path / "server") as server:
        config = tmp_path / "config"
        config.touch()
        options = SshOptions(config=config, known_hosts=server.known_hosts, identity=server.key)
        with SshMachines(options) as ssh, ssh.connect("web-1", f"127.0.0.1:{server.port}") as machine:
            with machine.reserved(), pytest.raises(ApplyError, match="another apply"), LocalMachine("here").reserved():
                pass
            with LocalMachine("here").reserved():
                pass


def test_where_there_are_no_control_groups_nobody_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    with LocalMachine("here", tmp_path).reserved(), LocalMachine("here", tmp_path).reserved():
        assert [path.name for path in tmp_path.iterdir()] == ["proc"], "no lock is left behind either"
