"""Hosts over SSH, against a real server: what a local machine does, and what it says where it cannot."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consolidate.apply import LocalMachine, Machine, remote
from consolidate.apply.session import SshOptions
from consolidate.apply.ssh import SshMachine, SshMachines
from consolidate.errors import ApplyError
from tests.support.sshserver import SshServer, ssh_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture(scope="module")
def machine(server: SshServer) -> Iterator[SshMachine]:
    with SshMachines(options(server)) as ssh, ssh.connect("web-1", f"127.0.0.1:{server.port}") as connected:
        yield connected


def options(server: SshServer, **more: object) -> SshOptions:
    config = server.folder / "empty"
    config.touch()
    fields: dict[str, object] = {"config": config, "known_hosts": server.known_hosts, "identity": server.key} | more
    return SshOptions(**fields)  # type: ignore[arg-type]


def refusal_of(server: SshServer, address: str = "", **more: object) -> str:
    with SshMachines(options(server, **more)) as ssh, pytest.raises(ApplyError) as raised:
        ssh.connect("web-1", address or f"127.0.0.1:{server.port}")
    return str(raised.value)


def said(machine: Machine, do: Callable[[Machine], object]) -> object:
    try:
        return do(machine)
    except ApplyError as error:
        return str(error).replace(f" on {machine.name}", "")


def test_files_are_read_written_and_told_apart_as_on_this_machine(machine: SshMachine, tmp_path: Path) -> None:
    (tmp_path / "group").mkdir()
    (tmp_path / "group/limit").write_text("max\n")
    (tmp_path / "link").symlink_to(tmp_path / "group")
    (tmp_path / "alias").symlink_to(tmp_path / "group/limit")
    (tmp_path / "binary").write_bytes(b"\xff")
    at = str(tmp_path).lstrip("/")
    local = LocalMachine("web-1")
    questions: list[Callable[[Machine], object]] = [
        lambda it: it.read(f"{at}/group/limit"),
        lambda it: it.read(f"{at}/nothing"),
        lambda it: it.read(f"{at}/group/limit/below"),
        lambda it: it.read_many([f"{at}/group/limit", f"{at}/nothing"]),
        lambda it: it.inode(f"{at}/group"),
        lambda it: it.inode(f"{at}/nothing"),
        lambda it: it.is_directory(f"{at}/group"),
        lambda it: it.is_directory(f"{at}/group/limit"),
        lambda it: it.is_below(f"{at}/link", f"{at}/group"),
        lambda it: it.is_below(f"{at}/group", f"{at}/group"),
        lambda it: it.is_below(at, f"{at}/group"),
        lambda it: it.write(f"{at}/group/limit", "10 'x' \"y\" $(z)\n"),
        lambda it: it.read(f"{at}/group/limit"),
        lambda it: it.write(f"{at}/group/limit", "1"),
        lambda it: it.read(f"{at}/group/limit"),
        lambda it: it.write(f"{at}/nothing", "1"),
        lambda it: it.write(f"{at}/alias", "2"),
        lambda it: it.run(["printf", "%s", 'it\'s "a" $HOME; b\n']),
        lambda it: it.run(["cat"], stdin="over\n"),
        lambda it: it.run(["sh", "-c", "echo no such limit >&2; exit 3"]),
        lambda it: it.run(["false"]),
    ]
    for number, question in enumerate(questions):
        assert said(machine, question) == said(local, question), number
    with pytest.raises(ApplyError, match=r"binary: cannot be read on web-1 \(it holds no text"):
        machine.read(f"{at}/binary")
    with pytest.raises(ApplyError, match="nosuch: cannot be run on web-1"):
        machine.run(["nosuch"])


def test_a_command_that_takes_too_long_is_ended_and_the_connection_goes_on(machine: SshMachine) -> None:
    with pytest.raises(ApplyError, match=r"sleep 100: no answer within 0\.2 s on web-1"):
        machine.run(["sleep", "100"], timeout_s=0.2)
    assert machine.run(["echo", "still there"]) == "still there\n"


def test_a_host_whose_key_is_unknown_or_another_is_refused(server: SshServer, tmp_path: Path) -> None:
    empty, other = tmp_path / "empty", tmp_path / "other"
    empty.touch()
    with ssh_server(tmp_path / "server") as impostor:
        stranger = impostor.known_hosts.read_text().replace(str(impostor.port), str(server.port))
    other.write_text(stranger)
    asked = len(server.commands)
    for known_hosts in (empty, other):
        assert "is not in known_hosts, or is another one" in refusal_of(server, known_hosts=known_hosts)
    assert len(server.commands) == asked, "nothing was sent"


def test_a_host_that_does_not_know_our_key_or_cannot_be_reached_is_named(server: SshServer, tmp_path: Path) -> None:
    with ssh_server(tmp_path / "server") as other:
        assert "does not accept our keys" in refusal_of(server, identity=other.key)
        port = other.port
    assert "web-1: cannot connect to ssh://127.0.0.1" in refusal_of(server, f"127.0.0.1:{port}")
    assert "cannot connect to ssh://no.such.host.invalid" in refusal_of(server, "no.such.host.invalid")


def test_a_host_without_python_or_sudo_says_so(server: SshServer, tmp_path: Path) -> None:
    missing = refusal_of(server, installed=str(tmp_path / "missing.py"))
    assert "web-1: python3 does not start there" in missing
    assert "missing.py" in missing


def test_ssh_config_says_where_as_whom_and_through_whom(server: SshServer, tmp_path: Path) -> None:
    with ssh_server(tmp_path / "jump") as jump:
        known_hosts = tmp_path / "known_hosts"
        known_hosts.write_text(server.known_hosts.read_text() + jump.known_hosts.read_text())
        config = tmp_path / "config"
        config.write_text(
            f"Host web-1\n  HostName 127.0.0.1\n  Port {server.port}\n  ProxyJump gate\n  IdentityFile {server.key}\n"
            f"Host gate\n  HostName 127.0.0.1\n  Port {jump.port}\n  IdentityFile {jump.key}\n"
            f"Host *\n  User deploy\n  UserKnownHostsFile {known_hosts}\n"
        )
        with SshMachines(SshOptions(config=config)) as ssh, ssh.connect("web-1") as machine:
            assert machine.run(["echo", "there"]) == "there\n"
            assert machine.place == "ssh://web-1"


def test_a_connection_that_is_cut_fails_with_the_same_sentence_ever_after(server: SshServer) -> None:
    with SshMachines(options(server)) as ssh, ssh.connect("web-1", f"127.0.0.1:{server.port}") as machine:
        assert machine.read("proc/self/comm") == "python3"
        server.cut()
        for _ in range(2):
            with pytest.raises(ApplyError, match=r"web-1: the connection broke .*in the journal: apply again"):
                machine.read("proc/self/comm")


def test_no_secret_is_on_the_command_line_and_sudo_never_asks(server: SshServer) -> None:
    assert options(server, sudo=True).command().startswith("sudo -n /usr/bin/python3 -I -c ")
    installed = options(server, sudo=True, installed="/usr/local/lib/consolidate/remote.py").command()
    assert installed == "sudo -n /usr/bin/python3 -I /usr/local/lib/consolidate/remote.py --restricted"


def test_a_restricted_helper_does_what_limits_of_units_need_and_nothing_else(server: SshServer) -> None:
    with SshMachines(options(server, installed=remote.__file__)) as ssh:
        machine = ssh.connect("web-1", f"127.0.0.1:{server.port}")
        assert machine.read("proc/sys/kernel/random/boot_id")
        for forbidden in (
            lambda: machine.read("etc/shadow"),
            lambda: machine.read("sys/fs/cgroup/../../../etc/shadow"),
            lambda: machine.write("etc/passwd", "x"),
            lambda: machine.write("sys/fs/cgroup/../../tmp/x", "x"),
            lambda: machine.run(["sh", "-c", "id"]),
            lambda: machine.run(["systemctl", "start", "--", "evil.service"]),
            lambda: machine.run(["systemctl", "show", "--property=Id", "-H", "evil"]),
            lambda: machine.run(["rm", "-f", "--", "/etc/systemd/system.control/a.service.d/../../x/50-A.conf"]),
        ):
            with pytest.raises(ApplyError, match="its restricted helper does not do"):
                forbidden()
        machine.close()


def test_the_helper_runs_on_hosts_with_python_3_7() -> None:
    program = ast.parse(Path(remote.__file__).read_text(), feature_version=(3, 7))
    assert program.body
