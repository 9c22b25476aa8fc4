"""A pull from a real Prometheus and a real VictoriaMetrics, compared with what is known otherwise."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collectors.prometheus.plan import grid_until
from consolidate.errors import InputError
from consolidate.model.series import SeriesKey
from consolidate.store import Store
from consolidate.verbs.pull import SETTLE_S, PullRequest, PullResult, pull, rules_text
from tests.conftest import ROOT
from tests.support.backends.process import eventually, program
from tests.support.backends.prometheus import backfill, node_exporter, prometheus, promtool
from tests.support.backends.victoriametrics import flush, victoriametrics, write
from tests.support.history import GIB, Estate

HOUR_S = 3600
STEP_S = 300
END_S = int(time.time()) // HOUR_S * HOUR_S - HOUR_S
"""VictoriaMetrics and Prometheus take no samples of another decade."""
ESTATE = Estate(END_S - 4 * HOUR_S, END_S)


def ask(url: str, path: str, **fields: object) -> list[dict[str, Any]]:
    """What the API answers to somebody who does not use our client."""
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(fields)}", timeout=60) as answer:
        return list(json.load(answer)["data"]["result"])


def pulled(
    url: str, store: Path, end_s: int = END_S, environment: Mapping[str, str] | None = None, **options: Any
) -> PullResult:
    request = PullRequest(url, **{"last": "3h", "step": "5m", "max_per_second": 1000.0, **options})
    return pull(request, store, lambda text: None, environment or {}, lambda: float(end_s + SETTLE_S))


def series(store: Path, metric: str) -> dict[tuple[str, str], dict[int, float]]:
    """(host, workload) to the value at each time."""
    columns = Store(store).columns(metric)
    found: dict[tuple[str, str], dict[int, float]] = {}
    for index, at_s, value in zip(columns.series.tolist(), columns.at_s.tolist(), columns.value.tolist(), strict=True):
        key: SeriesKey = columns.keys[index]
        assert found.setdefault((key.host, key.workload), {}).setdefault(at_s, value) == value, "two values at once"
    return found


def assert_same(one: Path, other: Path, metrics: tuple[str, ...]) -> None:
    """Both stores hold the same; a server may round a value differently when it is asked for another range."""
    for metric in metrics:
        left, right = series(one, metric), series(other, metric)
        assert left
        assert left.keys() == right.keys()
        for key, values in left.items():
            assert right[key] == pytest.approx(values, rel=1e-9), key


@pytest.fixture(scope="module")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with victoriametrics(tmp_path_factory.mktemp("victoria")) as url:
        write(url, ESTATE.exposition())
        flush(url)
        yield url


@pytest.fixture(scope="module")
def backfilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    backfill(folder, ESTATE.openmetrics())
    with prometheus(folder, {}) as url:
        yield url


@pytest.fixture(params=["prometheus", "victoriametrics"])
def server(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue({"prometheus": "backfilled", "victoriametrics": "victoria"}[request.param]))


def test_what_is_pulled_is_what_was_used(server: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    result = pulled(server, store)
    assert (result.hosts, result.workloads, result.until_s) == (3, 6, END_S)
    cpu = series(store, "cpu_cores")
    steps = 3 * HOUR_S // STEP_S
    for host in range(3):
        own = cpu[f"web-{host}", ""]
        assert list(own.values()) == pytest.approx([ESTATE.busy_cores(host)] * len(own), rel=1e-6)
        assert len(own) == (steps - 1 if host == 1 else steps)
        for pod in range(2):
            app = cpu[f"web-{host}", f"shop/front-7c9e-{host}{pod}/app"]
            assert list(app.values()) == pytest.approx([ESTATE.pod_cores(host, pod)] * len(app), rel=1e-6)
    for metric, rate in (("disk_iops", 45), ("disk_read_bytes_per_s", 3000), ("net_rx_bytes_per_s", 500)):
        assert list(series(store, metric)["web-2", ""].values()) == pytest.approx([rate] * steps)


def test_a_peak_between_two_steps_is_kept(server: str, tmp_path: Path) -> None:
    pulled(server, tmp_path / "store")
    memory = series(tmp_path / "store", "memory_working_set_bytes")["web-0", ""]
    spike_at_s = -(-ESTATE.spike_s // STEP_S) * STEP_S
    assert ESTATE.spike_s % STEP_S
    assert {at_s for at_s, value in memory.items() if value == 2 * GIB} == {spike_at_s}
    assert set(memory.values()) == {GIB, 2 * GIB}


def test_no_rate_crosses_a_restart_and_counters_begin_anew(server: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    result = pulled(server, store)
    grid = set(range(END_S - 3 * HOUR_S + STEP_S, END_S + 1, STEP_S))
    reboot_at_s = -(-ESTATE.reboot_s // STEP_S) * STEP_S
    assert grid - set(series(store, "cpu_cores")["web-1", ""]) == {reboot_at_s}
    assert set(series(store, "memory_working_set_bytes")["web-1", ""]) == grid
    kills = Store(store).columns("oom_kills_total")
    # The exporter rounds the boot time this way and that, which is no restart.
    assert [key.incarnation for key in kills.keys if key.host == "web-0"] == [str(ESTATE.boot_s(0, 0))]
    assert len([key for key in kills.keys if key.host == "web-1"]) == 2
    assert any("restarted within their step" in note for note in result.notes)


def test_one_host_and_its_pods_whichever_exporter_speaks_of_them(server: str, tmp_path: Path) -> None:
    pulled(server, tmp_path / "store")
    hosts = Store(tmp_path / "store").hosts()
    assert list(hosts) == ["web-0", "web-1", "web-2"]
    host = hosts["web-2"]
    assert (host.os, host.kernel, host.machine_id, host.vendor) == ("debian", "6.1.0", "uuid-2", "QEMU")
    assert host.capacity == {"cpu_milli": 2000, "memory_bytes": 4 * GIB}
    workloads = Store(tmp_path / "store").workloads()
    pod = workloads["web-2:shop/front-7c9e-20/app"]
    assert (pod.kind, pod.host, pod.os, pod.group) == ("container", "web-2", "linux", "shop/front")
    assert pod.limits == {"cpu_milli": 500, "memory_bytes": 256_000_000}
    assert pod.cgroup == "kubepods/pod20/app"


def test_what_is_not_there_is_listed_and_not_filled_in(server: str, tmp_path: Path) -> None:
    result = pulled(server, tmp_path / "store")
    (missing,) = [note for note in result.notes if note.startswith("node: missing are ")]
    assert "swap_used_bytes (no node_memory_SwapTotal_bytes, node_memory_SwapFree_bytes)" in missing
    assert "net_tx_bytes_total (no node_network_transmit_bytes_total)" in missing
    assert not len(Store(tmp_path / "store").columns("net_tx_bytes_per_s").value)
    assert {note.text for note in Store(tmp_path / "store").notes()} == set(result.notes)


def test_a_step_that_is_too_short_for_a_rate_is_called_out(backfilled: str, tmp_path: Path) -> None:
    result = pulled(backfilled, tmp_path / "store", last="10m", step="10s")
    assert "node: cpu_cores has no values; a step of 10 s may hold less than two scrapes" in result.notes
    assert series(tmp_path / "store", "memory_working_set_bytes")


def test_a_pull_that_is_repeated_fetches_only_what_is_new(server: str, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    pulled(server, one)
    pulled(server, two, END_S - HOUR_S, last="2h")
    added = pulled(server, two)
    assert added.until_s == END_S
    assert_same(one, two, ("cpu_cores", "memory_working_set_bytes", "cpu_periods_total"))
    again = pulled(server, two)
    assert (again.samples, again.notes) == (0, ("nothing is new since the last pull",))


def test_a_pull_that_is_killed_goes_on_without_a_gap_or_a_duplicate(victoria: str, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    code = f"""
import sys
from pathlib import Path
import collectors.prometheus.plan as plan
plan.MAX_CHUNK_S = 900
from consolidate.verbs.pull import PullRequest, pull
request = PullRequest({victoria!r}, last="3h", step="5m", max_per_second=200.0)
pull(request, Path(sys.argv[1]), lambda text: print(text, flush=True), {{}}, lambda: {END_S + SETTLE_S}.0)
"""
    for _ in range(4):
        command = [sys.executable, "-c", code, str(killed)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            told = [line for line, _ in zip(running.stdout, range(3), strict=False)]
            assert len(told) == 3, told
            os.kill(running.pid, signal.SIGKILL)
    pulled(victoria, whole)
    pulled(victoria, killed)
    assert_same(whole, killed, ("cpu_cores", "memory_working_set_bytes", "cpu_throttled_periods_total"))


def test_recording_rules_give_what_the_queries_give(tmp_path: Path) -> None:
    """The rules are evaluated by Prometheus itself over the history that the queries read."""
    request = PullRequest("http://unused", step="5m", peaks="1m")
    rules = tmp_path / "consolidate.rules.yml"
    rules.write_text(rules_text(request))
    subprocess.run([promtool(), "check", "rules", str(rules)], check=True, capture_output=True)
    backfill(tmp_path / "p", ESTATE.openmetrics())
    with prometheus(tmp_path / "p", {}) as url:
        command = [promtool(), "tsdb", "create-blocks-from", "rules", f"--url={url}", f"--start={END_S - 2 * HOUR_S}"]
        command += [f"--end={END_S + 60}", "--eval-interval=60s", f"--output-dir={tmp_path / 'p/data'}", str(rules)]
        subprocess.run(command, check=True, capture_output=True)
    with prometheus(tmp_path / "p", {}) as url:
        pulled(url, tmp_path / "asked", last="1h", peaks="1m")
        pulled(url, tmp_path / "recorded", last="1h", peaks="1m", recorded=True)
    metrics = ("cpu_cores", "cpu_cores_max", "disk_iops", "memory_working_set_bytes")
    assert_same(tmp_path / "asked", tmp_path / "recorded", metrics)


def test_a_server_that_limits_samples_is_asked_for_less_at_a_time(tmp_path: Path, backfilled: str) -> None:
    backfill(tmp_path / "p", ESTATE.openmetrics())
    with prometheus(tmp_path / "p", {}, options=["--query.max-samples=600"]) as url:
        with pytest.raises(urllib.error.HTTPError, match="422"):
            ask(url, "query_range", query="node_cpu_seconds_total", start=END_S - 3 * HOUR_S, end=END_S, step=STEP_S)
        pulled(url, tmp_path / "limited")
    pulled(backfilled, tmp_path / "free")
    assert_same(tmp_path / "limited", tmp_path / "free", ("cpu_cores", "memory_working_set_bytes"))


def machines(at_s: int) -> list[str]:
    """One machine of each of the other exporters: each uses 1.5 cores and 2 GiB, and has 4 cores and 8 GiB."""
    age_s = at_s - (END_S - 86_400)
    libvirt = 'instance="kvm-1:9177",job="libvirt",domain="db"'
    pve, guest = 'instance="pve:9221",job="pve",id="node/pve-1"', 'instance="pve:9221",job="pve",id="qemu/100"'
    vm = 'instance="vc:9272",job="vmware",vm_name="erp",host_name="esx-1",cluster_name="c",dc_name="d"'
    esx = 'instance="vc:9272",job="vmware",host_name="esx-1",cluster_name="c",dc_name="d"'
    docker = 'instance="box-1:8080",job="cadvisor",name="web",image="nginx",id="/docker/67a5"'
    return [
        f"libvirt_domain_info_cpu_time_seconds_total{{{libvirt}}} {1.5 * age_s}",
        f"libvirt_domain_info_virtual_cpus{{{libvirt}}} 4",
        f"libvirt_domain_info_maximum_memory_bytes{{{libvirt}}} {8 * GIB}",
        f"libvirt_domain_memory_stats_available_bytes{{{libvirt}}} {8 * GIB}",
        f"libvirt_domain_memory_stats_usable_bytes{{{libvirt}}} {6 * GIB}",
        f'libvirt_domain_block_stats_read_bytes_total{{{libvirt},target_device="vda"}} {100 * age_s}',
        f'libvirt_domain_block_stats_read_bytes_total{{{libvirt},target_device="vdb"}} {200 * age_s}',
        f'libvirt_domain_info_meta{{{libvirt},uuid="u-1",project_name="erp"}} 1',
        *(f"pve_cpu_usage_ratio{{{one}}} 0.375" for one in (pve, guest)),
        *(f"pve_cpu_usage_limit{{{one}}} 4" for one in (pve, guest)),
        *(f"pve_memory_usage_bytes{{{one}}} {2 * GIB}" for one in (pve, guest)),
        *(f"pve_memory_size_bytes{{{one}}} {8 * GIB}" for one in (pve, guest)),
        *(f"pve_uptime_seconds{{{one}}} {age_s}" for one in (pve, guest)),
        f"pve_disk_read_bytes_total{{{guest}}} {300 * age_s}",
        f'pve_guest_info{{{guest},name="mail",node="pve-1",type="qemu"}} 1',
        f'pve_node_info{{{pve},name="pve-1",level="",nodeid="1"}} 1',
        f"vmware_vm_cpu_usagemhz_average{{{vm}}} 3000",
        f"vmware_vm_max_cpu_usage{{{vm}}} 8000",
        f"vmware_vm_num_cpu{{{vm}}} 4",
        f"vmware_vm_memory_max{{{vm}}} 8192",
        f"vmware_vm_mem_consumed_average{{{vm}}} {2 << 20}",
        f"vmware_vm_disk_read_average{{{vm}}} {300 / 1024}",
        f"vmware_host_cpu_usage{{{esx}}} 3000",
        f"vmware_host_cpu_max{{{esx}}} 8000",
        f"vmware_host_num_cpu{{{esx}}} 4",
        f"vmware_host_memory_usage{{{esx}}} 2048",
        f"vmware_host_memory_max{{{esx}}} 8192",
        f'vmware_host_hardware_info{{{esx},hardware_model="R740",hardware_cpu_model="Gold 6130"}} 1',
        *(f'container_cpu_usage_seconds_total{{{docker},cpu="cpu0{n}"}} {0.75 * age_s}' for n in (0, 1)),
        f"container_memory_working_set_bytes{{{docker}}} {2 * GIB}",
        f'container_fs_reads_bytes_total{{{docker},device="/dev/sda"}} {300 * age_s}',
        f"container_spec_cpu_quota{{{docker}}} 400000",
        f"container_spec_cpu_period{{{docker}}} 100000",
        f"container_spec_memory_limit_bytes{{{docker}}} {8 * GIB}",
        f"container_start_time_seconds{{{docker}}} {END_S - 86_400}",
    ]


def test_machines_of_libvirt_proxmox_vsphere_and_docker(tmp_path: Path) -> None:
    """Lines as the exporters write them, through a real VictoriaMetrics."""
    store = tmp_path / "store"
    with victoriametrics(tmp_path / "victoria") as url:
        times = range(END_S - 2 * HOUR_S, END_S + 1, 60)
        write(url, "".join(f"{line} {at_s * 1000}\n" for at_s in times for line in machines(at_s)).encode())
        flush(url)
        pulled(url, store, last="1h")
    workloads = Store(store).workloads()
    assert {name: one.kind for name, one in workloads.items()} == {
        "kvm-1:db": "vm",
        "pve-1:mail": "vm",
        "esx-1:erp": "vm",
        "box-1:web": "container",
    }
    steps = HOUR_S // STEP_S
    for name, one in workloads.items():
        assert one.limits == {"cpu_milli": 4000, "memory_bytes": 8 * GIB}
        for metric, amount in (
            ("cpu_cores", 1.5),
            ("memory_working_set_bytes", 2 * GIB),
            ("disk_read_bytes_per_s", 300),
        ):
            found = series(store, metric)[one.host, one.name]
            assert list(found.values()) == pytest.approx([amount] * steps, rel=1e-6), (name, metric)
    assert (workloads["kvm-1:db"].machine_id, workloads["kvm-1:db"].group) == ("u-1", "erp")
    hosts = Store(store).hosts()
    for name in ("pve-1", "esx-1"):
        assert hosts[name].capacity == {"cpu_milli": 4000, "memory_bytes": 8 * GIB}
        assert list(series(store, "cpu_cores")[name, ""].values()) == pytest.approx([1.5] * steps)
    assert (hosts["esx-1"].cpu_model, hosts["esx-1"].cluster) == ("Gold 6130", "c")


def test_a_server_with_a_certificate_and_a_password(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    hashed = "$2b$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW"  # bcrypt of "open sesame"
    (tmp_path / "web.yml").write_text(
        f'tls_server_config: {{cert_file: {certificate}, key_file: {key}}}\nbasic_auth_users: {{planner: "{hashed}"}}\n'
    )
    backfill(tmp_path / "p", ESTATE.openmetrics())
    (tmp_path / "password").write_text("open sesame\n")
    request = {"store": tmp_path / "store", "last": "1h"}
    with prometheus(tmp_path / "p", {}, options=[f"--web.config.file={tmp_path / 'web.yml'}"], scheme="https") as url:
        environment = {"CONSOLIDATE_PROMETHEUS_USERNAME": "planner", "CONSOLIDATE_PROMETHEUS_PASSWORD": "open barley"}
        with pytest.raises(InputError, match=r"cannot be trusted .*name the file of its certificates in CONSOLIDATE_"):
            pulled(url, environment=environment, **request)
        environment["CONSOLIDATE_PROMETHEUS_CA_FILE"] = str(certificate)
        with pytest.raises(InputError, match=r"refused with 401.*; set CONSOLIDATE_PROMETHEUS_TOKEN"):
            pulled(url, environment=environment, **request)
        del environment["CONSOLIDATE_PROMETHEUS_PASSWORD"]
        environment["CONSOLIDATE_PROMETHEUS_PASSWORD_FILE"] = str(tmp_path / "password")
        assert pulled(url, environment=environment, **request).hosts == 3


def busy_s() -> float:
    """CPU time of this machine that was not idle, as the kernel tells it."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def test_this_machine_through_node_exporter_is_what_the_kernel_says(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with node_exporter(tmp_path) as exporter, prometheus(tmp_path / "p", {"node": [exporter[7:]]}) as url:
        eventually(lambda: ask(url, "query", query="count_over_time(node_uname_info[1m]) > 2"), "scrapes")
        before_at_s, before_s = time.time(), busy_s()
        eventually(lambda: time.time() > before_at_s + 32, "three steps")
        after_at_s, after_s = time.time(), busy_s()
        end_s = int(after_at_s) // 10 * 10
        pulled(url, store, end_s, last="20s", step="10s")
        grid = grid_until(end_s, 20, 10)
        query = 'sum(rate(node_cpu_seconds_total{mode!~"idle|iowait|steal"}[10s]))'
        (directly,) = ask(url, "query_range", query=query, start=grid.first_s, end=grid.last_s, step=10)
    (host,) = Store(store).hosts().values()
    assert host.name == os.uname().nodename
    assert host.kernel == os.uname().release
    meminfo = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    assert host.capacity == {
        "cpu_milli": (os.cpu_count() or 0) * 1000,
        "memory_bytes": int(meminfo["MemTotal"].split()[0]) * 1024,
    }
    (cpu,) = series(store, "cpu_cores").values()
    assert list(cpu.items()) == [(at_s, pytest.approx(float(text))) for at_s, text in directly["values"]]
    # Two steps of the three-odd that were measured: no more than was used in all, and not much less than their share.
    used_s = sum(cpu.values()) * 10
    assert used_s <= (after_s - before_s) * 1.1 + 1
    assert used_s >= (after_s - before_s) - (os.cpu_count() or 1) * (after_at_s - before_at_s - 20) * 1.1 - 1
    boot = next(line.split()[1] for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    (incarnation,) = {key.incarnation for key in Store(store).columns("cpu_cores").keys}
    assert abs(int(incarnation) - int(boot)) <= 1
    (level,) = series(store, "memory_working_set_bytes").values()
    used = (int(meminfo["MemTotal"].split()[0]) - int(meminfo["MemAvailable"].split()[0])) * 1024
    assert np.median(list(level.values())) == pytest.approx(used, rel=0.5)
