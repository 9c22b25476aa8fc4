"""Control groups of this machine's kernel, watched: values are the kernel's own, and ended groups are told apart."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from collectors import cgroup
from collectors.cgroup import CgroupCollector, CgroupWatch, Hierarchies, find_hierarchies
from collectors.reading import Reading
from collectors.records import WorkloadRecord

pytestmark = pytest.mark.kernel
BURN = (
    "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\nprint('done', flush=True)\n"
)


class Group:
    """One control group of our own, in every hierarchy."""

    def __init__(self, hierarchies: Hierarchies, name: str) -> None:
        self.name = name
        self.places = [root / name for root in hierarchies.roots]
        self.make()

    def make(self) -> None:
        """Create it, or create it anew."""
        for place in self.places:
            place.mkdir()
            for file in ("cpuset.cpus", "cpuset.mems"):  # v1 admits no process to an empty one
                if (place / file).exists() and (place / "tasks").exists():
                    (place / file).write_text((place.parent / file).read_text())

    def run(self, code: str) -> None:
        """Run Python code in it from its first instruction on."""
        enter = "".join(
            f"open({str(place / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n" for place in self.places
        )
        subprocess.run([sys.executable, "-c", f"import os\n{enter}{code}"], check=True, stdout=subprocess.DEVNULL)

    def remove(self) -> None:
        """End it."""
        for place in self.places:
            for _ in range(50):  # a process leaves its group a moment after it ended
                with contextlib.suppress(OSError):
                    place.rmdir()
                if not place.exists():
                    break
                time.sleep(0.1)


@pytest.fixture
def hierarchies() -> Hierarchies:
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes control groups of its own on this machine")
    return find_hierarchies(Path("/"))


@pytest.fixture
def group(hierarchies: Hierarchies) -> Iterator[Group]:
    made = Group(hierarchies, f"consolidate-test-{os.getpid()}.service")
    try:
        yield made
    finally:
        made.remove()


def found(watch: CgroupWatch, group: Group) -> tuple[WorkloadRecord | None, Reading | None]:
    record = reading = None
    for one in watch.read():
        if isinstance(one, Reading):
            reading = one if one.workload == group.name else reading
        elif one.name == group.name:
            record = one
    return record, reading


def kernel_cpu_s(hierarchies: Hierarchies, group: Group) -> float:
    if "cpuacct" in hierarchies.v1:
        return int((hierarchies.v1["cpuacct"] / group.name / "cpuacct.usage").read_text()) / 1e9
    assert hierarchies.v2 is not None
    lines = (hierarchies.v2 / group.name / "cpu.stat").read_text().splitlines()
    return int(dict(line.split() for line in lines)["usage_usec"]) / 1e6


@pytest.mark.parametrize("keep_open", [0, 10_000])
def test_what_is_watched_is_what_the_kernel_says(hierarchies: Hierarchies, group: Group, keep_open: int) -> None:
    with closing(CgroupCollector().watch(Path("/"), "here", keep_open)) as watch:
        _, before = found(watch, group)
        group.run(BURN)
        record, after = found(watch, group)
        assert record is not None
        assert before is not None
        assert after is not None
        assert record.kind == "service"
        assert after.values["cpu_seconds_total"] == kernel_cpu_s(hierarchies, group)
        assert after.values["cpu_seconds_total"] - before.values["cpu_seconds_total"] >= 0.3


def test_a_group_that_ended_is_gone_although_its_files_are_open(group: Group) -> None:
    with closing(CgroupCollector().watch(Path("/"), "here", 10_000)) as watch:
        assert found(watch, group)[1] is not None
        group.remove()
        assert found(watch, group) == (None, None)
        assert found(watch, group) == (None, None)


def test_a_group_created_anew_has_another_incarnation_and_counts_from_nothing(group: Group) -> None:
    with closing(CgroupCollector().watch(Path("/"), "here", 10_000)) as watch:
        group.run(BURN)
        _, before = found(watch, group)
        group.remove()
        group.make()
        _, after = found(watch, group)
    assert before is not None
    assert after is not None
    assert after.incarnation != before.incarnation
    assert after.values["cpu_seconds_total"] < 0.3 <= before.values["cpu_seconds_total"]


def test_a_group_that_ends_between_reading_and_listing_is_left_out(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_groups = cgroup.find_groups

    def end_it(hierarchies: Hierarchies) -> Iterator[cgroup.Group]:
        group.remove()
        return find_groups(hierarchies)

    with closing(CgroupCollector().watch(Path("/"), "here", 10_000)) as watch:
        assert found(watch, group)[1] is not None
        monkeypatch.setattr(cgroup, "find_groups", end_it)
        assert found(watch, group) == (None, None)
