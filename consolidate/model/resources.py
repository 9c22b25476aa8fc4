"""Amounts of what hosts offer and workloads need, and their algebra."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Resources:
    """Integer amounts by dimension (``cpu_milli``, ``memory_bytes``, ``disk_iops``, …, or any name of its own).

    A dimension that is absent is unknown, which is not zero.
    """

    amounts: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Drop the order in which dimensions were given, so that equal amounts are equal values."""
        object.__setattr__(self, "amounts", dict(sorted(self.amounts.items())))

    def __hash__(self) -> int:
        return hash(tuple(self.amounts.items()))

    def __iter__(self) -> Iterator[str]:
        return iter(self.amounts)

    def __contains__(self, dimension: object) -> bool:
        return dimension in self.amounts

    def get(self, dimension: str, default: int = 0) -> int:
        """Amount of a dimension, or the default where it is unknown."""
        return self.amounts.get(dimension, default)

    def __add__(self, other: Resources) -> Resources:
        names = self.amounts.keys() | other.amounts.keys()
        return Resources({name: self.get(name) + other.get(name) for name in names})

    def __sub__(self, other: Resources) -> Resources:
        """Subtract in the dimensions that this side knows; never below zero."""
        return Resources({name: max(0, amount - other.get(name)) for name, amount in self.amounts.items()})

    def scaled_down(self, permille: int) -> Resources:
        """Multiply by permille / 1000, rounded down: right for capacity."""
        return Resources({name: amount * permille // 1000 for name, amount in self.amounts.items()})


NOTHING = Resources()
"""No dimension known."""
