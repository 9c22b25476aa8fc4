"""libvirt: a fragment of domain XML for each virtual machine (libvirt documents, "Domain XML format").

To be merged by ``virsh edit``. On the unified hierarchy ``shares`` is the weight and ``soft_limit`` is ``memory.high``.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from consolidate.export.export import (
    WORDS,
    Export,
    Left,
    heading,
    is_machine,
    label,
    limits_left,
    printable,
    sentences,
    short_name,
)
from consolidate.plan.plan import Partition, Plan, plan_digest

PERIOD_US = 100_000
SAID = {"cpu_milli", "memory_bytes", "memory_high_bytes", "swap_bytes", "io_weight", "memory_nodes"}
_REASONS = {
    "processors": "pin each virtual processor: virsh vcpupin DOMAIN NUMBER LIST",
    "disk reads": "libvirt limits each of its disks: virsh blkdeviotune DOMAIN DISK --read-bytes-sec",
    "disk writes": "libvirt limits each of its disks: virsh blkdeviotune DOMAIN DISK --write-bytes-sec",
}
_NO_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, however it is written."""


def export_libvirt(plan: Plan) -> Export:
    """A fragment a virtual machine."""
    files, left, digest = {}, list[Left](), plan_digest(plan)
    for partition in plan.partitions:
        if not is_machine(partition):
            left.append(Left(partition.workload, "everything", "it is no virtual machine"))
        elif _NO_XML.search(short_name(partition.workload)):
            left.append(Left(partition.workload, "everything", "XML cannot hold its name"))
        else:
            own = list(_left(partition))
            left += own
            head = heading(plan, f"{partition.workload} on {partition.host}", sentences(own), digest)
            files[f"{label(partition.workload)}.xml"] = _comment(head) + _text(_domain(partition))
    return Export(files, sentences(left))


def _domain(partition: Partition) -> ET.Element:
    after = partition.after
    domain = ET.Element("domain")
    _add(domain, "name", short_name(partition.workload))
    cpu = ET.SubElement(domain, "cputune")
    _add(cpu, "shares", partition.cpu_weight)
    if after.cpu_milli is not None:  # of all virtual processors together; <quota> would be for each
        _add(cpu, "global_period", PERIOD_US)
        _add(cpu, "global_quota", max(1000, -(-after.cpu_milli * PERIOD_US // 1000)))
    if after.memory_bytes is not None:
        memory = ET.SubElement(domain, "memtune")
        _add(memory, "hard_limit", after.memory_bytes, unit="bytes")
        if after.memory_high_bytes is not None:
            _add(memory, "soft_limit", after.memory_high_bytes, unit="bytes")
        if after.swap_bytes is not None:
            _add(memory, "swap_hard_limit", after.memory_bytes + after.swap_bytes, unit="bytes")
    if after.memory_nodes is not None:
        ET.SubElement(ET.SubElement(domain, "numatune"), "memory", mode="strict", nodeset=after.memory_nodes)
    if after.io_weight is not None:
        _add(ET.SubElement(domain, "blkiotune"), "weight", min(max(after.io_weight, 100), 1000))
    return domain


def _add(parent: ET.Element, name: str, value: object, **attributes: str) -> None:
    ET.SubElement(parent, name, attributes).text = str(value)


def _text(domain: ET.Element) -> str:
    ET.indent(domain)
    return ET.tostring(domain, encoding="unicode") + "\n"


def _comment(lines: list[str]) -> str:
    """A comment of XML, which may hold anything but two dashes in a row or characters that XML has not."""
    text = "\n".join(_NO_XML.sub("?", printable(line)) for line in lines)
    return f"<!-- {re.sub('-(?=-)', '- ', text)} -->\n".replace("- -->", "-  -->")


def _left(partition: Partition) -> Iterator[Left]:
    for one in limits_left(partition, SAID, "libvirt has no element for it"):
        yield Left(one.workload, one.what, _REASONS.get(one.what, one.why))
    if partition.after.memory_bytes is None:
        for field in ("swap_bytes", "memory_high_bytes"):
            if getattr(partition.after, field) is not None:
                yield Left(partition.workload, WORDS[field], "it is written beside a memory limit only")
