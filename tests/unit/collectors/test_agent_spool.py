"""The spool: bounded, whole after kills, and still going on a full disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from collectors.agent.observer import Round
from collectors.agent.spool import LEAST_BYTES, Limits, Spool, SpoolError
from collectors.reading import Reading
from collectors.records import HostRecord, Series
from collectors.traces.segments import decode, read

START_S = 1_780_315_200
INVENTORY = (HostRecord("h1"),)
LIMITS = Limits(LEAST_BYTES, 30)


def a_round(number: int, size: int = 1) -> Round:
    """A round whose values no compression makes much smaller."""
    values = {"pids": float(number)}
    noise = tuple(Reading(f"w{one}-{os.urandom(40).hex()}", "1", values) for one in range(size - 1))
    return Round(START_S + 10 * number, INVENTORY, (Reading(None, "1", values), *noise))


def open_spool(folder: Path, limits: Limits = LIMITS, report: Callable[[str], None] = print) -> closing[Spool]:
    return closing(Spool(folder, "h1", limits, report))


def times(folder: Path) -> list[int]:
    """Of all rounds in a spool, as an importer reads it."""
    series = [one for one in read(folder) if isinstance(one, Series) and one.workload is None]
    return [int(at_s) for one in series for at_s in one.at_s]


def test_rounds_become_segments_that_can_be_fetched(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        assert all(spool.add(a_round(number)) for number in range(7))
        names = [name for name, _ in spool.segments()]
        assert len(names) == 2, "three rounds each, and the seventh is still open"
        content = spool.read(names[0])
        assert content is not None
        assert decode(content)[0] == HostRecord("h1")
        assert spool.acknowledge(names[0])
        assert not spool.acknowledge(names[0]), "once is enough"
        assert spool.read(names[0]) is None
    assert times(tmp_path) == [START_S + 10 * number for number in range(3, 7)]
    assert spool.tally.sealed == 3
    assert spool.tally.acknowledged == 1


def test_an_inventory_is_told_when_it_changes_and_every_hour(tmp_path: Path) -> None:
    with open_spool(tmp_path, Limits(LEAST_BYTES, 60)) as spool:
        for number in range(800):
            spool.add(a_round(number))
        told = [name for name, _ in spool.segments() if HostRecord("h1") in decode(spool.read(name) or b"")]
    assert len(told) == 3, "at the beginning, and after one and two hours"


def test_the_oldest_segments_make_room_and_are_counted(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        for number in range(200):
            spool.add(a_round(number, size=400))
            assert spool.held_bytes <= LEAST_BYTES
        assert spool.tally.dropped > 3
    found = times(tmp_path)
    assert found == [START_S + 10 * number for number in range(200 - len(found), 200)], "the newest are kept, in a row"
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= LEAST_BYTES + 4096


def test_refused_segments_are_set_aside_within_the_bound(tmp_path: Path) -> None:
    with open_spool(tmp_path) as spool:
        for number in range(200):
            spool.add(a_round(number, size=400))
            for name, _ in spool.segments():
                spool.refuse(name)
        assert spool.held_bytes <= LEAST_BYTES
        assert spool.segments() == []
        assert spool.tally.refused > spool.tally.dropped > 0
    assert list((tmp_path / "refused").iterdir())


def test_what_a_killed_agent_left_is_recovered_without_its_torn_end(tmp_path: Path) -> None:
    killed = Spool(tmp_path, "h1", LIMITS, print)
    for number in range(2):
        killed.add(a_round(number))
    (part,) = tmp_path.glob("*.part")
    part.write_bytes(part.read_bytes() + b"\x03torn")
    (tmp_path / "0001780315210-0123456789abcdef-000009.jsonl.gz.part").write_bytes(b"")
    os.close(killed._lock)  # a kill lets go of it, too
    with open_spool(tmp_path) as spool:
        assert spool.last_s == START_S + 10
        assert len(spool.segments()) == 1
        assert not list(tmp_path.glob("*.part"))
        spool.add(a_round(2))
    assert times(tmp_path) == [START_S, START_S + 10, START_S + 20]


def test_names_are_never_given_twice(tmp_path: Path) -> None:
    names: set[str] = set()
    for number in range(5):
        with open_spool(tmp_path) as spool:
            spool.add(a_round(number))
            spool.seal()
            (fresh,) = [name for name, _ in spool.segments()]
            assert fresh not in names
            names.add(fresh)
            spool.acknowledge(fresh)


def test_two_agents_do_not_share_a_spool(tmp_path: Path) -> None:
    with open_spool(tmp_path), pytest.raises(SpoolError, match=f"agent {os.getpid()} writes here; end it, or name"):
        Spool(tmp_path, "h1", LIMITS, print)
    with open_spool(tmp_path):
        pass  # it was let go of


def test_a_folder_that_cannot_be_written_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="Not a directory; name a directory that this user may write to"):
        Spool(tmp_path / "file" / "spool", "h1", LIMITS, print)
    with pytest.raises(SpoolError, match=r"file: File exists; name a directory"):
        Spool(tmp_path / "file", "h1", LIMITS, print)
    with pytest.raises(SpoolError, match="too small; give at least"):
        Spool(tmp_path, "h1", Limits(1000, 30), print)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A disk with only so many bytes left, which takes what it can of each write; as many as the first element."""
    left = [10**9]
    write = os.write

    def limited(descriptor: int, data: bytes) -> int:
        taken = min(len(data), left[0])
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= taken
        return write(descriptor, data[:taken])

    monkeypatch.setattr(os, "write", limited)
    yield left


def test_a_full_disk_costs_rounds_but_not_the_agent(tmp_path: Path, full: list[int]) -> None:
    complaints: list[str] = []
    with open_spool(tmp_path, report=complaints.append) as spool:
        for number in range(5):  # one segment is sealed, two rounds of another are written
            spool.add(a_round(number))
        full[0] = 7  # some of the next round fits
        assert not spool.add(a_round(5))
        assert not spool.add(a_round(6))
        full[0] = 10**9
        assert spool.add(a_round(7))
        assert (spool.tally.lost_rounds, spool.tally.dropped) == (2, 1), "giving one segment up did not help"
    assert times(tmp_path) == [START_S + 30, START_S + 40, START_S + 70]
    assert complaints == [f"spool {tmp_path}: No space left on device; make room or mend the disk, sampling goes on"]


def test_a_disk_that_others_fill_does_not_cost_what_is_spooled(tmp_path: Path, full: list[int]) -> None:
    with open_spool(tmp_path) as spool:
        for number in range(30):
            spool.add(a_round(number))
        before = len(spool.segments())
        full[0] = 0
        assert not any(spool.add(a_round(number)) for number in range(30, 60))
        assert before - len(spool.segments()) <= 1
        full[0] = 10**9
        assert spool.add(a_round(60))


def test_older_segments_make_room_on_a_full_disk(
    tmp_path: Path, full: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def freeing(path: Path, missing_ok: bool = False) -> None:
        full[0] += path.stat().st_size if path.exists() else 0
        unlink(path, missing_ok)

    with open_spool(tmp_path) as spool:
        for number in range(6):
            spool.add(a_round(number, size=5))
        monkeypatch.setattr(Path, "unlink", freeing)
        full[0] = 0
        assert spool.add(a_round(6)), "the newest round goes before the oldest segment"
        assert (spool.tally.dropped, spool.tally.lost_rounds) == (1, 0)
    assert times(tmp_path) == [START_S + 10 * number for number in (3, 4, 5, 6)]
