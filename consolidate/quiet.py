"""Keeps native libraries from printing on stdout, which belongs to results."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def native_output_on_stderr() -> Iterator[None]:
    """Send what compiled code writes to file descriptor 1 to descriptor 2 for a while."""
    with _stdout_to(2):
        yield


@contextlib.contextmanager
def native_output_discarded() -> Iterator[None]:
    """Drop what compiled code writes to file descriptor 1 for a while, such as a banner."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        with _stdout_to(nowhere):
            yield
    finally:
        os.close(nowhere)


@contextlib.contextmanager
def _stdout_to(descriptor: int) -> Iterator[None]:
    try:
        kept = os.dup(1)
    except OSError:  # no stdout at all
        yield
        return
    try:
        os.dup2(descriptor, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
