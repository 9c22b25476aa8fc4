"""apply, then rollback, is the identity; also when it is killed or refused between any two writes."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from consolidate.apply import LocalMachine, Outcome, Records, apply_changes, prepare, rollback
from consolidate.errors import ApplyError
from consolidate.plan.plan import Plan
from tests.support.hosts import contents, make_host, partition, plan_of


class Killed(BaseException):
    """The process ends here."""


class Flaky(LocalMachine):
    """Ends or is refused at one write."""

    def __init__(self, root: Path, at: int, how: str) -> None:
        super().__init__("here", root)
        self.left, self.how = at, how

    def write(self, path: str, text: str) -> None:
        self.left -= 1
        if self.left == 0:
            if self.how == "killed before":
                raise Killed
            if self.how == "refused":
                raise ApplyError("the kernel refused it")
        super().write(path, text)
        if self.left == 0 and self.how == "killed after":
            raise Killed


def applied(plan: Plan, machine: LocalMachine, records: Records) -> list[Outcome]:
    return apply_changes(plan, machine, prepare(plan, machine, records), records)


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, dict[str, dict[str, str]], Plan]:
    """A kernel version, its groups' limits now, and a plan."""
    version = draw(st.sampled_from([1, 2]))
    groups, partitions = {}, []
    for index in range(draw(st.integers(1, 4))):
        group = f"group-{index}"
        groups[group] = {
            "cpu.weight": str(draw(st.integers(1, 10_000))),
            "cpu.shares": str(draw(st.integers(2, 262_144))),
        }
        partitions.append(
            partition(
                f"w{index}",
                group,
                draw(st.one_of(st.none(), st.integers(10, 64_000))),
                draw(st.one_of(st.none(), st.integers(1, 1 << 30).map(lambda pages: pages * 4096))),
                cpu_weight=draw(st.integers(1, 10_000)),
            )
        )
    return version, groups, plan_of(*partitions)


@given(cases(), st.integers(1, 14), st.sampled_from(["killed before", "killed after", "refused", "never"]))
@settings(max_examples=150, deadline=None)
def test_whatever_happens_on_the_way_everything_can_be_taken_back(case, at, how) -> None:
    version, groups, plan = case
    with tempfile.TemporaryDirectory() as scratch:
        root = make_host(Path(scratch) / "root", version, groups)
        before = {path: text.rstrip(b"\n") for path, text in contents(root).items()}
        records = Records(Path(scratch) / "state", "here")
        files = Flaky(root, 0 if how == "never" else at, how)
        try:
            outcomes = applied(plan, files, records)
        except Killed:
            outcomes = None
        if outcomes is not None and any(outcome.status == "failed" for outcome in outcomes):
            assert {p: t.rstrip(b"\n") for p, t in contents(root).items()} == before, "a failure undoes itself"
        rollback(LocalMachine("here", root), records)
        assert {p: t.rstrip(b"\n") for p, t in contents(root).items()} == before
        assert records.journal.open_entries() == []


@given(cases(), st.integers(1, 14))
@settings(max_examples=80, deadline=None)
def test_an_apply_that_was_killed_is_finished_by_the_next_and_then_taken_back(case, at) -> None:
    version, groups, plan = case
    with tempfile.TemporaryDirectory() as scratch:
        root = make_host(Path(scratch) / "root", version, groups)
        before = {path: text.rstrip(b"\n") for path, text in contents(root).items()}
        records = Records(Path(scratch) / "state", "here")
        flaky = Flaky(root, at, "killed after")
        with contextlib.suppress(Killed):
            applied(plan, flaky, records)
        files = LocalMachine("here", root)
        outcomes = applied(plan, files, records)
        assert {outcome.status for outcome in outcomes} <= {"done", "unchanged"}
        assert not any(change.needed for change in prepare(plan, files, records).changes), "applied twice: no changes"
        rollback(files, records)
        assert {p: t.rstrip(b"\n") for p, t in contents(root).items()} == before
