"""What is missing where something does not fit: the amounts behind every refusal."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.model.demand import Demand
from consolidate.model.fleet import Isolation, Workload
from consolidate.model.isolation import choose_isolation
from consolidate.model.placement import Placement
from consolidate.model.rules import Spread
from consolidate.solve.evaluate import Score
from consolidate.solve.loads import Needs
from consolidate.units import format_amount, format_slot


@dataclass(frozen=True)
class Shortage:
    """The closest a workload comes to fitting on another host."""

    workload: str
    host: str
    dimension: str
    amount: int
    when: str
    """Slot in which it is missing; empty where it always is."""

    def __str__(self) -> str:
        amount = format_amount(self.dimension, self.amount)
        when = f" ({self.when})" if self.when else ""
        return f"{self.workload} needs {amount} more than {self.host} has left{when}"


class Room:
    """What each host of a placement has left, to be tried out and taken."""

    def __init__(self, needs: Needs, placement: Placement) -> None:
        """Sum up the loads once."""
        self.needs = needs
        self.limits = np.maximum(needs.limits, 1)
        self.free = needs.free(placement)

    def copy(self) -> Room:
        """A second room to try things out in."""
        twin = copy.copy(self)
        twin.free = self.free.copy()
        return twin

    def take(self, workload: Workload, among: Sequence[int]) -> Shortage | None:
        """Put a workload on the host that keeps most room; None where that worked or it may run on none of them.

        Otherwise say what is missing where the least is missing.
        """
        best: tuple[float, int, NDArray[np.int64]] | None = None
        for isolation, hosts in self._able(workload, among).items():
            need = self.needs.of(workload, isolation)
            assert need is not None  # nobody asks for the room of an unknown demand
            shares = ((need - self.free[hosts]).max(axis=2) / self.limits[hosts]).max(axis=1)
            at = int(shares.argmin())
            if best is None or shares[at] < best[0]:
                best = (float(shares[at]), hosts[at], need)
        if best is None:
            return None
        share, host, need = best
        lacking = need - self.free[host]
        if share > 0:
            row = int((lacking.max(axis=1) / self.limits[host]).argmax())
            slot = int(lacking[row].argmax())
            varies = bool((lacking[row] != lacking[row, slot]).any())
            amount = int(lacking[row, slot])
            when = format_slot(slot, self.needs.slots) if varies else ""
            name = self.needs.fleet.hosts[host].name
            return Shortage(workload.name, name, self.needs.dimensions[row], amount, when)
        self.free[host] -= need
        return None

    def can_run(self, workload: Workload, among: Sequence[int]) -> bool:
        """Whether some host offers it an isolation at all."""
        return bool(self._able(workload, among))

    def _able(self, workload: Workload, among: Sequence[int]) -> dict[Isolation, list[int]]:
        able: dict[Isolation, list[int]] = {}
        for index in among:
            isolation = choose_isolation(self.needs.fleet, workload, self.needs.fleet.hosts[index])
            if isolation is not None:
                able.setdefault(isolation, []).append(index)
        return able


def explain_unplaced(needs: Needs, unplaced: Sequence[str]) -> str:
    """One sentence on why no placement was found: what is too large for any host, or what was left over."""
    fleet = needs.fleet
    empty = Room(needs, Placement({}))
    everywhere = range(len(fleet.hosts))
    known = [workload for workload in fleet.workloads if isinstance(needs.demands[workload.name], Demand)]
    for workload in known:
        shortage = empty.copy().take(workload, everywhere)
        if shortage is not None:
            return (
                f"{shortage} even when that host is empty; shrink the workload, lower the headroom, "
                "or add a larger host"
            )
    some = ", ".join(unplaced[:3]) + (f" and {len(unplaced) - 3} more" if len(unplaced) > 3 else "")
    rules = [rule for rule in fleet.rules if set(rule.workloads) & set(unplaced)]
    if not rules:
        return f"no placement was found: there is no room for {some} beside the others; add hosts or lower the headroom"
    domains = len({host.domain for host in fleet.hosts})
    short = next((rule for rule in rules if isinstance(rule, Spread) and rule.domains > domains), None)
    if short is not None:
        return (
            f"rule {short.name!r} wants {short.domains} failure domains, the hosts have {domains}; lower what it wants"
        )
    names = ", ".join(repr(rule.name) for rule in rules)
    return f"no placement was found: {some} found no room that keeps {names}; relax a rule or add hosts"


def explain_broken(score: Score) -> str:
    """One sentence on a rule that no placement was found to keep."""
    first = score.violations[0]
    amount = format_amount(first.unit, first.amount)
    more = f" (and {len(score.violations) - 1} more)" if len(score.violations) > 1 else ""
    return (
        f"no placement was found that keeps every rule: {first.rule!r} stays broken at {first.subject}, by {amount}"
        f"{more}; relax it, or add hosts"
    )
