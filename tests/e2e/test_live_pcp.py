"""PCP, live: a pmlogger's archive of this machine, imported, against pmdumplog and the kernel's files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from collectors.kernel import read as read_file
from collectors.meminfo import parse_meminfo
from collectors.pcp import mapping
from collectors.pcp.importer import read
from collectors.records import HostRecord, Record, Series, WorkloadRecord
from tests.support.backends.pcp import dumped, environment, log, pmcd
from tests.support.cli import consolidate

pytestmark = pytest.mark.kernel

GROUPS = Path("/sys/fs/cgroup/cpuacct")
UNIFIED = Path("/sys/fs/cgroup/unified")
"""Where both versions are mounted, PCP 6.0 forgets groups that are not in the hierarchy it looks through last."""
SECONDS = 6
BURN = "import os, sys\nopen(sys.argv[1], 'w').write(str(os.getpid()))\nwhile True: pass"


@dataclass(frozen=True)
class Logged:
    """An archive, and what the kernel said before and after it was made."""

    archive: Path
    group: str
    before: dict[str, float]
    after: dict[str, float]


def kernel(group: Path) -> dict[str, float]:
    """The kernel's own word, in our units."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, _, _, irq, softirq, *_ = ticks
    seconds = (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    return {"host": seconds, "group": int((group / "cpuacct.usage").read_text()) / 1e9}


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    folder = tmp_path_factory.mktemp("pcp")
    name = f"consolidate-test-pcp-{os.getpid()}"
    group = GROUPS / name
    with pmcd(folder) as host:
        made = [path / name for path in (GROUPS, UNIFIED) if path.is_dir()]
        for directory in made:
            directory.mkdir()
        burning = subprocess.Popen([sys.executable, "-c", BURN, str(group / "cgroup.procs")])
        try:
            before = kernel(group)
            # A metric without a value here would never come into the archive; pmrep refuses all for asking after it.
            metrics = [one for one in mapping.WANTED if not one.startswith(("cgroup.memory", "cgroup.cpusched"))]
            archive = log(host, folder, metrics, SECONDS)
            yield Logged(archive, name, before, kernel(group))
        finally:
            burning.kill()
            burning.wait()
            for directory in made:
                directory.rmdir()


def series(found: list[Record], metric: str, workload: str | None = None) -> Series:
    [one] = [one for one in found if isinstance(one, Series) and (one.metric, one.workload) == (metric, workload)]
    return one


def test_what_was_logged_lies_between_what_the_kernel_said_before_and_after(logged: Logged) -> None:
    found = list(read(logged.archive))
    cpu = series(found, "cpu_seconds_total")
    assert len(cpu.at_s) >= SECONDS - 1
    # PCP and /proc/stat are read at different moments; nothing but their order is asserted.
    assert logged.before["host"] <= cpu.value[0] <= cpu.value[-1] <= logged.after["host"]
    own = series(found, "cpu_seconds_total", logged.group)
    tick_s = 0.02  # user and system time are each rounded to the kernel's ticks
    assert logged.before["group"] - tick_s <= own.value[0] < own.value[-1] <= logged.after["group"] + tick_s
    assert WorkloadRecord(logged.group, "group", cpu.host, cgroup=logged.group) in found


def test_every_value_is_that_of_another_reader(logged: Logged) -> None:
    found = list(read(logged.archive))
    parts = ("user", "nice", "sys", "irq.hard", "irq.soft")
    columns = [dumped(logged.archive, f"kernel.all.cpu.{part}") for part in parts]
    sums = [sum(row) / 1000 for row in zip(*columns, strict=True)]
    assert series(found, "cpu_seconds_total").value.tolist() == pytest.approx(sums)
    available = dumped(logged.archive, "mem.util.available")
    total = dumped(logged.archive, "mem.physmem")[-1]
    used = [(total - kib) * 1024 for kib in available]
    assert series(found, "memory_working_set_bytes").value.tolist() == used
    waited = [us / 1e6 for us in dumped(logged.archive, "kernel.all.pressure.cpu.some.total")]
    assert series(found, "cpu_pressure_some_seconds_total").value.tolist() == pytest.approx(waited)


def test_the_host_is_this_one(logged: Logged) -> None:
    [host] = [one for one in read(logged.archive.with_suffix(".index")) if isinstance(one, HostRecord)]
    memory = read_file(Path("/proc/meminfo"), parse_meminfo) or {}
    assert host.name == os.uname().nodename
    assert host.kernel == os.uname().release
    assert host.os == "linux"
    assert host.capacity == {"cpu_milli": (os.cpu_count() or 0) * 1000, "memory_bytes": memory["MemTotal"]}


def test_a_csv_of_pmrep_says_the_same_as_the_archive(logged: Logged, tmp_path: Path) -> None:
    command = ["pmrep", "-a", str(logged.archive), "-r", "-u", "-5", "-f", "%s", "-o", "csv"]
    command += ["kernel.uname.nodename", "kernel.all.cpu", "mem.physmem", "mem.util.available"]
    done = subprocess.run(command, env=environment(tmp_path), check=True, capture_output=True, text=True)
    (tmp_path / "elsewhere.csv").write_text(done.stdout)
    exported, archived = list(read(tmp_path / "elsewhere.csv")), list(read(logged.archive.parent))
    for metric in ("cpu_seconds_total", "memory_working_set_bytes"):
        assert series(exported, metric).at_s.tolist() == series(archived, metric).at_s.tolist()
        assert series(exported, metric).value.tolist() == series(archived, metric).value.tolist()


def test_an_archive_is_imported_into_a_store(logged: Logged, tmp_path: Path) -> None:
    done = consolidate("import", "pcp", logged.archive, "--store", tmp_path / "store")
    assert done.code == 0, done.err
    assert "samples in" in done.out


def test_a_damaged_archive_is_refused_in_pmreps_words(logged: Logged, tmp_path: Path) -> None:
    for path in logged.archive.parent.glob(f"{logged.archive.name}.*"):
        content = path.read_bytes()
        (tmp_path / path.name).write_bytes(content[:200] if path.suffix == ".meta" else content)
    done = consolidate("import", "pcp", tmp_path / logged.archive.name, "--store", tmp_path / "store")
    assert done.code == 1
    assert "pmrep says" in done.err
    assert "Traceback" not in done.err
