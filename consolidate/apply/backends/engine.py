"""Containers of an engine on the host: what Docker and Podman have in common.

The engine is told, by its own command line, and the kernel's files are the truth: an engine may keep old limits in its
inspection (Podman 4.3), or swallow what it is told. Keys are therefore those of the cgroup backend.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from consolidate.apply.backends.backend import Change, Observation
from consolidate.apply.backends.cgroup import CgroupBackend
from consolidate.apply.backends.engine_options import KEYS, PERIOD, options, restorable, shares_of
from consolidate.apply.keys import Amount
from consolidate.apply.machine import Machine
from consolidate.errors import ApplyError
from consolidate.plan.plan import Limits, Partition

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_UNKNOWN = re.compile(r"no such (container|object)", re.IGNORECASE)
_PROGRAMS = ("usr/bin", "usr/local/bin", "usr/sbin", "bin", "snap/bin")
_ENGINES = ("docker", "podman")
_MAKERS = {"com.docker.compose.project": "Compose", "io.kubernetes.pod.name": "Kubernetes"}
_CPUSETS = ("cpuset.cpus", "cpuset.mems")


@dataclass(frozen=True)
class Container:
    """What an engine says of a container."""

    id: str
    name: str
    pid: int
    """Its first process; 0 where none runs."""
    nano_cpus: int
    """Billionths of a core, where it was created with ``--cpus``."""
    runtime: str
    """Program that made it; empty where the engine does not say."""
    labels: Mapping[str, str]

    @property
    def note(self) -> str:
        """What whoever limits it should know."""
        maker = next((maker for label, maker in _MAKERS.items() if label in self.labels), "")
        if not maker:
            return ""
        return (
            f"{self.name} is made by {maker}, which makes it anew without these limits one day; write them into its "
            "file as well (`consolidate export`)"
        )


def parse_container(text: str) -> Container:
    """Parse what ``container inspect`` says of one container.

    Raises:
        ValueError: where that is not what engines are documented to say.

    """
    try:
        [found] = json.loads(text)
        return Container(
            id=str(found["Id"]),
            name=str(found["Name"]).removeprefix("/"),
            pid=int(found["State"]["Pid"]),
            nano_cpus=int(found["HostConfig"].get("NanoCpus") or 0),
            runtime=str(found.get("OCIRuntime") or ""),
            labels=dict(found["Config"].get("Labels") or {}),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{error} is missing or of another kind") from None


def parse_group(text: str, container_id: str) -> str:
    """Path of a container's control group from ``/proc/PID/cgroup``; empty where the process is not in it.

    What the container, or its runtime, has made inside is not what the engine limits.
    """
    for line in text.splitlines():
        parts = line.split(":", maxsplit=2)[-1].strip("/").split("/")
        for length, part in enumerate(parts, start=1):
            if container_id in part:
                return "/".join(parts[:length])
    return ""


class EngineBackend:
    """Limits running containers by ``update``, and reads back what the kernel holds."""

    def __init__(self, name: str, client: Sequence[str], group: str, keys: frozenset[str] = KEYS) -> None:
        """Say which engine.

        Args:
            name: The engine's, which is also its program's.
            client: Command line up to its verb.
            group: Pattern of a container's group, with its id as the one thing in brackets.
            keys: Files that it has an option for.

        """
        self.name = name
        self._client = tuple(client)
        self._group = re.compile(group)
        self._keys = keys
        self._files = CgroupBackend()

    def supports(self, machine: Machine, partition: Partition) -> bool:
        """Whether this engine has the container.

        Raises:
            ApplyError: where the engine does not answer and the partition's group is a container's of its.

        """
        try:
            return self._find(machine, partition) is not None
        except ApplyError:
            if partition.cgroup:
                raise
            return False  # what is still to come here need not come to this engine

    def observe(self, machine: Machine, partition: Partition) -> Observation | None:
        """The running container and what the kernel holds for it; None where it does not run here."""
        container = self._find(machine, partition)
        found = self._observe(machine, container, partition) if container is not None else None
        if container is None or found is None:
            return None
        kept = (restorable(found.values) & self._keys) | {PERIOD}
        values = {key: text for key, text in found.values.items() if key in kept}
        return replace(
            found,
            subject=container.id,
            # Limits outlast a restart, or are gone and then read as gone. Only another container is another life.
            life=container.id,
            values=values,
            places={},
            note=container.note,
        )

    def writes(self, partition: Partition, observed: Observation) -> Sequence[Change]:
        """The cgroup backend's writes, as far as the engine has options for them."""
        place = (observed.subject, observed.life)
        there = replace(observed, places=dict.fromkeys(observed.values, place))
        return [replace(change, backend=self.name) for change in self._files.writes(partition, there)]

    def limit(self, key: str, text: str, observed: Observation) -> tuple[str, Amount] | None:
        """The field of Limits and the amount that a file's text stands for."""
        return self._files.limit(key, text, observed)

    def execute(self, machine: Machine, change: Change, value: str) -> None:
        """Have the engine set one limit; what it says about it is not believed but read back by the driver.

        Raises:
            ApplyError: where the engine refuses or does not answer, or the container is gone.

        """
        container, values = self._current(machine, change)
        self._update(machine, container, *options(change.key, value, values, container.nano_cpus))
        if change.key == "cpu.weight" and self.read(machine, change) != value:
            self._update(machine, container, "--cpu-shares", str(shares_of(int(value))[1]))

    def read(self, machine: Machine, change: Change) -> str | None:
        """What the kernel holds now; None where the container is gone, or does not run."""
        container = self._inspect(machine, change.subject)
        found = self._observe(machine, container, _bare(change)) if container is not None else None
        return None if found is None else found.values.get(change.key)

    def _current(self, machine: Machine, change: Change) -> tuple[Container, Mapping[str, str]]:
        container = self._inspect(machine, change.subject)
        found = self._observe(machine, container, _bare(change)) if container is not None else None
        if container is None or found is None:
            raise ApplyError(
                f"{change.workload}: container {change.subject[:12]} is gone or has ended since it was observed; "
                "collect and plan again"
            )
        return container, found.values

    def _update(self, machine: Machine, container: Container, *words: str) -> None:
        machine.run([*self._client, "update", *words, container.id])

    def _find(self, machine: Machine, partition: Partition) -> Container | None:
        """The container in the partition's group; else, where it was made anew or moved here, the one of its name."""
        container_id = self._group.search(partition.cgroup)
        owner, *_, name = re.split("[:/]", f"/{partition.workload}")[-2:]
        named = _NAME.fullmatch(name) and (owner == self.name or owner not in _ENGINES)
        is_ours = container_id is not None or (not partition.cgroup and partition.isolation == "container")
        if not is_ours or not self._is_installed(machine):
            return None
        found = self._inspect(machine, container_id[1]) if container_id is not None else None
        if found is None and named:
            found = self._inspect(machine, name)
            # A name may be the beginning of another container's id.
            found = found if found is not None and found.name == name else None
        return found

    def _is_installed(self, machine: Machine) -> bool:
        return any(machine.inode(f"{place}/{self.name}") is not None for place in _PROGRAMS)

    def _inspect(self, machine: Machine, reference: str) -> Container | None:
        try:
            text = machine.run([*self._client, "container", "inspect", reference])
        except ApplyError as error:
            if _UNKNOWN.search(str(error)):
                return None
            raise
        try:
            return parse_container(text)
        except ValueError as error:
            raise ApplyError(
                f"{reference}: {self.name} on {machine.name} says what is no container ({error}); check its version"
            ) from None

    def _observe(self, machine: Machine, container: Container, partition: Partition) -> Observation | None:
        """What the kernel holds for a container, by the files of its group."""
        processes = machine.read(f"proc/{container.pid}/cgroup") if container.pid else None
        group = parse_group(processes or "", container.id)
        if not group:
            return None
        found = self._files.observe(machine, replace(partition, cgroup=group))
        if found is None:
            return None
        # An empty set in v2 takes the parent's. No engine can empty one again, but it can give it all of the parent's.
        empty = [key for key in _CPUSETS if found.values.get(key) == ""]
        paths = [f"{found.places[key][0]}/{key}.effective" for key in empty]
        wide = {key: text for key, text in zip(empty, machine.read_many(paths), strict=True) if text is not None}
        return replace(found, values={**found.values, **wide})


def _bare(change: Change) -> Partition:
    """As much of a partition as the files of its group are asked for."""
    return Partition(change.workload, "", "container", "", Limits(), Limits(), 100, "")
