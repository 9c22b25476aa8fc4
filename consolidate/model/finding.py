"""What looks wrong about data, or should be known of them, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Finding:
    """One thing about one host's or workload's data."""

    subject: str
    """Name of the workload or host."""
    dimension: str
    """Empty where it is about more than one."""
    kind: str
    detail: str
