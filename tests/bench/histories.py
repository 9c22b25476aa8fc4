"""Published traces as histories to plan on and to judge by, each with hosts on which one resource binds.

The traces say nothing of the hosts they ran on. What can be saved depends on which resource runs out first, so every
trace is judged on hosts of several shapes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from collectors.records import Record, Series, WorkloadRecord
from collectors.traces import bitbrains, planetlab
from consolidate.config import Inputs, read_inputs
from consolidate.demand import History, read_history
from consolidate.demand.history import Parts
from consolidate.store import Store
from tests.bench.__main__ import data
from tests.support.traces import unpack

PLANETLAB_DAYS = ("20110303", "20110306", "20110309", "20110322", "20110325")
HOSTS = """\
hosts:
  - {{name: "h-{{n}}", count: {count}, cpu: {cores}, memory: {memory_gib}GiB, os: debian, hypervisor: native}}
policy: {{headroom: 0%}}
"""


@dataclass(frozen=True)
class Shape:
    """Hosts that are all alike."""

    cores: int
    memory_gib: int
    count: int = 200

    def __str__(self) -> str:
        """As tables have it."""
        return f"{self.cores} cores, {self.memory_gib} GiB"


@dataclass(frozen=True, eq=False)
class Judgement:
    """A history, the hosts that are planned for, and where it is split."""

    trace: str
    shape: Shape
    history: History
    inputs: Inputs
    train_days: float


def judgements(traces: Sequence[str]) -> Iterator[Judgement]:
    """Every split of the traces asked for, on every shape.

    PlanetLab: two days to plan on and the next to judge by, for each such three of its five days (rolling origin), of
    the machines that ran on all three. The days lie up to two weeks apart and are laid end to end, since a history with
    so many holes would be refused, and rightly. Bitbrains: two or three weeks of August 2013, judged on the rest.
    """
    with tempfile.TemporaryDirectory() as folder:
        for trace in traces:
            yield from _TRACES[trace](Path(folder) / trace)


def _planetlab(folder: Path) -> Iterator[Judgement]:
    unpack(data() / "planetlab/planetlab-2011-03.tar.xz", folder / "trace")
    for first in range(len(PLANETLAB_DAYS) - 2):
        days = PLANETLAB_DAYS[first : first + 3]
        store = Store.create(folder / days[0])
        for place, day in enumerate(days):
            store.append(
                list(_planetlab_day(folder / "trace", day, planetlab.parse_day(days[0]) + 86400 * place, days))
            )
        for shape in (Shape(4, 64), Shape(8, 64)):
            yield _judgement(f"PlanetLab {days[0]}+{days[1][6:]} → {days[2][4:]}", store, shape, 2.0)


def _planetlab_day(folder: Path, day: str, begin_s: int, days: Sequence[str]) -> Iterator[Record]:
    """A day of the machines that ran on all days, as if it had begun then: each of one type on all days.

    The importer deals the paper's types out among the files of one day, as its simulator does. Dealt anew every day, a
    machine would change its speed overnight.
    """
    names = sorted(set.intersection(*({path.name for path in (folder / one).iterdir()} for one in days)))
    at_s = begin_s + planetlab.INTERVAL_S * np.arange(planetlab.SAMPLES, dtype=np.int64)
    block = -(-len(names) // len(planetlab.VM_TYPES))
    for index, name in enumerate(names):
        mips, memory_mb = planetlab.VM_TYPES[index // block]
        percent = planetlab.parse((folder / day / name).read_text(), name)
        memory = memory_mb * 1_000_000
        yield WorkloadRecord(name, "vm", limits={"cpu_milli": mips, "memory_bytes": memory})
        yield Series("", name, "", "cpu_cores", at_s, percent * mips / 100_000)
        yield Series("", name, "", "memory_working_set_bytes", at_s, np.full(len(at_s), float(memory)))


def _bitbrains(folder: Path) -> Iterator[Judgement]:
    unpack(data() / "bitbrains/rnd-2013-8-vm001-150.tar.xz", folder / "trace")
    store = Store.create(folder / "store")
    store.append(list(bitbrains.read(folder / "trace")))
    for weeks in (2, 3):
        for shape in (Shape(32, 512), Shape(64, 64)):
            yield _judgement(f"Bitbrains {weeks} weeks → the rest", store, shape, 7.0 * weeks)


_TRACES = {"planetlab": _planetlab, "bitbrains": _bitbrains}


def _judgement(trace: str, store: Store, shape: Shape, train_days: float) -> Judgement:
    text = HOSTS.format(count=shape.count, cores=shape.cores, memory_gib=shape.memory_gib)
    inputs = read_inputs(text, "the benchmark", store.hosts().values(), store.workloads())
    parts = list(read_history(store.columns, inputs.fleet).parts())  # read once, and judged many times
    return Judgement(trace, shape, Parts(tuple((lambda part=part: part) for part in parts)), inputs, train_days)
