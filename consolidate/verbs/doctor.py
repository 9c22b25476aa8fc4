"""What will become of a plan on a host: facts gathered, keys judged, a table."""

from __future__ import annotations

from consolidate.apply.facts import facts
from consolidate.apply.fitness import examine
from consolidate.apply.fitness_show import fitness_json, fitness_text, unfit
from consolidate.apply.machine import Machine
from consolidate.errors import StalePlanError
from consolidate.plan.plan import Plan


def diagnose(document: Plan, machine: Machine, *, as_json: bool) -> tuple[str, bool]:
    """The doctor's report on a machine, and whether anything will not do what the plan wants of it.

    Raises:
        StalePlanError: where the plan does not know the machine.
        ApplyError: where the machine cannot be read.

    """
    name = machine.name
    partitions = [partition for partition in document.partitions if partition.host == name]
    if not partitions and all(planned.name != name for planned in document.hosts):
        known = ", ".join(planned.name for planned in document.hosts[:3])
        raise StalePlanError(f"the plan has no host {name!r} (it has {known}, …); give one of its hosts with --host")
    seen = facts(machine, partitions)
    found = examine(partitions, seen)
    return (fitness_json if as_json else fitness_text)(name, seen, found), unfit(found)
