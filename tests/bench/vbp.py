"""Vector bin packing: bins, a proved bound and the time they took, on public instances.

python -m tests.bench.vbp INSTANCE --seconds 20 --seed 1 --out bins.txt

INSTANCE is a ``.vbp`` file, or one inside an archive: ``panigrahy.tar.xz:panigrahy/class1/class1_20_3_0.vbp``.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import resource
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from consolidate.solve.certificate import broken_packing, proves
from consolidate.solve.columns import Effort, Instance, Packed, compile_kernels, pack, uniform_bins
from consolidate.solve.columns.instance import Packing, merge_identical
from tests.bench.command import Outcome, bench_parser, run

ROOT = Path(__file__).parents[2]
SETS = ("new", "panigrahy", "triplet")
WORKERS = 2
SPARE_S = 0.15
"""Kept for stopping and writing."""
_CHECKED_A_SECOND = 20_000
"""Nodes for each second that is left once the search has ended: where patterns are many, checking might take hours."""


@dataclass(frozen=True)
class Solved:
    """The best packing and bound of all workers."""

    packing: Packing
    bound: int
    checked: int
    """The bound as far as `checked_bound` confirmed it."""
    seconds: float
    peak_bytes: int


def parse(text: str) -> Instance:
    """Dimensions, capacities, number of items, then each item's demands and copies; copies become items."""
    numbers = [[int(word) for word in line.split()] for line in text.splitlines() if line.strip()]
    (dimensions,), capacity, (count,), *rows = numbers
    items = np.array(rows, dtype=np.int64).reshape(-1, dimensions + 1)
    if len(items) != count:
        raise ValueError(f"{count} items are announced and {len(items)} listed")
    return uniform_bins(np.repeat(items[:, :-1], items[:, -1], axis=0), np.array(capacity, dtype=np.int64))


def read_instance(name: str) -> str:
    """Text of a file, or of an archive's member after a colon."""
    archive, _, member = name.partition(":")
    if not member:
        return Path(archive).read_text(encoding="ascii")
    with tarfile.open(archive) as members:
        content = members.extractfile(member)
        assert content is not None
        return content.read().decode("ascii")


def solve(instance: Instance, deadline_s: float, seed: int, workers: int = WORKERS) -> Solved:
    """Let workers with seeds of their own race until the bound is met or ``time.monotonic`` is at the deadline.

    The packing was checked against the instance, by what calls nothing of the solver. The bound is what a worker
    claims; how much of it could be checked likewise in the time that was left, it says.

    Raises:
        AssertionError: where the packing is wrong, or the certificate of the bound.
        RuntimeError: where a worker failed.

    """
    began = time.monotonic()
    compile_kernels()
    context = multiprocessing.get_context("fork")
    running: dict[Connection, BaseProcess] = {}
    for number in range(workers):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(instance, seed * workers + number, deadline_s, theirs))
        process.start()
        theirs.close()
        running[ours] = process
    try:
        best, proof, peak = _best(running, deadline_s)
    finally:
        for process in running.values():
            process.kill()
            process.join()
    packing = () if best is None else best.packing
    broken = broken_packing(instance, [(one.kind, one.items) for one in packing])
    if broken is not None:
        raise AssertionError(broken)
    bound, checked = 0, 0
    if proof is not None:
        left = max(deadline_s - time.monotonic(), 0.0)
        bound, checked = proof.bound, checked_bound(instance, proof, int(left * _CHECKED_A_SECOND))
    return Solved(packing, bound, checked, time.monotonic() - began, peak)


def _best(running: dict[Connection, BaseProcess], deadline_s: float) -> tuple[Packed | None, Packed | None, int]:
    """What has the best packing, what has the best bound, and the most memory of a worker.

    Waits until the two meet or time is up. Workers that end by themselves are taken out of those that run.
    """
    best: Packed | None = None
    proof: Packed | None = None
    peak = 0
    while running and not (best is not None and proof is not None and len(best.packing) <= proof.bound):
        ready = wait(list(running), max(0.0, deadline_s - SPARE_S - time.monotonic()))
        if not ready:
            break
        for pipe in ready:
            assert isinstance(pipe, Connection)
            try:
                found, used = pipe.recv()
            except EOFError:
                process = running.pop(pipe)
                process.join()
                if process.exitcode:
                    raise RuntimeError(f"a worker ended with exit code {process.exitcode}") from None
                continue
            peak = max(peak, used)
            if best is None or len(found.packing) < len(best.packing):
                best = found
            if proof is None or found.bound > proof.bound:
                proof = found
    return best, proof, peak


def checked_bound(instance: Instance, packed: Packed, most_nodes: int) -> int:
    """The bound that a certificate was found to prove; 0 where there is none, or where telling takes too many nodes.

    What an enumeration adds to a bound has no certificate, so it is not checked. Nor is that identical items are
    merged rightly, which the certificate is about and the solver has done.

    Raises:
        AssertionError: where a certificate is wrong, or there should be one, or it is for less than the bound.

    """
    merged, _ = merge_identical(instance)
    certificate, claimed = packed.certificate, packed.bound
    if packed.kind == "enumeration":
        claimed = 0 if certificate is None else min(claimed, certificate.bound(merged))
    if certificate is None:
        if claimed > 0:
            raise AssertionError(f"nothing proves the bound of {claimed}")
        return 0
    proved = proves(merged, certificate, claimed, most_nodes)
    if proved is False:
        raise AssertionError(f"the certificate does not prove the bound of {claimed}")
    return claimed if proved else 0


def _work(instance: Instance, seed: int, deadline_s: float, results: Connection) -> None:
    """Every other worker goes for the packing alone and leaves the proof to its neighbour."""

    def report(packed: Packed) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        results.send((replace(packed, patterns=()), peak))

    effort = replace(Effort(), squeeze_steps=1_000_000, dives=1_000_000, most_nodes=1_000_000)
    if seed % WORKERS:
        effort = replace(effort, starts=100, most_nodes=effort.first_nodes, close_nodes=effort.first_nodes)
        effort = replace(effort, squeeze_steps=10_000_000)
    pack(instance, seed, effort, lambda: time.monotonic() > deadline_s, report)
    results.close()
    os._exit(0)


def instances(every: int = 1, data: Path | None = None) -> Iterator[tuple[str, str, dict[str, str]]]:
    """(name, text, published figures) of every so many instances of each set, in the order of their names."""
    folder = (data or Path(os.environ.get("CONSOLIDATE_DATA", ROOT / "../shared/data"))) / "vbp"
    for one in SETS:
        with (folder / f"{one}_published.csv").open(encoding="utf-8") as file:
            published = {row["instance_name"]: row for row in csv.DictReader(file)}
        with tarfile.open(folder / f"{one}.tar.xz") as archive:
            texts = {
                member.name: content.read().decode("ascii")
                for member in archive
                if member.name.endswith(".vbp") and (content := archive.extractfile(member)) is not None
            }
        for name in sorted(texts)[::every]:
            yield name, texts[name], published[Path(name).stem]


def solve_one(name: str, seconds: float, seed: int, out: Path | None) -> Outcome:
    """Solve one instance and write one line a bin."""
    until = time.monotonic() + seconds
    instance = parse(read_instance(name))
    solved = solve(instance, until, seed)
    if out is not None:
        out.write_text("".join(" ".join(map(str, one.items)) + "\n" for one in solved.packing), "ascii")
    checked = "checked" if solved.checked == solved.bound else f"checked up to {solved.checked}"
    print(f"bins {len(solved.packing)}, at least {solved.bound} ({checked})")
    return Outcome(len(solved.packing), solved.bound)


def main(arguments: Sequence[str]) -> None:
    """``INSTANCE --seconds S --seed K --out FILE``."""
    given = bench_parser("INSTANCE").parse_args(arguments)
    run(lambda: solve_one(str(given.INSTANCE), given.seconds, given.seed, given.out))


if __name__ == "__main__":
    main(sys.argv[1:])
