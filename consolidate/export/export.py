"""What every export has: files, and what its format cannot say. Names are anybody's and never trusted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import yaml

from consolidate.errors import InputError
from consolidate.model.fleet import Isolation
from consolidate.plan.plan import Limits, Partition, Plan
from consolidate.units import count

WORDS: Mapping[str, str] = {
    "cpu_milli": "CPU limit",
    "memory_bytes": "memory limit",
    "cpu_burst_milli": "CPU burst",
    "memory_low_bytes": "protected memory",
    "memory_high_bytes": "memory high",
    "swap_bytes": "swap limit",
    "disk_read_bytes_per_s": "disk reads",
    "disk_write_bytes_per_s": "disk writes",
    "io_weight": "disk share",
    "pids": "task limit",
    "cpus": "processors",
    "memory_nodes": "memory nodes",
}
"""Every limit of a partition, for people."""
assert WORDS.keys() == {it.name for it in fields(Limits)}, "a limit without a word would be dropped without one"
NAMED = 5
"""Workloads that are named of those that share a reason."""
UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]+\.(service|scope|slice)")
"""What systemd allows a unit to be called (systemd.unit(5))."""


@dataclass(frozen=True)
class Export:
    """A plan in another tool's words."""

    files: Mapping[str, str]
    """Content by name; a name may have folders."""
    unsaid: tuple[str, ...]
    """What the plan sets and the format cannot say, or not for these workloads: sentences."""


Exporter = Callable[[Plan], Export]


@dataclass(frozen=True)
class Left:
    """Something about a workload that an export leaves out."""

    workload: str
    what: str
    why: str


def on_host(plan: Plan, host: str) -> Plan:
    """The plan with the partitions of one host.

    Raises:
        InputError: where the plan has none for it.

    """
    found = tuple(partition for partition in plan.partitions if partition.host == host)
    if not found:
        raise InputError(f"the plan limits nothing on {host!r}; name one of its hosts, or leave --host out")
    return replace(plan, partitions=found)


def limits_left(partition: Partition, said: Mapping[str, str] | Iterable[str], why: str) -> Iterator[Left]:
    """Limits that are set and not among those that the format says."""
    known = set(said)
    for field, word in WORDS.items():
        if getattr(partition.after, field) is not None and field not in known:
            yield Left(partition.workload, word, why)


def sentences(left: Iterable[Left]) -> tuple[str, ...]:
    """One sentence for each thing and reason, with the workloads that it is about."""
    alike: dict[tuple[str, str], list[str]] = {}
    for one in left:
        alike.setdefault((one.what, one.why), []).append(printable(one.workload))
    return tuple(
        f"{what} of {count(len(names), 'workload')} ({', '.join(names[:NAMED])}{', …' if len(names) > NAMED else ''}): "
        f"{why}"
        for (what, why), names in alike.items()
    )


def printable(text: str) -> str:
    r"""A text that stays on its line in a comment or message, whatever is in it.

    >>> printable("a\nrm -rf /")
    'a\\nrm -rf /'
    """
    return text if text.isprintable() else repr(text)[1:-1]


def comment(lines: Sequence[str], sign: str = "#") -> str:
    """Lines of comment."""
    return "".join(f"{sign} {printable(line)}".rstrip() + "\n" for line in lines)


def heading(plan: Plan, what: str, unsaid: Sequence[str], digest: str) -> list[str]:
    """What every exported file begins with: what it is of, and what it does not say."""
    about = [f"{what}, from {plan.tool}'s plan {digest}"]
    return about + (["Not in this file:", *(f"- {one}" for one in unsaid)] if unsaid else [])


def short_name(workload: str) -> str:
    """What a workload is called on its own host, which stands before the first colon."""
    return workload.partition(":")[2] or workload


def label(text: str, longest: int = 63) -> str:
    """A name of lower-case letters, digits and dashes (RFC 1123), unlike any other text's.

    >>> label("web-1"), label("Web_1")
    ('web-1', 'web-1-93f4c8d0')
    """
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if plain and plain == text and len(text) <= longest:
        return text
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain[: longest - 9].rstrip('-') or 'w'}-{mark}"


def share_milli(partition: Partition) -> int:
    """The CPU that a partition's weight stands for."""
    return partition.cpu_weight * 10


def has_own_cores(partition: Partition) -> bool:
    """Whether no other workload runs on its processors: only such have nodes for their memory."""
    return partition.after.memory_nodes is not None and partition.after.cpus is not None


def is_machine(partition: Partition) -> bool:
    """Whether it is a virtual machine, whose hypervisor alone writes its limits."""
    return partition.isolation in (Isolation.VM, Isolation.HOSTED_VM)


def to_yaml(document: object) -> str:
    """YAML that every parser of it reads back as it was, in the order it was written."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
