"""Until when each workload has been measured, so that no source can write its past anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from collectors.records import Series
from consolidate.store.keys import Key

Owner = tuple[str, str]
"""Host and workload, under the names that a source gave; an empty workload is the host itself."""


class Newest:
    """Time of the newest sample by source, machine and workload; segments are added once, and never lower it."""

    def __init__(self) -> None:
        self._last_s: dict[tuple[str, str, str, str], int] = {}
        self._machines: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.known: set[str] = set()
        """Names of the segments that were added."""

    def add_segment(self, name: str, source: str, machines: Mapping[str, str], keys: Iterable[Key]) -> None:
        """Take in what a segment holds; ``machines`` are the identifiers of its hosts, where it has them."""
        self.known.add(name)
        for key in keys:
            self._add(source, machines, (key.series.host, key.series.workload), key.last_s)

    def add_series(self, name: str, source: str, machines: Mapping[str, str], series: Sequence[Series]) -> None:
        """The same for a segment that has just been written."""
        self.known.add(name)
        for one in series:
            self._add(source, machines, (one.host, one.workload or ""), int(one.at_s[-1]))

    def before(self, source: str, machine: str, owner: Owner) -> int | None:
        """Newest sample that may be of the same machine, of this source or of one that an older store did not name."""
        host, workload = owner
        found = (
            self._last_s.get((its_source, host, its_machine, workload))
            for its_source in {"", source}
            for its_machine in self._machines[its_source, host]
            if not (machine and its_machine) or machine == its_machine
        )
        return max((last_s for last_s in found if last_s is not None), default=None)

    def _add(self, source: str, machines: Mapping[str, str], owner: Owner, last_s: int) -> None:
        host, workload = owner
        machine = machines.get(host, "")
        key = source, host, machine, workload
        self._machines[source, host].add(machine)
        self._last_s[key] = max(last_s, self._last_s.get(key, last_s))
