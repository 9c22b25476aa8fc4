"""Kubernetes: a strategic merge patch for each workload, with requests, limits and the node it is planned on.

``kubectl patch deployment NAME --patch-file FILE``. Sources: Kubernetes documents "Resource Management for Pods and
Containers", "Control CPU Management Policies on the Node" (whole cores need integer requests that equal the limits)
and "Assigning Pods to Nodes".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from collectors.topology import parse_cpu_list
from consolidate.export.export import (
    Export,
    Left,
    comment,
    has_own_cores,
    heading,
    is_machine,
    label,
    limits_left,
    sentences,
    share_milli,
    short_name,
    to_yaml,
)
from consolidate.plan.plan import Partition, Plan, plan_digest

SAID = ("cpu_milli", "memory_bytes", "memory_low_bytes")
WHY = "Kubernetes has no key for it in a pod"


def export_kubernetes(plan: Plan) -> Export:
    """A patch a workload; virtual machines are no pods."""
    files, left, digest = {}, list[Left](), plan_digest(plan)
    for partition in plan.partitions:
        if is_machine(partition):
            left.append(Left(partition.workload, "everything", "a virtual machine is no pod; see the libvirt export"))
            continue
        own = list(_left(partition))
        left += own
        head = heading(plan, f"Patch for {partition.workload} on {partition.host}", sentences(own), digest)
        name = label(short_name(partition.workload))
        hint = [f"kubectl patch deployment NAME --patch-file FILE (its container is taken to be called {name})"]
        files[f"{label(partition.workload)}.patch.yaml"] = comment([*head, *hint]) + to_yaml(patch(partition))
    if files:
        why = "a plan holds no rules, so that each workload is tied to its node instead"
        left.append(Left("all", "anti-affinity", why))
    return Export(files, sentences(left))


def patch(partition: Partition) -> dict[str, object]:
    """The patch of a workload's pod template."""
    container = {"name": label(short_name(partition.workload)), "resources": _resources(partition)}
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [partition.host]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    return {"spec": {"template": {"spec": {"affinity": affinity, "containers": [container]}}}}


def _resources(partition: Partition) -> dict[str, dict[str, str]]:
    after = partition.after
    requests, limits = {}, {}
    if has_own_cores(partition):
        requests["cpu"] = limits["cpu"] = str(len(parse_cpu_list(after.cpus or "")))
    else:
        share = share_milli(partition)
        # A request above its limit is refused.
        requests["cpu"] = f"{share if after.cpu_milli is None else min(share, after.cpu_milli)}m"
        if after.cpu_milli is not None:
            limits["cpu"] = f"{after.cpu_milli}m"
    if after.memory_low_bytes is not None:
        requests["memory"] = str(after.memory_low_bytes)
    if after.memory_bytes is not None:
        limits["memory"] = str(after.memory_bytes)
        if has_own_cores(partition) or after.memory_low_bytes is None:
            requests["memory"] = limits["memory"]
    return {"requests": requests, **({"limits": limits} if limits else {})}


def _left(partition: Partition) -> Iterator[Left]:
    if not has_own_cores(partition):
        yield from limits_left(partition, SAID, WHY)
    else:
        guaranteed = replace(partition, after=replace(partition.after, cpu_milli=None, memory_low_bytes=None))
        yield from limits_left(guaranteed, ("memory_bytes", "cpus", "memory_nodes"), WHY)
        equal = "whole cores are given to pods whose requests equal their limits, for CPU and memory alike"
        yield Left(partition.workload, "other requests than limits", equal)
        why = "the kubelet chooses which, by its static CPU manager policy and single-numa-node topology"
        yield Left(partition.workload, "numbers of processors and nodes", why)
