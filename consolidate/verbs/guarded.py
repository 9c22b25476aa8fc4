"""`apply --guard`: the guard with the user's condition, if there is one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

from collectors.prometheus.access import read_access
from collectors.prometheus.client import Client, Patience
from collectors.prometheus.limit import Limiter
from collectors.records import TraceError
from consolidate.apply import Machine, Records
from consolidate.apply.condition import PromqlCondition
from consolidate.apply.guard import Guard, Guarded, Thresholds
from consolidate.errors import InputError
from consolidate.plan.plan import Plan
from consolidate.units import parse_duration_s

_PATIENCE = Patience(connect_s=5.0, answer_s=10.0, attempts=2)
"""A condition that takes longer than an interval to answer is no condition."""


@dataclass(frozen=True)
class Watching:
    """What the command line says about the guard."""

    observe: str
    """How long to look after every step, as ``5m``."""
    grace: str
    condition: str | None
    prometheus: str | None
    """Address that the condition is asked at."""


def apply_guarded(
    plan: Plan,
    machine: Machine,
    records: Records,
    canary: str | None,
    watching: Watching,
    environment: Mapping[str, str] = os.environ,
) -> Guarded:
    """Apply a host's partitions step by step under the guard.

    Raises:
        InputError: where the condition cannot be asked, or a duration is none.

    """
    if (watching.condition is None) != (watching.prometheus is None):
        raise InputError("--condition and --prometheus belong together: a query, and the address that answers it")
    observe_s = parse_duration_s(watching.observe)
    interval_s = min(Thresholds.interval_s, observe_s / 4)
    thresholds = Thresholds(observe_s, interval_s, parse_duration_s(watching.grace))
    with contextlib.ExitStack() as stack:
        condition = None
        if watching.condition is not None and watching.prometheus is not None:
            try:
                access = read_access(watching.prometheus, environment)
            except TraceError as error:
                raise InputError(str(error)) from None
            client = stack.enter_context(Client(access, Limiter(1, 1e6), _PATIENCE))
            condition = PromqlCondition(client, watching.condition)
        return Guard(machine, records, thresholds, condition).apply(plan, canary)
