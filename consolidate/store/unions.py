"""Things that turn out to be the same, in sets that do not depend on the order in which that is found out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T", bound=tuple[str, ...])


class Unions(Generic[T]):
    """Disjoint sets; each is named by its least member."""

    def __init__(self, members: Iterable[T]) -> None:
        """Every member in a set of its own."""
        self._sets: dict[T, list[T]] = {member: [member] for member in members}
        self._root: dict[T, T] = {member: member for member in self._sets}

    def unite(self, one: T, other: T) -> None:
        """Make one set of two."""
        first, second = sorted((self._root[one], self._root[other]))
        if first != second:
            moved = self._sets.pop(second)
            self._sets[first] += moved
            self._root.update(dict.fromkeys(moved, first))

    def root(self, member: T) -> T:
        """The least member of a set."""
        return self._root[member]

    def members(self, member: T) -> list[T]:
        """All of a member's set."""
        return self._sets[self._root[member]]
