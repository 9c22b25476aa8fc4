"""Podman's containers, root's own, limited by ``podman update`` (tried with Podman 4.3 and runc).

Its quirks, each measured with 4.3: an update bites and is forgotten, so that the inspection keeps the old limits and a
restarted container has them again; a quota of -1 and unlimited swap are swallowed without a word; there is no option
for the number of tasks. So the kernel is asked whether it came to what was wanted, and where not, the runtime that
made the container is told itself, as Podman would.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from consolidate.apply.backends.backend import Change
from consolidate.apply.backends.engine import EngineBackend
from consolidate.apply.backends.engine_options import KEYS, resources
from consolidate.apply.machine import Machine
from consolidate.errors import ApplyError

GROUP = r"(?:^|/)libpod-([0-9a-f]{64})(?:\.scope)?$"


class PodmanBackend(EngineBackend):
    """Podman's containers."""

    def __init__(self, client: Sequence[str] = ("podman",)) -> None:
        """Name the client's command line, such as ``("podman", "--remote")``."""
        super().__init__("podman", client, GROUP, KEYS | {"blkio.bfq.weight"})

    def execute(self, machine: Machine, change: Change, value: str) -> None:
        """Have Podman set one limit, or else the container's runtime.

        Raises:
            ApplyError: where neither does, or the container is gone.

        """
        refused: ApplyError | None = None
        try:
            super().execute(machine, change, value)
        except ApplyError as error:
            refused = error
        container, values = self._current(machine, change)
        if values.get(change.key) == value:
            return
        if not container.runtime:
            raise refused or ApplyError(f"{change.workload}: Podman took {value!r} for {change.key} and did not set it")
        command = [container.runtime, "update", "--resources", "-", container.id]
        machine.run(command, stdin=json.dumps(resources(change.key, value, values)))
