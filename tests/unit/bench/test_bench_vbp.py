"""What the benchmark of vector bin packing checks of its workers' answers, and what it does not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from consolidate.solve.certificate import DualCertificate
from consolidate.solve.columns import Instance, Packed, Pattern, uniform_bins
from tests.bench import vbp
from tests.bench.vbp import checked_bound, solve

INSTANCE = uniform_bins(np.array([[6, 1], [6, 1], [5, 1], [4, 1], [4, 1]]), np.array([10, 3]))
RIGHT = DualCertificate(values=(3, 2, 2), penalties=(0,), ceilings=(5,))
"""Of the three sizes: 6 + 4 is worth 5, so 12 in all need 3 bins."""


CLAIM = Packed((Pattern(0, (0, 3)), Pattern(0, (1, 4)), Pattern(0, (2,))), 3, 3, RIGHT, "columns", ())


def test_the_packing_and_the_bound_of_the_workers_are_checked() -> None:
    solved = solve(INSTANCE, time.monotonic() + 10, 1)
    assert (len(solved.packing), solved.bound, solved.checked) == (3, 3, 3)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"bound": 4}, "the certificate does not prove the bound of 4"),
        ({"certificate": replace(RIGHT, ceilings=(4,))}, "the certificate does not prove the bound of 3"),
        ({"certificate": None}, "nothing proves the bound of 3"),
        ({"kind": "enumeration", "certificate": replace(RIGHT, ceilings=(4,))}, "does not prove the bound of 3"),
    ],
)
def test_a_forged_bound_is_an_error(changes: dict[str, object], wrong: str) -> None:
    with pytest.raises(AssertionError, match=wrong):
        checked_bound(INSTANCE, replace(CLAIM, **changes), 100)  # type: ignore[arg-type]


def test_of_an_enumerated_bound_only_what_has_a_certificate_is_checked() -> None:
    assert checked_bound(INSTANCE, replace(CLAIM, bound=4, kind="enumeration"), 100) == 3
    assert checked_bound(INSTANCE, replace(CLAIM, bound=4, kind="enumeration", certificate=None), 100) == 0


def test_what_takes_too_long_to_check_is_not_called_checked() -> None:
    halves = uniform_bins(np.full((3, 1), 6), np.array([10]))
    claim = replace(CLAIM, certificate=DualCertificate((2,), (0,), (2,)))
    assert checked_bound(halves, claim, 100) == 3
    assert checked_bound(halves, claim, 2) == 0


def _fail(*_: object) -> Packed | None:
    raise ArithmeticError


def _die(*_: object) -> Packed | None:
    os._exit(9)


def _forge(instance: Instance, seed: int, effort: object, stop: object, report: Callable[[Packed], None]) -> None:
    report(replace(CLAIM, bound=4))


@pytest.mark.parametrize(
    ("worker", "error", "sentence"),
    [
        (_fail, RuntimeError, "a worker ended with exit code 1"),
        (_die, RuntimeError, "a worker ended with exit code 9"),
        (_forge, AssertionError, "the certificate does not prove the bound of 4"),
    ],
)
def test_a_worker_that_fails_or_forges_is_an_error(
    monkeypatch: pytest.MonkeyPatch, worker: object, error: type[Exception], sentence: str
) -> None:
    monkeypatch.setattr(vbp, "pack", worker)
    with pytest.raises(error, match=sentence):
        solve(INSTANCE, time.monotonic() + 10, 1)
