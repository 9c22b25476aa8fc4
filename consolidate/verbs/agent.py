"""``consolidate collect --daemon``: the agent, with its segments going straight into a store of this host."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from collectors import COLLECTORS
from collectors.agent import command
from collectors.agent.spool import SpoolError
from collectors.records import Collector
from consolidate.errors import InputError
from consolidate.verbs.intake import Intake
from consolidate.verbs.receive import TIDY_S, tidy


def spool_of(store: Path) -> Path:
    """Where a store's own agent keeps what is not stored yet: beside it, since a store holds nothing but segments."""
    return store.with_name(f"{store.name}.spool")


def daemon(
    store: Path,
    options: command.Options,
    keep_s: int | None,
    report: Callable[[str], None],
    collectors: Sequence[Collector] = COLLECTORS,
) -> None:
    """Sample this host into a store until SIGTERM or SIGINT, and keep the store tidy.

    Raises:
        InputError: where the spool or the address cannot be used.
        StoreError: where the store cannot be used.

    """
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        intake = stack.enter_context(contextlib.closing(Intake(store, time.time)))

        def keep_tidy() -> None:
            while not stop.wait(TIDY_S):
                tidy(intake, keep_s, report)

        thread = threading.Thread(target=keep_tidy, daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(stop.set)
        try:
            command.run(replace(options, destination=intake), report, collectors)
        except (ValueError, SpoolError) as error:
            raise InputError(str(error)) from None
