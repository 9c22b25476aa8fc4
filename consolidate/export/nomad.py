"""Nomad: the blocks ``constraint`` and ``resources`` of a task, for each workload (Nomad documents, "resources").

Nomad counts CPU in MHz, which a plan does not know: the blocks multiply cores by a variable without a default.
"""

from __future__ import annotations

from collections.abc import Iterator

from collectors.topology import parse_cpu_list
from consolidate.export.export import (
    Export,
    Left,
    comment,
    has_own_cores,
    heading,
    label,
    limits_left,
    sentences,
    share_milli,
)
from consolidate.plan.plan import Partition, Plan, plan_digest

MIB = 1024**2
LEAST_MHZ = 1
LEAST_MIB = 10
"""Nomad refuses a task with less memory."""
SAID = {"memory_bytes", "memory_low_bytes"}
VARIABLE = """variable "core_mhz" {
  type        = number
  description = "Clock rate of a core of the clients, in MHz"
}
"""


def export_nomad(plan: Plan) -> Export:
    """A file of blocks a workload, to be put into its task; and the variable, to be put into the job's file."""
    files, left, digest = {}, list[Left](), plan_digest(plan)
    for partition in plan.partitions:
        own = list(_left(partition))
        left += own
        head = comment(heading(plan, f"Task of {partition.workload} on {partition.host}", sentences(own), digest))
        files[f"{label(partition.workload)}.hcl"] = head + _blocks(partition)
    if files:
        files["variables.hcl"] = comment(["Of the job; give it with -var core_mhz=2400"]) + VARIABLE
    return Export(files, sentences(left))


def quoted(text: str) -> str:
    r"""A string of HCL, in which nothing is evaluated.

    >>> print(quoted('a"${b}'))
    "a\"$${b}"
    """
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${").replace("%{", "%%{")
    return '"' + "".join(one if one.isprintable() else _escaped(one) for one in plain) + '"'


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def _blocks(partition: Partition) -> str:
    after = partition.after
    lines = ["constraint {", '  attribute = "${attr.unique.hostname}"', f"  value     = {quoted(partition.host)}", "}"]
    lines += ["", "resources {"]
    if has_own_cores(partition):
        lines.append(f"  cores = {len(parse_cpu_list(after.cpus or ''))}")
    else:
        lines.append(f"  cpu = max({LEAST_MHZ}, ceil({share_milli(partition)} * var.core_mhz / 1000))")
    limit = None if after.memory_bytes is None else -(-after.memory_bytes // MIB)
    kept = limit if after.memory_low_bytes is None else max(after.memory_low_bytes // MIB, LEAST_MIB)
    if kept is not None:
        lines.append(f"  memory = {kept if limit is None else min(kept, limit)}")
    if kept is not None and limit is not None and kept < limit:
        lines.append(f"  memory_max = {limit}")
    return "\n".join([*lines, "}"]) + "\n"


def _left(partition: Partition) -> Iterator[Left]:
    said = SAID | ({"cpus", "memory_nodes"} if has_own_cores(partition) else set())
    for one in limits_left(partition, said, "Nomad has no key for it in resources"):
        if one.what == "CPU limit":
            yield Left(one.workload, one.what, "cpu is a share; cpu_hard_limit of the driver makes the share a limit")
        else:
            yield one
    if has_own_cores(partition):
        yield Left(partition.workload, "numbers of processors and nodes", "the client chooses which")
