"""The agent as a whole: its options, its unit, its metrics, and that it ends when it is told to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from collectors.agent import command
from collectors.agent.exposition import Status, render
from collectors.agent.loop import Rounds
from collectors.agent.observer import Cost, Observer, Round
from collectors.agent.push import Deliveries
from collectors.agent.server import Server, serving
from collectors.agent.spool import LEAST_BYTES, Limits, Spool, Tally
from collectors.failures import Incomplete
from collectors.reading import Reading
from collectors.records import HostRecord, Record, Sample, Series, WorkloadRecord
from collectors.traces.segments import read

ROOT = Path(__file__).parents[3]
HOSTS = Path(__file__).parents[2] / "fixtures/hosts"
START_S = 1_780_315_200
HOSTILE = 'a "quoted" \\ name\nof two lines'


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed; see .ci/packages")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


@contextmanager
def agent(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """An agent of its own process on a fixture, ended whatever happens."""
    line = [sys.executable, "-W", "error", "-m", "collectors.agent", "--root", str(HOSTS / "v2"), "--host", "h1"]
    running = subprocess.Popen([*line, *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        yield running
    finally:
        running.kill()
        running.wait()
        assert running.stderr is not None
        running.stderr.close()


def eventually_segments(folder: Path) -> None:
    for _ in range(600):
        if any(folder.glob("*.part")):
            return
        time.sleep(0.05)
    pytest.fail("waited 30 s in vain for a first round")


def test_sigterm_ends_it_cleanly_and_everything_is_there(tmp_path: Path) -> None:
    with agent("--spool", str(tmp_path), "--interval", "1", "--segment-seconds", "60") as running:
        eventually_segments(tmp_path)
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
        assert running.stderr is not None
        assert running.stderr.read() == ""
    records = list(read(tmp_path))
    assert isinstance(records[0], HostRecord)
    assert {one.workload for one in records if isinstance(one, Series)} >= {None, "system.slice/nginx.service"}


def test_a_kill_loses_nothing_that_was_measured(tmp_path: Path) -> None:
    with agent("--spool", str(tmp_path), "--interval", "1") as running:
        eventually_segments(tmp_path)
        running.kill()
        running.wait()
    with closing(Spool(tmp_path, "h1", Limits(), print)) as spool:
        assert len(spool.segments()) == 1
        assert spool.last_s > START_S


def test_the_package_runs_alone_as_an_agent(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "collectors", tmp_path / "collectors")
    code = "import sys, collectors.agent.command; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert not {"numpy", "duckdb", "openpyxl", "consolidate", "httpx"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--root", "/nowhere"], "/nowhere holds no proc directory; give"),
        (["--interval", "0"], "--interval 0 is not a time between rounds; give 1 to 3600 seconds"),
        (["--interval", "nan"], "--interval nan is not a time between rounds"),
        (["--segment-seconds", "2"], "--segment-seconds 2 is less than a round"),
        (["--spool-max", "lots"], "'lots' is not a size; give one such as 256M"),
        (["--spool-max", "1K"], "a spool of 1024 bytes is too small; give at least"),
        (["--listen", "9754"], "'9754' is not an address to listen on; give one such as 127.0.0.1:9754"),
        (["--listen", "192.0.2.1:80"], "give an address of this machine and a free port"),
        (["--push", "store.example"], "'store.example' is not an address to connect to; give one such as https://"),
        (["--token-file", "/nowhere/token"], "--token-file /nowhere/token: No such file or directory; give a file"),
        (["--open-files", "-1"], "--open-files -1 is not a number of files"),
        (["--spool", "/proc/spool"], "name a directory that this user may write to"),
    ],
)
def test_options_that_cannot_be_are_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--spool", str(tmp_path), *arguments])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "address"), [("127.0.0.1:9754", ("127.0.0.1", 9754)), ("[::1]:80", ("::1", 80)), ("host:0", ("host", 0))]
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert command.parse_address(text) == address


def unit(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    command.main([*arguments, "--unit"])
    return capsys.readouterr().out


def test_the_unit_runs_the_same_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text("secret\n")
    text = unit(capsys, "--push", "https://store.example", "--token-file", str(tmp_path / "token"), "--interval", "30")
    (start,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    assert start == (
        f"ExecStart={sys.executable} -m collectors.agent --spool /var/lib/consolidate-agent --interval 30.0 "
        "--push https://store.example --token-file %d/token"
    )
    assert f"LoadCredential=token:{tmp_path}/token" in text
    assert "secret" not in text
    assert f"WorkingDirectory={ROOT}" in text


def test_systemd_finds_nothing_to_complain_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "consolidate-agent.service"
    path.write_text(unit(capsys, "--listen", "127.0.0.1:9754"))
    verified = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
    )
    complaints = [line for line in verified.stderr.splitlines() if path.name in line]
    assert complaints == []
    security = [tool("systemd-analyze"), "security", "--offline=true", "--threshold=25", str(path)]
    rated = subprocess.run(security, capture_output=True, text=True, check=False)
    assert rated.returncode == 0, rated.stdout + rated.stderr


def status(*readings: Reading) -> Status:
    rounds = Rounds(done=3, last=Round(START_S, (), readings), duration_s=0.3, last_duration_s=0.1, longest_s=0.2)
    costs = {"cgroup": Cost(0.05, 0.04, True), "docker": Cost(0.001, 0.001, False)}
    return Status("h1", rounds, costs, Tally(sealed=2), Deliveries(failures=1), 4096, 1 << 20, 2)


READINGS = (
    Reading(None, "b", {"cpu_seconds_total": 5.5}),
    Reading(HOSTILE, "1", {"pids": 3.0, "cpu_seconds_total": 1.25e9}),
    Reading("web", "1", {"pids": 3.0}),
    Reading("web", "2", {"pids": 4.0}),
    Reading("collector/cgroup", "", {"collector_success": 1.0}),
)


def test_promtool_finds_nothing_to_complain_about() -> None:
    text = b"".join(render(status(*READINGS)))
    done = subprocess.run([tool("promtool"), "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_real_scrape_has_what_was_sampled_and_what_it_cost(tmp_path: Path) -> None:
    with (
        closing(Spool(tmp_path, "h1", Limits(LEAST_BYTES, 30), print)) as spool,
        serving(server := Server(("127.0.0.1", 0), "", spool, lambda: status(*READINGS))),
        urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=30) as answer,
    ):
        families = {one.name: one for one in parse(answer.read().decode())}
    values = {(one.name, *one.labels.values()): one.value for family in families.values() for one in family.samples}
    assert values["consolidate_host_cpu_seconds_total", "h1"] == 5.5
    assert values["consolidate_workload_pids", "h1", HOSTILE] == 3
    assert values["consolidate_workload_pids", "h1", "web"] == 4, "the later of two incarnations"
    assert values["consolidate_agent_collector_success", "docker"] == 0
    assert values["consolidate_agent_workloads",] == 2
    assert values["consolidate_agent_samples",] == 6
    assert values["consolidate_agent_resident_memory_bytes",] > 1 << 20
    assert not any("collector/" in str(labels) for labels in values)


def refusal(request: urllib.request.Request) -> int:
    """Status of an answer that refuses a request."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=30)
    with refused.value:
        return refused.value.code


def test_nothing_is_served_without_the_token(tmp_path: Path) -> None:
    with (
        closing(Spool(tmp_path, "h1", Limits(LEAST_BYTES, 30), print)) as spool,
        serving(server := Server(("127.0.0.1", 0), "secret", spool, status)),
    ):
        for path in ("/metrics", "/segments"):
            request = urllib.request.Request(f"http://127.0.0.1:{server.server_port}{path}")
            assert refusal(request) == 401
            request.add_header("Authorization", "Bearer secret")
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.status == 200


def test_no_path_leads_out_of_the_spool(tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl.gz").write_text("secret")
    with (
        closing(Spool(tmp_path / "spool", "h1", Limits(LEAST_BYTES, 30), print)) as spool,
        serving(server := Server(("127.0.0.1", 0), "", spool, status)),
    ):
        for name in ("../secret.jsonl.gz", "%2e%2e/secret.jsonl.gz", "lock", "", "x" * 5000):
            url = f"http://127.0.0.1:{server.server_port}/segments/{name}"
            assert refusal(urllib.request.Request(url)) == 404


class Scripted:
    """A collector that does what it is told, and counts how often it is asked."""

    name = "scripted"

    def __init__(self) -> None:
        self.asked = 0
        self.records: list[Record] = [WorkloadRecord("web", "container", "h1")]
        self.failure: Exception | None = None
        self.burns_s = 0.0

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        self.asked += 1
        end = time.process_time() + self.burns_s
        while time.process_time() < end:
            pass
        if self.failure is not None:
            raise self.failure
        return self.records


def observe(scripted: Scripted, rounds: int, interval_s: float = 10.0) -> tuple[list[Round], list[str]]:
    complaints: list[str] = []
    observer = Observer(Path("/"), "h1", interval_s, complaints.append, [scripted], 0)
    with closing(observer):
        return [observer.observe(START_S + number) for number in range(rounds)], complaints


def test_an_inventory_that_does_not_change_is_the_same_object() -> None:
    (first, second), _ = observe(Scripted(), 2)
    assert first.inventory is second.inventory
    assert first.inventory == (WorkloadRecord("web", "container", "h1"),)


def test_a_failure_is_told_once_and_a_reading_in_every_round() -> None:
    scripted = Scripted()
    scripted.failure = Incomplete("one container did not answer", scripted.records)
    rounds, complaints = observe(scripted, 3)
    assert complaints == ["collector scripted: one container did not answer"]
    for found in rounds:
        assert found.inventory == (WorkloadRecord("web", "container", "h1"),)
        assert [one.values["collector_success"] for one in found.readings] == [0.0]


def test_a_dear_collector_is_asked_less_often_and_its_workloads_keep_their_names() -> None:
    scripted = Scripted()
    scripted.burns_s = 0.05  # of 0.02 that it may take a round
    scripted.records.append(Sample(START_S, "h1", "web", "1", "restarts_total", 2.0))
    rounds, _ = observe(scripted, 6)
    assert scripted.asked < 6
    assert all(found.inventory is rounds[0].inventory for found in rounds)
    assert sum(any(one.workload == "web" for one in found.readings) for found in rounds) == scripted.asked


def test_segments_are_listed_fetched_and_removed(tmp_path: Path) -> None:
    with (
        closing(Spool(tmp_path, "h1", Limits(LEAST_BYTES, 30), print)) as spool,
        serving(server := Server(("127.0.0.1", 0), "", spool, status)),
    ):
        spool.add(Round(START_S, (), READINGS))
        spool.seal()
        url = f"http://127.0.0.1:{server.server_port}/segments"
        with urllib.request.urlopen(url, timeout=30) as answer:
            (one,) = json.load(answer)
        with urllib.request.urlopen(f"{url}/{one['name']}", timeout=30) as answer:
            assert len(answer.read()) == one["bytes"]
        for _ in range(2):  # who did not get the first answer asks again
            request = urllib.request.Request(f"{url}/{one['name']}", method="DELETE")
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.status == 204
        assert spool.segments() == []
