"""What an engine answers, strictly: whatever it would not write is a ValueError that names the place and the value.

Documents: Docker Engine API 1.41, ``ContainerList`` and ``ContainerInspect``; Podman's ``libpod`` list, whose rows
carry the pod as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

_ID = re.compile(r"[0-9a-f]{12,64}")
_SHARED_NETWORKS = ("host", "container:", "ns:")
"""Modes in which the interfaces, and what they count, belong to someone else as well."""
_JSON_TYPES = {dict: "an object", list: "an array", str: "a string", int: "an integer", bool: "true or false"}
_MOST = 1 << 63
_PERIOD_US = 100_000
"""The kernel's own CFS period, which applies where a quota comes without one."""


@dataclass(frozen=True)
class Listed:
    """One running container in the engine's list."""

    id: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    pod: str = ""
    """Name of the pod, where the engine knows pods."""


@dataclass(frozen=True)
class Details:
    """What the list leaves out; it holds for as long as the container's first process runs."""

    pid: int
    """Its first process; 0 where none runs."""
    started_at: str
    """RFC 3339, as the engine wrote it."""
    limits: Mapping[str, int]
    """cpu_milli and memory_bytes, where limited when it was created; updates may not show."""
    own_network: bool
    """Whether its interfaces are its own, and not the host's or another container's."""
    restarts: int | None
    """Starts by the restart policy; None where the engine does not count them."""
    killed_before: bool
    """Whether the run before this one ended for want of memory, if the engine notices that."""


def parse_list(document: object) -> list[Listed]:
    """The rows of a list of containers."""
    return [_listed(row) for row in _typed(document, list, "the list of containers")]


def _listed(row: object) -> Listed:
    labels = _optional(row, "Labels", dict) or {}
    for name, value in labels.items():
        _typed(value, str, f"label {name}")
    # A linked container has further names, below those of the containers that link to it.
    names = [_typed(name, str, "a name").removeprefix("/") for name in _required(row, "Names", list)]
    name = next((name for name in names if name and "/" not in name and name.isprintable()), "")
    if not name:
        raise ValueError(f"Names is {names!r:.80}, and none of them is a container's")
    pod = _optional(row, "PodName", str) or ""
    if pod and _flag(row, "IsInfra"):
        name = f"{pod}-infra"  # the engine names it after the pod's id, which is new each time
    return Listed(container_id(_required(row, "Id", str)), name, labels, pod)


def container_id(text: str) -> str:
    """The id itself, which becomes a part of a request's path and of a control group's."""
    if not _ID.fullmatch(text):
        raise ValueError(f"Id is {text[:80]!r}, which is no container's")
    return text


def parse_details(document: object) -> Details:
    """The parts of a container's inspection that are used here."""
    state = _required(document, "State", dict)
    settings = _required(document, "HostConfig", dict)
    mode = _optional(settings, "NetworkMode", str) or ""
    restarts = _optional(document, "RestartCount", int)
    return Details(
        pid=_count(_required(state, "Pid", int), "State.Pid"),
        started_at=_required(state, "StartedAt", str),
        limits=_limits(settings),
        own_network=not mode.startswith(_SHARED_NETWORKS),
        restarts=None if restarts is None else _count(restarts, "RestartCount"),
        killed_before=_flag(state, "OOMKilled"),
    )


def _limits(settings: object) -> dict[str, int]:
    """Limits by dimension. 0 and, for a quota, -1 stand for none."""
    nano_cpus, quota_us, period_us, memory = (
        _amount(settings, key) for key in ("NanoCpus", "CpuQuota", "CpuPeriod", "Memory")
    )
    quota_milli = quota_us * 1000 // (period_us or _PERIOD_US)
    limits = {"cpu_milli": nano_cpus // 1_000_000 or quota_milli, "memory_bytes": memory}
    return {dimension: amount for dimension, amount in limits.items() if amount}


def _amount(settings: object, key: str) -> int:
    amount = _optional(settings, key, int) or 0
    return 0 if amount == -1 else _count(amount, f"HostConfig.{key}")


def _count(value: int, place: str) -> int:
    if not 0 <= value < _MOST:
        raise ValueError(f"{place} is {value}, where a count belongs")
    return value


def _required(document: object, key: str, kind: type[T]) -> T:
    value = _optional(document, key, kind)
    if value is None:
        raise ValueError(f"{key} is missing")
    return value


def _flag(document: object, key: str) -> bool:
    return _optional(document, key, bool) or False


def _optional(document: object, key: str, kind: type[T]) -> T | None:
    value = _typed(document, dict, f"what holds {key}").get(key)
    return None if value is None else _typed(value, kind, key)


def _typed(value: object, kind: type[T], place: str) -> T:
    """The value, if it is of that JSON type; Python takes booleans for integers, JSON does not."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise ValueError(f"{place} is {value!r:.80}, where {_JSON_TYPES[kind]} belongs")
    return value
