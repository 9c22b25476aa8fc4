"""An export to a plan in one command: imported into a store that is gone afterwards."""

from __future__ import annotations

import tempfile
from pathlib import Path

from collectors.importers import IMPORTERS
from collectors.records import TraceError
from consolidate.errors import InputError
from consolidate.pipeline import Stages, run_once
from consolidate.plan.plan import Plan
from consolidate.solve.solve import Effort
from consolidate.store import Store
from consolidate.units import count


def plan_export(
    kind: str, place: Path, fleet: Path | None, seed: int, effort: Effort, stages: Stages, growth_permille: int = 0
) -> Plan:
    """Plan what a file or folder of one of the importers' formats says.

    Raises:
        InputError: for a format that there is not, and for a file that cannot be read.

    """
    if kind not in IMPORTERS:
        raise InputError(f"no format {kind!r} to plan from; name one of {', '.join(IMPORTERS)}")
    with tempfile.TemporaryDirectory(prefix="consolidate-") as folder:
        store = Path(folder) / "store"
        try:
            samples = Store.create(store).append(IMPORTERS[kind].read(place))
        except TraceError as error:
            raise InputError(str(error)) from None
        stages.done("import", count(samples, "sample"))
        return run_once(store, fleet, seed, effort, stages, growth_permille).plan
