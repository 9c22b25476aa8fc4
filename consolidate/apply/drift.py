"""Why a limit is not as planned any more, as far as it shows in what is there now. Pure."""

from __future__ import annotations

from consolidate.apply.backends.backend import Change
from consolidate.apply.backends.setting import PERSISTENT, parse_setting


def why(change: Change) -> str:
    """The reason of a drift, between the plan, the unit (where there is one) and the kernel."""
    return _of_a_unit(change) if change.backend == "systemd" else "somebody else set it since, or it was made anew"


def _of_a_unit(change: Change) -> str:
    now, wanted = parse_setting(change.now), parse_setting(change.wanted)
    if now.kernel:
        return "somebody wrote to the kernel's file past systemd"
    if not set(wanted.layers) & set(now.layers):
        return "the unit was made anew, the host booted, or its drop-in was removed"
    if PERSISTENT in now.layers and PERSISTENT not in wanted.layers:
        return "a persistent drop-in, which counts for more, was set since"
    return "somebody else set it since, or another drop-in of the unit does"
