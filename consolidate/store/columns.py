"""Samples of several segments as the columns of one metric."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from consolidate.model.series import Columns, SeriesKey
from consolidate.store.segment import read_samples
from consolidate.store.view import Counted


def joined(chosen: Sequence[tuple[Path, Sequence[Counted]]]) -> Columns:
    """Read series of segments, older ones first, into columns ordered by series and time."""
    chosen = [(path, own) for path, own in chosen if own]
    if not chosen:
        return Columns.empty()
    series = sorted({one.series for _, own in chosen for one in own})
    position = {one: index for index, one in enumerate(series)}
    order = [[position[one.series] for one in own] for _, own in chosen]
    parts = [
        read_samples(path, [one.key for one in own], np.array(owners))
        for (path, own), owners in zip(chosen, order, strict=True)
    ]
    owner, at_s, value = (
        np.concatenate(columns) if len(parts) > 1 else columns[0] for columns in zip(*parts, strict=True)
    )
    if _overlap(chosen):
        by_time = np.lexsort((at_s, owner))
        owner, at_s, value = owner[by_time], at_s[by_time], value[by_time]
    elif any(one > other for one, other in itertools.pairwise(itertools.chain(*order))):
        # Segments are older and newer: within a series their order is that of time.
        by_owner = np.argsort(owner, kind="stable")
        owner, at_s, value = owner[by_owner], at_s[by_owner], value[by_owner]
    return Columns(tuple(series), owner, at_s, value)


def _overlap(chosen: Iterable[tuple[Path, Iterable[Counted]]]) -> bool:
    """Whether a series has samples that are older than those before.

    So it is where a host had several names in one segment, or where a segment of several hosts came late for one.
    """
    last_s: dict[SeriesKey, int] = {}
    for _, own in chosen:
        for one in own:
            if one.key.first_s < last_s.get(one.series, one.key.first_s):
                return True
            last_s[one.series] = one.key.last_s
    return False
